"""What people let others know: settings reach all devices of their user, and receipts obey them, whoever is offline."""

from dataclasses import replace
from typing import Any

import pytest
from trio.testing import MockClock

from bimip.client.wire import bimip as pb
from tests.kit.memory_server import Client, World, at, begin, go_on, open_world
from tests.kit.received import ReceiptRun, Received
from tests.scenarios.conftest import OpenStore

EVERYBODY, CONTACTS, NOBODY = pb.Audience.EVERYBODY, pb.Audience.CONTACTS, pb.Audience.NOBODY
DELIVERED, READ, PLAYED = pb.MessageStatus.DELIVERED, pb.MessageStatus.READ, pb.MessageStatus.PLAYED
BOB_HAS, BOB_READ = ReceiptRun("bob", DELIVERED, 1, 3), ReceiptRun("bob", READ, 1, 3)


async def ann_wrote(world: World) -> tuple[Client, Client, str]:
    """Ann's phone and bob's, after three messages from her to him that his has; and their conversation."""
    ann, bob = await world.join("ann", "phone"), await world.join("bob", "phone")
    for number in range(3):
        sent = await ann.post("bob", b"%d" % number, f"m{number}")
    await bob.heard()
    bob.acknowledge(3)
    await ann.heard()
    return ann, bob, sent.conversation


async def set_to(client: Client, **settings: Any) -> pb.Settings:
    """Sets these, and returns the answer, which says how all stand."""
    client.send(settings=pb.Settings(**settings), ref=5)
    while True:
        frame = await client.receive()
        if frame.settings is not None:
            assert frame.ref == 5
            return frame.settings


