"""Who holds back a log is found, with how much would go without them, for one user and for the worst of all."""

from typing import Any

import pytest

from bimip.domain.core.ids import DeviceId, Millis, Offset, UserId
from bimip.domain.core.records import Cursor, Device, Log, LogTable, Table, User
from bimip.reading import pins as pins_module
from bimip.reading.pins import Freed, Pin, find_worst_pins, held_since, measure_freed, read_pins
from bimip.storage.memory import MemoryStore
from tests.reading.support import ANN, BOB, entry, store_with
from tests.reading.test_backlog import damage_reads, finish

UNTIL_ACKED = frozenset({"chat"})
SEEN_SINCE = Millis(1000)


def user_with(user: UserId, floors: dict[str, int], *, head: int = 10, stale: str = "") -> dict[Table, dict[Any, Any]]:
    """A user whose devices have acknowledged so much of a log."""
    eid = {ANN: "ann", BOB: "bob"}.get(user, f"user {user}")
    numbers = {name: DeviceId(100 * user + place) for place, name in enumerate(floors)}
    return {
        Table.USERS: {(eid,): User(user, Millis(1))},
        Table.EIDS: {(user,): eid},
        Table.DEVICES: {
            (user, name): Device(number, Millis(1), Millis(0 if name == stale else 2000))
            for name, number in numbers.items()
        },
        Table.CURSORS: {(numbers[name], "chat"): Cursor(Offset(floor), ()) for name, floor in floors.items()},
        Table.LOGS: {(user, "chat"): Log(Offset(1), Offset(head))},
        Table.BODIES: {(100 + at,): bytes(10) for at in range(1, head + 1)},
        Table.REFERENCES: {(100 + at,): 1 + at % 2 for at in range(1, head + 1)},
    }


def store_of(*users: dict[Table, dict[Any, Any]]) -> MemoryStore:
    merged: dict[Table, dict[Any, Any]] = {}
    for one in users:
        for table, records in one.items():
            merged.setdefault(table, {}).update(records)
    runs: Any = {
        (LogTable.ENTRIES, key): [(at, entry(at)) for at in range(log.first, log.head + 1)]
        for key, log in merged[Table.LOGS].items()
    }
    return store_with(merged, runs)


def pins_of(store: MemoryStore, only: str = "") -> list[Pin]:
    [log] = read_pins(store, "ann", ANN, ["chat"], UNTIL_ACKED, SEEN_SINCE, only)
    return list(log.pins)


def test_the_slowest_device_frees_all_up_to_the_next() -> None:
    store = store_of(user_with(ANN, {"a": 10, "b": 2, "c": 6, "old": 0}, stale="old"))

    assert [(pin.device, pin.passed, pin.holds, pin.frees, pin.is_only) for pin in pins_of(store)] == [
        ("b", 2, 8, 4, False),
        ("c", 6, 4, 0, False),  # without it the other holds all back still
    ]
    assert [pin.device for pin in pins_of(store, "c")] == ["c"]


def test_of_two_that_stand_alike_neither_frees_anything_alone() -> None:
    assert [(pin.device, pin.frees) for pin in pins_of(store_of(user_with(ANN, {"a": 2, "b": 2, "c": 9})))] == [
        ("a", 0),
        ("b", 0),
        ("c", 0),
    ]


def test_the_only_device_is_known_as_the_only_one() -> None:
    [pin] = pins_of(store_of(user_with(ANN, {"a": 2})))

    assert (pin.is_only, pin.frees) == (True, 8)


def test_under_the_policy_of_days_no_device_holds_anything_back() -> None:
    [log] = read_pins(store_of(user_with(ANN, {"a": 2})), "ann", ANN, ["chat"], frozenset(), SEEN_SINCE)

    assert (log.first, log.head, log.pins) == (1, 10, [])


def test_most_of_many_are_told_and_how_many_there_are_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pins_module, "MOST_PINS", 2)
    store = store_of(user_with(ANN, {"a": 3, "b": 1, "c": 2}))
    [log] = read_pins(store, "ann", ANN, ["chat"], UNTIL_ACKED, SEEN_SINCE)

    assert ([pin.device for pin in log.pins], log.more_pins) == (["b", "c"], 1)


def test_the_bytes_of_what_goes_are_counted_in_slices_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pins_module, "AT_ONCE", 3)
    store = store_of(user_with(ANN, {"a": 2, "b": 9}))
    slowest, _ = pins_of(store)
    whole, slices = finish(measure_freed(store, slowest))
    some, fewer = finish(measure_freed(store, slowest, 4))

    assert (whole, slices) == (Freed(70, 30, is_whole=True), 3)  # of 3 to 9 those with one reference: 4, 6, 8
    assert (some, fewer) == (Freed(40, 20, is_whole=False), 2)
    assert finish(measure_freed(store, slowest, 0))[0] == Freed(is_whole=False)


def test_since_when_a_log_is_held_back_is_when_its_oldest_entry_came() -> None:
    [pin] = pins_of(store_of(user_with(ANN, {"a": 2})))

    assert held_since(store_of(user_with(ANN, {"a": 2})), pin) == 0  # of the stamps of these tests
    assert held_since(store_with(), pin) is None


def test_the_worst_of_all_users_are_found_in_slices_and_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pins_module, "LOGS_AT_ONCE", 1)
    monkeypatch.setattr(pins_module, "LOGS_OF_A_PAGE", 2)
    store = store_of(*(user_with(UserId(user), {"a": user, "b": 10}) for user in range(1, 6)))
    first, slices = finish(find_worst_pins(store, UNTIL_ACKED, SEEN_SINCE, "", 1))
    second, _ = finish(find_worst_pins(store, UNTIL_ACKED, SEEN_SINCE, first.behind, 5))
    last, _ = finish(find_worst_pins(store, UNTIL_ACKED, SEEN_SINCE, second.behind, 5))

    assert ([(pin.eid, pin.holds) for pin in first.pins], slices) == ([("ann", 9)], 2)
    assert [pin.holds for pin in second.pins] == [7, 6]
    assert ([pin.holds for pin in last.pins], last.behind) == ([5], "")
    assert finish(find_worst_pins(store, frozenset(), SEEN_SINCE, "")) == (([], ""), 0)


@pytest.mark.parametrize("after", ["x", "1", "1/", "/chat", "4294967296/chat", "-1/chat"])
def test_a_place_that_is_none_is_refused(after: str) -> None:
    with pytest.raises(ValueError, match="is no place of a page"):
        finish(find_worst_pins(store_with(), UNTIL_ACKED, SEEN_SINCE, after))


def test_of_a_damaged_log_nothing_is_known_and_it_holds_its_devices_back(monkeypatch: pytest.MonkeyPatch) -> None:
    store = store_of(user_with(ANN, {"a": 2, "b": 9}))
    [slowest, _] = pins_of(store)
    damage_reads(monkeypatch)

    assert finish(measure_freed(store, slowest))[0] == Freed(is_whole=False)
    assert held_since(store, slowest) is None
    assert [pin.device for pin in pins_of(store)] == ["a", "b"]
