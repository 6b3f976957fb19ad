"""A user is erased: nobody finds anything of them any more, and what others have stays whole and in order."""

import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from bimip.client.wire import bimip as pb
from bimip.domain.core.records import Table
from bimip.operations import Operations
from bimip.session.close import Close
from bimip.storage.care.backup import back_up
from bimip.storage.care.check import check, rows
from bimip.storage.interface import Store
from bimip.storage.lmdb.store import LmdbStore
from bimip.storage.postgres.store import PostgresStore
from bimip.testing.virtual import settings_for_tests
from tests.kit.memory_server import Client, World, go_on, open_world
from tests.scenarios.conftest import OpenStore
from tests.scenarios.test_groups import Action, ask, events

ALICE = "alice.liddell@wonder.land"
WORDS = [
    *(b"alice.liddell", b"looking-glass", b"rabbit phone", b"curiouser", b"oyster", b"painted", b"tea at six"),
    *(b"jabberwock", b"croquet", b"cheshire", b"dormouse", b"slithy", b"mimsy"),
]
"""Whatever alice is called, calls her devices, wrote, or chose as an id; none of the others ever writes it."""


async def command(client: Client, kind: pb.CommandKind, **fields: Any) -> None:
    client.send(body=pb.Body(commands=[pb.Command(kind=kind, **fields)]))
    heard = await client.heard()
    assert not heard.errors, heard.errors


async def live_a_life(world: World) -> tuple[Client, Client, Client, pb.Signal, str]:
    """Alice writes, is written to, and leaves traces wherever somebody can."""
    alice = await world.join(ALICE, "looking-glass")
    bob, carol = await world.join("bob", "phone"), await world.join("carol", "phone")
    (await world.join(ALICE, "cheshire", go_on())).cut()
    alice.send(devices=pb.Devices(action=pb.DevicesAction.RENAME, name="cheshire", label="rabbit phone"))
    alice.send(settings=pb.Settings(send_read_receipts=True, show_last_seen=False))
    await alice.heard()
    first = await alice.post("bob", b"curiouser", "slithy-1", seq="1700000000000:7:looking-glass")
    to_alice = await bob.post(ALICE, b"are you there?", "b1")
    await bob.post(
        ALICE,
        b"common",
        "b2",
        devices=[address(ALICE, "looking-glass", b"for that one"), address("bob", "phone", None)],
    )
    await alice.post("bob", b"oyster", "slithy-2", devices=[address("bob", "phone", b"oyster for the phone")])
    await alice.post(ALICE, b"painted", "slithy-3")
    await alice.post("bob", b"tea at six", "slithy-4", ttl_ms=86_400_000)
    await alice.heard()
    await command(alice, pb.CommandKind.EDIT, id="mimsy-1", target=first.signal_offset, payload=b"jabberwock")
    await command(alice, pb.CommandKind.REACT, id="mimsy-2", target=to_alice.signal_offset, emoji="+")
    await command(bob, pb.CommandKind.REACT, id="b-r", target=first.signal_offset, emoji="-")
    await command(alice, pb.CommandKind.PIN, id="mimsy-3", target=to_alice.signal_offset, value=True)
    await command(alice, pb.CommandKind.DRAFT, id="mimsy-4", conversation=first.conversation, payload=b"croquet")
    alice.acknowledge(6)
    alice.read(first.conversation, 5)
    bob.acknowledge(5)
    made = await ask(alice, Action.CREATE, "", "bob", "carol", title="trip", request_id="dormouse-1")
    await ask(alice, Action.CREATE, "", title="dormouse", request_id="dormouse-2")
    await alice.post(made.id, b"curiouser and curiouser", "slithy-5")
    await carol.post(made.id, b"who comes?", "c1", mentions=[ALICE, "bob"])
    for eid, number in (("bob", 6), ("carol", 7)):
        asked = pb.Contact(action=pb.ContactAction.REQUEST, eid=eid, id=f"mimsy-{number}", mutual=True)
        alice.send(contact=asked, ref=number)
    await alice.heard()
    bob.send(contact=pb.Contact(action=pb.ContactAction.ACCEPT, eid=ALICE, id="b-a"), ref=8)
    carol.send(contact=pb.Contact(action=pb.ContactAction.NAME, eid=ALICE, id="c-n", name="cheshire"), ref=8)
    await bob.heard()
    for client, head in ((alice, 10), (bob, 8), (carol, 3)):
        client.acknowledge(head)
    await trio.sleep(1)
    return alice, bob, carol, first, made.id


def address(eid: str, device: str, payload: bytes | None) -> pb.DeviceAddress:
    return pb.DeviceAddress(identity=pb.Identity(eid=eid, connection_resource_id=device), payload=payload)


