"""What is damaged in the store is said and walked around; what is healthy is delivered, and nobody else notices."""

import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from bimip.client.wire import bimip as pb
from bimip.domain.core.clock import next_stamp
from bimip.domain.core.ids import Millis, Stamp
from bimip.domain.core.records import LogTable, Table
from bimip.session.close import Close
from bimip.storage.lmdb.store import LmdbStore
from tests.kit.memory_server import Client, World, at, begin, go_on, open_world
from tests.storage.spoil import flip, spoil

LOG, HISTORY = pb.FetchKind.LOG, pb.FetchKind.HISTORY
MANY = 300
CAROL, BOB, ALICE = 1, 2, 3


class Kept:
    """A store in a folder, over several worlds."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.said: list[str] = []

    @asynccontextmanager
    async def world(self) -> AsyncIterator[World]:
        async with open_world(open_store=lambda: LmdbStore(self.folder, report_damage=self.said.append)) as world:
            yield world

    def stamps(self) -> list[int]:
        store = LmdbStore(self.folder)
        with store.snapshot() as view:
            found = [stamp for (stamp,), _ in view.scan(Table.BODIES, (0,), (1 << 64,), limit=10_000)]
        store.close()
        return found


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Carol wrote 300 messages to Bob, whose log they fill, and Alice has five of hers."""
    kept = Kept(tmp_path_factory.mktemp("written") / "store")

    async def write() -> None:
        async with kept.world() as world:
            await world.register("carol")
            await world.register("bob")
            await world.register("alice")
            await world.fill("bob", *range(1, MANY + 1))
            await world.fill("alice", *range(1, 6))

    trio.run(write, clock=MockClock(autojump_threshold=0))
    return kept.folder


@pytest.fixture
def kept(written: Path, tmp_path: Path, autojump_clock: MockClock) -> Kept:
    """The store with what was written, for this test alone."""
    return Kept(Path(shutil.copytree(written, tmp_path / "store")))


async def everything(device: Client) -> tuple[list[int], list[tuple[int, int, pb.GapReason]], list[tuple[int, int]]]:
    """Offsets, gaps and ranges until the head, each acknowledged."""
    offsets: list[int] = []
    gaps: list[tuple[int, int, pb.GapReason]] = []
    ranges: list[tuple[int, int]] = []
    while (heard := await device.heard()).bodies:
        assert all(int(one.payload) == one.user_offset for one in heard.messages)
        offsets += heard.offsets
        gaps += heard.gaps
        ranges += heard.ranges
        device.acknowledge(ranges[-1][1])
    return offsets, gaps, ranges


DAMAGED = pb.GapReason.DAMAGED


@pytest.mark.parametrize("at_byte", [0, 1, 2, 40, -1, -5])
async def test_a_damaged_message_is_a_gap_and_others_arrive(kept: Kept, at_byte: int) -> None:
    stamp = kept.stamps()[149]
    spoil(kept.folder, Table.BODIES, (stamp,), partial(flip, at=at_byte))
    async with kept.world() as world:
        offsets, gaps, ranges = await everything(await world.join("bob", "tablet", begin(pb.Start.FIRST)))
        alices, no_gaps, _ = await everything(await world.join("alice", "tablet", begin(pb.Start.FIRST)))

        assert offsets == [*range(1, 150), *range(151, MANY + 1)]
        assert gaps == [(150, 150, DAMAGED)]
        assert [before for _, before in ranges[:-1]] == [after for after, _ in ranges[1:]]
        assert (alices, no_gaps) == ([1, 2, 3, 4, 5], [])
    assert kept.said == [f"bodies ({stamp},)"]


FIELDS = {"stamp": 0, "conversation": 11, "place": 15, "author": 19, "origin": 23, "addressed": 24}
"""Where a byte of each lies in a packed entry."""


