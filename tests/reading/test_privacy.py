"""Why a user sees of another what they see: the rule, and since when it is so."""

from typing import Any

import pytest

from bimip.domain.contacts.privacy import Seen
from bimip.domain.core.clock import earliest_stamp
from bimip.domain.core.ids import DeviceId, Millis, UserId
from bimip.domain.core.merges import LastWrite
from bimip.domain.core.records import Contact, Table, User
from bimip.domain.state.privacy_exceptions import ALLOWED, DENIED
from bimip.domain.state.settings import ASSUMED, Audience, Setting
from bimip.reading.privacy import explain
from tests.reading.support import store_with

ANN, BOB = UserId(1), UserId(2)
USERS = {("ann",): User(ANN, Millis(1)), ("bob",): User(BOB, Millis(1))}
FRIENDS = {(ANN, BOB): Contact(grants=True, since=Millis(70)), (BOB, ANN): Contact(granted=True, since=Millis(71))}


def write(value: int, at: int) -> LastWrite:
    return LastWrite(value, earliest_stamp(Millis(at)), DeviceId(1))


CASES: dict[str, tuple[dict[Table, Any], Seen, bool, str, int]] = {
    "nothing was ever set": ({}, Seen.ACTIVITY, True, "online_status_to: EVERYBODY", 0),
    "a stranger": ({}, Seen.ONLINE, False, "no_contact", 0),
    "a contact": ({Table.CONTACTS: FRIENDS}, Seen.ONLINE, True, "online_status_to: EVERYBODY", 0),
    "a block": (
        {Table.CONTACTS: {(ANN, BOB): Contact(blocked=True, since=Millis(80))}},
        Seen.CALL,
        False,
        "blocked",
        80,
    ),
    "a block by who looks": (
        {Table.CONTACTS: {(BOB, ANN): Contact(blocked=True, since=Millis(81))}},
        Seen.CALL,
        False,
        "blocks",
        81,
    ),
    "the switch": ({Table.SETTINGS: {(ANN, Setting.VISIBLE): write(0, 90)}}, Seen.LOCATION, False, "invisible", 90),
    "a setting": (
        {Table.CONTACTS: FRIENDS, Table.SETTINGS: {(ANN, Setting.SHOW_LAST_SEEN): write(Audience.NOBODY, 91)}},
        Seen.LAST_SEEN,
        False,
        "last_seen_to: NOBODY",
        91,
    ),
    "an exception": (
        {
            Table.CONTACTS: FRIENDS,
            Table.SETTINGS: {(ANN, Setting.SHOW_LAST_SEEN): write(Audience.NOBODY, 91)},
            Table.PRIVACY_EXCEPTIONS: {(ANN, BOB, Setting.SHOW_LAST_SEEN): write(ALLOWED, 92)},
        },
        Seen.LAST_SEEN,
        True,
        "show_last_seen: ALLOWED",
        92,
    ),
    "an exception of who looks": (
        {
            Table.SETTINGS: {(BOB, Setting.SHOW_READ_RECEIPTS): ASSUMED},
            Table.PRIVACY_EXCEPTIONS: {(BOB, ANN, Setting.SHOW_READ_RECEIPTS): write(DENIED, 93)},
        },
        Seen.READ_RECEIPTS,
        False,
        "show_read_receipts: DENIED",
        93,
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_rule_that_decided_is_told_with_when_it_was_set(case: str) -> None:
    records, seen, allowed, rule, since = CASES[case]
    found = explain(store_with({Table.USERS: USERS, **records}), "bob", "ann")
    assert found is not None
    (one,) = [one for one in found if one.seen is seen]

    assert (one.allowed, one.rule, one.since) == (allowed, rule, since)
    assert one.sentence


def test_everything_that_may_be_seen_is_explained_and_nothing_of_nobody() -> None:
    store = store_with({Table.USERS: USERS})

    assert [one.seen for one in explain(store, "bob", "ann") or ()] == list(Seen)
    assert explain(store, "bob", "nobody") is explain(store, "nobody", "ann") is None
