"""A group is created, written to and changed; what each member is told, and what of it is theirs to see."""

from typing import Any

import pytest
from trio.testing import MockClock

from bimip.client.wire import bimip as pb
from bimip.storage.care.check import check
from tests.kit.memory_server import Client, World, begin, go_on, open_world
from tests.kit.received import Received
from tests.scenarios.conftest import OpenStore

Action = pb.ConversationAction
Kind = pb.GroupEventKind


def conversation(action: pb.ConversationAction, group: str = "", *members: str, **fields: Any) -> pb.Conversation:
    named = [pb.Member(eid=eid, role=fields.get("role", "")) for eid in members]
    given = {name: value for name, value in fields.items() if name != "role"}
    return pb.Conversation(action=action, id=group, members=named, **given)


async def ask(client: Client, *said: Any, **fields: Any) -> pb.Conversation:
    """Asks for a change of a group, and awaits the answer; what came before it is taken too."""
    client.send(conversation=conversation(*said, **fields), ref=77)
    while True:
        scheme = await client.receive()
        if scheme.ref == 77:
            assert scheme.conversation is not None, scheme
            return scheme.conversation
        assert scheme.body is None or not scheme.body.errors, scheme.body.errors


async def trip(world: World, *eids: str) -> tuple[list[Client], str]:
    """Phones of these users, of whom the first creates a group with the others; and the group's id."""
    phones = [await world.join(eid, "phone") for eid in eids]
    made = await ask(phones[0], Action.CREATE, "", *eids[1:], title="trip", request_id="r1")
    for phone in phones:
        await phone.heard()
    return phones, made.id


async def edit(client: Client, sent: pb.Signal, payload: bytes) -> None:
    """Edits a message, and awaits the answer; what came before it is taken too."""
    command = pb.Command(
        id=f"edit-{sent.id}", kind=pb.CommandKind.EDIT, target=sent.signal_offset, payload=payload, stamp=0
    )
    client.send(command=command, ref=78)
    while True:
        scheme = await client.receive()
        if scheme.body is not None and (scheme.body.commands or scheme.body.errors):
            assert [one.id for one in scheme.body.commands] == [command.id], scheme.body
            return


def texts(heard: Received) -> list[bytes]:
    return [message.payload for message in heard.messages if message.group_event is None]


def events(heard: Received) -> list[tuple[str, list[str]]]:
    """The kind of each event, and whom it happened to."""
    found = [message.group_event for message in heard.messages]
    return [(Kind(one.kind).name, list(one.members)) for one in found if one is not None]


def groups(heard: Received) -> list[tuple[str, str, list[tuple[str, str]]]]:
    """What the state says of groups: title, own role, members; no role: the group is gone."""
    items = [item for state in heard.states for item in state.items if item.group is not None]
    return [
        ("", "gone", []) if item.removed else (group.title, group.role, [(one.eid, one.role) for one in group.members])
        for item in items
        if (group := item.group) is not None
    ]


async def test_a_group_is_created_and_every_member_reads_of_it(
    autojump_clock: MockClock, open_store: OpenStore
) -> None:
    async with open_world(open_store=open_store) as world:
        ann, bob, carol = [await world.join(eid, "phone") for eid in ("ann", "bob", "carol")]
        laptop = await world.join("ann", "laptop", begin(pb.Start.HEAD))
        for device in (ann, bob, carol, laptop):
            await device.heard()
        made = await ask(ann, Action.CREATE, "", "bob", "carol", title="trip", request_id="r1")
        members = [("ann", "owner"), ("bob", "member"), ("carol", "member")]
        for device, role in ((bob, "member"), (carol, "member"), (laptop, "owner")):
            heard = await device.heard()
            (message,) = heard.messages

            assert events(heard) == [("CREATED", ["bob", "carol"])]
            assert (message.conversation, message.conversation_offset, message.payload) == (made.id, 1, b"")
            assert (message.from_, message.to) == (pb.Identity(eid="ann"), pb.Identity(eid=made.id))
            assert (message.id, message.group_event) == (
                "r1",
                pb.GroupEvent(kind=Kind.CREATED, members=["bob", "carol"], title="trip"),
            )
            assert groups(heard) == [("trip", role, members)]