async def erase(world: World, eid: str = ALICE) -> None:
    """Returns when nothing is left of the user."""
    assert await Operations(world.server).erase_user(eid) is not None
    await erased(world)


async def erased(world: World) -> None:
    """Returns when nobody is being erased any more."""
    for _ in range(6000):
        if not Operations(world.server).describe_erasures()["erasing"]:
            return
        await trio.sleep(0.1)
    raise AssertionError("somebody is being erased still")


async def history(client: Client, conversation: str) -> list[pb.Message]:
    client.send(fetch=pb.Fetch(kind=pb.FetchKind.HISTORY, conversation=conversation, offset=1), ref=3)
    bodies = [body for body in (await client.heard()).bodies if body.turn == pb.Turn.TURN_FETCH]
    return [message for body in bodies for message in body.messages]


def contents(store: Store) -> Iterator[str]:
    """All that a memory store holds, as text; of a database its tables, which alone hold words."""
    with store.snapshot() as view:
        if isinstance(store, PostgresStore):
            yield from (f"{table} {row}" for table in Table for row in rows(view, table))
            return
        for table in Table:
            yield from (f"{table} {key} {record}" for key, record in view.records[table].items())  # type: ignore[attr-defined]
        yield from (f"{place} {run}" for place, run in view.runs.items())  # type: ignore[attr-defined]


def words_in(store: Store, folder: Path) -> list[bytes]:
    """Those of alice's words that a store holds; of one on a disk, what its compacted copy holds."""
    if isinstance(store, LmdbStore):
        target = folder / "copy"
        store.close()
        back_up(folder / "store", target, made="now", progress=lambda _done, _total: None)
        content = (target / "data.mdb").read_bytes()
    else:
        content = "\n".join(contents(store)).encode()
    return [word for word in WORDS if word in content]


async def test_nothing_of_who_was_erased_is_left_in_a_copy_of_the_store(
    autojump_clock: MockClock, open_store: OpenStore, tmp_path: Path
) -> None:
    async with open_world(open_store=open_store) as world:
        await live_a_life(world)
    store = open_store()
    before = words_in(store, tmp_path / "before") if not isinstance(store, LmdbStore) else WORDS
    store.close()
    async with open_world(open_store=open_store) as world:
        await erase(world)
    store = open_store()
    findings = list(check(store))

    assert before == WORDS
    assert findings == []
    assert words_in(store, tmp_path) == []
    store.close()


async def test_the_others_keep_their_places_and_lose_what_was_written(
    autojump_clock: MockClock, open_store: OpenStore
) -> None:
    async with open_world(open_store=open_store) as world:
        _, bob, _, first, group = await live_a_life(world)
        before, before_group = await history(bob, first.conversation), await history(bob, group)
        await erase(world)
        after, after_group = await history(bob, first.conversation), await history(bob, group)

        assert [one.signal_offset for one in after] == [one.signal_offset for one in before]
        assert [one.payload for one in after if not one.erased] == [b"are you there?", b"common"]
        assert {one.from_.eid if one.from_ else "" for one in after} == {"", "bob"}
        assert all(one.digest for one in after)
        assert [one.signal_offset for one in after_group][: len(before_group)] == [
            one.signal_offset for one in before_group
        ]
        left = after_group[-1].group_event
        assert left is not None
        assert (left.kind, left.members, left.owner) == (pb.GroupEventKind.LEFT, [""], "bob")
        assert [one.mentions for one in after_group if one.payload == b"who comes?"] == [["bob"]]


async def test_the_devices_are_closed_and_the_others_are_told(autojump_clock: MockClock, open_store: OpenStore) -> None:
    async with open_world(open_store=open_store) as world:
        alice, bob, carol, first, group = await live_a_life(world)
        await bob.heard()
        await carol.heard()
        await erase(world)
        told = await bob.heard()

        assert await alice.closed() == Close.USER_ERASED
        items = [item for state in told.states for item in state.items]
        gone = {item.message.conversation_offset for item in items if item.message is not None and item.message.deleted}
        groups = [item.group for item in items if item.group is not None and item.group.id == group]
        assert {1, 4} <= gone
        assert any(state.reset for state in told.states)
        assert [(member.eid, member.role) for member in groups[-1].members] == [("bob", "owner"), ("carol", "member")]
        assert ("LEFT", [""]) in events(await carol.heard())
        bob.write("", b"hello?", "b9")
        bob.send(message=pb.Message(id="b10", to=pb.Identity(eid=first.conversation), type=1, payload=b"hello?"), ref=9)
        assert {error.code for error in (await bob.heard()).errors} == {pb.ErrorCode.INVALID, pb.ErrorCode.NOT_FOUND}


