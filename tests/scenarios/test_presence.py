"""Who is there: contacts see each other come, go and say how they are; whoever is none sees nothing."""

from typing import Any

import pytest
import trio
from trio.testing import MockClock

from bimip.client.wire import bimip as pb
from bimip.operations import Operations
from bimip.storage.errors import StoreDamagedError
from bimip.testing.virtual import BEGIN, settings_for_tests
from bimip.users.awareness.presence import Presence
from tests.kit.contacts import put_contacts, with_contacts
from tests.kit.faults import FaultyStore
from tests.kit.memory_server import Client, World, go_on, open_world, settle
from tests.kit.received import Received

S = pb.AwarenessStatus
ONLINE, OFFLINE, AWAY, BUSY, DND = S.ONLINE, S.OFFLINE, S.AWAY, S.BUSY, S.DND
DELAY = 5.0
INTERVAL = 2.0
INACTIVE = 30.0


async def told(client: Client) -> list[tuple[str, pb.AwarenessStatus]]:
    """What a device was told of others since it was last asked."""
    return [(one.from_.eid, one.status) for one in await told_items(client) if one.from_.eid != client.eid]


async def told_items(client: Client) -> list[Any]:
    return items_of(await client.heard())


def items_of(heard: Received) -> list[Any]:
    return [one for body in heard.bodies for one in body.awareness]


async def say(client: Client, status: pb.AwarenessStatus, **fields: Any) -> pb.Awareness:
    """Says a status that is answered, and returns the answer."""
    client.send(awareness=pb.Awareness(status=status, **fields), ref=9)
    while True:
        frame = await client.receive()
        if frame.awareness is not None:
            assert frame.ref == 9
            return frame.awareness
        assert not (frame.body and frame.body.errors), frame.body


async def look(client: Client, eid: str) -> tuple[pb.AwarenessStatus, int]:
    answer = await say(client, S.AWARENESS_STATUS_UNSPECIFIED, to=pb.Identity(eid=eid))
    assert answer.from_ is not None
    assert answer.from_.eid == eid
    return answer.status, answer.last_seen


async def two_friends(world: World) -> tuple[Client, Client]:
    ann, bob = await world.join("ann", "phone"), await world.join("bob", "phone")
    await ann.heard()
    await bob.heard()
    return ann, bob


def friends() -> Any:
    return with_contacts(("ann", "bob"))


async def test_who_comes_is_seen_at_once_and_sees_who_is_there(autojump_clock: MockClock) -> None:
    async with open_world(store=friends()) as world:
        ann = await world.join("ann", "phone")
        assert await told(ann) == []
        bob = await world.join("bob", "phone")

        assert await told(ann) == [("bob", ONLINE)]
        heard = await bob.heard()
        (first,) = [body for body in heard.bodies if body.awareness]
        assert first.awareness_reset
        assert {(one.from_.eid, one.status) for one in first.awareness if one.from_} == {("ann", ONLINE)}


async def test_who_goes_is_seen_to_go_after_a_delay_with_when_they_were_last_seen(autojump_clock: MockClock) -> None:
    async with open_world(store=friends()) as world:
        ann, bob = await two_friends(world)
        went = BEGIN + int(trio.current_time() * 1000)
        bob.cut()
        await trio.sleep(DELAY - 0.5)
        assert await told(ann) == []
        await trio.sleep(0.5)

        (gone,) = await told_items(ann)
        assert (gone.from_.eid, gone.status) == ("bob", OFFLINE)
        assert went <= gone.last_seen <= went + 200


async def test_who_is_back_in_time_was_never_seen_to_go(autojump_clock: MockClock) -> None:
    async with open_world(store=friends()) as world:
        ann, bob = await two_friends(world)
        for _ in range(5):
            bob.cut()
            await trio.sleep(DELAY - 1)
            bob = await world.join("bob", "phone", go_on())
        await trio.sleep(2 * DELAY)

        assert await told(ann) == []


async def test_who_connects_again_elsewhere_is_not_seen_to_go(autojump_clock: MockClock) -> None:
    settings = settings_for_tests(BIMIP_PRESENCE_OFFLINE_DELAY_SECONDS="0", BIMIP_PRESENCE_INTERVAL_SECONDS="0")
    async with open_world(store=friends(), settings=settings) as world:
        ann, _ = await two_friends(world)
        await world.join("bob", "phone", go_on())

        assert await told(ann) == []