@pytest.mark.parametrize("field", FIELDS.values(), ids=FIELDS)
@pytest.mark.parametrize("number", [7, 19, 118])
async def test_a_damaged_entry_is_a_gap_and_its_block_is_read(kept: Kept, field: int, number: int) -> None:
    """Entries 0 … 119 lie in the first full block, of which the first is number 1."""
    at_byte = 8 + 33 * (number - 1) + field
    spoil(kept.folder, LogTable.ENTRIES, (BOB, "chat"), partial(flip, at=at_byte), full=0)
    async with kept.world() as world:
        offsets, gaps, _ = await everything(await world.join("bob", "tablet", begin(pb.Start.FIRST)))

        assert offsets == [one for one in range(1, MANY + 1) if one != number]
        assert gaps == [(number, number, DAMAGED)]
    assert kept.said == [f"entries ({BOB}, 'chat')"]


async def test_an_entry_that_names_anothers_message_shows_it_to_nobody(kept: Kept) -> None:
    stamps = kept.stamps()
    secret = stamps[-1].to_bytes(8, "big")  # Alice's

    def point_at_it(block: bytes) -> bytes:
        return block[: 8 + 33 * 9] + secret + block[8 + 33 * 9 + 8 :]

    spoil(kept.folder, LogTable.ENTRIES, (BOB, "chat"), point_at_it, full=0)
    async with kept.world() as world:
        offsets, gaps, _ = await everything(await world.join("bob", "tablet", begin(pb.Start.FIRST)))

        assert offsets == [one for one in range(1, MANY + 1) if one != 10]
        assert gaps == [(10, 10, DAMAGED)]


IN_PIECES: dict[str, Callable[[bytes], bytes]] = {
    "its first number": partial(flip, at=2),
    "its width": partial(flip, at=0, bit=7),
    "cut to nothing": lambda block: block[:4],
    "empty": lambda _: b"",
    "shorter": lambda block: block[:-40],
    "longer": lambda block: block + bytes(70),
}


@pytest.mark.parametrize("how", IN_PIECES.values(), ids=IN_PIECES)
@pytest.mark.parametrize("full", [0, 1, None], ids=["first", "second", "newest"])
async def test_a_block_in_pieces_costs_no_more_than_itself(
    kept: Kept, how: Callable[[bytes], bytes], full: int | None
) -> None:
    spoil(kept.folder, LogTable.ENTRIES, (BOB, "chat"), how, full=full)
    block = {0: range(1, 120), 1: range(120, 240), None: range(300, 301)}[full]
    async with kept.world() as world:
        offsets, gaps, ranges = await everything(await world.join("bob", "tablet", begin(pb.Start.FIRST)))
        lost = {one for first, last, _ in gaps for one in range(first, last + 1)}

        assert offsets == [one for one in range(1, MANY + 1) if one not in lost]
        assert lost <= set(block)
        assert {reason for _, _, reason in gaps} <= {DAMAGED}
        assert ranges[-1][1] == MANY


async def fetched(device: Client, **fields: Any) -> list[pb.Body]:
    """All pages of a Fetch."""
    pages: list[pb.Body] = []
    while not pages or not pages[-1].complete:
        device.send(fetch=pb.Fetch(**fields), ref=9)
        heard = await device.heard()
        assert heard.errors == []
        pages += [body for body in heard.bodies if body.ref == 9]
    return pages


@pytest.mark.parametrize("backwards", [False, True])
async def test_a_fetch_tells_what_is_damaged_and_brings_the_rest(kept: Kept, backwards: bool) -> None:  # noqa: FBT001
    spoil(kept.folder, Table.BODIES, (kept.stamps()[149],))
    spoil(kept.folder, LogTable.ENTRIES, (BOB, "chat"), partial(flip, at=8 + 33 * 6), full=0)
    async with kept.world() as world:
        tablet = await world.join("bob", "tablet", go_on("sync"))
        pages = await fetched(tablet, kind=LOG, partition="chat", backwards=backwards)
        offsets = [one.user_offset or 0 for page in pages for one in page.messages]
        gaps = {(gap.from_, gap.to, gap.reason) for page in pages for gap in page.gaps}

        expected = [one for one in range(1, MANY + 1) if one not in {7, 150}]
        assert offsets == (expected[::-1] if backwards else expected)
        assert gaps == {(7, 7, DAMAGED), (150, 150, DAMAGED)}


