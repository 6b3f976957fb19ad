from bimip.domain.awareness.activities import DEFAULT_TTL_MS, MAX_TTL_MS, Doing, lasts_ms
from bimip.wire import bimip_pb2 as pb


def test_what_lasts_does_so_as_long_as_is_asked_within_bounds() -> None:
    assert [lasts_ms(Doing.TYPING, asked) for asked in (0, 1, MAX_TTL_MS, 2**32 - 1)] == [
        DEFAULT_TTL_MS,
        1,
        MAX_TTL_MS,
        MAX_TTL_MS,
    ]
    assert [lasts_ms(doing, 5) for doing in Doing] == [5, 5, 0, 5, 0]


def test_numbers_are_those_of_the_wire() -> None:
    assert [doing.name for doing in Doing] == [pb.AwarenessStatus.Name(int(doing)) for doing in Doing]