async def test_of_who_comes_and_goes_all_the_time_one_item_comes_in_an_interval(autojump_clock: MockClock) -> None:
    settings = settings_for_tests(BIMIP_PRESENCE_OFFLINE_DELAY_SECONDS="0", BIMIP_PRESENCE_INTERVAL_SECONDS="10")
    async with open_world(store=friends(), settings=settings) as world:
        ann = await world.join("ann", "phone")
        await ann.heard()
        began = trio.current_time()
        changes = 0
        while trio.current_time() < began + 100:
            bob = await world.join("bob", "phone", go_on())
            await trio.sleep(0.3)
            bob.cut()
            await trio.sleep(0.4)
            changes += 2
        await trio.sleep(20)
        seen = await told(ann)

        assert changes > 200
        assert len(seen) <= 12
        assert seen[-1] == ("bob", OFFLINE)


async def test_strangers_see_nothing_of_each_other(autojump_clock: MockClock) -> None:
    async with open_world(store=friends()) as world:
        ann, carol = await world.join("ann", "phone"), await world.join("carol", "phone")
        await say(ann, DND)
        await ann.post("carol", b"hello", "m1")
        ann.cut()
        await trio.sleep(2 * DELAY)

        assert await told(carol) == []
        assert await look(carol, "ann") == (OFFLINE, 0)
        assert await look(carol, "nobody") == (OFFLINE, 0)


async def test_an_intent_is_the_users_and_reaches_contacts_and_the_users_other_devices(
    autojump_clock: MockClock,
) -> None:
    async with open_world(store=friends()) as world:
        ann, bob = await two_friends(world)
        laptop = await world.join("bob", "laptop", go_on())
        await trio.sleep(INTERVAL)
        await laptop.heard()
        answer = await say(bob, BUSY, id="a1")

        assert (answer.status, answer.until, answer.id, answer.version > 0) == (BUSY, 0, "a1", True)
        assert await told(ann) == [("bob", BUSY)]
        heard = await laptop.heard()
        (intent,) = [item.intent for state in heard.states for item in state.items if item.intent]
        assert (intent.status, intent.stamp, intent.version) == (BUSY, answer.stamp, answer.version)
        assert [one.status for one in items_of(heard)] == [BUSY]
        await trio.sleep(INTERVAL)
        await say(laptop, ONLINE)
        assert await told(ann) == [("bob", ONLINE)]


async def test_an_intent_outlives_its_devices_and_the_server(autojump_clock: MockClock) -> None:
    store = friends()

    def open_store() -> Any:
        store.reopen()
        return store

    async with open_world(open_store=open_store) as world:
        _, bob = await two_friends(world)
        await say(bob, DND)
    async with open_world(open_store=open_store) as world:
        ann = await world.join("ann", "phone", go_on())
        await ann.heard()
        assert (await look(ann, "bob"))[0] == OFFLINE
        await world.join("bob", "laptop", go_on())

        assert await told(ann) == [("bob", DND)]


async def test_an_intent_ends_when_it_says(autojump_clock: MockClock) -> None:
    async with open_world(store=friends()) as world:
        ann, bob = await two_friends(world)
        await trio.sleep(INTERVAL)
        await say(bob, AWAY, until=BEGIN + int(trio.current_time() * 1000) + 60_000)
        assert await told(ann) == [("bob", AWAY)]
        await trio.sleep(55)
        assert await told(ann) == []
        await trio.sleep(6)

        assert await told(ann) == [("bob", ONLINE)]


async def test_of_two_intents_the_later_one_counts_whichever_comes_first(autojump_clock: MockClock) -> None:
    async with open_world(store=friends()) as world:
        _, bob = await two_friends(world)
        await say(bob, DND, stamp=2000)
        answer = await say(bob, AWAY, stamp=1000)

        assert (answer.status, answer.stamp) == (DND, 2000)


