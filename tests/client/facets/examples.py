"""The examples in the heads of the facets' files, as functions, so that they are type-checked and run.

`test_examples.py` holds each body to its docstring, word for word, and runs it.
"""

from bimip.client import Audience, CallStep, Client, ExceptionValue, FetchKind, ReceiptKind, Status, events


async def messages(client: Client) -> None:
    sent = await client.messages.send("bob@example.org", b"Helo Bob")
    await client.messages.edit(sent.signal_offset, b"Hello Bob")
    await client.messages.react(sent.signal_offset, "👋")
    async for event in client:
        match event:
            case events.Received(message=message, own=False):
                print("answered:", message.payload.decode())
                await client.messages.mark_read(message.conversation, message.conversation_offset)
            case events.ReceiptsChanged(kind=ReceiptKind.READ, member="bob@example.org"):
                break
    print((await client.messages.delivery_state(sent.conversation, sent.conversation_offset)).state)


async def conversations(client: Client) -> None:
    page = await client.conversations.list(limit=20)
    for row in page.rows:
        print(row.title or row.peer, "has", row.unread, "unread")
        await client.conversations.keep(row.conversation, archived=True, draft=b"To be answered")
        await client.conversations.move_read_marker(row.conversation, row.head)
        print("all read up to", client.conversations.read_marker(row.conversation))
    if not page.complete:
        page = await client.conversations.list(limit=20, cursor=page.cursor)


async def feeds(client: Client) -> None:
    await client.feeds.publish(b"On holiday from tomorrow")
    feed = await client.feeds.fetch()
    print("written for", feed.readers)
    for message in await client.feeds.history(limit=10):
        print(message.payload.decode())
    bobs = await client.feeds.history("bob@example.org")
    print(len(bobs), "of Bob's")


async def groups(client: Client) -> None:
    group = await client.groups.create("Trip", ["bob@example.org"])
    await client.messages.send(group, b"Where do we go?")
    await client.groups.set_role(group, "bob@example.org", "admin")
    await client.groups.rename(group, "Trip to Rome")
    found = await client.groups.fetch(group)
    for member in found.members:
        print(member.eid, "is", member.role, "of", found.title)
    await client.groups.leave(group)


async def contacts(client: Client) -> None:
    asked = await client.contacts.request("carol@example.org", mutual=True)
    print("of the request:", asked.state)
    await client.contacts.name("bob@example.org", "Bobby")
    for eid, contact in (await client.contacts.list()).items():
        print(eid, contact.name, "is seen" if contact.seen else "is not seen")
    await client.contacts.block("mallory@example.org")


async def presence(client: Client) -> None:
    await client.presence.set_intent(Status.DND)
    print("now", client.presence.intent.status.name)
    await client.presence.say_typing("bob@example.org", seconds=5)
    bob = await client.presence.ask("bob@example.org")
    print("Bob is", bob.status.name)
    await client.presence.go_online(inactive=True)  # nobody looks at this device


async def calls(client: Client) -> None:
    call = await client.calls.call("bob@example.org", b"an offer, as SDP", ring_seconds=30)
    async for event in client:
        match event:
            case events.CallSignalled(call=name, step=CallStep.CALL_ANSWER) if name == call:
                print("Bob took it:", event.payload.decode())
                await client.calls.hang_up("bob@example.org", call)
            case events.CallEnded(call=name) if name == call:
                print("over:", event.end.name)
                break


async def locations(client: Client) -> None:
    ends = await client.locations.share("bob@example.org", seconds=600)
    if await client.locations.send(52.5163, 13.3777, accuracy=5):  # degrees and metres
        for whom, until in client.locations.shares().items():
            print(whom, "sees it for", "ten minutes" if until == ends else "another time")
    await client.locations.stop_sharing("bob@example.org")


async def devices(client: Client) -> None:
    await client.devices.label("phone", "Alice's phone")
    for device in await client.devices.list():
        print(device.label or device.name, "is online" if device.online else "is not there")
    for name, far in (await client.devices.synced()).items():
        print("of what", name, "wrote", far.missing, "are missing here")
    print("of Bob:", await client.devices.of("bob@example.org"))
    print("others of mine that are there:", await client.devices.signal("hello"))


async def history(client: Client) -> None:
    page = await client.history.fetch(kind=FetchKind.LOG, offset=1, limit=50)
    for message, is_acknowledged in page.rows:
        print(message.payload.decode(), "taken" if is_acknowledged else "not taken yet")
    while not page.complete:
        page = await client.history.fetch(kind=FetchKind.LOG, cursor=page.cursor, limit=50)
    for message in await client.history.heads():
        found = await client.history.conversation(message.conversation, before=message.conversation_offset)
        print("before the newest:", len(found))
    dropped = await client.history.forget("c1")
    print(dropped, "are no longer in this device's file")


async def settings(client: Client) -> None:
    await client.settings.change(last_seen_to=Audience.CONTACTS, send_read_receipts=False)
    await client.settings.set_exception("bob@example.org", show_last_seen=ExceptionValue.DENIED)
    print("last seen is for", client.settings.privacy.last_seen_to.name)
    for eid, exception in client.settings.exceptions.items():
        print("but for", eid, exception.show_last_seen.name)


async def notes(client: Client) -> None:
    client.notes.keep("drafts", "bob@example.org", b"To be said")
    for who, draft in client.notes.all("drafts").items():
        print(who, "is to be told:", draft.decode())
    client.notes.drop("drafts", "bob@example.org")
    print(client.notes.get("drafts", "bob@example.org"))


async def keys(client: Client) -> None:
    left = await client.keys.count()
    print("one-time keys that nobody was given:", left.one_time)
    for device in await client.keys.query([("bob@example.org", "")]):
        print("Bob has", device.name, "with the key", device.identity.hex())
    for device in await client.keys.claim([("bob@example.org", "phone")]):
        print("a fallback key" if device.is_fallback else "a one-time key", "of", device.name)
    await client.keys.withdraw()


async def push(client: Client) -> None:
    offer = await client.push.offer()
    if "fcm" in offer.platforms:
        await client.push.subscribe("fcm", "the token that Android gave this app")
    for subscription in (await client.push.offer()).subscriptions:
        print(subscription.device, "by", subscription.platform)
    await client.push.unsubscribe()


async def state(client: Client) -> None:
    page = await client.state.read()
    count = len(page.items)
    while not page.complete:
        page = await client.state.read(page.upto, whole=page.is_whole)
        count += len(page.items)
    print("as of version", page.upto, "there are", count)
    await client.state.refresh()  # reads this client's own copy again, which was doubted
