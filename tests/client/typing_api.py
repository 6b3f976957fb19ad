"""What programs write against the SDK, for the type checker alone: nothing here runs."""

from collections.abc import Callable, Sequence
from typing import assert_never, assert_type

from bimip.client import (
    Audience,
    Backoff,
    Client,
    Command,
    DeliveryState,
    Doing,
    ErrorCode,
    ExceptionValue,
    Fetched,
    FetchKind,
    InboxRow,
    KeysLeft,
    KnownKey,
    MemberReceipts,
    Message,
    PreKey,
    PrivacyException,
    PrivacySettings,
    PublicKeys,
    PushOffer,
    PushSubscription,
    Refused,
    Start,
    Status,
    events,
    open_client,
)
from bimip.client.core.kept import KeptMessage
from bimip.client.core.kinds.groups import KnownGroup
from bimip.client.facets.devices import DeviceInfo, KnownDevice, Synced
from bimip.client.facets.groups import GroupMember
from bimip.client.facets.state import StatePage


async def open_one(token: str | Callable[[], str]) -> None:
    async with open_client(
        "wss://example.org", token=token, path="a.db", partitions=["chat"], start=Start.LAST, last=5, backoff=Backoff()
    ) as client:
        assert_type(client, Client)


async def every_method(client: Client) -> None:
    assert_type(client.identity, events.Identity | None)
    assert_type(client.connected, bool)
    assert_type(client.messages.unsent, int)
    assert_type(client.messages.waiting(), list[Message])
    await client.wait_connected()
    assert_type(client.messages.send_nowait("bob@example.org", b"", seq="1.1"), str)
    try:
        assert_type(await client.messages.send(to="bob@example.org", payload=b"", type=2, id="m1"), events.Sent)
    except Refused as refused:
        assert_type(refused.retry_after, float)
    assert_type(await client.messages.send_many([("bob@example.org", b"")]), list[events.Sent | events.SendRefused])
    assert_type(await client.messages.edit(7, b"", id="c1"), events.CommandDone)
    assert_type(await client.messages.delete(7, for_everyone=True), events.CommandDone)
    assert_type(await client.messages.react(7, "+", remove=True), events.CommandDone)
    assert_type(await client.messages.pin(7, pinned=False), events.CommandDone)
    assert_type(await client.messages.mark_forwarded(7), events.CommandDone)
    assert_type(client.messages.edit_nowait("m1", b"", id="c1"), str)
    assert_type(client.messages.delete_nowait(7, for_everyone=True), str)
    assert_type(client.messages.react_nowait(7, "+", remove=True), str)
    assert_type(client.messages.pin_nowait(7, pinned=False), str)
    assert_type(client.messages.mark_forwarded_nowait(7), str)
    assert_type(client.messages.state("c1", 4), events.MessageChanged | None)
    assert_type(await client.messages.give_many([Command()]), list[events.CommandDone | Refused])
    assert_type(client.feeds.publish_nowait(b"", id="p1"), str)
    assert_type(await client.feeds.publish(b"", ttl=5, mentions=["bob@example.org"]), events.Sent)
    assert_type((await client.feeds.fetch("bob@example.org")).readers, tuple[str, ...])
    assert_type(await client.feeds.history("bob@example.org", before=4, limit=5), list[Message])
    client.acknowledge("chat", [1, 2])
    await client.messages.mark_read("c1", 4, is_peer=False)
    await client.messages.mark_read_many({"c1": 4})
    assert_type(client.messages.receipts("c1", 4), dict[str, dict[str, int]])
    assert_type(await client.messages.fetch_receipts("c1", 4, last=9), list[MemberReceipts])
    assert_type((await client.messages.delivery_state("c1", 4)).read_by, tuple[str, ...])
    sent = await client.messages.send("bob@example.org", b"")
    assert_type(await client.messages.wait_delivered(sent), DeliveryState)
    assert_type(await client.messages.wait_read(sent), DeliveryState)
    assert_type(client.conversations.read_marker("c1"), int)
    assert_type(await client.conversations.move_read_marker("c1", 4), int)
    assert_type(client.conversations.settings("c1"), events.ConversationChanged)
    await client.conversations.keep("c1", archived=True, muted_until=0, draft=b"")
    assert_type(client.conversations.keep_nowait("c1", pinned=True), Sequence[str])
    assert_type(await client.history.thread("c1", "65WZSBAB00000", limit=5, backwards=True), Fetched)
    page = await client.conversations.list(limit=5, cursor=b"")
    assert_type(page.rows, list[InboxRow])
    assert_type(page.rows[0].last_message, Message | None)
    assert_type(client.settings.privacy, PrivacySettings)
    assert_type(await client.settings.change(send_read_receipts=False, show_last_seen=None), PrivacySettings)
    assert_type(await client.settings.change(last_seen_to=Audience.CONTACTS), PrivacySettings)
    assert_type(client.settings.exceptions, dict[str, PrivacyException])
    assert_type(await client.settings.set_exception("bob", show_last_seen=ExceptionValue.DENIED), PrivacyException)
    assert_type(await client.settings.set_visible(visible=False), bool)
    assert_type(await client.history.fetch(kind=FetchKind.LOG, offset=1, backwards=True), Fetched)
    assert_type(await client.history.heads("chat", sender="bob@example.org", limit=3), list[Message])
    assert_type(await client.devices.synced("laptop", whole=True), dict[str, Synced])
    assert_type(await client.state.read(4, whole=True), StatePage)
    await client.state.refresh()
    assert_type(await client.history.conversation("c1", before=4, limit=5), list[Message])
    assert_type((await client.history.snapshot("chat", offset=4)).checksum, bytes)
    client.history.read_again(1, 4, "chat")
    assert_type(client.history.kept("c1", before=4), list[KeptMessage])
    assert_type(client.history.kept_heads(), list[KeptMessage])
    assert_type(client.history.search("hello", limit=5), list[KeptMessage])
    assert_type(await client.history.forget("c1", before=1), int)
    client.notes.keep("drafts", "c1", b"begun")
    client.notes.drop("drafts", "c1")
    assert_type(client.notes.get("drafts", "c1"), bytes | None)
    assert_type(client.notes.all("drafts"), dict[str, bytes])
    assert_type(client.messages.waiting(5, answered=True), list[Message])
    assert_type(await client.devices.list(), list[DeviceInfo])
    assert_type(client.devices.known(), dict[str, KnownDevice])
    assert_type(await client.devices.of("bob@example.org"), list[str])
    assert_type(await client.devices.signal("offer", "laptop", b"sdp"), int)
    assert_type(await client.groups.create("trip", ["bob@example.org"], request_id="r1"), str)
    await client.groups.add("c1", "carol@example.org")
    await client.groups.remove("c1", "carol@example.org")
    await client.groups.rename("c1", "journey")
    await client.groups.set_role("c1", "bob@example.org", "admin")
    await client.groups.leave("c1")
    assert_type((await client.groups.fetch("c1")).members, tuple[GroupMember, ...])
    assert_type(client.groups.known(), dict[str, KnownGroup])
    assert_type(await client.contacts.request("bob@example.org", mutual=True, id="r1"), events.KnownContact)
    assert_type((await client.contacts.accept("bob@example.org", mutual=True)).sees_you, bool)
    await client.contacts.deny("bob@example.org")
    await client.contacts.remove("bob@example.org")
    await client.contacts.block("bob@example.org")
    await client.contacts.unblock("bob@example.org")
    await client.contacts.name("bob@example.org", "Bobby")
    assert_type(await client.contacts.list(), dict[str, events.KnownContact])
    assert_type(client.contacts.known(), dict[str, events.KnownContact])
    assert_type(await client.locations.share("bob@example.org", seconds=60), int)
    await client.locations.stop_sharing("c1")
    assert_type(await client.locations.send(52.5, 13.4, accuracy=5), bool)
    assert_type(client.locations.shares(), dict[str, int])
    assert_type(client.presence.known(), dict[str, events.KnownPresence])
    assert_type(client.presence.intent, events.KnownIntent)
    assert_type((await client.presence.ask("bob@example.org")).status, Status)
    assert_type(await client.presence.set_intent(Status.DND, until=1), events.KnownIntent)
    await client.presence.go_online(inactive=True)
    await client.presence.go_offline()
    await client.presence.say_typing("bob@example.org", seconds=5)
    await client.presence.say_recording("c1")
    await client.presence.say_paused("c1")
    await client.presence.say_cancelled("c1")
    await client.presence.resume("c1")
    assert_type(await client.calls.call("bob@example.org", b"offer", ring_seconds=30), str)
    await client.calls.say_ringing("bob@example.org", "x")
    await client.calls.answer("bob@example.org", "x", b"answer")
    await client.calls.send_candidate("bob@example.org", "x", b"candidate")
    await client.calls.offer_again("bob@example.org", "x", b"offer")
    await client.calls.hang_up("bob@example.org", "x")
    await client.devices.label("phone", "mine")
    await client.devices.remove("phone")
    assert_type(await client.keys.count(), KeysLeft)
    assert_type(await client.keys.publish(b"", b"", b"", PreKey(1, b"", b"")), KeysLeft)
    assert_type(await client.keys.query([("bob@example.org", "")]), list[PublicKeys])
    assert_type(await client.keys.claim([("bob@example.org", "phone")]), list[PublicKeys])
    await client.keys.withdraw()
    assert_type(client.keys.fingerprint, str)
    assert_type(client.keys.known("bob@example.org"), dict[str, KnownKey])
    assert_type(client.keys.verify("bob@example.org", "phone"), bool)
    assert_type(client.keys.accept("bob@example.org", "phone"), bool)
    assert_type(await client.push.offer(), PushOffer)
    assert_type(await client.push.subscribe("fcm", "t", name="push"), PushSubscription)
    await client.push.unsubscribe(device="laptop")
    assert_type(await client.ping(), float)
    await client.refresh_token("token")
    await client.logout(forget=True, revoke=True)