async def test_a_history_brings_what_is_whole(kept: Kept) -> None:
    spoil(kept.folder, LogTable.HISTORY, (1,), partial(flip, at=8 + 17 * 6), full=0)
    async with kept.world() as world:
        tablet = await world.join("bob", "tablet", go_on("sync"))
        pages = await fetched(tablet, kind=HISTORY, conversation="c1")

        assert [one.conversation_offset for page in pages for one in page.messages] == [
            one for one in range(1, MANY + 1) if one != 7
        ]


async def test_a_damaged_floor_skips_nothing(kept: Kept) -> None:
    async with kept.world() as world:
        phone = await world.join("bob", "phone", at(0))
        phone.acknowledge(250)
        await phone.heard()
        device = world.server.users._sessions["bob"].devices["phone"].number
    spoil(kept.folder, Table.CURSORS, (device, "chat"))
    async with kept.world() as world:
        told = await world.join("bob", "phone", at(250))
        assert (await everything(told))[0] == list(range(251, MANY + 1))
    spoil(kept.folder, Table.CURSORS, (device, "chat"))
    async with kept.world() as world:
        silent = await world.join("bob", "phone", go_on())
        assert (await everything(silent))[0] == list(range(1, MANY + 1))


@pytest.mark.parametrize("table", [Table.LOGS, Table.USERS, Table.DEVICES], ids=lambda table: table.value)
async def test_a_user_whose_record_is_damaged_is_told_and_others_go_on(kept: Kept, table: Table) -> None:
    key = {Table.LOGS: (BOB, "chat"), Table.USERS: ("bob",), Table.DEVICES: (BOB, "phone")}[table]
    spoil(kept.folder, table, key)
    async with kept.world() as world:
        bob = world.connect("bob", "phone")
        code = await bob.closed()
        alice = await world.join("alice", "phone", go_on())
        carol = await world.join("carol", "phone", go_on())
        await carol.post("alice", b"6", "six")
        carol.write("bob", b"301", "to bob")
        heard = await carol.heard()

        assert code in {Close.INTERNAL_ERROR, Close.TRY_AGAIN_LATER}
        assert (await alice.heard()).payloads[-1] == b"6"
        assert [error.code for error in heard.errors] in ([], [pb.ErrorCode.INTERNAL])
    assert kept.said


async def test_a_damaged_newest_block_costs_what_is_written_with_it_nothing(kept: Kept) -> None:
    """A batch that meets it is tried message by message."""
    spoil(kept.folder, LogTable.ENTRIES, (BOB, "chat"))
    async with kept.world() as world:
        carol = await world.join("carol", "phone", go_on())
        dan = await world.join("dan", "phone", go_on())
        carol.write("bob", b"x", "to bob")
        dan.write("carol", b"y", "to carol")
        refused, accepted = await carol.heard(), await dan.heard()

        assert [error.code for error in refused.errors] == [pb.ErrorCode.INTERNAL]
        assert [signal.id for signal in accepted.sent] == ["to carol"]


async def test_damaged_receipts_and_state_are_written_anew(kept: Kept) -> None:
    async with kept.world() as world:
        phone = await world.join("bob", "phone", at(0))
        phone.acknowledge(10)
        await phone.heard()
    spoil(kept.folder, Table.RECEIPTS, (1, BOB, 2, 0))
    spoil(kept.folder, Table.STATES, (CAROL,))
    async with kept.world() as world:
        carol = await world.join("carol", "phone", go_on())
        await carol.heard()
        phone = await world.join("bob", "phone", at(10))
        phone.acknowledge(20)
        await phone.heard()
        heard = await carol.heard()
        laptop = await world.join("carol", "laptop", go_on())

        assert ("bob", pb.MessageStatus.DELIVERED, 17, 20) in heard.receipts or any(
            one.member == "bob" and one.last == 20 for one in heard.receipts
        )
        assert any(one.member == "bob" and one.last == 20 for one in (await laptop.heard()).receipts)


def test_a_stamp_is_what_a_body_lies_under() -> None:
    """The helper above takes stamps in their order: that of the messages."""
    assert next_stamp(Stamp(0), Millis(1), 0) < next_stamp(Stamp(0), Millis(2), 0)