async def test_a_message_reaches_every_device_of_every_member_once_in_one_order(
    autojump_clock: MockClock, open_store: OpenStore
) -> None:
    async with open_world(open_store=open_store) as world:
        (ann, bob, carol), group = await trip(world, "ann", "bob", "carol")
        laptop = await world.join("bob", "laptop", go_on())
        await laptop.heard()
        sent = [await one.post(group, text, "m") for one, text in ((ann, b"1"), (bob, b"2"), (carol, b"3"))]

        assert [(one.conversation, one.conversation_offset) for one in sent] == [(group, 2), (group, 3), (group, 4)]
        assert [texts(await one.heard()) for one in (ann, bob, carol)] == [[b"2", b"3"], [b"3"], []]
        assert texts(await laptop.heard()) == [b"1", b"2", b"3"]
    async with open_world(open_store=open_store) as world:  # after a restart
        tablet = await world.join("carol", "tablet")

        assert texts(await tablet.heard()) == [b"1", b"2", b"3"]


async def test_creating_again_under_the_same_id_is_answered_with_the_first_one(
    autojump_clock: MockClock, open_store: OpenStore
) -> None:
    async with open_world(open_store=open_store) as world:
        (_, bob), group = await trip(world, "ann", "bob")
    async with open_world(open_store=open_store) as world:
        ann, bob = await world.join("ann", "phone", go_on()), await world.join("bob", "phone", go_on())
        await bob.heard()
        again = await ask(ann, Action.CREATE, "", "bob", title="trip", request_id="r1")
        ann.send(conversation=conversation(Action.CREATE, "", "bob", title="other", request_id="r1"), ref=5)
        (error,) = (await ann.heard()).errors

        assert (again.id, again.duplicate, again.conversation_offset) == (group, True, 1)
        assert (error.code, error.field, error.id, error.ref) == (pb.ErrorCode.CONFLICT, "id", "r1", 5)
        assert (await bob.heard()).bodies == []


