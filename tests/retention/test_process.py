import gc
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from bimip.domain.accounts.registering import SeenDevice
from bimip.domain.core.ids import Millis, Offset, UserId
from bimip.domain.core.operations import Acknowledge, OpenPosition, Register, Registered, Revoke
from bimip.domain.core.records import Changes, LogTable, Table
from bimip.retention import process as retention_module
from bimip.retention.process import Retention
from bimip.retention.settings import RetentionSettings
from bimip.retention.walks import REVOKED_MS
from bimip.storage.errors import OutcomeUnknownError, StorageError
from tests.journal.journal_host import CHAT, JournalHost, message

DAY = 24 * 3600
PARTITIONS = ("chat", "notification", "feed", "sync")


class Archive:
    """An host that receives a message a day, and its retention."""

    def __init__(self, history_days: dict[str, int], partitions: tuple[str, ...] = PARTITIONS, **settings: Any) -> None:
        given = RetentionSettings(history_days, **settings)
        self.host = JournalHost(slice_entries=4, until_acked=given.until_acked)
        self.retention = Retention(
            store=self.host.store,
            queue=self.host.queue,
            partitions=partitions,
            passed=self.host.wall_clock,
            settings=given,
        )

    @asynccontextmanager
    async def open(self, days: int = 10, partition: str = CHAT) -> AsyncIterator[tuple[Registered, Registered]]:
        async with self.host.open():
            ann, bob = await self.host.pair()
            for day in range(days):
                await self.host.execute(message(ann, f"day {day}")._replace(partition=partition))
                await trio.sleep(DAY)
            yield ann, bob

    def offsets(self, user: Registered, partition: str = CHAT) -> list[int]:
        with self.host.store.snapshot() as view:
            return [number for number, _ in view.read(LogTable.ENTRIES, (user.user, partition), 0, limit=999)]

    def bodies(self) -> int:
        return len(self.host.keys(Table.BODIES, (0,), (1 << 64,)))


ALL = dict.fromkeys(PARTITIONS, 3)


async def test_what_is_older_than_the_period_goes_from_logs_history_and_bodies(autojump_clock: MockClock) -> None:
    archive = Archive(ALL)
    async with archive.open(10) as (ann, bob):
        await archive.retention.round()

        assert archive.offsets(ann) == archive.offsets(bob) == [8, 9, 10]
        assert archive.bodies() == 3
        with archive.host.store.snapshot() as view:
            assert [number for number, _ in view.read(LogTable.HISTORY, (1,), 0, limit=99)] == [8, 9, 10]
    assert archive.retention.statistics.rounds == 1
    assert archive.retention.statistics.removed == 4 * 7


async def test_a_partition_without_a_period_is_kept_and_so_are_all_bodies(autojump_clock: MockClock) -> None:
    archive = Archive({"chat": 3})
    async with archive.open(10) as (ann, _):
        await archive.retention.round()

        assert archive.offsets(ann) == [8, 9, 10]
        assert archive.bodies() == 10


async def test_bodies_go_by_the_longest_period(autojump_clock: MockClock) -> None:
    archive = Archive({"chat": 3, "feed": 6}, ("chat", "feed"))
    async with archive.open(10) as (ann, _):
        await archive.retention.round()

        assert archive.offsets(ann) == [8, 9, 10]
        assert archive.bodies() == 6


async def test_without_any_period_nothing_goes(autojump_clock: MockClock) -> None:
    archive = Archive({})
    async with archive.open(5) as (ann, _):
        await archive.retention.round()

        assert archive.offsets(ann) == [1, 2, 3, 4, 5]
        assert archive.bodies() == 5


async def test_deduplication_outlives_the_entries(autojump_clock: MockClock) -> None:
    archive = Archive(ALL, dedup_days=6)
    async with archive.open(10) as (ann, _):
        await archive.retention.round()
        seen = archive.host.keys(Table.SEEN, (0, ""), (9, ""))

        assert [name for _, name in seen] == [f"day {day}" for day in range(4, 10)]
        assert (await archive.host.execute(message(ann, "day 5"))).duplicate


