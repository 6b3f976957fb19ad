"""What a call that rings is known by in what is pushed."""

from itertools import product

from bimip.domain.core.ids import Millis, Stamp, UserId
from bimip.domain.push.ringing import Ring, ring_collapse_key, ring_id

RING = Ring(UserId(2), UserId(1), "ann", "x", Millis(1000), Millis(61_000))
OTHERS = [
    RING._replace(callee=UserId(3)),
    RING._replace(caller=UserId(4), caller_eid="carl"),
    RING._replace(call="y"),
]


def test_each_call_has_ids_of_its_own_at_each_subscription_and_so_has_its_end() -> None:
    rings = [RING, *OTHERS, RING._replace(started=Millis(2000))]
    ids = [ring_id(ring, Stamp(number), is_over=over) for ring, number, over in product(rings, (7, 8), (False, True))]

    assert len(set(ids)) == len(ids)
    assert ring_id(RING, Stamp(7), is_over=False) == ring_id(RING._replace(), Stamp(7), is_over=False)


def test_what_rings_no_more_takes_the_place_of_what_rang_and_of_nothing_else() -> None:
    keys = [ring_collapse_key(ring) for ring in [RING, *OTHERS]]

    assert len(set(keys)) == len(keys)
    assert all(len(key) == 32 and key.isalnum() for key in keys)