async def test_an_intent_stands_while_nobody_looks_and_where_it_is_kept(autojump_clock: MockClock) -> None:
    async with open_world(store=friends()) as world:
        ann, bob = await two_friends(world)
        await trio.sleep(INTERVAL)
        await say(bob, DND)
        await say(bob, ONLINE, inactive=True)
        await say(bob, ONLINE, keep_intent=True)
        await trio.sleep(INTERVAL)

        assert await told(ann) == [("bob", DND)]


async def test_who_looks_at_no_device_is_away(autojump_clock: MockClock) -> None:
    async with open_world(store=friends()) as world:
        ann, bob = await two_friends(world)
        laptop = await world.join("bob", "laptop", go_on())
        await trio.sleep(INTERVAL)
        await say(bob, ONLINE, inactive=True)
        await trio.sleep(INTERVAL)
        assert await told(ann) == []
        await say(laptop, ONLINE, inactive=True)
        assert await told(ann) == [("bob", AWAY)]
        await trio.sleep(INTERVAL)
        await say(bob, ONLINE)

        assert await told(ann) == [("bob", ONLINE)]


async def test_a_device_that_says_offline_counts_as_gone_and_is_delivered_to(autojump_clock: MockClock) -> None:
    async with open_world(store=friends()) as world:
        ann, bob = await two_friends(world)
        await say(bob, OFFLINE)
        await trio.sleep(DELAY)
        assert await told(ann) == [("bob", OFFLINE)]
        await ann.post("bob", b"hello", "m1")

        assert (await bob.heard()).payloads == [b"hello"]
        await trio.sleep(INTERVAL)
        await say(bob, ONLINE)
        assert await told(ann) == [("bob", ONLINE)]


async def test_who_looks_at_nothing_is_told_all_together_and_the_last_of_each(autojump_clock: MockClock) -> None:
    settings = settings_for_tests(BIMIP_PRESENCE_INTERVAL_SECONDS="0")
    async with open_world(store=friends(), settings=settings) as world:
        ann, bob = await two_friends(world)
        await say(ann, ONLINE, inactive=True)
        await ann.heard()
        for status in (BUSY, DND, AWAY):
            await say(bob, status)
            await trio.sleep(1)
        assert await told(ann) == []
        await trio.sleep(INACTIVE)
        assert await told(ann) == [("bob", AWAY)]
        await say(bob, ONLINE)
        assert await told(ann) == []
        ann.send(awareness=pb.Awareness(status=ONLINE))

        assert await told(ann) == [("bob", ONLINE)]


async def test_one_asks_how_somebody_is(autojump_clock: MockClock) -> None:
    async with open_world(store=friends()) as world:
        ann, bob = await two_friends(world)
        assert await look(ann, "bob") == (ONLINE, 0)
        await trio.sleep(2)
        went = BEGIN + int(trio.current_time() * 1000)
        bob.cut()
        await trio.sleep(2 * DELAY)
        status, last_seen = await look(ann, "bob")

        assert status == OFFLINE
        assert went <= last_seen <= went + 200


async def test_presence_is_rebuilt_and_nobody_is_seen_to_flicker(autojump_clock: MockClock) -> None:
    async with open_world(store=friends()) as world:
        ann, bob = await two_friends(world)
        await say(bob, BUSY)
        await trio.sleep(INTERVAL)
        await ann.heard()
        await world.kill("presence")
        heard = await ann.heard()

        assert [body.awareness_reset for body in heard.bodies if body.awareness] == [True]
        assert ("bob", BUSY) in [
            (one.from_.eid, one.status) for body in heard.bodies for one in body.awareness if one.from_
        ]
        bob.cut()
        await world.kill("presence")
        await trio.sleep(DELAY + 1)
        assert (await told(ann))[-1] == ("bob", OFFLINE)


