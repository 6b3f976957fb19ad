"""A store that an earlier version wrote is served on: whoever comes finds what they left. One that a later version
wrote is refused.

The stores beside this file were each made by the last version that wrote that format, from `live` (and, from 7 on,
`change`):

    async with open_world(open_store=lambda: LmdbStore(folder, map_bytes=64 << 20, serves=True)) as world:
        await live(world)
        await change(world)

then compacted (`Environment.copy`) and packed by `xz -9e`.
"""

import lzma
from pathlib import Path
from typing import Any, NamedTuple

import lmdb
import pytest
from trio.testing import MockClock

from bimip.client.wire import bimip as pb
from bimip.session.close import Close
from bimip.storage.care.backup import back_up, overview, restore
from bimip.storage.care.check import check
from bimip.storage.care.upgrade import upgrade
from bimip.storage.errors import StorageError, StoreDamagedError, StoreLockedError
from bimip.storage.format import EARLIER, FORMAT
from bimip.storage.lmdb.store import LmdbStore
from tests.kit.memory_server import Client, World, at, begin, go_on, open_world, ranges
from tests.kit.received import ReceiptRun, Received

FROZEN = {number: Path(__file__).with_name(f"format-{number}.mdb.xz") for number in EARLIER}
MANY = 400


async def live(world: World) -> None:
    """Two people write to each other, on three devices: each log and the history fill blocks of each size."""
    alice, bob = await world.join("alice", "phone"), await world.join("bob", "phone")
    laptop = await world.join("alice", "laptop", go_on(), begin(pb.Start.FIRST, partition="sync"))
    for number in range(MANY):
        one, other = (alice, bob) if number % 3 else (bob, alice)
        await one.post(other.eid, b"%d" % number, f"m{number}", seq=f"{number}:{number}:phone" if one is alice else "")
    sent = await alice.post("bob", b"the last", "m-last")
    await laptop.post("alice", b"settings", "s1", partition="sync")
    bob.acknowledge(300, 310, 311, 330)
    alice.acknowledge(MANY + 1)
    bob.read(sent.conversation, 250)
    played = pb.Signal(status=pb.MessageStatus.PLAYED, conversation=sent.conversation, offsets=ranges((3, 3), (7, 9)))
    alice.send(signal=played)
    mark = pb.Command(id="k1", kind=pb.CommandKind.MARK_READ, conversation=sent.conversation, conversation_offset=260)
    bob.send(command=mark)
    laptop.send(logout=pb.Logout(revoke=True))
    assert await laptop.closed() == Close.NORMAL
    for one in (alice, bob):
        assert not (await one.heard()).errors
        one.cut()


async def change(world: World) -> None:
    """What format 7 has more: changes of messages, how conversations are kept, and groups."""
    alice = await world.join("alice", "phone", at(MANY + 1))
    bob = await world.join("bob", "phone", at(MANY + 1))
    sent = await alice.post("bob", b"to change", "m-change")
    about = {"target": sent.signal_offset}
    kept = {"conversation": sent.conversation}
    kinds = pb.CommandKind
    commands: list[tuple[Client, pb.CommandKind, dict[str, Any]]] = [
        (alice, kinds.EDIT, {**about, "payload": b"changed"}),
        (bob, kinds.REACT, {**about, "emoji": "\N{THUMBS UP SIGN}"}),
        (alice, kinds.PIN, {**about, "value": True}),
        (alice, kinds.DELETE_FOR_EVERYONE, {"target_id": "m-last"}),
        (bob, kinds.MUTE, {**kept, "until": 1 << 42}),
        (alice, kinds.DRAFT, {**kept, "payload": b"half a"}),
    ]
    for number, (client, kind, fields) in enumerate(commands):
        client.send(command=pb.Command(id=f"c{number}", kind=kind, **fields))
        assert [command.id for command in (await client.heard()).commands] == [f"c{number}"]
    create = pb.ConversationAction.CREATE
    alice.send(conversation=pb.Conversation(action=create, title="trip", request_id="g", members=[pb.Member("bob")]))
    (group,) = [frame.conversation.id for frame in (await alice.heard()).frames if frame.conversation]
    await bob.post(group, b"to the group", "m-group")
    for client in (alice, bob):
        assert not (await client.heard()).errors
        client.cut()


class Shown(NamedTuple):
    """What a new device of somebody shows."""

    payloads: list[bytes]
    receipts: list[ReceiptRun]
    read_markers: list[tuple[str, int]]
    changed: list[tuple[int, bytes | None, bool, bool, list[str]]]
    kept: list[tuple[int, bytes]]
    groups: list[tuple[str, str]]


async def shown(world: World, eid: str) -> Shown:
    device = await world.join(eid, "new", begin(pb.Start.FIRST), begin(pb.Start.FIRST, partition="sync"))
    frames: list[pb.MessageScheme] = []
    while batch := (await device.heard()).frames:
        frames += batch
        for partition in ("chat", "sync"):
            upto = [body.upto for frame in batch if (body := frame.body) and body.partition == partition]
            if any(upto):
                device.acknowledge(max(upto), partition=partition)
    heard = Received(frames)
    assert not heard.errors
    assert not heard.gaps
    items = [item for state in heard.states for item in state.items]
    return Shown(
        heard.payloads,
        sorted(heard.receipts),
        heard.read_markers,
        [
            (one.conversation_offset, one.payload, one.deleted, one.pinned, [mark.emoji for mark in one.reactions])
            for one in heard.message_states
        ],
        [(one.muted_until, one.draft) for one in heard.conversations],
        [(item.group.title, item.group.role) for item in items if item.group is not None],
    )