async def test_who_signs_in_under_the_name_again_is_somebody_else(
    autojump_clock: MockClock, open_store: OpenStore
) -> None:
    async with open_world(open_store=open_store) as world:
        _, bob, _, first, group = await live_a_life(world)
        await bob.heard()
        await erase(world)
        anew = await world.join(ALICE, "looking-glass")
        heard = await anew.heard()
        sent = await anew.post("bob", b"hello", "slithy-1")

        assert not heard.messages
        assert (sent.duplicate, sent.user_offset) == (False, 1)
        assert sent.conversation not in {first.conversation, group}
        anew.send(fetch=pb.Fetch(kind=pb.FetchKind.HISTORY, conversation=first.conversation), ref=4)
        assert [error.code for error in (await anew.heard()).errors] == [pb.ErrorCode.NOT_FOUND]
        assert [one.from_.eid for one in (await bob.heard()).messages if one.from_ and one.payload] == [ALICE]


@pytest.mark.parametrize("batches", range(0, 60, 7))
async def test_a_restart_in_the_middle_goes_on(autojump_clock: MockClock, open_store: OpenStore, batches: int) -> None:
    async with open_world(open_store=open_store) as world:
        await live_a_life(world)
        begun = world.server.journal_statistics.batches
        assert await Operations(world.server).erase_user(ALICE) is not None
        while (
            Operations(world.server).describe_erasures()["erasing"]
            and world.server.journal_statistics.batches < begun + batches
        ):
            await trio.lowlevel.checkpoint()
    store = open_store()
    between = list(check(store))
    store.close()
    async with open_world(open_store=open_store) as world:
        await erased(world)
    store = open_store()

    assert between == []
    assert list(check(store)) == []
    with store.snapshot() as view:
        assert view.get(Table.USERS, (ALICE,)) is None
    store.close()


async def exported(world: World, eid: str) -> list[dict[str, Any]]:
    slices = Operations(world.server).export_user(eid)
    assert slices is not None
    return [json.loads(json.dumps(line)) for some in slices for line in some]


async def test_an_export_holds_all_that_is_held(autojump_clock: MockClock, open_store: OpenStore) -> None:
    settings = settings_for_tests()
    async with open_world(open_store=open_store, settings=settings) as world:
        await live_a_life(world)
        lines = await exported(world, ALICE)
        others = await exported(world, "carol")

    kinds = {line["kind"] for line in lines}
    text = "\n".join(map(json.dumps, lines))
    assert kinds >= {
        *("user", "device", "log", "entry", "message", "addressed", "message_state", "reaction", "receipt"),
        *("own_message", "conversation", "conversation_settings", "setting", "cursor", "message_id", "command_id"),
        *("state", "usage", "mention"),
    }
    assert [line["name"] for line in lines if line["kind"] == "device"] == ["cheshire", "looking-glass"]
    own = [line["message"] for line in lines if line["kind"] == "message" and line["is_own"]]
    assert sorted(one["id"] for one in own if "group_event" not in one) == [
        f"slithy-{number}" for number in range(1, 6)
    ]
    assert all(earlier < later for earlier, later in pairwise(entry_offsets(lines)))
    assert "Zm9yIHRoYXQgb25l" in text  # "for that one"
    assert "slithy-3" not in "\n".join(map(json.dumps, others))


def entry_offsets(lines: list[dict[str, Any]]) -> list[int]:
    return [line["offset"] for line in lines if line["kind"] == "entry" and line["partition"] == "chat"]


async def test_who_is_erased_is_nobodys_contact_any_more(autojump_clock: MockClock, open_store: OpenStore) -> None:
    async with open_world(open_store=open_store) as world:
        _, bob, carol, _, _ = await live_a_life(world)
        before = [await listed(client) for client in (bob, carol)]
        await erase(world)
        told = [one.contact for state in (await bob.heard()).states for one in state.items if one.contact is not None]

        assert before == [[ALICE], [ALICE]]
        assert [await listed(client) for client in (bob, carol)] == [[], []]
        assert [one for one in told if one.eid == ALICE] == []


async def listed(client: Client) -> list[str]:
    """Whom a user has as contacts."""
    client.send(contact=pb.Contact(action=pb.ContactAction.LIST), ref=4)
    return [one.eid for frame in (await client.heard()).frames if frame.contact for one in frame.contact.contacts]


async def test_nobody_is_erased_or_exported_who_is_not_there(autojump_clock: MockClock, open_store: OpenStore) -> None:
    async with open_world(open_store=open_store) as world:
        assert await Operations(world.server).erase_user("nobody") is None
        assert await Operations(world.server).erase_user("c12") is None
        assert Operations(world.server).export_user("nobody") is None