async def test_while_the_disk_fails_presence_says_what_it_last_knew_and_then_what_is_so(
    autojump_clock: MockClock,
) -> None:
    """However long that lasts: a process that crashed of it would end the server in the end."""
    store = FaultyStore()
    put_contacts(store, [("ann", "bob")])
    async with open_world(store=store) as world:
        ann, bob = await two_friends(world)
        store.fail_reads_of(Presence._work)
        await say(bob, DND)
        carl = await world.join("carl", "phone")
        carl.cut()
        await trio.sleep(300)
        assert await told(ann) == []
        assert (await look(ann, "bob"))[0] == ONLINE
        assert 20 < store.failed_reads < 200
        bob.cut()
        bob = await world.join("bob", "phone", go_on())
        ann.send(awareness=pb.Awareness(status=S.TYPING, to=pb.Identity(eid="bob"), ttl_ms=30_000))
        await trio.sleep(1)
        store.fail_reads_of(None)
        await trio.sleep(DELAY + 15)

        assert await told(ann) == [("bob", DND)]
        assert ("ann", S.TYPING) in await told(bob)
        assert world.server.processes is not None
        tree = {process.path: process.restarts for process in world.server.processes.snapshot().walk()}
        assert tree["bimip/presence"] == 0


async def test_what_is_damaged_of_one_user_keeps_nothing_from_the_others(autojump_clock: MockClock) -> None:
    """Whom carl lets see him cannot be read: nobody is told of him."""
    store = FaultyStore()
    put_contacts(store, [("ann", "bob"), ("ann", "carl")])
    async with open_world(store=store) as world:
        ann = await world.join("ann", "phone")
        await ann.heard()
        store.fail_reads_of(Presence._report, StoreDamagedError)
        await world.join("carl", "phone")
        await settle()
        assert store.failed_reads == 1
        store.fail_reads_of(None)
        bob = await world.join("bob", "phone")

        assert await told(bob) == [("ann", ONLINE)]
        assert await told(ann) == [("bob", ONLINE)]
        await trio.sleep(60)
        assert await told(ann) == []
        assert store.failed_reads == 1


async def test_a_device_that_was_alone_learns_how_its_user_is_when_another_one_comes(autojump_clock: MockClock) -> None:
    async with open_world(store=friends()) as world:
        phone, laptop = await world.join("ann", "phone"), await world.join("ann", "laptop", go_on())
        await say(laptop, DND)
        await trio.sleep(INTERVAL)
        assert [one.status for one in await told_items(phone)][-1] == DND
        laptop.cut()
        await trio.sleep(INTERVAL)
        await say(phone, AWAY)
        await trio.sleep(INTERVAL)
        assert await told_items(phone) == []  # what it says itself it knows
        laptop = await world.join("ann", "laptop", go_on())
        assert [one.status for one in await told_items(laptop)][-1] == AWAY
        assert [one.status for one in await told_items(phone)] == [AWAY]


async def test_who_went_while_presence_was_down_is_seen_to_go(autojump_clock: MockClock) -> None:
    async with open_world(store=friends()) as world:
        ann, bob = await two_friends(world)
        bob.cut()
        await world.kill("presence")
        await trio.sleep(DELAY + 1)

        assert [one for one in await told(ann) if one[0] == "bob"][-1] == ("bob", OFFLINE)
        assert (await look(ann, "bob"))[0] == OFFLINE


async def test_when_the_users_end_all_are_seen_anew(autojump_clock: MockClock) -> None:
    async with open_world(store=friends()) as world:
        ann, _ = await two_friends(world)
        await world.kill("users")
        await trio.sleep(0.1)
        ann = await world.join("ann", "phone", go_on())
        await trio.sleep(2 * DELAY)

        assert (await told(ann))[-1] == ("bob", OFFLINE)


async def show_online_to(client: Client, audience: pb.Audience, **fields: Any) -> None:
    client.send(settings=pb.Settings(online_status_to=audience, **fields), ref=5)
    await client.heard()


async def be_visible(client: Client, *, visible: bool) -> None:
    client.send(awareness_visibility=pb.AwarenessVisibility(visible=visible), ref=5)
    await client.heard()


async def test_who_hides_looks_as_if_they_went_and_who_shows_themselves_as_if_they_came(
    autojump_clock: MockClock,
) -> None:
    async with open_world(store=friends()) as world:
        ann, bob = await two_friends(world)
        await be_visible(bob, visible=False)

        (gone,) = await told_items(ann)
        assert (gone.from_.eid, gone.status, gone.last_seen) == ("bob", OFFLINE, 0)
        assert await look(ann, "bob") == (OFFLINE, 0)
        await trio.sleep(INTERVAL)
        await say(bob, DND)
        await trio.sleep(INTERVAL)
        types(bob, to="ann")
        assert await told(ann) == []
        await be_visible(bob, visible=True)
        assert await told(ann) == [("bob", DND)]


