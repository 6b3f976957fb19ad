"""An operator sees every device of a user, connected or not, and how far behind it is."""

from typing import Any, cast

from bimip.domain.core.ids import Millis, Offset, UserId
from bimip.domain.core.records import Cursor, Device, Log, Table, User
from bimip.users.inspection import describe_sight, describe_user
from tests.reading.support import ANN, LAPTOP, PHONE, store_with


class Statistics:
    def statistics(self) -> dict[str, object]:
        return {"unanswered": 0}


def test_a_device_is_shown_with_what_it_lacks_and_with_its_connection_if_it_has_one() -> None:
    store = store_with(
        {
            Table.USERS: {("ann",): User(ANN, Millis(1))},
            Table.DEVICES: {
                (ANN, "phone"): Device(PHONE, Millis(2), Millis(3)),
                (ANN, "laptop"): Device(LAPTOP, Millis(4), Millis(5)),
            },
            Table.CURSORS: {(PHONE, "chat"): Cursor(Offset(4), ())},
            Table.LOGS: {(ANN, "chat"): Log(Offset(1), Offset(9))},
        }
    )
    connected: Any = cast("Any", {"phone": Statistics()})

    assert describe_user(store, ["chat"], "ann", connected) == {
        "eid": "ann",
        "devices": {
            "laptop": {"label": "", "created": 4, "last_seen": 5, "committed": {}, "connection": None},
            "phone": {
                "label": "",
                "created": 2,
                "last_seen": 3,
                "committed": {"chat": {"floor": 4, "head": 9, "lag": 5}},
                "connection": {"unanswered": 0},
            },
        },
    }


def test_nobody_is_none() -> None:
    assert describe_user(store_with(), ["chat"], "nobody", {}) is None


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
