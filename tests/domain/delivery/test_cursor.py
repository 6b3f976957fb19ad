"""Against the plain model: a set of acknowledged offsets, and the floor that follows from it."""

from dataclasses import dataclass, field
from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from bimip.domain.core import ranges
from bimip.domain.core.ids import ConversationId, ConversationOffset, DeviceId, Offset, Stamp, UserId
from bimip.domain.core.operations import Acknowledge
from bimip.domain.core.ranges import Ranges
from bimip.domain.core.records import Addressed, Changes, Cursor, Entry, Log, LogTable, Table
from bimip.domain.core.rules import Rules
from bimip.domain.delivery.cursor import AHEAD, START, advance
from bimip.storage.memory import MemoryStore
from tests.domain.support import BODIES

USER, OTHER = UserId(1), UserId(2)
PHONE, LAPTOP, THEIRS = DeviceId(1), DeviceId(2), DeviceId(3)
PLACE = (USER, "chat")

OWED, OWN, SIBLINGS, TO_PHONE, TO_LAPTOP = range(5)
"""What an entry is to the phone: another user's, its own, the laptop's, addressed to the phone, or to the laptop."""

kinds = st.lists(st.sampled_from([OWED, OWED, OWN, SIBLINGS, TO_PHONE, TO_LAPTOP]), min_size=1, max_size=40)
acks = st.lists(
    st.tuples(st.integers(0, 45), st.lists(st.tuples(st.integers(1, 45), st.integers(0, 6)), max_size=4)), max_size=6
)
AUTHORS = {
    OWED: (OTHER, THEIRS),
    OWN: (USER, PHONE),
    SIBLINGS: (USER, LAPTOP),
    TO_PHONE: (OTHER, THEIRS),
    TO_LAPTOP: (OTHER, THEIRS),
}


class Step(NamedTuple):
    cursor: Cursor
    told: list[int]  # offsets, which here are the same in the conversation
    rest: tuple[int, Ranges] | None


