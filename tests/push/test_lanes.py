"""Everybody has a turn: lanes, those who wait in one, and their owners."""

from typing import NamedTuple

from bimip.push.breaker import FAILURES, FIRST_SECONDS, Breaker
from bimip.push.lanes import MAX_OF_AN_OWNER, Lane, LaneName, Lanes


class Item(NamedTuple):
    owner: str
    number: int = 0


ONE, OTHER, OWN = LaneName("web", "one"), LaneName("web", "other"), LaneName("own", "own")


def lanes(*, most: int = 100, most_of_lane: int = 100) -> Lanes[Item]:
    return Lanes(most=most, most_of_lane=most_of_lane, owner=lambda one: one.owner, breaker=lambda: Breaker(60, float))


def take_all(found: Lanes[Item], now: float = 0.0) -> list[tuple[Lane[Item], Item]]:
    taken = []
    while (one := found.take(now)) is not None:
        taken.append(one)
    return taken


def test_lanes_take_turns_and_each_is_in_order() -> None:
    found = lanes()
    for name, owner in ((ONE, "a"), (ONE, "b"), (OTHER, "c"), (ONE, "a")):
        found.put(name, Item(owner), 0.0)

    assert [(lane.name, item.owner) for lane, item in take_all(found)] == [(ONE, "a"), (OTHER, "c"), (ONE, "b")]
    assert len(found) == 0


def test_what_is_urgent_comes_before_all_others_of_its_lane_once() -> None:
    found = lanes()
    for owner in ("a", "b"):
        found.put(ONE, Item(owner), 0.0)
    found.put(ONE, Item("c"), 0.0)
    found.put(ONE, Item("c"), 0.0, is_urgent=True)

    assert [item.owner for _, item in take_all(found)] == ["c", "a", "b"]


def test_a_lane_and_a_group_have_so_many_places_and_another_group_its_own() -> None:
    found = lanes(most=3, most_of_lane=2)
    for number in range(5):
        for name in (ONE, OTHER, OWN):
            found.put(name, Item(f"{name.host}{number}"), 0.0)
    taken = take_all(found)

    assert sorted(lane.name.host for lane, _ in taken) == ["one", "one", "other", "own", "own"]
    found.done(*taken[0], 0.0)
    assert len(take_all(found)) == 1


def test_one_owner_has_few_places_and_others_come_meanwhile() -> None:
    found = lanes()
    for number in range(5):
        found.put(LaneName("web", str(number)), Item("greedy", number), 0.0)
    found.put(LaneName("web", "0"), Item("modest"), 0.0)
    taken = take_all(found)

    assert [item.owner for _, item in taken].count("greedy") == MAX_OF_AN_OWNER
    assert [item.owner for _, item in taken].count("modest") == 1
    while taken:
        found.done(*taken.pop(), 0.0)
        taken += take_all(found)
    assert len(found) == 0


def test_a_lane_whose_breaker_is_open_waits_and_is_tried_with_one() -> None:
    found = lanes()
    found.put(ONE, Item("a"), 0.0)
    [(lane, item)] = take_all(found)
    for who in range(FAILURES):
        lane.breaker._jitter = lambda: 1.0
        lane.breaker.failed(0.0, who)
    found.done(lane, item, 0.0)
    for number in range(3):
        found.put(ONE, Item(f"b{number}"), 0.0)

    assert take_all(found) == []
    assert found.next_at() == FIRST_SECONDS
    assert found.describe(0.0)["breakers"] == {"web/one": "open, 3 failures"}
    [(lane, item)] = take_all(found, FIRST_SECONDS)
    lane.breaker.succeeded()
    found.done(lane, item, FIRST_SECONDS)
    assert len(take_all(found, FIRST_SECONDS)) == 2


def test_lanes_that_are_empty_and_well_are_forgotten() -> None:
    found = lanes()
    for number in range(100):
        found.put(LaneName("web", str(number)), Item(str(number)), 0.0)
    for lane, item in take_all(found):
        found.done(lane, item, 0.0)

    assert found._lanes == {}
