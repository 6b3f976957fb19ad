"""An operator sees every device of a user, connected or not, and how far behind it is."""

from typing import Any, cast

import pytest

from bimip.domain.core.clock import earliest_stamp
from bimip.domain.core.ids import Millis, Offset, Stamp, UserId
from bimip.domain.core.records import Cursor, Device, Log, LogTable, Table, User
from bimip.users import inspection
from bimip.users.inspection import describe_sight, describe_user
from bimip.users.recorder import Event
from tests.reading.support import ANN, LAPTOP, PHONE, entry, store_with
from tests.reading.test_backlog import finish


class Described:
    def describe(self) -> dict[str, object]:
        return {"unanswered": 0}


def no_events(_user: UserId, _device: str) -> list[Event]:
    return []


NOW = Millis(50_000)
NOTHING = {"waiting": 0, "waiting_bytes": 0, "waiting_seconds": 0, "waiting_at_least": False}


def stamp_at(second: int) -> Stamp:
    return earliest_stamp(Millis(1000 * second))


def test_a_device_is_shown_with_what_it_lacks_and_with_its_connection_if_it_has_one() -> None:
    store = store_with(
        {
            Table.USERS: {("ann",): User(ANN, Millis(1))},
            Table.DEVICES: {
                (ANN, "phone"): Device(PHONE, Millis(2), Millis(3)),
                (ANN, "laptop"): Device(LAPTOP, Millis(4), Millis(5)),
            },
            Table.CURSORS: {(PHONE, "chat"): Cursor(Offset(4), ()), (LAPTOP, "feed"): Cursor(Offset(0), ())},
            Table.LOGS: {(ANN, "chat"): Log(Offset(1), Offset(6))},
            Table.BODIES: {(stamp_at(5),): bytes(30), (stamp_at(6),): bytes(12)},
        },
        {(LogTable.ENTRIES, (ANN, "chat")): [(at, entry(at)._replace(stamp=stamp_at(at))) for at in range(1, 7)]},
    )
    connected: Any = lambda eid: {"phone": Described()} if eid == "ann" else {}  # noqa: E731 - a stand-in
    found, _ = finish(describe_user(store, ["chat", "feed"], "ann", connected, no_events, NOW))
    one, _ = finish(describe_user(store, ["chat", "feed"], "ann", connected, no_events, NOW, "laptop"))

    laptop = cast("Any", found)["devices"]["laptop"]

    assert one == {"eid": "ann", "devices": {"laptop": {**laptop, "events": []}}}
    assert found == {
        "eid": "ann",
        "devices": {
            "laptop": {
                "label": "",
                "created": 4,
                "last_seen": 5,
                "committed": {"feed": {"first": 1, "floor": 0, "head": 0, "lag": 0, **NOTHING}},
                "connection": None,
            },
            "phone": {
                "label": "",
                "created": 2,
                "last_seen": 3,
                "committed": {
                    "chat": {
                        "first": 1,
                        "floor": 4,
                        "head": 6,
                        "lag": 2,
                        "waiting": 2,
                        "waiting_bytes": 42,
                        "waiting_seconds": 45,  # since the second of the fifth
                        "waiting_at_least": False,
                    }
                },
                "connection": {"unanswered": 0},
            },
        },
    }


def test_nobody_is_none() -> None:
    store = store_with({Table.USERS: {("ann",): User(ANN, Millis(1))}})

    assert finish(describe_user(store, ["chat"], "nobody", lambda _eid: {}, no_events, NOW)) == (None, 0)
    assert finish(describe_user(store, ["chat"], "ann", lambda _eid: {}, no_events, NOW, "watch")) == (None, 0)
    assert finish(describe_user(store, ["chat"], "ann", lambda _eid: {}, no_events, NOW)) == (
        {"eid": "ann", "devices": {}},
        0,
    )


def test_of_many_devices_that_lag_only_so_much_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspection, "MOST_LOOKED", 4)
    store = store_with(
        {
            Table.USERS: {("ann",): User(ANN, Millis(1))},
            Table.DEVICES: {
                (ANN, "a"): Device(PHONE, Millis(2), Millis(3)),
                (ANN, "b"): Device(LAPTOP, Millis(4), Millis(5)),
            },
            Table.CURSORS: {(number, "chat"): Cursor(Offset(0), ()) for number in (PHONE, LAPTOP)},
            Table.LOGS: {(ANN, "chat"): Log(Offset(1), Offset(3))},
        },
        {(LogTable.ENTRIES, (ANN, "chat")): [(at, entry(at)) for at in range(1, 4)]},
    )
    found, _ = finish(describe_user(store, ["chat"], "ann", lambda _eid: {}, no_events, NOW))
    told = {name: one["committed"]["chat"] for name, one in cast("Any", found)["devices"].items()}

    assert (told["a"]["waiting"], told["a"]["waiting_at_least"]) == (3, False)
    assert (told["b"]["waiting"], told["b"]["waiting_at_least"]) == (1, True)


def test_what_one_user_sees_of_another_is_told_with_the_rule() -> None:
    store = store_with({Table.USERS: {("ann",): User(ANN, Millis(1)), ("bob",): User(UserId(77), Millis(1))}})
    found: Any = describe_sight(store, "bob", "ann", 2)

    assert (found["viewer"], found["owner"], found["connected_devices"]) == ("bob", "ann", 2)
    assert found["seen"]["online"] == {
        "allowed": False,
        "rule": "no_contact",
        "because": "the owner has not accepted the viewer as a contact",
        "since": None,
    }
    assert describe_sight(store, "bob", "nobody", 0) is None