@dataclass
class Phone:
    kinds: list[int]
    first: int = 1
    store: MemoryStore = field(default_factory=MemoryStore)
    kept: set[int] = field(default_factory=set)  # acknowledged, and remembered
    given: set[int] = field(default_factory=set)  # acknowledged ever

    def __post_init__(self) -> None:
        changes = Changes(puts={Table.LOGS: {PLACE: Log(Offset(self.first), Offset(self.head))}, Table.ADDRESSED: {}})
        entries = []
        for number, kind in enumerate(self.kinds, 1):
            author, origin = AUTHORS[kind]
            stamp, place = Stamp(1000 + number), ConversationOffset(number)
            entries.append((number, Entry(stamp, ConversationId(1), place, author, origin, kind in {3, 4}, bytes(8))))
            if kind in {TO_PHONE, TO_LAPTOP}:
                device = PHONE if kind == TO_PHONE else LAPTOP
                changes.puts[Table.ADDRESSED][stamp, USER] = (Addressed(device, None),)
        changes.appends[LogTable.ENTRIES, PLACE] = entries
        changes.cuts[LogTable.ENTRIES, PLACE] = self.first
        self.commit(changes)

    @property
    def head(self) -> int:
        return len(self.kinds)

    @property
    def owed(self) -> set[int]:
        return {
            number
            for number, kind in enumerate(self.kinds, 1)
            if kind in {OWED, SIBLINGS, TO_PHONE} and number >= self.first
        }

    def commit(self, changes: Changes) -> None:
        self.store.begin()
        self.store.apply(changes)
        self.store.commit()

    def cursor(self) -> Cursor:
        with self.store.snapshot() as view:
            return view.get(Table.CURSORS, (PHONE, "chat")) or START

    def advance(self, upto: int, more: Ranges, *, window: int = 1000, limit: int = 1000) -> Step:
        op = Acknowledge(USER, PHONE, "chat", Offset(upto), more)
        rules = Rules(bodies=BODIES, window_entries=window, slice_entries=limit)
        with self.store.snapshot() as view:
            cursor, taken, rest = advance(view, op, view.get(Table.LOGS, PLACE), self.cursor(), rules)
        self.commit(Changes(puts={Table.CURSORS: {(PHONE, "chat"): cursor}}))
        told: list[int] = [entry.conversation_offset for entries in taken for entry in entries if entry.origin != PHONE]
        return Step(cursor, told, rest and (rest.upto, rest.ranges))

    def acknowledge(self, upto: int, more: Ranges, *, window: int = 1000, limit: int = 1000) -> list[int]:
        """All slices of it. Returns the offsets whose acknowledgement was told as new."""
        told: list[int] = []
        rest: tuple[int, Ranges] | None = (upto, more)
        slices = 0
        while rest is not None:
            before = self.cursor()
            step = self.advance(*rest, window=window, limit=limit)
            told += step.told
            slices += 1

            assert step.cursor.floor >= before.floor
            assert ranges.count(step.cursor.above) <= window
            assert not step.cursor.above or step.cursor.above[0][0] > step.cursor.floor
            assert ranges.normal(step.cursor.above) == step.cursor.above
            assert slices <= 2 + 2 * (self.head // limit + 1)
            rest = step.rest
        return told


def exact_floor(phone: Phone, acknowledged: set[int], floor: int) -> int:
    """Everything owed at or below is acknowledged."""
    floor = max(floor, phone.first - 1)
    while floor < phone.head and (floor + 1 not in phone.owed or floor + 1 in acknowledged):
        floor += 1
    return floor


def ranges_of(pairs: list[tuple[int, int]]) -> Ranges:
    return ranges.normal((first, first + length) for first, length in pairs)


@given(kinds, acks, st.integers(1, 10))
def test_the_floor_and_what_is_kept_are_those_of_the_model(
    given_kinds: list[int], given_acks: list[tuple[int, list[tuple[int, int]]]], first: int
) -> None:
    phone = Phone(given_kinds, min(first, len(given_kinds) + 1))
    floor, acknowledged = 0, set[int]()
    for upto, pairs in given_acks:
        more = ranges_of(pairs)
        before = set(acknowledged)
        reached = max(floor, min(upto, phone.head))
        acknowledged |= set(range(1, reached + 1)) | {offset for offset in ranges.offsets(more) if offset <= phone.head}
        told = phone.acknowledge(upto, more)
        expected_floor = exact_floor(phone, acknowledged, reached)
        expected = phone.owed & acknowledged - before - set(range(1, floor + 1))
        floor = expected_floor

        assert phone.cursor().floor == expected_floor
        assert set(ranges.offsets(phone.cursor().above)) == {one for one in acknowledged if one > expected_floor}
        assert told == sorted(expected)


@given(kinds, acks, st.integers(1, 5), st.integers(1, 7))
def test_however_it_is_sliced_and_bounded_nothing_is_claimed_or_lost(
    given_kinds: list[int], given_acks: list[tuple[int, list[tuple[int, int]]]], window: int, limit: int
) -> None:
    phone = Phone(given_kinds)
    acknowledged, told_ever = set[int](), set[int]()
    reached = 0
    for upto, pairs in given_acks:
        more = ranges_of(pairs)
        reached = max(reached, min(upto, phone.head))
        now = set(range(1, min(upto, phone.head) + 1)) | set(ranges.offsets(more))
        acknowledged |= {offset for offset in now if offset <= phone.head}
        told_ever |= set(phone.acknowledge(upto, more, window=window, limit=limit))
        cursor = phone.cursor()

        assert told_ever == phone.owed & acknowledged
        assert reached <= cursor.floor <= exact_floor(phone, acknowledged, reached)
        assert set(ranges.offsets(cursor.above)) <= acknowledged


@given(kinds, st.permutations(range(1, 13)))
def test_single_acks_in_any_order_close_the_gap(given_kinds: list[int], order: list[int]) -> None:
    phone = Phone(given_kinds)
    told: list[int] = []
    for offset in order:
        if offset <= phone.head:
            told += phone.acknowledge(0, ((offset, offset),))

    assert sorted(told) == sorted(phone.owed & set(order))
    assert phone.cursor().floor == exact_floor(phone, set(order), 0)
    assert phone.cursor().above == ()


def test_an_ack_of_more_than_the_window_in_ranges_gives_every_receipt() -> None:
    phone = Phone([OWED] * 40)
    told = phone.acknowledge(0, ((1, 30), (32, 40)), window=4, limit=7)

    assert sorted(set(told)) == [*range(1, 31), *range(32, 41)]
    assert phone.cursor().floor == 30


def test_what_lies_beyond_the_window_is_not_kept() -> None:
    phone = Phone([OWED] * 9)
    told = phone.acknowledge(0, ((2, 3), (5, 8)), window=3)

    assert told == [2, 3, 5, 6, 7, 8]
    assert phone.cursor() == Cursor(Offset(0), ((2, 3), (5, 5)))


def test_a_slice_says_where_it_goes_on() -> None:
    phone = Phone([OWED] * 10)
    step = phone.advance(9, (), limit=4)

    assert step.cursor == Cursor(Offset(4), ())
    assert step.rest == (9, ())
    assert step.told == [1, 2, 3, 4]


def test_an_ack_of_what_expired_moves_the_floor_to_where_the_log_begins() -> None:
    phone = Phone([OWED] * 9, first=6)

    assert phone.acknowledge(2, ()) == []
    assert phone.cursor() == Cursor(Offset(5), ())


def test_the_floor_passes_over_what_is_not_owed() -> None:
    phone = Phone([OWED, OWN, TO_LAPTOP, OWN, OWED, OWN])

    assert phone.acknowledge(1, ()) == [1]
    assert phone.cursor().floor == 4


def test_the_floor_stays_behind_all_of_the_own_that_it_passed_over_however_it_is_read() -> None:
    phone = Phone([OWED, *[OWN] * AHEAD, OWED])  # the one behind them is read by itself

    assert phone.acknowledge(1, ()) == [1]
    assert phone.cursor().floor == 1 + AHEAD