async def test_who_joins_sees_what_comes_from_then_on_and_nothing_older(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        (ann, bob), group = await trip(world, "ann", "bob")
        carol = await world.join("carol", "phone")
        await carol.heard()
        await ann.post(group, b"before", "m1")
        added = await ask(ann, Action.INVITE, group, "carol")
        await ann.post(group, b"after", "m2")
        heard = await carol.heard()

        assert (events(heard), texts(heard)) == ([("ADDED", ["carol"])], [b"after"])
        assert added.conversation_offset == heard.messages[0].conversation_offset == 3
        carol.send(fetch=pb.Fetch(kind=pb.FetchKind.HISTORY, conversation=group, offset=1), ref=4)
        forwards = await carol.heard()
        carol.send(fetch=pb.Fetch(kind=pb.FetchKind.HISTORY, conversation=group, backwards=True), ref=4)
        backwards = await carol.heard()
        assert [one.conversation_offset for one in forwards.messages] == [3, 4]
        assert [one.conversation_offset for one in backwards.messages] == [4, 3]
        assert forwards.bodies[0].complete
        assert backwards.bodies[0].complete
        assert events(await bob.heard()) == [("ADDED", ["carol"])]


@pytest.mark.parametrize("leaves", [True, False])
async def test_who_leaves_or_is_removed_gets_nothing_more_on_any_device(
    autojump_clock: MockClock, open_store: OpenStore, *, leaves: bool
) -> None:
    async with open_world(open_store=open_store) as world:
        (ann, bob, carol), group = await trip(world, "ann", "bob", "carol")
        laptop = await world.join("carol", "laptop", go_on())
        await laptop.heard()
        await ann.post(group, b"before", "m1")
        await (ask(carol, Action.LEAVE, group) if leaves else ask(ann, Action.REMOVE_MEMBER, group, "carol"))
        sent = await ann.post(group, b"after", "m2")
        heard = await laptop.heard()

        assert texts(heard) == [b"before"]
        assert events(heard) == [("LEFT" if leaves else "REMOVED", ["carol"])]
        assert groups(heard) == [("", "gone", [])]
        assert texts(await bob.heard())[-1] == b"after"
        carol.send(fetch=pb.Fetch(kind=pb.FetchKind.HISTORY, conversation=group), ref=4)
        carol.write(group, b"still here?", "m3")
        carol.read(group, sent.conversation_offset)
        carol.send(conversation=conversation(Action.GET, group), ref=5)
        heard = await carol.heard()
        assert [(error.code, error.field) for error in sorted(heard.errors, key=lambda error: error.field)] == [
            (pb.ErrorCode.NOT_FOUND, field) for field in FIELDS
        ]
    async with open_world(open_store=open_store) as world:  # what is in their log stays theirs
        tablet = await world.join("carol", "tablet")
        heard = await tablet.heard()

        assert texts(heard) == [b"before"]
        assert groups(heard) == []  # a whole state has no removals


@pytest.mark.parametrize("comes_back", [False, True])
async def test_who_has_left_is_shown_no_later_edit(
    autojump_clock: MockClock, open_store: OpenStore, *, comes_back: bool
) -> None:
    async with open_world(open_store=open_store) as world:
        (ann, _, carol), group = await trip(world, "ann", "bob", "carol")
        edited_before = await ann.post(group, b"first", "m1")
        edited_after = await ann.post(group, b"second", "m2")
        await edit(ann, edited_before, b"first, edited")
        await ask(carol, Action.LEAVE, group)
        await edit(ann, edited_after, b"not for carol")
        if comes_back:
            await ask(ann, Action.INVITE, group, "carol")
    async with open_world(open_store=open_store) as world:
        bob, tablet = await world.join("bob", "tablet"), await world.join("carol", "tablet")
        heard = await tablet.heard()
        tablet.send(fetch=pb.Fetch(kind=pb.FetchKind.LOG, partition="chat", offset=1), ref=4)
        fetched = await tablet.heard()
        shown = b"" if comes_back else b"first, edited"  # of an earlier membership nobody knows when it ended

        for answer in (heard, fetched):
            assert [(one.payload, one.erased) for one in answer.messages if one.group_event is None] == [
                (shown, comes_back),
                (b"", True),
            ]
        assert texts(await bob.heard()) == [b"first, edited", b"not for carol"]


FIELDS = ["conversation", "conversation", "id", "to.eid"]
"""The fields at fault in the errors above: a Fetch, a message, a receipt, a GET."""


async def test_who_comes_back_has_a_new_history(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        (ann, bob), group = await trip(world, "ann", "bob")
        await ann.post(group, b"first time", "m1")
        await ask(bob, Action.LEAVE, group)
        await ann.post(group, b"while away", "m2")
        await ask(ann, Action.INVITE, group, "bob")
        await ann.post(group, b"again", "m3")
        laptop = await world.join("bob", "laptop")
        log = await laptop.heard()
        laptop.send(fetch=pb.Fetch(kind=pb.FetchKind.HISTORY, conversation=group, offset=1), ref=4)
        history = await laptop.heard()

        assert texts(log) == [b"first time", b"again"]
        assert (events(history), texts(history)) == ([("ADDED", ["bob"])], [b"again"])


async def test_who_comes_back_learns_no_receipts_of_what_they_wrote_before(
    autojump_clock: MockClock, open_store: OpenStore
) -> None:
    async with open_world(open_store=open_store) as world:
        (ann, bob), group = await trip(world, "ann", "bob")
        before = await bob.post(group, b"first time", "m1")
        await ask(bob, Action.LEAVE, group)
        ann.acknowledge(2)
        await ann.heard()
        await ask(ann, Action.INVITE, group, "bob")
        again = await bob.post(group, b"again", "m2")
        ann.acknowledge(5)
        ann.read(group, again.conversation_offset)
        await ann.heard()
        live = await bob.heard()
        laptop = await world.join("bob", "laptop")
        whole = await laptop.heard()
        laptop.send(fetch=pb.Fetch(kind=pb.FetchKind.LOG, partition="chat", offset=1), ref=4)
        fetched = await laptop.heard()

        assert before.conversation_offset < again.conversation_offset
        for heard in (live, whole, fetched):
            assert {(one.kind.name, one.first, one.last) for one in heard.receipts} == {
                ("DELIVERED", again.conversation_offset, again.conversation_offset),
                ("READ", again.conversation_offset, again.conversation_offset),
            }


@pytest.mark.parametrize("leaves", [True, False])
async def test_what_is_deleted_after_somebody_left_is_gone_for_their_devices_too(
    autojump_clock: MockClock, *, leaves: bool
) -> None:
    async with open_world() as world:
        (ann, _, carol), group = await trip(world, "ann", "bob", "carol")
        deleted = await ann.post(group, b"secret", "m1")
        await carol.heard()
        await (ask(carol, Action.LEAVE, group) if leaves else ask(ann, Action.REMOVE_MEMBER, group, "carol"))
        await carol.heard()
        ann.send(command=pb.Command(id="k1", kind=pb.CommandKind.DELETE_FOR_EVERYONE, target=deleted.signal_offset))
        await ann.heard()
        tablet = await world.join("carol", "tablet", begin(pb.Start.FIRST))  # while her phone is connected

        (message,) = [one for one in (await tablet.heard()).messages if one.group_event is None]
        assert (message.payload, message.erased) == (b"", True)


async def test_title_and_roles_are_told_to_all(autojump_clock: MockClock, open_store: OpenStore) -> None:
    async with open_world(open_store=open_store) as world:
        (ann, bob, carol), group = await trip(world, "ann", "bob", "carol")
        await ask(ann, Action.SET_ROLE, group, "bob", role="admin")
        role_set = await carol.heard()
        await ask(bob, Action.RENAME, group, title="journey")
        renamed = await carol.heard()
        members = [("ann", "owner"), ("bob", "admin"), ("carol", "member")]

        assert (events(role_set), events(renamed)) == ([("ROLE_CHANGED", ["bob"])], [("RENAMED", [])])
        assert groups(role_set) == [("trip", "member", members)]
        assert groups(renamed) == [("journey", "member", members)]
    async with open_world(open_store=open_store) as world:
        laptop = await world.join("bob", "laptop", begin(pb.Start.HEAD))

        assert groups(await laptop.heard()) == [("journey", "admin", members)]


async def test_where_the_last_owner_leaves_an_admin_becomes_one(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        (ann, bob, carol), group = await trip(world, "ann", "bob", "carol")
        await ask(ann, Action.SET_ROLE, group, "carol", role="admin")
        await ask(ann, Action.LEAVE, group)
        heard = await bob.heard()

        assert heard.messages[-1].group_event == pb.GroupEvent(kind=Kind.LEFT, members=["ann"], owner="carol")
        assert groups(heard)[-1] == ("trip", "member", [("bob", "member"), ("carol", "owner")])
        assert groups(await carol.heard())[-1] == ("trip", "owner", [("bob", "member"), ("carol", "owner")])


async def test_receipts_of_each_member_are_told_to_who_wrote_the_message_alone(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        (ann, bob, carol), group = await trip(world, "ann", "bob", "carol")
        await ann.post(group, b"by ann", "m1")
        await bob.post(group, b"by bob", "m2")
        for one in (ann, bob, carol):
            await one.heard()
        for one in (bob, carol):
            one.acknowledge(3)
            await one.heard()

        def told(heard: Received) -> dict[tuple[str, str], list[int]]:
            found: dict[tuple[str, str], list[int]] = {}
            for one in heard.receipts:
                found.setdefault((one.member, one.kind.name or ""), []).extend(range(one.first, one.last + 1))
            return found

        assert told(await ann.heard()) == {("bob", "DELIVERED"): [1, 2], ("carol", "DELIVERED"): [1, 2]}
        assert told(await bob.heard()) == {("carol", "DELIVERED"): [3]}
        carol.read(group, 3)
        assert told(await carol.heard()) == {("carol", "READ"): [1, 2, 3]}
        assert told(await ann.heard()) == {("carol", "READ"): [1, 2]}
        assert told(await bob.heard()) == {("carol", "READ"): [3]}
        for eid, expected in (("ann", {"bob": [1, 2], "carol": [1, 2]}), ("bob", {"carol": [3]})):
            laptop = await world.join(eid, "laptop", begin(pb.Start.HEAD))
            found = told(await laptop.heard())
            assert {member: found[member, "DELIVERED"] for member in expected} == expected


async def test_a_message_may_be_for_some_devices_of_some_members(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        (ann, bob, carol), group = await trip(world, "ann", "bob", "carol")
        laptop = await world.join("bob", "laptop", go_on())
        await laptop.heard()
        addresses = [
            pb.DeviceAddress(identity=pb.Identity(eid="bob", connection_resource_id="laptop"), payload=b"yours")
        ]
        await ann.post(group, b"common", "m1", devices=addresses)

        assert texts(await laptop.heard()) == [b"yours"]
        assert texts(await bob.heard()) == texts(await carol.heard()) == []
        stranger = [pb.DeviceAddress(identity=pb.Identity(eid="dave", connection_resource_id="phone"))]
        ann.write(group, b"x", "m2", devices=stranger)
        (error,) = (await ann.heard()).errors
        assert (error.code, error.field) == (pb.ErrorCode.INVALID, "devices")


@pytest.mark.parametrize("device", ["laptop", "no such device"])
async def test_what_becomes_of_a_message_for_some_devices_is_told_to_who_has_one_of_them_alone(
    autojump_clock: MockClock, device: str
) -> None:
    async with open_world() as world:
        (ann, bob, carol), group = await trip(world, "ann", "bob", "carol")
        laptop = await world.join("bob", "laptop", go_on())
        addresses = [pb.DeviceAddress(identity=pb.Identity(eid="bob", connection_resource_id=device))]
        sent = await ann.post(group, b"for one", "m1", devices=addresses)
        for one in (ann, bob, carol, laptop):
            await one.heard()
        ann.send(command=pb.Command(id="k1", kind=pb.CommandKind.REACT, target=sent.signal_offset, emoji="x"))
        ann.send(command=pb.Command(id="k2", kind=pb.CommandKind.DELETE_FOR_EVERYONE, target=sent.signal_offset))
        told = [(await one.heard()).message_states != [] for one in (ann, bob, laptop, carol)]
        tablet = await world.join("carol", "tablet")

        assert told == [True, device == "laptop", device == "laptop", False]
        assert (await tablet.heard()).message_states == []


@pytest.mark.parametrize("conversation_id", ["c1", "c99"])
async def test_who_is_in_no_such_group_learns_nothing_of_it(autojump_clock: MockClock, conversation_id: str) -> None:
    async with open_world() as world:
        await trip(world, "ann", "bob")
        mallory = await world.join("mallory", "phone")
        await mallory.heard()
        requests = [
            conversation(Action.GET, conversation_id),
            conversation(Action.INVITE, conversation_id, "mallory"),
            conversation(Action.LEAVE, conversation_id),
            conversation(Action.REMOVE_MEMBER, conversation_id, "ann"),
            conversation(Action.RENAME, conversation_id, title="mine"),
            conversation(Action.SET_ROLE, conversation_id, "mallory", role="owner"),
        ]
        for ref, request in enumerate(requests, 1):
            mallory.send(conversation=request, ref=ref)
        heard = await mallory.heard()

        found = {error.ref: (error.code, error.field) for error in heard.errors}
        assert found == dict.fromkeys(range(1, 7), (pb.ErrorCode.NOT_FOUND, "id"))


async def test_a_client_cannot_write_an_event(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        (ann, bob), group = await trip(world, "ann", "bob")
        await ann.post(group, b"x", "m1", group_event=pb.GroupEvent(kind=Kind.REMOVED, members=["bob"]))
        heard = await bob.heard()

        assert (events(heard), texts(heard)) == ([], [b"x"])


@pytest.mark.parametrize("kind", [pb.CommandKind.EDIT, pb.CommandKind.DELETE_FOR_EVERYONE])
async def test_what_happened_in_a_group_can_be_changed_by_nobody_also_not_by_who_did_it(
    kind: pb.CommandKind, autojump_clock: MockClock, open_store: OpenStore
) -> None:
    async with open_world(open_store=open_store) as world:
        ann, bob, laptop = [await world.join(*name) for name in (("ann", "phone"), ("bob", "phone"), ("ann", "laptop"))]
        await ask(ann, Action.CREATE, "", "bob", title="trip", request_id="r1")
        (event,) = (await bob.heard()).messages
        payload = b"nothing" if kind is pb.CommandKind.EDIT else b""
        ann.send(command=pb.Command(kind=kind, target=event.signal_offset, payload=payload, id="1"), ref=5)
        (error,) = (await ann.heard()).errors

        assert (pb.ErrorCode(error.code).name, error.field) == ("FORBIDDEN", "target")
        assert "told by the server" in error.message
        assert all(item.message is None for state in (await laptop.heard()).states for item in state.items)


def numbers(heard: Received) -> list[int]:
    """What the messages say."""
    return [int(text.rstrip(b"\0")) for text in texts(heard)]


@pytest.mark.parametrize("taken", [0, 1, 4])
async def test_who_is_removed_while_much_is_on_its_way_gets_what_came_before_and_nothing_else(
    autojump_clock: MockClock, open_store: OpenStore, taken: int
) -> None:
    """Carol's tablet takes frame after frame, of which so many before she is removed; her phone takes all at once."""
    async with open_world(open_store=open_store) as world:
        (ann, bob, carol), group = await trip(world, "ann", "bob", "carol")
        tablet = world.connect("carol", "tablet", room=1)
        await tablet.hello(begin(pb.Start.HEAD))
        sent = [await ann.post(group, b"%d" % number + bytes(2000), f"m{number}") for number in range(60)]
        first = [await tablet.receive() for _ in range(taken)]
        await ask(ann, Action.REMOVE_MEMBER, group, "carol")
        await ann.post(group, b"after", "m99")
        await ask(ann, Action.RENAME, group, title="without her")
        react = pb.Command(kind=pb.CommandKind.REACT, target=sent[3].signal_offset, emoji="+")
        bob.send(command=react, ref=5)
        bob.acknowledge(60)
        for device in (ann, bob):
            await device.heard()
        later = (await tablet.heard_slowly()).frames
        for heard in (Received([*first, *later]), await carol.heard()):
            assert numbers(heard) == list(range(60))
            assert events(heard)[-1] == ("REMOVED", ["carol"])
            assert groups(heard)[-1] == ("", "gone", [])
            assert "without her" not in {title for title, _, _ in groups(heard)}
            assert heard.message_states == heard.receipts == []
    async with open_world(open_store=open_store) as world:
        for name in ("phone", "tablet", "watch"):
            back = await world.join("carol", name)
            heard = await back.heard()

            assert numbers(heard) == list(range(60))
            assert events(heard)[-1] == ("REMOVED", ["carol"])
            assert groups(heard) == heard.message_states == heard.receipts == []


async def test_how_a_member_keeps_a_group_is_theirs_also_when_they_left(
    autojump_clock: MockClock, open_store: OpenStore
) -> None:
    async with open_world(open_store=open_store) as world:
        (_, bob), group = await trip(world, "ann", "bob")
        for kind in (pb.CommandKind.PIN, pb.CommandKind.ARCHIVE):
            bob.send(command=pb.Command(id=f"k{kind.value}", kind=kind, conversation=group, value=True))
        kept = (await bob.heard()).conversations[-1]
        await ask(bob, Action.LEAVE, group)

        assert (kept.id, kept.pinned, kept.archived) == (group, True, True)
    store = open_store()
    assert [str(finding) for finding in check(store)] == []
    store.close()


async def test_owners_are_owners_also_after_a_restart(autojump_clock: MockClock, open_store: OpenStore) -> None:
    async with open_world(open_store=open_store) as world:
        (ann, *_), group = await trip(world, "ann", "bob", "carol")
        await ask(ann, Action.SET_ROLE, group, "bob", role="owner", request_id="r2")
    async with open_world(open_store=open_store) as world:
        ann, carol = await world.join("ann", "phone", go_on()), await world.join("carol", "phone", go_on())
        await ask(ann, Action.REMOVE_MEMBER, group, "bob", request_id="r3")
        await ask(ann, Action.LEAVE, group, request_id="r4")

        assert groups(await carol.heard())[-1] == ("trip", "owner", [("carol", "owner")])
