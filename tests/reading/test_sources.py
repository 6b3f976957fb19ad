"""Whatever the order, the pages of a source join: each record is in one of them, and what cannot be read is a gap."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bimip.domain.core.ids import ConversationId, ConversationOffset, DeviceId, Offset
from bimip.domain.core.operations import Received
from bimip.domain.core.records import Changes, Index, LogTable, Reader, Seq
from bimip.reading.pages import FetchedEntry, Judge, Page, Source, fill
from bimip.reading.salvage import UnreadableError
from bimip.reading.sources import Ascending, BySeq, Descending
from bimip.storage.memory import MemoryStore
from tests.reading.support import ANN, PHONE, entry

HEAD = 300


class Numbers:
    """Records 1 to HEAD, of which some cannot be read: alone, or a whole stretch at once."""

    def __init__(self, missing: set[int], stretch: tuple[int, int]) -> None:
        self._stretch = range(stretch[0], stretch[1] + 1)
        self.whole = sorted({*range(1, HEAD + 1)} - missing - {*self._stretch})

    def read(self, _view: Reader, after: int, limit: int) -> list[tuple[int, str]]:
        if after + 1 in self._stretch:
            raise UnreadableError(self._stretch[-1])
        return [(number, str(number)) for number in self.whole if number > after][:limit]


def row(place: int, _record: Any) -> FetchedEntry:
    alone = ConversationOffset(place)
    return FetchedEntry(place, b"x", acknowledged=False, place=Received(ConversationId(1), alone, alone))


def judge(_view: Reader) -> Judge:
    return row


def judge_seqs(_view: Reader) -> Judge:
    return lambda seq, _entry: row(seq.offset, None)


def page(source: Source, limit: int, store: MemoryStore | None = None) -> Page:
    scan = fill(store or MemoryStore(), source, limit)
    try:
        while True:
            assert next(scan) >= 0
    except StopIteration as end:
        found: Page = end.value
        return found


missing = st.sets(st.integers(1, HEAD), max_size=20)


@given(missing, st.integers(1, HEAD), st.integers(-1, 150), st.integers(5, 120))
def test_upwards_each_record_is_in_one_page_and_the_rest_is_gaps(
    lost: set[int], begin: int, length: int, limit: int
) -> None:
    numbers = Numbers(lost, (begin, min(HEAD, begin + length)))
    rows, gaps, at, complete = list[int](), set[int](), 0, False
    while not complete:
        made = page(Ascending(numbers.read, judge, 1, HEAD, at), limit)
        rows += [one.offset for one in made.rows]
        gaps |= {number for first, last in made.gaps for number in range(first, last + 1)}
        assert made.next_offset > at or made.complete
        at, complete = made.next_offset, made.complete

    assert rows == numbers.whole
    assert not gaps & set(rows)


@given(missing, st.integers(5, 120))
def test_downwards_each_record_is_in_one_page_and_the_rest_is_gaps(lost: set[int], limit: int) -> None:
    numbers = Numbers(lost, (1, 0))
    rows, gaps, complete = list[int](), set[int](), False
    at: int | None = None
    while not complete:
        made = page(Descending(numbers.read, judge, 1, HEAD, at), limit)
        rows += [one.offset for one in made.rows]
        gaps |= {number for first, last in made.gaps for number in range(first, last + 1)}
        at, complete = made.next_offset, made.complete

    assert rows == numbers.whole[::-1]
    assert gaps == lost


@given(times=st.lists(st.integers(0, 50), max_size=200), limit=st.integers(5, 90), backwards=st.booleans())
def test_by_seq_each_row_is_in_one_page_in_its_order(times: list[int], limit: int, *, backwards: bool) -> None:
    seqs = [Seq(time, number, DeviceId(PHONE), Offset(number + 1)) for number, time in enumerate(times)]
    place = (ANN, "chat")
    store = MemoryStore()
    store.begin()
    entries: dict[Any, Any] = {
        (LogTable.ENTRIES, place): [(number + 1, entry(number + 1)) for number in range(len(times))]
    }
    store.apply(Changes(appends=entries if times else {}, inserts={(Index.SEQS, place): list(seqs)}))
    store.commit()
    rows, last, complete = list[int](), None, False
    while not complete:
        made = page(
            BySeq(
                place, lambda _view: lambda seq, _entry: row(seq.offset, None), (0,), (99,), last, backwards=backwards
            ),
            limit,
            store,
        )
        rows += [one.offset for one in made.rows]
        last, complete = made.last, made.complete

    assert rows == [seq.offset for seq in sorted(seqs, reverse=backwards)]
