"""Ids that clients draw."""

from random import Random

from bimip.client.environment import Environment
from bimip.client.transport import websocket


def test_ids_go_by_the_time_and_no_two_are_the_same() -> None:
    times = iter([0, 1_700_000_000_000, 1_700_000_000_000, 1_700_000_000_001, 1 << 48])
    environment = Environment(websocket(), lambda: 0.0, lambda: next(times), Random(1))

    first, *ids, last = [environment.new_id() for _ in range(5)]

    assert len(set(ids)) == 3
    assert ids[2] == max(ids)
    assert {one[:12] for one in ids[:2]} == {f"{1_700_000_000_000:012x}"}
    assert {len(one) for one in (first, *ids, last)} == {32}
