"""Floor 2: every question to the store outside the journal, as a function with a name.

    heads.py      where a user's logs and state end, and whether a device knows this store's epoch
    log.py        the entries of a log, as they are delivered; what is addressed to a device; whether a hole is expiry
    state.py      what of a user's state changed behind a version
    current.py    what is so now of messages: who received and read them, what became of them
    people.py     users' names, revoked tokens
    devices.py    a user's devices, and what each has acknowledged
    fetches.py    what a Fetch looks through, for whom, and what of it is theirs to see
    inbox.py      the user's conversations, the newest first, with what is unread
    receipts.py   the receipts of a conversation, for who asks for them
    positions.py  where in a log a device stands that says it by a `seq`
    synced.py     what a device has of each of its user's other devices
    pages.py      the one loop that fills a page, a slice at a time; `sources.py` the orders in which it walks
    withheld.py   content in a user's log that is not theirs to see any more
    segments.py   entries of a log with their messages, as they are read and delivered
    salvage.py    what is whole around what is damaged

Each function opens its own view, reads, and returns values; no view leaves it. So a store that answers later changes
this folder and those who await it, and none of the rules above. Two questions are two views: what must agree is one.
"""