def thaw(folder: Path, number: int = max(EARLIER)) -> Path:
    folder.mkdir()
    (folder / "data.mdb").write_bytes(lzma.decompress(FROZEN[number].read_bytes()))
    return folder


def serving(folder: Path) -> LmdbStore:
    return LmdbStore(folder, map_bytes=64 << 20, serves=True)


def written_format(folder: Path) -> bytes:
    with lmdb.open(str(folder), readonly=True, lock=False, max_dbs=1) as environment:
        about = environment.open_db(b"about", create=False)
        with environment.begin(db=about) as transaction:
            return bytes(transaction.get(b"format", b""))


formats = pytest.mark.parametrize("number", sorted(EARLIER))


@formats
async def test_whoever_comes_finds_what_they_left(autojump_clock: MockClock, tmp_path: Path, number: int) -> None:
    """The same as where all of it was written by this version; and devices go on where they were."""
    async with open_world() as world:
        await live(world)
        if number > 6:
            await change(world)
        expected = [await shown(world, eid) for eid in ("alice", "bob")]
    folder = thaw(tmp_path / "store", number)
    async with open_world(open_store=lambda: serving(folder)) as world:
        found = [await shown(world, eid) for eid in ("alice", "bob")]
        bob = await world.join("bob", "phone", at(300, (310, 311), (330, 330)))
        again = await bob.heard()
        resent = await world.join("alice", "phone", at(len(found[0].payloads) - 1))
        first, second = [await resent.post("bob", b"%d" % 5, "m5"), await resent.post("bob", b"new", "m-new")]
        refused = world.connect("alice", "laptop")

        assert found == expected
        assert len(found[0].payloads) == len(found[1].payloads) + 1  # her settings
        assert again.offsets[:9] == [301, 302, 303, 304, 305, 306, 307, 308, 309]
        assert not {310, 311, 330} & set(again.offsets)
        assert (first.user_offset, second.user_offset) == (6, len(found[0].payloads))
        assert (await bob.heard()).payloads == [b"new"]
        assert await refused.closed() == Close.TOKEN_REVOKED
    store = serving(folder)
    assert list(check(store)) == []
    assert (store.format, store.put_back) == (FORMAT, "")
    store.close()


@formats
def test_the_first_write_raises_the_number_and_looking_does_not(tmp_path: Path, number: int) -> None:
    folder = thaw(tmp_path / "store", number)
    store = LmdbStore(folder, map_bytes=64 << 20)
    found = list(check(store))
    store.begin()
    store.abort()
    store.close()
    looked = written_format(folder), overview(folder).format
    store = serving(folder)
    before = store.format
    store.begin()
    store.commit()
    after = store.format
    store.close()

    assert found == []
    assert looked == (b"%d" % number, number)
    assert (before, after, written_format(folder)) == (number, FORMAT, b"%d" % FORMAT)


@formats
def test_a_store_is_upgraded_before_it_is_served(tmp_path: Path, number: int) -> None:
    folder = thaw(tmp_path / "store", number)
    serving_now = serving(folder)
    with pytest.raises(StoreLockedError):
        upgrade(folder, map_bytes=64 << 20)
    serving_now.close()
    first, second = upgrade(folder, map_bytes=64 << 20), upgrade(folder, map_bytes=64 << 20)
    store = serving(folder)
    wrong, put_back = list(check(store)), store.put_back
    store.close()

    assert (first, second) == ((number, FORMAT), (FORMAT, FORMAT))
    assert (wrong, put_back, written_format(folder)) == ([], "", b"%d" % FORMAT)


def test_there_is_nothing_to_upgrade_where_there_is_no_store(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="there is no store in"):
        upgrade(tmp_path / "none", map_bytes=64 << 20)

    assert not (tmp_path / "none").exists()


@formats
def test_a_backup_keeps_the_number_until_it_is_served(tmp_path: Path, number: int) -> None:
    folder = thaw(tmp_path / "store", number)
    made = back_up(folder, tmp_path / "backup", made="2026-11-29T10:00:00+00:00", progress=lambda _done, _total: None)
    restore(tmp_path / "backup", folder, when="20261129T100000Z", progress=lambda _done, _total: None)
    restored = written_format(folder)
    store = serving(folder)
    store.begin()
    store.commit()
    store.close()

    assert (made.format, restored, written_format(folder)) == (number, b"%d" % number, b"%d" % FORMAT)


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (b"%d" % (FORMAT + 1), r"a later bimip wrote it; run that one, or restore a backup"),
        (b"5", r"it is too old; run the bimip that wrote it"),
        (b"", r"has format '', this program reads 6, 7, 8$"),
        (b"seven", r"has format 'seven', this program reads 6, 7, 8$"),
    ],
)
def test_another_number_is_refused_with_what_to_do(tmp_path: Path, number: bytes, said: str) -> None:
    folder = thaw(tmp_path / "store")
    with lmdb.open(str(folder), max_dbs=2) as environment:
        about = environment.open_db(b"about")
        with environment.begin(write=True) as transaction:
            transaction.put(b"format", number, db=about)
    for look in (lambda: LmdbStore(folder), lambda: overview(folder)):
        with pytest.raises(StoreDamagedError, match=said):
            look()

    assert written_format(folder) == number