async def every_event(client: Client) -> None:
    assert_type(client.__aiter__(), Client)
    async for event in client:
        assert_type(event, events.Event)
        match event:
            case events.Received(message=message, own=False):
                assert_type(message, Message)
            case events.Received() | events.Sent() | events.SendRefused() | events.GapFound():
                pass
            case events.ReceiptsChanged() | events.ReadMarkerChanged() | events.ConversationChanged():
                assert_type(event.conversation, str)
            case events.UndecryptableMessage():
                assert_type(event.reason, events.Unreadable)
            case events.IdentityChanged():
                assert_type(event.fingerprint, str)
            case events.PresenceChanged() | events.IntentChanged():
                assert_type(event.status, Status)
            case events.ActivityChanged():
                assert_type(event.activity, Doing)
            case events.Resumed():
                assert_type(event.to, str)
            case events.LocationTold():
                assert_type(event.position, tuple[float, float] | None)
            case events.LocationShareChanged():
                assert_type(event.expires_at, int)
            case events.CallSignalled() | events.CallEnded():
                assert_type(event.call, str)
            case events.LogDiverged() | events.ReadAgain():
                assert_type(event.partition, str)
            case events.GroupChanged():
                assert_type(event.is_gone, bool)
            case events.ContactChanged():
                assert_type(event.contact, events.KnownContact)
            case events.MessageChanged():
                assert_type(event.payload, bytes | None)
            case events.DeviceChanged():
                assert_type(event.is_gone, bool)
            case events.PrivacyExceptionChanged():
                assert_type(event.exception, PrivacyException)
            case events.SettingsChanged():
                assert_type(event.settings, PrivacySettings)
            case events.PeerSignalled():
                assert_type(event.payload, bytes)
            case events.CommandDone():
                assert_type(event.stamp, int)
            case events.CommandRefused():
                assert_type(event.code, ErrorCode)
            case events.Connected() | events.Disconnected() | events.EpochChanged() | events.ServerError():
                pass
            case _:
                assert_never(event)
