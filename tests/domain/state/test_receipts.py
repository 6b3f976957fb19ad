from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from bimip.domain.core import ranges
from bimip.domain.core.ids import ConversationOffset, Millis
from bimip.domain.core.records import ReceiptRun, Runs
from bimip.domain.state.receipts import (
    BLOCK,
    PART,
    PARTS,
    block_of,
    by_part,
    compress,
    covers,
    fresh,
    merge,
    part_of,
)

times = st.dictionaries(st.integers(1, 25), st.integers(1, 4).map(Millis), max_size=25)
maps = times.map(lambda given: compress(sorted(given.items())))


def as_map(runs: Runs) -> dict[int, Millis]:
    return {offset: run.time for run in runs for offset in range(run.first, run.last + 1)}


def union(one: Runs, other: Runs) -> dict[int, Millis]:
    known = as_map(one)
    for offset, time in as_map(other).items():
        known[offset] = min(time, known.get(offset, time))
    return known


@given(times)
def test_runs_are_the_shortest_form_of_a_map(given: dict[int, Millis]) -> None:
    runs = compress(sorted(given.items()))

    assert as_map(runs) == given
    pairs = pairwise(runs)
    assert all(
        one.last < other.first and (one.last + 1 < other.first or one.time != other.time) for one, other in pairs
    )


@given(maps, maps)
def test_a_merge_is_the_union_and_the_earliest_time_wins(one: Runs, other: Runs) -> None:
    assert as_map(merge(one, other)) == union(one, other)


@given(maps, maps)
def test_merging_commutes(one: Runs, other: Runs) -> None:
    assert merge(one, other) == merge(other, one)


@given(maps, maps, maps)
def test_merging_associates(one: Runs, other: Runs, third: Runs) -> None:
    assert merge(merge(one, other), third) == merge(one, merge(other, third))


@given(maps, maps)
def test_merging_again_changes_nothing(one: Runs, other: Runs) -> None:
    merged = merge(one, other)

    assert merge(merged, other) == merged
    assert merge(one, one) == one
    assert merge(one, ()) == one == merge((), one)


@given(maps, maps)
def test_fresh_is_what_a_merge_adds(known: Runs, added: Runs) -> None:
    before = as_map(known)
    news = {offset: time for offset, time in union(known, added).items() if before.get(offset) != time}

    assert as_map(fresh(known, added)) == news
    assert merge(known, fresh(known, added)) == merge(known, added)


@given(maps, maps)
def test_what_is_fresh_once_is_not_fresh_again(known: Runs, added: Runs) -> None:
    assert fresh(merge(known, added), added) == ()


@given(maps, st.integers(1, 26))
def test_whether_an_offset_is_covered(runs: Runs, offset: int) -> None:
    assert covers(runs, offset) == (offset in as_map(runs))


@given(st.sets(st.integers(1, 4 * PART), max_size=6), st.integers(0, 2 * PART))
def test_parts_share_the_ranges_between_them(starts: set[int], length: int) -> None:
    given = ranges.normal((start, start + length) for start in starts)
    parts = by_part(given, Millis(7))

    assert list(parts) == sorted({part_of(offset) for offset in ranges.offsets(given)})
    assert ranges.normal((run.first, run.last) for runs in parts.values() for run in runs) == given
    assert all(part_of(run.first) == part_of(run.last) == part for part, runs in parts.items() for run in runs)
    assert {run.time for runs in parts.values() for run in runs} <= {7}


@given(st.integers(1, 4 * BLOCK))
def test_a_block_is_eight_parts(offset: int) -> None:
    assert block_of(offset) == part_of(offset) // PARTS


def test_a_block_holds_256_offsets_from_one_on() -> None:
    assert [block_of(offset) for offset in (1, 256, 257, 512, 513)] == [0, 0, 1, 1, 2]


def run(first: int, last: int, time: int) -> ReceiptRun:
    return ReceiptRun(ConversationOffset(first), ConversationOffset(last), Millis(time))


def test_a_live_ack_makes_the_last_run_longer() -> None:
    known = (run(1, 3, 7),)

    assert merge(known, (run(4, 5, 7),)) == (run(1, 5, 7),)
    assert merge(known, (run(4, 5, 8),)) == (run(1, 3, 7), run(4, 5, 8))
