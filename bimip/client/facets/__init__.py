"""What programs can do, by noun: each file is one attribute of a `Client`, and its head has an example of it.

    messages        send, send_nowait, send_many, unsent, waiting; edit, delete, react, pin, mark_forwarded, and each
                    at once: edit_nowait, delete_nowait, react_nowait, pin_nowait, mark_forwarded_nowait; state,
                    give_many;
                    mark_read, mark_read_many, receipts, fetch_receipts, delivery_state, wait_delivered, wait_read
    conversations   list, keep, keep_nowait, settings, read_marker, move_read_marker
    feeds           what is written for friends: publish, publish_nowait, fetch, history
    groups          create, add, remove, leave, rename, set_role, fetch, known
    contacts        request, accept, deny, remove, block, unblock, name, list, known
    presence        known, intent, ask, set_intent, go_online, go_offline; say_typing, say_recording, say_paused,
                    say_cancelled, resume
    calls           call, offer_again, say_ringing, answer, send_candidate, hang_up
    locations       share, stop_sharing, send, shares
    devices         all devices of this user: list, known, synced, label, remove, signal; of: those of another user
    history         fetch, thread, heads, conversation; kept, kept_heads, search, forget: what this device keeps
                    itself; snapshot, read_again: whether its copies of the logs are whole
    notes           what the program keeps for itself in this device's file: keep, get, all, drop
    settings        what others may know of this user: privacy, change, exceptions, set_exception, set_visible
    keys            with which keys others encrypt for this device: count, publish, withdraw; for who encrypts: query,
                    claim; of a client that encrypts: fingerprint, known, verify, accept
    push            how devices are reached while not connected: offer, subscribe, unsubscribe
    state           what all devices of a user share, as a whole: read, refresh

What asks the server is a coroutine, `list` and `fetch` among them; what this device knows by itself, such as `known`,
is not. Below them: facet.py, what each facet has at hand; writing.py and commands.py, which several share.

One that is added is a class here and an attribute of `Client` in `client.py`. What it asks of the server goes through
`Connector.request`, what it keeps through the device's store.
"""