async def test_who_may_not_see_is_told_nothing_when_something_else_is_set(autojump_clock: MockClock) -> None:
    async with open_world(store=friends()) as world:
        ann, bob = await two_friends(world)
        await show_online_to(bob, pb.Audience.NOBODY)
        assert [status for _, status in await told(ann)] == [OFFLINE]
        await show_online_to(bob, pb.Audience.NOBODY, show_last_seen=False)
        await be_visible(bob, visible=False)
        bob.cut()
        await trio.sleep(2 * DELAY)
        bob = await world.join("bob", "phone", go_on())
        await trio.sleep(INTERVAL)

        assert await told(ann) == []
        assert await look(ann, "bob") == (OFFLINE, 0)


async def test_who_hides_and_goes_at_once_is_not_left_standing(autojump_clock: MockClock) -> None:
    async with open_world(store=friends()) as world:
        ann, bob = await two_friends(world)
        bob.send(awareness_visibility=pb.AwarenessVisibility(visible=False), ref=5)
        await bob.receive()
        bob.cut()
        await trio.sleep(2 * DELAY)

        assert [status for _, status in await told(ann)] == [OFFLINE]


async def change_contact(client: Client, action: pb.ContactAction, eid: str) -> None:
    client.send(contact=pb.Contact(id=f"{action.name} {trio.current_time()}", action=action, eid=eid), ref=4)
    while (await client.receive()).contact is None:
        pass


async def test_whom_one_accepts_sees_one_at_once_and_whom_one_blocks_or_removes_sees_one_go(
    autojump_clock: MockClock,
) -> None:
    action = pb.ContactAction
    async with open_world() as world:
        ann, bob = await two_friends(world)
        await change_contact(ann, action.REQUEST, "bob")
        assert await told(ann) == []
        await change_contact(bob, action.ACCEPT, "ann")
        assert await told(ann) == [("bob", ONLINE)]
        assert await told(bob) == []  # who lets nobody of theirs see them
        await change_contact(bob, action.BLOCK, "ann")
        assert await told(ann) == [("bob", OFFLINE)]
        await trio.sleep(INTERVAL)
        await say(bob, DND)
        assert await told(ann) == []
        assert (await look(ann, "bob"))[0] == OFFLINE
        await change_contact(bob, action.UNBLOCK, "ann")
        assert await told(ann) == [("bob", DND)]
        await change_contact(bob, action.REMOVE, "ann")

        assert await told(ann) == [("bob", OFFLINE)]
        assert await look(ann, "bob") == (OFFLINE, 0)


async def test_who_is_erased_is_seen_to_go_by_their_name(autojump_clock: MockClock) -> None:
    async with open_world(store=friends()) as world:
        ann, _ = await two_friends(world)
        await Operations(world.server).erase_user("bob")
        await trio.sleep(2 * DELAY)

        assert await told(ann) == [("bob", OFFLINE)]


TYPING, RECORDING, PAUSED, CANCELLED = S.TYPING, S.RECORDING, S.PAUSED, S.CANCELLED


def types(
    client: Client, status: pb.AwarenessStatus = TYPING, *, to: str = "", conversation: str = "", **fields: Any
) -> None:
    client.send(
        awareness=pb.Awareness(status=status, to=pb.Identity(eid=to), conversation=conversation, **fields), ref=9
    )


@pytest.mark.parametrize("status", [TYPING, RECORDING, PAUSED, CANCELLED])
async def test_the_peer_sees_what_somebody_is_doing_and_their_own_devices_do_not(
    autojump_clock: MockClock, status: pb.AwarenessStatus
) -> None:
    async with open_world() as world:
        ann, bob = await two_friends(world)
        laptop = await world.join("ann", "laptop", go_on())
        sent = await ann.post("bob", b"hello", "m1")
        await bob.heard()
        await laptop.heard()
        types(ann, status, to="bob")

        (item,) = await told_items(bob)
        assert (item.from_.eid, item.status, item.conversation) == ("ann", status, sent.conversation)
        assert item.ttl_ms == (0 if status == CANCELLED else 10_000)
        assert await told_items(laptop) == []
        assert (await ann.heard()).frames == []


