"""The orders in which a page walks: numbered records up and down, a user's log by `seq`, and a thread."""

from collections.abc import Callable, Iterator
from typing import Any

from bimip.domain.core.ids import ConversationId, Offset, Stamp, UserId
from bimip.domain.core.ranges import Range
from bimip.domain.core.records import Entry, HistoryEntry, Index, IndexRow, LogTable, Reader, Seq, Table
from bimip.reading.pages import SLICE, FetchedEntry, Judge, Page
from bimip.reading.salvage import UnreadableError

Read = Callable[[Reader, int, int], list[tuple[int, Any]]]
"""Reads records behind a number, at most so many. Raises UnreadableError."""

NOTHING: Range = (1, 0)

HIGHEST = (1 << 64) - 1
"""Beyond any offset."""


class Ascending:
    """Numbered records from one on, up to the head."""

    def __init__(self, read: Read, judge: Callable[[Reader], Judge], first: int, head: int, begin: int | None) -> None:
        """`first`: the oldest that is kept; `begin`: where to start, which may lie in front of it."""
        self._read = read
        self.judge = judge
        self._head = head
        self._at = max(begin or 0, first)
        self._first = first
        self._upto = head  # where the slice that was read ends
        self._is_unreadable = False

    @property
    def is_exhausted(self) -> bool:
        return not self._first <= self._at <= self._head

    def read(self, view: Reader, limit: int) -> list[tuple[int, Any]]:
        self._is_unreadable = False
        try:
            records = self._read(view, self._at - 1, limit)
        except UnreadableError as unreadable:
            self._is_unreadable, self._upto = True, unreadable.upto
            return []
        self._upto = records[-1][0] if records else self._head  # what was there expired in the meantime
        return records

    def move_past(self, place: int) -> Range:
        passed = (self._at, place - 1)
        self._at = place + 1
        return passed

    def end_slice(self, looked: int) -> tuple[Range, int]:
        missing = (self._at, self._upto) if self._is_unreadable else NOTHING
        self._at = self._upto + 1
        return missing, SLICE if self._is_unreadable else looked

    def page(self, rows: list[FetchedEntry], gaps: list[Range]) -> Page:
        """The next one goes on behind the last row, or, without rows, behind what was looked at."""
        following = rows[-1].offset + 1 if rows else min(self._at, self._head + 1)
        return Page(rows, following, self._at > self._head, gaps)


class Descending:
    """Numbered records from one down to the first."""

    def __init__(self, read: Read, judge: Callable[[Reader], Judge], first: int, head: int, begin: int | None) -> None:
        """`begin`: where to start; None: at the head."""
        self._read = read
        self.judge = judge
        self._first = first
        self._head = head
        self._at = head if begin is None else min(begin, head)
        self._after = 0  # where the slice that was read ends

    @property
    def is_exhausted(self) -> bool:
        return not self._first <= self._at <= self._head

    def read(self, view: Reader, limit: int) -> list[tuple[int, Any]]:
        self._after = max(self._first - 1, self._at - limit)
        try:
            records = self._read(view, self._after, self._at - self._after)
        except UnreadableError:
            return []
        return [one for one in reversed(records) if one[0] <= self._at]

    def move_past(self, place: int) -> Range:
        passed = (place + 1, self._at)
        self._at = place - 1
        return passed

    def end_slice(self, looked: int) -> tuple[Range, int]:
        missing = (self._after + 1, self._at)
        self._at = self._after
        return missing, max(looked, 1)

    def page(self, rows: list[FetchedEntry], gaps: list[Range]) -> Page:
        """The next one goes on in front of what was looked at."""
        return Page(rows, max(self._at, 0), self._at < self._first, gaps)


class BySeq:
    """Entries that a user's devices wrote to one of the user's own logs, in the order of their `seq`.

    Its places are rows of the index. An index is trimmed later than its log, so a row may lead to nothing.
    """

    def __init__(
        self,
        place: tuple[UserId, str],
        judge: Callable[[Reader], Judge],
        low: IndexRow,
        high: IndexRow,
        last: tuple[int, ...] | None,
        *,
        backwards: bool,
    ) -> None:
        """`last`: the row to go on behind."""
        self._place = place
        self.judge = judge
        self._low = low
        self._high = high
        self._last = last
        self._backwards = backwards
        self._limit = 0  # of the slice that was read
        self._was_full = True

    @property
    def is_exhausted(self) -> bool:
        return not self._was_full

    def read(self, view: Reader, limit: int) -> Iterator[tuple[Seq, Entry | None]]:
        low, high = self._low, self._high
        if self._last is not None:
            low, high = (low, self._last) if self._backwards else ((*self._last, 0), high)
        rows = view.find(Index.SEQS, self._place, low, high, limit=limit, reverse=self._backwards)
        self._limit = limit
        for seq in map(Seq._make, rows):
            yield seq, self._entry(view, seq.offset)

    def _entry(self, view: Reader, offset: Offset) -> Entry | None:
        found = view.read(LogTable.ENTRIES, self._place, offset - 1, limit=1)
        return found[0][1] if found and found[0][0] == offset else None

    def move_past(self, place: Seq) -> Range:
        self._last = place
        return NOTHING

    def end_slice(self, looked: int) -> tuple[Range, int]:
        self._was_full = looked == self._limit
        return NOTHING, looked

    def page(self, rows: list[FetchedEntry], _gaps: list[Range]) -> Page:
        return Page(rows, self._last[-1] if self._last else 0, complete=self.is_exhausted, last=self._last)


class InThread:
    """Messages of a conversation that answer one of them, by their offsets there."""

    def __init__(
        self,
        thread: tuple[ConversationId, Stamp],
        judge: Callable[[Reader], Judge],
        first: int,
        begin: int | None,
        *,
        backwards: bool,
    ) -> None:
        """`first`: the oldest that is kept, or is the reader's to see; `begin`: where to start; None: at the end where
        the walk begins.
        """
        self._thread = thread
        self.judge = judge
        self._first = first
        self._backwards = backwards
        self._at = (HIGHEST if backwards else 0) if begin is None else begin
        self._limit = 0  # of the slice that was read
        self._was_full = True

    @property
    def is_exhausted(self) -> bool:
        return not self._was_full

    def read(self, view: Reader, limit: int) -> Iterator[tuple[int, HistoryEntry | None]]:
        first = self._first if self._backwards else max(self._first, self._at)
        low, high = (*self._thread, first), (*self._thread, self._at + 1 if self._backwards else HIGHEST)
        rows = view.scan(Table.THREADS, low, high, limit=limit, reverse=self._backwards)
        self._limit = limit
        for (_, _, offset), _ in rows:
            found = view.read(LogTable.HISTORY, self._thread[:1], offset - 1, limit=1)
            yield offset, found[0][1] if found and found[0][0] == offset else None

    def move_past(self, place: int) -> Range:
        self._at = place - 1 if self._backwards else place + 1
        return NOTHING

    def end_slice(self, looked: int) -> tuple[Range, int]:
        self._was_full = looked == self._limit
        return NOTHING, looked

    def page(self, rows: list[FetchedEntry], _gaps: list[Range]) -> Page:
        return Page(rows, min(self._at, HIGHEST), complete=self.is_exhausted)
