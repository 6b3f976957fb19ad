"""What waits for a device is counted: what it is owed and has not acknowledged, with its bytes and the oldest's age."""

from collections.abc import Generator
from typing import Any, TypeVar

import pytest

from bimip.domain.core.clock import earliest_stamp
from bimip.domain.core.ids import Millis, Offset
from bimip.domain.core.records import Cursor, DamagedRecordError, Entry, Log, LogTable, Table
from bimip.reading import backlog
from bimip.reading.backlog import Backlog, measure_backlog
from bimip.storage.memory import MemoryStore
from tests.reading.support import ANN, PHONE, entry, store_with

T = TypeVar("T")


def finish(work: Generator[None, None, T]) -> tuple[T, int]:
    """What work in slices comes to, and how many slices it took."""
    slices = 0
    while True:
        try:
            next(work)
        except StopIteration as end:
            return end.value, slices
        slices += 1


def log_of(count: int, cursor: Cursor | None, *, first: int = 1) -> MemoryStore:
    """A log of messages of ten bytes, of which each fifth was written by the phone itself."""
    entries = [
        (offset, _written(entry(offset, origin=PHONE) if offset % 5 == 0 else entry(offset)))
        for offset in range(first, count + 1)
    ]
    puts: dict[Table, dict[Any, Any]] = {
        Table.LOGS: {(ANN, "chat"): Log(Offset(first), Offset(count))},
        Table.BODIES: {(one.stamp,): bytes(10) for _, one in entries},
        Table.CURSORS: {} if cursor is None else {(PHONE, "chat"): cursor},
    }
    return store_with(puts, {(LogTable.ENTRIES, (ANN, "chat")): list(entries)})


def _written(one: Entry) -> Entry:
    """An entry that was accepted in the second of its offset."""
    return one._replace(stamp=earliest_stamp(Millis(1000 * (one.stamp - 100))))


def test_what_the_device_wrote_or_acknowledged_does_not_wait_for_it() -> None:
    store = log_of(12, Cursor(Offset(4), ((7, 8),)))
    found, _ = finish(measure_backlog(store, ANN, PHONE, "chat"))

    assert found == Backlog(messages=4, bytes=40, oldest=found.oldest)  # 6, 9, 11, 12
    assert found.oldest == 6000


def test_what_a_log_has_no_more_does_not_wait() -> None:
    store = log_of(9, Cursor(Offset(1), ()), first=8)
    found, _ = finish(measure_backlog(store, ANN, PHONE, "chat"))

    assert (found.messages, found.bytes) == (2, 20)


@pytest.mark.parametrize("cursor", [None, Cursor(Offset(12), ())])
def test_nothing_waits_for_who_asked_for_nothing_or_has_all(cursor: Cursor | None) -> None:
    found, _ = finish(measure_backlog(log_of(12, cursor), ANN, PHONE, "chat"))

    assert found == Backlog()


def test_much_is_looked_at_in_slices_and_not_beyond_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backlog, "AT_ONCE", 4)
    store = log_of(12, Cursor(Offset(0), ()))
    whole, slices = finish(measure_backlog(store, ANN, PHONE, "chat"))
    some, fewer = finish(measure_backlog(store, ANN, PHONE, "chat", 7))
    none, _ = finish(measure_backlog(store, ANN, PHONE, "chat", 0))

    assert (whole.messages, whole.is_whole, slices) == (10, True, 3)
    assert (some.messages, some.is_whole, fewer) == (6, False, 2)
    assert none == Backlog(is_whole=False)


def test_of_a_damaged_log_it_is_said_that_not_all_was_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    store = log_of(12, Cursor(Offset(0), ()))
    damage_reads(monkeypatch)

    assert finish(measure_backlog(store, ANN, PHONE, "chat"))[0] == Backlog(is_whole=False)


def damage_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets every log be damaged."""

    def damaged(*_about: object, **_more: object) -> None:
        raise DamagedRecordError

    monkeypatch.setattr("bimip.storage.memory._State.read", damaged)