async def test_a_signal_means_the_awareness_of_its_name(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        ann, bob = await two_friends(world)
        sent = await ann.post("bob", b"hello", "m1")
        await bob.heard()
        for status in (6, 7, 8, 9):
            ann.send(signal=pb.Signal(status=status, conversation=sent.conversation, ttl_ms=1000))
            await trio.sleep(0.1)

        assert [(one.status, one.ttl_ms) for one in await told_items(bob)] == [
            (TYPING, 1000),
            (RECORDING, 1000),
            (PAUSED, 1000),
            (CANCELLED, 0),
        ]


async def test_before_the_first_message_it_names_no_conversation(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        ann, bob = await two_friends(world)
        types(ann, to="bob")

        assert [(one.from_.eid, one.conversation) for one in await told_items(bob)] == [("ann", "")]


async def test_what_means_nothing_any_more_is_not_sent(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        ann, bob = await two_friends(world)
        await say(bob, ONLINE, inactive=True)
        await bob.heard()
        types(ann, to="bob", ttl_ms=5000)
        await trio.sleep(2 * INACTIVE)

        assert [one for one in await told_items(bob) if one.from_.eid == "ann"] == []


async def test_nobody_learns_whether_somebody_they_type_to_is_there(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        ann, _ = await two_friends(world)
        types(ann, to="nobody")
        types(ann, to="bob")

        assert (await ann.heard()).frames == []


async def test_a_conversation_that_one_is_not_in_is_refused_like_none(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        ann, bob = await two_friends(world)
        sent = await ann.post("bob", b"hello", "m1")
        carol = await world.join("carol", "phone")
        await carol.heard()
        errors = []
        for name in (sent.conversation, "c999", "zzz"):
            types(carol, conversation=name)
            errors += [(one.code, one.field, one.ref) for one in (await carol.heard()).errors]

        assert errors == [(pb.ErrorCode.NOT_FOUND, "conversation", 9)] * 3
        assert [one for one in await told_items(bob) if one.from_.eid == "carol"] == []


async def test_members_of_a_small_group_see_who_types_and_of_a_large_one_nobody(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        for number in range(40):
            await world.register(f"u{number}")
        ann, bob = await two_friends(world)

        async def group(request: str, *members: str) -> str:
            members_ = [pb.Member(eid=eid) for eid in members]
            create = pb.ConversationAction.CREATE
            ann.send(
                conversation=pb.Conversation(action=create, request_id=request, title="t", members=members_), ref=3
            )
            while True:
                frame = await ann.receive()
                if frame.conversation is not None:
                    return frame.conversation.id

        small = await group("g1", "bob", "u1")
        large = await group("g2", "bob", *[f"u{number}" for number in range(40)])
        await bob.heard()
        types(ann, conversation=small)
        assert [one.conversation for one in await told_items(bob)] == [small]
        types(ann, conversation=large)

        assert await told_items(bob) == []
        assert (await ann.heard()).errors == []


async def test_of_too_much_typing_the_last_word_comes_later(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        ann, bob = await two_friends(world)
        for number in range(50):
            types(ann, PAUSED if number % 2 else TYPING, to="bob")
            await trio.sleep(0.01)
        types(ann, RECORDING, to="bob")
        await trio.sleep(3)
        items = await told_items(bob)

        assert len(items) < 20
        assert items[-1].status == RECORDING
        assert (await ann.heard()).errors == []


async def test_a_device_that_takes_nothing_costs_what_it_costs_and_has_all_when_it_does(
    autojump_clock: MockClock,
) -> None:
    count = 700
    store = with_contacts(*[("ann", f"u{number}") for number in range(count)])
    async with open_world(store=store) as world:
        others = [await world.join(f"u{number}", "phone") for number in range(count)]
        ann = world.connect("ann", "phone", room=1)
        await ann.hello()
        heard = await ann.heard_slowly()
        await trio.sleep(1)
        more = await ann.heard_slowly()
        there = {one.from_.eid for one in items_of(heard) + items_of(more)}

        assert len(there - {"ann"}) == count
        assert len(others) == count
