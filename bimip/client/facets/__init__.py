"""What programs can do, by noun: each file is a part of `Client`, which is made of them.

    facet.py      what each part has at hand: the device, its connection, the environment
    messages.py   writing: send, send_nowait
    feeds.py      writing for friends, and what they write: publish, publish_nowait, fetch_feed, feed_history
    commands.py   changing what is there: edit, delete, react, pin, keep_conversation
    events.py     the stream of events: iteration, acknowledge
    receipts.py   who has read what: mark_read, receipts, read_marker
    settings.py   what others may know of this user: settings, change_settings
    history.py    looking into the log: fetch, history, thread
    copies.py     whether this device's copies of the logs are whole: snapshot, read_again
    groups.py     groups: create_group, add_members, remove_member, leave_group, rename_group, set_role, fetch_group,
                  known_groups
    inbox.py      the user's conversations, the newest first: inbox
    device.py     this device itself: identity, connection, token, logout
    push.py       how this user's devices are reached while not connected: push, subscribe_push,
                  unsubscribe_push
    devices.py    all devices of this user: devices, known_devices, label_device, remove_device

One that is added is a class here and a base of `Client` in `client.py`. What it asks of the server goes through
`Connector.request`, what it keeps through the device's store.
"""
