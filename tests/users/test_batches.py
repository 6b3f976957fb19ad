"""A batch has of a log what its device is owed, in order, whatever stands between; and what is alike goes together."""

from types import SimpleNamespace
from typing import Any, NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from bimip.domain.core.ids import Offset
from bimip.domain.core.operations import Received
from bimip.domain.core.ranges import Ranges, contains, normal
from bimip.domain.core.records import Addressed, Entry, Log, LogTable, Table
from bimip.reading.log import read_segments
from bimip.session.window import Window
from bimip.users.batches import LOOK_MOST, BatchBuilder
from bimip.users.poison import PoisonEntries
from bimip.wire import bimip_pb2 as pb
from bimip.wire import stored
from tests.reading.support import ANN, LAPTOP, PHONE, entry, store_with

THEIRS, OWN, MINE, ELSEWHERE, MISSING = "theirs", "own", "addressed here", "addressed elsewhere", "missing"
KINDS = st.sampled_from([THEIRS, THEIRS, THEIRS, THEIRS, OWN, OWN, MINE, ELSEWHERE, MISSING])
ROOM = 1 << 20


def body(offset: int) -> bytes:
    sent = pb.Message(id=f"m{offset}").SerializeToString()
    (made,) = stored.store([sent], stamps=[(100 + offset, "s" * 13, 1)], conversation="c1", conversation_offset=offset)
    return made


def entry_of(offset: int, kind: str) -> Entry:
    if kind == OWN:
        return entry(offset, author=ANN, origin=PHONE)
    return entry(offset, addressed=kind in {MINE, ELSEWHERE})


class Batch(NamedTuple):
    sent: list[int]
    gaps: list[tuple[int, int]]
    passed: list[int]
    upto: int
    pieces: int
    in_flight: list[int]
    places: list[Received]


def batch(
    kinds: list[str],
    *,
    after: int = 0,
    held: Ranges = (),
    own_upto: int = 0,
    room: int = ROOM,
    most: int = 256,
    damaged: int = 0,
) -> Batch:
    """The next frame's share of a log of such entries."""
    numbered = list(enumerate(kinds, 1))
    store = store_with(
        {
            Table.LOGS: {(ANN, "chat"): Log(Offset(1), Offset(len(kinds)))},
            Table.BODIES: {(100 + offset,): body(offset) for offset, kind in numbered if kind != MISSING},
            Table.ADDRESSED: {
                (100 + offset, ANN): (Addressed(PHONE if kind == MINE else LAPTOP, b"for one"),)
                for offset, kind in numbered
                if kind in {MINE, ELSEWHERE}
            },
        },
        {(LogTable.ENTRIES, (ANN, "chat")): [(offset, entry_of(offset, kind)) for offset, kind in numbered]},
    )
    poison = PoisonEntries()
    for _ in range(2 if damaged else 0):
        poison.note((ANN, "chat", damaged), RuntimeError("a defect"))
    window = Window(
        Offset(after),
        held,
        Offset(own_upto),
        max_entries=most,
        max_bytes=ROOM,
        grace_seconds=1.0,
        max_rounds=1,
    )
    services = SimpleNamespace(store=store, poison=poison, delivery=SimpleNamespace(gaps=dict.fromkeys(range(9), 0)))
    session: Any = SimpleNamespace(
        number=ANN,
        services=services,
        read_log=lambda partition, after, limit, size: read_segments(
            store, ANN, partition, after, max(limit, 16), size
        ),
    )
    parts: list[bytes] = []
    built = BatchBuilder(session, PHONE, "chat", window, parts, room)
    built.fill(Offset(len(kinds)))
    frame = pb.Body.FromString(b"".join(parts))
    return Batch(
        [message.user_offset for message in frame.messages],
        [(getattr(gap, "from"), gap.to) for gap in frame.gaps],
        [one.offset for one in frame.passed],
        built.upto,
        len(parts),
        [first + at for first, sizes in built.flight for at in range(len(sizes))],
        built.places,
    )


@given(
    st.lists(KINDS, max_size=40),
    st.lists(st.tuples(st.integers(1, 40), st.integers(0, 5)), max_size=3),
    st.integers(0, 40),
    st.integers(0, 40),
    st.sampled_from([ROOM, ROOM, 60, 300, 1000]),
    st.sampled_from([256, 256, 5]),
    st.integers(0, 40),
)
def test_it_has_what_is_owed_up_to_where_it_ends(
    kinds: list[str],
    pairs: list[tuple[int, int]],
    after: int,
    own_upto: int,
    room: int,
    most: int,
    damaged: int,
) -> None:
    after = min(after, len(kinds))
    held = normal((max(first, after + 1), first + more) for first, more in pairs)
    found = batch(kinds, after=after, held=held, own_upto=own_upto, room=room, most=most, damaged=damaged)
    covered = range(after + 1, found.upto + 1)
    wanted = [at for at in covered if not contains(held, at) and (kinds[at - 1] != OWN or at <= own_upto)]
    broken = [at for at in wanted if kinds[at - 1] == MISSING or at == damaged]

    assert found.sent == [at for at in wanted if at not in broken and kinds[at - 1] != ELSEWHERE]
    assert found.gaps == [(at, at) for at in broken]
    assert found.passed == [at for at in wanted if at not in broken and kinds[at - 1] == ELSEWHERE]
    assert found.in_flight == found.sent
    assert [at for _, first, last in found.places for at in range(first, last + 1)] == found.sent
    assert len(found.sent) <= most
    if room == ROOM and most == 256:
        assert found.upto >= min(len(kinds), LOOK_MOST)


def test_what_both_wrote_goes_as_one_piece_where_the_own_is_wanted_again() -> None:
    found = batch([THEIRS, OWN] * 50, own_upto=100)

    assert found.sent == list(range(1, 101))
    assert found.pieces == 1


def test_where_the_own_is_wanted_no_more_it_is_cut() -> None:
    found = batch([THEIRS, OWN, OWN, THEIRS, OWN, *[THEIRS] * 20], own_upto=2)

    assert found.sent == [1, 2, 4, *range(6, 26)]
    assert found.pieces == 3


def test_what_stands_before_and_behind_an_addressed_entry_goes_together() -> None:
    found = batch([*[THEIRS] * 30, MINE, *[THEIRS] * 30])

    assert found.sent == list(range(1, 62))
    assert found.pieces == 3


def test_what_stands_behind_all_that_is_held_goes_together() -> None:
    found = batch([THEIRS] * 60, held=((3, 4), (6, 6)))

    assert found.sent == [1, 2, 5, *range(7, 61)]
    assert found.pieces == 4


def test_what_is_held_goes_to_nobody_again_where_the_own_is_wanted_up_to_the_end() -> None:
    found = batch([OWN, THEIRS] * 20, held=((10, 11), (30, 30)), own_upto=40)

    assert found.sent == [at for at in range(1, 41) if at not in {10, 11, 30}]
    assert (found.upto, found.gaps) == (40, [])


def test_the_own_is_wanted_between_what_is_held_and_where_it_begins() -> None:
    found = batch([THEIRS, OWN] * 20, held=((10, 11),), own_upto=25)

    assert found.sent == [at for at in range(1, 41) if at not in {10, 11} and (at % 2 or at <= 25)]