async def test_revocations_go_a_day_after_their_tokens_expired(autojump_clock: MockClock) -> None:
    archive = Archive({})
    async with archive.open(1):
        now = archive.host.wall_clock()
        for number in range(9):
            expires_at = Millis(now - REVOKED_MS + (-1 if number >= 6 else 1))
            await archive.host.execute(Revoke(UserId(1), f"{number}", expires_at))
        await archive.retention.round()

        assert archive.host.keys(Table.REVOKED, (0,), (2,)) == [(1, f"{number}") for number in range(6)]


@pytest.mark.parametrize("scan", [1, 2, 3, 500])
async def test_however_it_walks_it_finds_every_log(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch, scan: int
) -> None:
    monkeypatch.setattr(retention_module, "SCAN", scan)
    archive = Archive(ALL)
    async with archive.open(2) as (ann, bob):
        for partition in PARTITIONS:
            for name in ("cid", "dan"):
                other = await archive.host.device(name)
                sent = message(other, f"{name} {partition}", "ann")._replace(partition=partition)
                await archive.host.execute(sent)
        await trio.sleep(4 * DAY)
        await archive.retention.round()

        assert all(archive.offsets(one, partition) == [] for one in (ann, bob) for partition in PARTITIONS)
        with archive.host.store.snapshot() as view:
            assert [view.read(LogTable.HISTORY, (number,), 0, limit=9) for number in (1, 2, 3)] == [[], [], []]
        assert archive.bodies() == 0


