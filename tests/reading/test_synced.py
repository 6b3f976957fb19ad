"""What a device has of others is read off the log and its floor, in slices, and no further down than it takes."""

from typing import Any

from bimip.domain.core.ids import DeviceId, Millis, Offset
from bimip.domain.core.records import Cursor, Device, Log, LogTable, Table
from bimip.reading.fetches import PageStart, Viewer
from bimip.reading.pages import Page
from bimip.reading.synced import MOST, SLICE, scan_synced
from bimip.storage.memory import MemoryStore
from bimip.wire import bimip_pb2 as pb
from tests.reading.support import ANN, LAPTOP, PHONE, entry, store_with

TABLET = DeviceId(13)
NAMES = {PHONE: "phone", LAPTOP: "laptop", TABLET: "tablet"}
VIEWER = Viewer(ANN, "ann", PHONE, "phone")


def log_by(origins: list[DeviceId | None], floor: int, *above: tuple[int, int]) -> MemoryStore:
    """Ann's log, whose entries these devices wrote (None: somebody else), and her phone's place in it."""
    entries = [
        (offset, entry(offset) if origin is None else entry(offset, author=ANN, origin=origin))
        for offset, origin in enumerate(origins, 1)
    ]
    tables: dict[Table, dict[Any, Any]] = {
        Table.LOGS: {(ANN, "chat"): Log(Offset(1), Offset(len(origins)))},
        Table.DEVICES: {(ANN, name): Device(number, Millis(0), Millis(0)) for number, name in NAMES.items()},
        Table.CURSORS: {(PHONE, "chat"): Cursor(Offset(floor), above)},
    }
    return store_with(tables, {(LogTable.ENTRIES, (ANN, "chat")): entries})


def scan(store: MemoryStore, offset: int | None = None, limit: int = 9) -> tuple[Page, int]:
    """The page, and the slices that it took."""
    scanning = scan_synced(store, VIEWER, pb.Fetch(partition="chat"), PageStart(offset), limit)
    slices = 0
    while True:
        try:
            next(scanning)
        except StopIteration as end:
            return end.value, slices
        slices += 1


def told(page: Page) -> dict[str, tuple[int, int, int]]:
    synced = pb.Body.FromString(b"".join(page.parts)).synced
    return {one.origin: (one.upto, one.head, one.missing) for one in synced}


def test_above_the_floor_what_is_acknowledged_singly_is_not_missing() -> None:
    page, _ = scan(log_by([LAPTOP, PHONE, LAPTOP, TABLET, LAPTOP], 1, (3, 3)))

    assert told(page) == {"laptop": (1, 5, 1), "tablet": (0, 4, 1)}
    assert page.complete


def test_it_stops_where_there_is_nothing_more_to_learn() -> None:
    page, slices = scan(log_by([None] * 5000 + [LAPTOP, TABLET], 5002))

    assert told(page) == {"laptop": (5001, 5001, 0), "tablet": (5002, 5002, 0)}
    assert (page.complete, slices) == (True, 1)


def test_of_a_long_log_so_much_is_looked_at_and_the_pages_add_up() -> None:
    store = log_by([LAPTOP, LAPTOP] + [None] * MOST + [LAPTOP], 1)
    first, slices = scan(store)
    second, _ = scan(store, first.next_offset)

    assert slices == MOST // SLICE
    assert (told(first), first.complete) == ({"laptop": (0, MOST + 3, 1)}, False)
    assert (told(second), second.complete) == ({"laptop": (1, 2, 1)}, True)


def test_it_tells_of_no_more_devices_than_it_is_asked_for() -> None:
    page, _ = scan(log_by([LAPTOP, TABLET], 2), limit=1)

    assert list(told(page)) == ["laptop"]
