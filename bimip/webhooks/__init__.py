"""Floor 3: the process that tells an operator's back ends what happens, by webhooks that are signed and sent until they
are taken. PROTOCOL.md, "Webhooks", says what they are told.

settings.py   which back ends there are, and of what each is told
telling.py    what is said of an event
signing.py    who says it: Standard Webhooks
process.py    reads the feed (`domain/webhooks/feed.py`), and sends; the lanes, the breaker and the posting are push's
"""
