"""The one loop that fills a page.

A page is made a slice at a time: each looks at no more than SLICE records in one view of the store, and yields how many
it looked at. Whoever runs it lets others have their turn in between, and charges the asking device for what was looked
at. What changes between two slices is seen by the later one: a page is no snapshot, and needs to be none, since entries
never change.

A source says in which order the records come, and where it stands; the judge that it gives for each view says what of a
record is in the page. Both know nothing of room: that is kept here.
"""

from collections.abc import Callable, Generator, Iterable, Sequence
from typing import Any, NamedTuple, Protocol

from bimip.domain.core.ids import Stamp
from bimip.domain.core.operations import Received
from bimip.domain.core.ranges import Range
from bimip.domain.core.records import Reader
from bimip.reading.state import Change
from bimip.storage.interface import Store

SLICE = 64
"""Entries looked at in one turn: each costs up to 15 microseconds."""
MAX_SCAN = 1000
"""Entries looked at for one answer; `next_offset` goes on."""
ANSWER_BYTES = 384 * 1024
"""Of messages; beside them comes what is so now of them, which may be another content of each."""


class FetchedEntry(NamedTuple):
    offset: int
    part: bytes | None  # None: it is damaged
    acknowledged: bool
    place: Received
    is_own: bool = False  # the user who asks wrote it
    stamp: Stamp = Stamp(0)


class Page(NamedTuple):
    rows: list[FetchedEntry]  # in the order that was asked for
    next_offset: int
    complete: bool
    gaps: Sequence[Range] = ()  # of a log: what was asked for and is damaged
    last: tuple[int, ...] | None = None  # the row to go on behind, where the order is not that of offsets
    changes: Sequence[Change] = ()  # of RECEIPTS, instead of rows
    parts: Sequence[bytes] = ()  # other elements of Body
    concerned: Sequence[FetchedEntry] = ()  # messages that stand in these


Scan = Generator[int, None, Page]
"""Yields, after each slice, how many entries it looked at."""

Judge = Callable[[Any, Any], FetchedEntry | None]
"""Whether a record, with its place in the source, is in the page."""


class Source(Protocol):
    """Records in one order, and where in it a page has come to."""

    @property
    def is_exhausted(self) -> bool: ...

    def read(self, view: Reader, limit: int) -> Iterable[tuple[Any, Any]]:
        """Reads the next records with their places, in the order of the walk. Nothing moves."""
        ...

    def judge(self, view: Reader) -> Judge: ...

    def move_past(self, place: Any) -> Range:  # noqa: ANN401 - a number, or the row of an index
        """Moves behind a record. Returns what lay in front of it and cannot be read, which mostly ends before it
        begins: nothing.
        """
        ...

    def end_slice(self, looked: int) -> tuple[Range, int]:
        """All that was read was looked at. Moves behind it; returns what of it cannot be read, and what it counts."""
        ...

    def page(self, rows: list[FetchedEntry], gaps: list[Range]) -> Page: ...


class Found:
    """The rows of a page, until there is no room for more."""

    def __init__(self, limit: int) -> None:
        self.rows: list[FetchedEntry] = []
        self.gaps: list[Range] = []
        self._left = MAX_SCAN  # entries that may still be looked at
        self._limit = limit
        self._size = 0

    def has_room(self) -> bool:
        return self._left > 0 and len(self.rows) < self._limit and self._size <= ANSWER_BYTES

    @property
    def slice(self) -> int:
        return min(SLICE, self._left)

    def miss(self, missing: Range) -> None:
        """These cannot be read."""
        first, last = missing
        if first <= last:
            self.gaps.append(missing)
            self._left -= min(last - first + 1, SLICE)

    def look(self, row: FetchedEntry | None) -> None:
        """An entry was looked at; it is in the page unless it is None."""
        self._left -= 1
        if row is not None and row.part is None:
            self.gaps.append((row.offset, row.offset))
        elif row is not None:
            self.rows.append(row)
            self._size += len(row.part or b"")


def fill(store: Store, source: Source, limit: int) -> Scan:
    """Fills a page of at most `limit` rows."""
    found = Found(limit)
    while found.has_room() and not source.is_exhausted:
        with store.snapshot() as view:
            counted = _look_through(view, source, found)
        yield counted
    return source.page(found.rows, sorted(found.gaps))


def _look_through(view: Reader, source: Source, found: Found) -> int:
    looked, judge = 0, source.judge(view)
    for place, record in source.read(view, found.slice):
        if not found.has_room():
            return looked
        found.miss(source.move_past(place))
        found.look(judge(place, record))
        looked += 1
    missing, counted = source.end_slice(looked)
    found.miss(missing)
    return counted