async def test_it_runs_now_and_then(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    archive = Archive({}, every_seconds=60)
    async with archive.open(1):
        nursery.start_soon(archive.retention.run)
        await trio.sleep(59)
        before = archive.retention.statistics.rounds
        await trio.sleep(2)
        after = archive.retention.statistics.rounds
        await trio.sleep(120)

    assert (before, after, archive.retention.statistics.rounds) == (0, 1, 3)
    nursery.cancel_scope.cancel()


async def test_no_message_goes_before_the_logs_that_refer_to_it(autojump_clock: MockClock) -> None:
    """A refusal ends the round: the next one begins again with the logs."""
    archive = Archive(ALL)
    failures = iter([True])

    def fail(step: str, changes: Changes | None) -> None:
        if step == "commit" and changes is not None and changes.cuts and next(failures, False):
            raise OutcomeUnknownError("the disk failed")

    async with archive.open(10) as (ann, bob):
        archive.host.store.before = fail
        await archive.retention.round()
        between = archive.offsets(ann), archive.bodies(), archive.retention.statistics.rounds
        await trio.sleep(60)
        await archive.retention.round()

        assert between == ([*range(1, 11)], 10, 0)
        assert archive.offsets(ann) == archive.offsets(bob)
        assert archive.retention.statistics.rounds == 1


@pytest.mark.parametrize("table", [Table.LOGS, Table.CONVERSATIONS])
async def test_cancelled_at_any_point_it_leaves_the_rest_to_the_next_round(
    autojump_clock: MockClock, table: Table
) -> None:
    archive = Archive(ALL)
    async with archive.open(10) as (ann, _):
        with trio.CancelScope() as scope:
            archive.host.store.after = cancel_at(scope, table)
            await archive.retention.round()
        gc.collect()
        archive.host.store.after = lambda _step, _changes: None
        await archive.retention.round()

        assert scope.cancelled_caught
        assert archive.offsets(ann) == [8, 9, 10]
        assert archive.bodies() == 3


def cancel_at(scope: trio.CancelScope, table: Table) -> Callable[[str, Changes | None], None]:
    def happen(step: str, changes: Changes | None) -> None:
        if step == "commit" and changes is not None and table in changes.puts:
            scope.cancel()

    return happen


async def test_a_store_that_cannot_be_read_is_the_rounds_failure(autojump_clock: MockClock) -> None:
    archive = Archive(ALL)
    async with archive.open(1):
        pass
    archive.host.store.close()

    with pytest.raises(StorageError):
        await archive.retention.round()


async def test_between_slices_in_which_nothing_expired_there_is_a_pause(autojump_clock: MockClock) -> None:
    """However many ids are known, and logs kept: looking through them costs a little all the time, and never much."""
    archive = Archive(ALL)
    async with archive.open(9) as (ann, _):
        for number in range(30):
            await archive.host.execute(message(ann, f"new {number}"))
        await trio.sleep(DAY / 2)
        await archive.retention.round()
        begin = trio.current_time()
        operations = archive.host.statistics.operations
        await archive.retention.round()
        ids = len(archive.host.keys(Table.SEEN, (0, ""), (1 << 32, "")))
        decided = archive.host.statistics.operations - operations

        assert ids == 39
        assert trio.current_time() - begin >= (ids // 4) * retention_module.PAUSE_SECONDS
        assert decided <= ids // 4 + 6  # over the ids, bodies, mentions, threads and revoked; no log, no conversation


async def test_what_has_expired_goes_without_a_pause(autojump_clock: MockClock) -> None:
    archive = Archive(ALL, dedup_days=3)
    async with archive.open(40):
        await trio.sleep(10 * DAY)
        begin = trio.current_time()
        await archive.retention.round()

        assert archive.retention.statistics.removed >= 4 * 40
        assert trio.current_time() - begin < 2 * retention_module.PAUSE_SECONDS


async def test_logs_that_have_grown_by_enough_or_for_long_enough_have_checkpoints(autojump_clock: MockClock) -> None:
    archive = Archive({}, checkpoint_entries=4, checkpoint_seconds=10 * DAY)
    offsets = []
    async with archive.host.open():
        ann, _ = await archive.host.pair()
        for day in range(20):
            await archive.host.execute(message(ann, f"day {day}"))
            await trio.sleep(DAY if day < 10 else 6 * DAY)
            await archive.retention.round()
            kept = archive.host.get(Table.CHECKPOINTS, ann.user, CHAT)
            offsets.append(kept[-1].offset)

    assert offsets == [1, 1, 1, 1, 5, 5, 5, 5, 9, 9, 9, 12, 12, 14, 14, 16, 16, 18, 18, 20]
    assert archive.retention.statistics.checkpoints == 2 * 8


async def test_until_acked_lets_go_of_what_all_devices_have_and_of_the_message_itself(
    autojump_clock: MockClock,
) -> None:
    archive = Archive({}, policies={CHAT: "until-acked"})
    async with archive.open(4) as (ann, bob):
        await archive.host.execute(OpenPosition(bob.user, bob.device, CHAT, start=1))
        await archive.host.execute(OpenPosition(ann.user, ann.device, CHAT, start=1))
        await archive.host.execute(Acknowledge(bob.user, bob.device, CHAT, Offset(3)))
        await archive.retention.round()

        assert archive.offsets(bob) == [4]
        assert archive.offsets(ann) == []  # all of it is her own
        assert archive.bodies() == 1
        with archive.host.store.snapshot() as view:
            assert [number for number, _ in view.read(LogTable.HISTORY, (1,), 0, limit=99)] == [4]


async def test_who_stays_connected_is_live_however_long(autojump_clock: MockClock) -> None:
    archive = Archive({}, policies={CHAT: "until-acked"})
    async with archive.open(1) as (_, bob):
        laptop = await archive.host.execute(Register("bob", "laptop"))
        assert isinstance(laptop, Registered)
        for device in (bob.device, laptop.device):
            await archive.host.execute(OpenPosition(bob.user, device, CHAT, start=1))
        archive.retention._connected = lambda: [SeenDevice(bob.user, "laptop", laptop.device)]
        for _ in range(10):
            await trio.sleep(DAY)
            await archive.retention.round()
        await archive.host.execute(Register("bob", "phone"))
        await archive.host.execute(Acknowledge(bob.user, bob.device, CHAT, Offset(1)))
        await archive.retention.round()
        held = archive.offsets(bob)
        archive.retention._connected = tuple
        await trio.sleep(8 * DAY)
        await archive.host.execute(Register("bob", "phone"))
        await archive.retention.round()

        assert (held, archive.offsets(bob)) == ([1], [])


async def test_what_the_server_was_stopped_counts_for_nobodys_absence(autojump_clock: MockClock) -> None:
    archive = Archive({}, policies={CHAT: "until-acked"})
    async with archive.open(1) as (_, bob):
        laptop = await archive.host.execute(Register("bob", "laptop"))
        assert isinstance(laptop, Registered)
        for device in (bob.device, laptop.device):
            await archive.host.execute(OpenPosition(bob.user, device, CHAT, start=1))
        await trio.sleep(10 * DAY)
        archive.retention._outage_ms = 10 * DAY * 1000
        await archive.host.execute(Register("bob", "phone"))
        await archive.host.execute(Acknowledge(bob.user, bob.device, CHAT, Offset(1)))
        await archive.retention.round()

        assert archive.offsets(bob) == [1]