async def test_all_are_on_at_first_and_what_is_not_named_stays_as_it_is(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        ann = await world.join("ann", "phone")
        asked = await set_to(ann)
        changed = await set_to(ann, show_last_seen=False)
        again = await set_to(ann)

        assert asked == pb.Settings(
            send_read_receipts=True,
            show_read_receipts=True,
            show_last_seen=True,
            show_online_status=True,
            visible=True,
            read_receipts_to=EVERYBODY,
            read_receipts_of=EVERYBODY,
            last_seen_to=EVERYBODY,
            online_status_to=EVERYBODY,
        )
        assert (changed.send_read_receipts, changed.show_last_seen, changed.version > 0) == (True, False, True)
        assert again == changed


async def test_the_users_other_devices_are_told_live_and_later_and_nobody_else(
    autojump_clock: MockClock, open_store: OpenStore
) -> None:
    async with open_world(open_store=open_store) as world:
        ann, bob, _ = await ann_wrote(world)
        laptop = await world.join("ann", "laptop", go_on())
        await laptop.heard()
        told = await set_to(ann, show_online_status=False)

        assert (await laptop.heard()).settings == [told]
        assert (await bob.heard()).settings == []
    async with open_world(open_store=open_store) as world:
        tablet = await world.join("ann", "tablet", begin(pb.Start.HEAD))

        assert (await tablet.heard()).settings == [told]


async def test_two_devices_that_changed_the_same_while_apart_end_with_the_later_write(
    autojump_clock: MockClock,
) -> None:
    async with open_world() as world:
        phone, laptop = await world.join("ann", "phone"), await world.join("ann", "laptop", go_on())
        await laptop.heard()
        laptop.send(settings=pb.Settings(show_last_seen=False, stamp=2000), ref=1)
        await laptop.heard()
        phone.send(settings=pb.Settings(show_last_seen=True, show_online_status=False, stamp=1000), ref=1)
        heard = await phone.heard()

        assert [(one.show_last_seen, one.show_online_status) for one in heard.settings][-1] == (False, False)
        assert (await laptop.heard()).settings == heard.settings[-1:]


async def test_a_clock_that_runs_ahead_does_not_win_for_ever(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone, laptop = await world.join("ann", "phone"), await world.join("ann", "laptop", go_on())
        phone.send(settings=pb.Settings(show_last_seen=False, stamp=2**64 - 1), ref=1)
        await phone.heard()
        told = await set_to(laptop, show_last_seen=True)

        assert told.show_last_seen is True


async def test_who_sends_no_receipts_is_seen_to_have_messages_and_not_to_read_them(
    autojump_clock: MockClock, open_store: OpenStore
) -> None:
    async with open_world(open_store=open_store) as world:
        ann, bob, conversation = await ann_wrote(world)
        laptop = await world.join("bob", "laptop", go_on())
        await laptop.heard()
        await set_to(bob, send_read_receipts=False)
        bob.read(conversation, 3)

        assert (await ann.heard()).receipts == []
        assert (await bob.heard()).private_receipts == [BOB_READ]
        assert (await laptop.heard()).private_receipts == [BOB_READ]
    async with open_world(open_store=open_store) as world:  # nor later, by a device that comes back or a new one
        ann = await world.join("ann", "phone", at(3))
        tablet = await world.join("bob", "tablet", begin(pb.Start.HEAD))

        assert (await ann.heard()).receipts == [BOB_HAS]
        heard = await tablet.heard()
        assert (heard.private_receipts, heard.receipts) == ([BOB_READ], [])


async def test_turning_receipts_on_publishes_nothing_of_before(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        ann, bob, conversation = await ann_wrote(world)
        await set_to(bob, send_read_receipts=False)
        bob.read(conversation, 2)
        await set_to(bob, send_read_receipts=True)
        bob.read(conversation, 3)

        assert (await ann.heard()).receipts == [ReceiptRun("bob", READ, 3, 3)]


async def test_who_shows_no_receipts_does_not_see_others_until_they_do(
    autojump_clock: MockClock, open_store: OpenStore
) -> None:
    async with open_world(open_store=open_store) as world:
        ann, bob, conversation = await ann_wrote(world)
        await set_to(ann, show_read_receipts=False)
        await ann.heard()
        bob.read(conversation, 3)
        bob.send(signal=pb.Signal(status=PLAYED, conversation=conversation, conversation_offset=2))

        assert (await ann.heard()).receipts == []
        assert (await bob.heard()).receipts == [BOB_READ, ReceiptRun("bob", PLAYED, 2, 2)]
    async with open_world(open_store=open_store) as world:
        ann, laptop = await world.join("ann", "phone", at(3)), await world.join("ann", "laptop", go_on())

        assert (await ann.heard()).receipts == (await laptop.heard()).receipts == [BOB_HAS]
        await set_to(ann, show_read_receipts=True)
        for device in (ann, laptop):
            heard = await device.heard()

            assert (heard.states[0].reset, heard.states[-1].complete) == (True, True)
            assert heard.receipts == [BOB_HAS, BOB_READ, ReceiptRun("bob", PLAYED, 2, 2)]


async def test_a_device_that_knew_more_is_sent_the_whole_state_without_what_is_no_longer_shown(
    autojump_clock: MockClock,
) -> None:
    async with open_world() as world:
        ann, bob, conversation = await ann_wrote(world)
        bob.read(conversation, 3)
        away = await world.join("ann", "tablet", go_on())
        knew = await away.heard()
        version = knew.states[-1].upto
        away.cut()
        await set_to(ann, show_read_receipts=False)
        tablet = await world.join("ann", "tablet", at(3), state_version=version)
        heard = await tablet.heard()

        assert knew.receipts == [BOB_HAS, BOB_READ]
        assert [(state.reset, state.complete) for state in heard.states] == [(True, True)]
        assert heard.receipts == [BOB_HAS]


@pytest.mark.parametrize("shows", [True, False])
async def test_one_who_is_in_the_middle_of_their_state_begins_anew(autojump_clock: MockClock, *, shows: bool) -> None:
    """Pages that were sent before the change hold what may not be known any more, or lack what may."""
    async with open_world() as world:
        ann = await world.join("ann", "phone")
        if shows:
            await set_to(ann, show_read_receipts=False)
        for number in range(150):  # so many conversations that the state has pages
            other = await world.join(f"u{number}", "phone")
            sent = await ann.post(f"u{number}", b"x", f"m{number}")
            await other.heard()
            other.read(sent.conversation, 1)
            await other.heard()
            other.cut()
        slow = world.connect("ann", "tablet", room=1)
        await slow.hello(begin(pb.Start.HEAD))
        await set_to(ann, show_read_receipts=shows)
        heard = await slow.heard_slowly()
        last = max(number for number, state in enumerate(heard.states) if state.reset)
        reads = {
            item.receipts.member
            for state in heard.states[last:]
            for item in state.items
            if item.receipts and item.receipts.kind == READ
        }

        assert heard.states[-1].complete
        assert len(reads) == (150 if shows else 0)


async def test_what_a_fetch_tells_beside_its_messages_obeys_too(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        ann, bob, conversation = await ann_wrote(world)
        bob.read(conversation, 1)
        await set_to(bob, send_read_receipts=False)
        bob.read(conversation, 3)
        await bob.heard()
        fetch = pb.Fetch(kind=pb.FetchKind.HISTORY, conversation=conversation, offset=1)
        told = {}
        for name, device in (("ann", ann), ("bob", bob)):
            device.send(fetch=fetch, ref=9)
            heard = await device.heard()
            told[name] = (sorted(set(heard.receipts)), heard.private_receipts)
        await set_to(ann, show_read_receipts=False)
        await ann.heard()
        ann.send(fetch=fetch, ref=9)

        assert told["ann"] == ([BOB_HAS, ReceiptRun("bob", READ, 1, 1)], [])
        assert told["bob"] == ([ReceiptRun("bob", READ, 1, 1)], [ReceiptRun("bob", READ, 2, 3)])
        assert (await ann.heard()).receipts == [BOB_HAS]


GROUP = {"ann": "owner", "bob": "member", "carol": "member"}


async def in_a_group(world: World) -> tuple[dict[str, Client], str]:
    """Phones of the members of a group, to which ann wrote at 2 and carol at 3; all have received everything."""
    phones = {eid: await world.join(eid, "phone") for eid in GROUP}
    members = [pb.Member(eid=eid) for eid in GROUP]
    create = pb.Conversation(action=pb.ConversationAction.CREATE, title="trip", members=members, request_id="r1")
    phones["ann"].send(conversation=create, ref=5)
    await phones["ann"].heard()
    for eid in ("ann", "carol"):
        sent = await phones[eid].post("c1", eid.encode(), "m1")
    for phone in phones.values():
        await phone.heard()
        phone.acknowledge(3)
    for phone in phones.values():
        await phone.heard()
    return phones, sent.conversation


def reads(told: list[ReceiptRun]) -> set[tuple[str, int]]:
    """By whom, and where."""
    return {(one.member, at) for one in told if one.kind == READ for at in range(one.first, one.last + 1)}


@pytest.mark.parametrize("sends", [True, False])
@pytest.mark.parametrize("shows", [True, False])
async def test_in_a_group_each_learns_of_what_they_wrote_as_both_sides_have_set_it(
    autojump_clock: MockClock, open_store: OpenStore, *, sends: bool, shows: bool
) -> None:
    """Bob sends receipts or not, ann shows them or not; carol has set nothing."""
    async with open_world(open_store=open_store) as world:
        phones, group = await in_a_group(world)
        await set_to(phones["bob"], send_read_receipts=sends)
        await set_to(phones["ann"], show_read_receipts=shows)
        for phone in phones.values():
            await phone.heard()
        phones["bob"].read(group, 3)
        heard = {eid: await phone.heard() for eid, phone in phones.items()}

        assert reads(heard["ann"].receipts) == ({("bob", 1), ("bob", 2)} if sends and shows else set())
        assert reads(heard["carol"].receipts) == ({("bob", 3)} if sends else set())
        own = {("bob", 1), ("bob", 2), ("bob", 3)}
        assert reads(heard["bob"].receipts) == (own if sends else set())
        assert reads(heard["bob"].private_receipts) == (set() if sends else own)
    async with open_world(open_store=open_store) as world:  # nor by a new device, nor by asking
        for eid in GROUP:
            tablet = await world.join(eid, "tablet", begin(pb.Start.HEAD))
            whole = await tablet.heard()
            tablet.send(fetch=pb.Fetch(kind=pb.FetchKind.RECEIPTS, conversation=group), ref=9)
            asked = await tablet.heard()

            assert reads(whole.receipts) == reads(asked.receipts) == reads(heard[eid].receipts)
            assert reads(whole.private_receipts) == reads(heard[eid].private_receipts)


async def test_in_a_group_what_was_read_unseen_stays_unseen_when_receipts_are_on_again(
    autojump_clock: MockClock,
) -> None:
    async with open_world() as world:
        phones, group = await in_a_group(world)
        await set_to(phones["bob"], send_read_receipts=False)
        phones["bob"].read(group, 2)
        await set_to(phones["bob"], send_read_receipts=True)
        phones["bob"].read(group, 3)

        assert reads((await phones["ann"].heard()).receipts) == set()
        assert reads((await phones["carol"].heard()).receipts) == {("bob", 3)}


def denied(*eids: str, **values: pb.PrivacyExceptionException) -> pb.Settings:
    """Denies these users what is named, or to learn of reading."""
    values = values or {"send_read_receipts": pb.PrivacyExceptionException.DENIED}
    return pb.Settings(exceptions=[pb.PrivacyException(eid=eid, **values) for eid in eids])


def exceptions(heard: Received) -> list[tuple[bool, pb.PrivacyException]]:
    """As state brought them: whether it was removed, and what there is."""
    return [
        (item.removed, item.privacy_exception)
        for state in heard.states
        for item in state.items
        if item.privacy_exception is not None
    ]


async def ask(client: Client, settings: pb.Settings) -> pb.Settings:
    client.send(settings=settings, ref=5)
    while True:
        frame = await client.receive()
        if frame.settings is not None:
            return frame.settings


async def test_a_switch_is_told_with_for_whom_it_holds(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        ann = await world.join("ann", "phone")
        told = await set_to(ann, last_seen_to=CONTACTS, online_status_to=NOBODY, show_read_receipts=False)

        assert (told.last_seen_to, told.show_last_seen) == (CONTACTS, True)
        assert (told.online_status_to, told.show_online_status) == (NOBODY, False)
        assert (told.read_receipts_of, told.read_receipts_to) == (NOBODY, EVERYBODY)


async def test_exceptions_reach_the_users_devices_live_and_later_and_nobody_else(
    autojump_clock: MockClock, open_store: OpenStore
) -> None:
    async with open_world(open_store=open_store) as world:
        ann, bob, _ = await ann_wrote(world)
        laptop = await world.join("ann", "laptop", go_on())
        await laptop.heard()
        told = await ask(ann, denied("bob"))

        assert [one.eid for one in told.exceptions] == ["bob"]
        assert exceptions(await laptop.heard()) == [(False, told.exceptions[0])]
        assert exceptions(await bob.heard()) == []
        asked = await ask(laptop, pb.Settings())
        assert asked.exceptions == told.exceptions
    async with open_world(open_store=open_store) as world:
        tablet = await world.join("ann", "tablet", begin(pb.Start.HEAD))

        assert exceptions(await tablet.heard()) == [(False, told.exceptions[0])]


async def test_an_exception_that_is_taken_back_is_removed_from_who_is_away(
    autojump_clock: MockClock, open_store: OpenStore
) -> None:
    async with open_world(open_store=open_store) as world:
        ann, _, _ = await ann_wrote(world)
        await ask(ann, denied("bob"))
        laptop = await world.join("ann", "laptop", go_on())
        version = (await laptop.heard()).states[-1].upto
        laptop.cut()
        await ask(ann, denied("bob", send_read_receipts=pb.PrivacyExceptionException.NONE))
    async with open_world(open_store=open_store) as world:
        laptop = await world.join("ann", "laptop", at(3), state_version=version)
        ((is_removed, told),) = exceptions(await laptop.heard())

        assert (is_removed, told.eid, told.send_read_receipts) == (True, "bob", 0)
        assert (await ask(laptop, pb.Settings())).exceptions == []


async def test_in_a_group_who_is_excepted_is_told_nothing_and_the_others_are(
    autojump_clock: MockClock, open_store: OpenStore
) -> None:
    async with open_world(open_store=open_store) as world:
        phones, group = await in_a_group(world)
        await ask(phones["bob"], denied("ann"))
        phones["bob"].read(group, 3)
        heard = {eid: await phone.heard() for eid, phone in phones.items()}

        assert reads(heard["ann"].receipts) == set()
        assert reads(heard["carol"].receipts) == {("bob", 3)}
        assert reads(heard["bob"].private_receipts) == {("bob", 1), ("bob", 2)}
        await ask(phones["bob"], denied("ann", send_read_receipts=pb.PrivacyExceptionException.NONE))
        phones["bob"].read(group, 3)
        assert reads((await phones["ann"].heard()).receipts) == set()
    async with open_world(open_store=open_store) as world:
        tablet = await world.join("ann", "tablet", begin(pb.Start.HEAD))

        assert reads((await tablet.heard()).receipts) == set()


async def test_who_is_not_shown_one_members_receipts_loses_those_and_no_others(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phones, group = await in_a_group(world)
        for eid in ("bob", "carol"):
            phones[eid].read(group, 3)
        await phones["ann"].heard()
        await ask(phones["ann"], denied("bob", show_read_receipts=pb.PrivacyExceptionException.DENIED))
        heard = await phones["ann"].heard()

        assert (heard.states[0].reset, heard.states[-1].complete) == (True, True)
        assert {member for member, _ in reads(heard.receipts)} == {"carol"}


async def test_the_switch_reaches_the_users_devices_present_and_future(
    autojump_clock: MockClock, open_store: OpenStore
) -> None:
    async with open_world(open_store=open_store) as world:
        phone, laptop = await world.join("ann", "phone"), await world.join("ann", "laptop", go_on())
        await laptop.heard()
        phone.send(awareness_visibility=pb.AwarenessVisibility(visible=False, id="v1"), ref=7)
        heard = await phone.heard()
        (answer,) = [frame for frame in heard.frames if frame.awareness_visibility is not None]
        told = answer.awareness_visibility

        assert told is not None
        assert (answer.ref, told.visible, told.id, told.version > 0) == (7, False, "v1", True)
        assert [one.visible for one in (await laptop.heard()).settings] == [False]
    async with open_world(open_store=open_store) as world:
        tablet = await world.join("ann", "tablet", begin(pb.Start.HEAD))

        assert [one.visible for one in (await tablet.heard()).settings] == [False]


async def test_an_exception_for_nobody_sets_nothing_else_that_came_with_it(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        ann = await world.join("ann", "phone")
        ann.send(settings=replace(denied("nobody"), visible=False), ref=5)
        heard = await ann.heard()

        assert [(one.code, one.field, one.ref) for one in heard.errors] == [
            (pb.ErrorCode.NOT_FOUND, "exceptions.eid", 5)
        ]
        assert (await ask(ann, pb.Settings())).visible is True
