"""Who sees what: in each cell of relation, settings and exceptions, against the rule said in another way."""

from itertools import product
from typing import Any, NamedTuple

import pytest

from bimip.domain.contacts.privacy import (
    COLUMNS,
    ROWS,
    WORDS,
    Seen,
    Verdict,
    contact_changed,
    look_evenly,
    may_see,
    sends_receipts,
    verdict,
)
from bimip.domain.core.decision import PrivacyNews, StateRestarted
from bimip.domain.core.ids import DeviceId, Millis, Stamp, UserId, Version
from bimip.domain.core.merges import LastWrite
from bimip.domain.core.records import Contact, DamagedRecordError, Key, ReceiptKind, State, Table
from bimip.domain.state.changes import StateChanges
from bimip.domain.state.privacy_exceptions import EXCEPTED, ExceptionValue
from bimip.domain.state.settings import ASSUMED, Audience, Setting

OWNER, VIEWER = UserId(1), UserId(2)

RELATIONS: dict[str, dict[Key, Contact]] = {
    "strangers": {},
    "the viewer is let see": {(OWNER, VIEWER): Contact(grants=True), (VIEWER, OWNER): Contact(granted=True)},
    "the owner is let see": {(OWNER, VIEWER): Contact(granted=True), (VIEWER, OWNER): Contact(grants=True)},
    "mutual": {
        (OWNER, VIEWER): Contact(grants=True, granted=True),
        (VIEWER, OWNER): Contact(grants=True, granted=True),
    },
    "the owner blocked a friend": {
        (OWNER, VIEWER): Contact(grants=True, granted=True, blocked=True),
        (VIEWER, OWNER): Contact(grants=True, granted=True),
    },
    "the viewer blocked a friend": {
        (OWNER, VIEWER): Contact(grants=True, granted=True),
        (VIEWER, OWNER): Contact(grants=True, granted=True, blocked=True),
    },
}

SETTING = {
    Seen.ONLINE: Setting.SHOW_ONLINE_STATUS,
    Seen.LAST_SEEN: Setting.SHOW_LAST_SEEN,
    Seen.ACTIVITY: Setting.SHOW_ONLINE_STATUS,
    Seen.READ_RECEIPTS: Setting.SEND_READ_RECEIPTS,
}
"""The owner's setting that matters."""


class Records:
    """A view of a few records."""

    def __init__(self) -> None:
        self.known: dict[tuple[Table, Key], Any] = {}
        self.damaged: set[tuple[Table, Key]] = set()

    def get(self, table: Table, key: Key) -> Any:
        if (table, key) in self.damaged:
            raise DamagedRecordError
        return self.known.get((table, key))

    def relate(self, relation: str) -> None:
        for key, contact in RELATIONS[relation].items():
            self.known[Table.CONTACTS, key] = contact

    def set(self, user: UserId, setting: Setting, value: int | None) -> None:
        if value is not None:
            self.known[Table.SETTINGS, (user, setting)] = LastWrite(value, Stamp(1), DeviceId(1))

    def exempt(self, user: UserId, other: UserId, setting: Setting, value: ExceptionValue | None) -> None:
        """As the operation writes it: beside each exception stands a record of its setting."""
        if value is not None:
            self.known[Table.PRIVACY_EXCEPTIONS, (user, other, setting)] = LastWrite(int(value), Stamp(1), DeviceId(1))
            self.known.setdefault((Table.SETTINGS, (user, setting)), ASSUMED)

    @property
    def view(self) -> Any:
        return self


class Choice(NamedTuple):
    """What one of the two has set."""

    audience: Audience | None = None
    exception: ExceptionValue | None = None

    def holds(self, *, is_contact: bool) -> bool:
        if self.exception in {ExceptionValue.ALLOWED, ExceptionValue.DENIED}:
            return self.exception is ExceptionValue.ALLOWED
        return self.audience in {None, Audience.EVERYBODY} or (self.audience is Audience.CONTACTS and is_contact)


CHOICES = [Choice(*one) for one in product([None, *Audience], [None, *ExceptionValue])]


def grants(relation: str, user: UserId, other: UserId) -> bool:
    return RELATIONS[relation].get((user, other), Contact()).grants


def is_blocked(relation: str) -> bool:
    return any(contact.blocked for contact in RELATIONS[relation].values())


@pytest.mark.parametrize("seen", [seen for seen in Seen if seen is not Seen.READ_RECEIPTS])
@pytest.mark.parametrize("relation", RELATIONS)
@pytest.mark.parametrize("visible", [None, True, False])
def test_every_cell_of_presence_activity_location_and_messages_is_as_the_rule_says(
    seen: Seen, relation: str, *, visible: bool | None
) -> None:
    for choice in CHOICES:
        records = Records()
        records.relate(relation)
        records.set(OWNER, Setting.VISIBLE, visible)
        if seen in SETTING:
            records.set(OWNER, SETTING[seen], choice.audience)
            records.exempt(OWNER, VIEWER, SETTING[seen], choice.exception)
        expected = not is_blocked(relation)
        if seen in {Seen.ONLINE, Seen.LAST_SEEN, Seen.ACTIVITY, Seen.LOCATION}:
            expected = expected and visible is not False
        if seen in {Seen.ONLINE, Seen.LAST_SEEN}:
            expected = expected and grants(relation, OWNER, VIEWER)
        if seen in SETTING:
            expected = expected and choice.holds(is_contact=grants(relation, OWNER, VIEWER))

        assert verdict(records.view, VIEWER, OWNER, seen).allowed is expected, choice


@pytest.mark.parametrize("relation", RELATIONS)
@pytest.mark.parametrize("sends", CHOICES, ids=str)
def test_every_cell_of_receipts_is_as_the_rule_says(relation: str, sends: Choice) -> None:
    for shows in CHOICES:
        records = Records()
        records.relate(relation)
        records.set(OWNER, Setting.SEND_READ_RECEIPTS, sends.audience)
        records.exempt(OWNER, VIEWER, Setting.SEND_READ_RECEIPTS, sends.exception)
        records.set(VIEWER, Setting.SHOW_READ_RECEIPTS, shows.audience)
        records.exempt(VIEWER, OWNER, Setting.SHOW_READ_RECEIPTS, shows.exception)
        has_blocked = RELATIONS[relation].get((OWNER, VIEWER), Contact()).blocked
        is_sent = sends.holds(is_contact=grants(relation, OWNER, VIEWER)) and not has_blocked
        is_shown = shows.holds(is_contact=grants(relation, VIEWER, OWNER))
        expected = is_sent and is_shown

        assert verdict(records.view, VIEWER, OWNER, Seen.READ_RECEIPTS).allowed is expected, shows
        assert sends_receipts(records.view, OWNER, VIEWER) is is_sent
        assert may_see(records.view, VIEWER, OWNER, ReceiptKind.READ) is is_shown
        assert may_see(records.view, VIEWER, OWNER, ReceiptKind.DELIVERED)


@pytest.mark.parametrize("seen", Seen)
def test_everybody_sees_all_of_their_own(seen: Seen) -> None:
    records = Records()
    for setting in Setting:
        records.set(OWNER, setting, 0)

    assert verdict(records.view, OWNER, OWNER, seen) == Verdict(allowed=True, rule="self")


@pytest.mark.parametrize(
    ("seen", "rule"),
    [
        (Seen.ONLINE, "online_status_to: EVERYBODY"),
        (Seen.LAST_SEEN, "last_seen_to: EVERYBODY"),
        (Seen.LOCATION, "visible"),
        (Seen.READ_RECEIPTS, "read_receipts_of: EVERYBODY"),
        (Seen.CALL, "not_blocked"),
    ],
)
def test_what_is_allowed_is_allowed_by_the_last_check(seen: Seen, rule: str) -> None:
    records = Records()
    records.relate("mutual")

    assert verdict(records.view, VIEWER, OWNER, seen) == Verdict(allowed=True, rule=rule)


def test_the_first_check_that_denies_is_the_rule_that_decided() -> None:
    """Of all that forbid it one after the other goes away, and the next one is what decides."""
    records = Records()
    records.relate("the viewer blocked a friend")
    records.known[Table.CONTACTS, (OWNER, VIEWER)] = Contact(blocked=True)
    records.set(OWNER, Setting.VISIBLE, 0)
    records.set(OWNER, Setting.SHOW_ONLINE_STATUS, Audience.NOBODY)
    records.exempt(OWNER, VIEWER, Setting.SHOW_ONLINE_STATUS, ExceptionValue.DENIED)
    rules = []
    steps: list[tuple[Table, Key, Any]] = [
        (Table.CONTACTS, (OWNER, VIEWER), Contact()),
        (Table.CONTACTS, (VIEWER, OWNER), Contact()),
        (Table.SETTINGS, (OWNER, Setting.VISIBLE), None),
        (Table.CONTACTS, (OWNER, VIEWER), Contact(grants=True)),
        (Table.PRIVACY_EXCEPTIONS, (OWNER, VIEWER, Setting.SHOW_ONLINE_STATUS), None),
        (Table.SETTINGS, (OWNER, Setting.SHOW_ONLINE_STATUS), None),
    ]
    for table, key, then in steps:
        rules.append(verdict(records.view, VIEWER, OWNER, Seen.ONLINE).rule)
        records.known[table, key] = then

    assert rules == [
        "blocked",
        "blocks",
        "invisible",
        "no_contact",
        "show_online_status: DENIED",
        "online_status_to: NOBODY",
    ]
    assert verdict(records.view, VIEWER, OWNER, Seen.ONLINE).allowed


DAMAGED: list[tuple[Seen, Table, Key]] = [
    *[(seen, Table.CONTACTS, (OWNER, VIEWER)) for seen in Seen],
    *[(seen, Table.CONTACTS, (VIEWER, OWNER)) for seen in Seen if seen is not Seen.READ_RECEIPTS],
    *[(seen, Table.SETTINGS, (OWNER, setting)) for seen, setting in SETTING.items()],
    *[(seen, Table.PRIVACY_EXCEPTIONS, (OWNER, VIEWER, setting)) for seen, setting in SETTING.items()],
    *[(seen, Table.SETTINGS, (OWNER, Setting.VISIBLE)) for seen in (Seen.ONLINE, Seen.ACTIVITY, Seen.LOCATION)],
    (Seen.READ_RECEIPTS, Table.SETTINGS, (VIEWER, Setting.SHOW_READ_RECEIPTS)),
]


@pytest.mark.parametrize(("seen", "table", "key"), DAMAGED, ids=str)
def test_what_is_damaged_denies(seen: Seen, table: Table, key: Key) -> None:
    records = Records()
    records.relate("mutual")
    for user, other, setting in product((OWNER, VIEWER), (OWNER, VIEWER), EXCEPTED):
        records.exempt(user, other, setting, ExceptionValue.ALLOWED)
    if table is Table.SETTINGS:
        records.known = {place: one for place, one in records.known.items() if place[0] is Table.CONTACTS}

    assert verdict(records.view, VIEWER, OWNER, seen).allowed
    records.damaged.add((table, key))
    assert not verdict(records.view, VIEWER, OWNER, seen).allowed


@pytest.mark.parametrize("damaged", [False, True])
@pytest.mark.parametrize("seen", [Seen.ONLINE, Seen.LAST_SEEN, Seen.ACTIVITY, Seen.LOCATION])
def test_nobody_sees_who_was_erased(seen: Seen, damaged: bool) -> None:  # noqa: FBT001 - a parameter
    records = Records()
    records.relate("mutual")
    records.known[Table.EIDS, (OWNER,)] = "ann"
    assert verdict(records.view, VIEWER, OWNER, seen).allowed
    records.known[Table.EIDS, (OWNER,)] = ""
    if damaged:
        records.damaged.add((Table.EIDS, (OWNER,)))

    assert verdict(records.view, VIEWER, OWNER, seen) == Verdict(allowed=False, rule="invisible")


def test_every_check_has_its_words() -> None:
    assert {check for row in ROWS.values() for check in row} == set(COLUMNS)
    assert set(ROWS) == set(Seen)


def test_every_rule_that_decides_somewhere_has_its_words() -> None:
    decided = set()
    for relation, choice, seen, visible in product(RELATIONS, CHOICES, Seen, (True, False)):
        records = Records()
        records.relate(relation)
        records.set(OWNER, Setting.VISIBLE, visible)
        for user, other, setting in ((OWNER, VIEWER, SETTING.get(seen)), (VIEWER, OWNER, Setting.SHOW_READ_RECEIPTS)):
            if setting is not None:
                records.set(user, setting, choice.audience)
                records.exempt(user, other, setting, choice.exception)
        decided.add(verdict(records.view, VIEWER, OWNER, seen).rule)
    decided.add(verdict(Records().view, OWNER, OWNER, Seen.ONLINE).rule)

    assert decided <= set(WORDS)
    assert {rule for rule in WORDS if rule.startswith("online_status_to")} <= decided


@pytest.mark.parametrize(
    ("audience", "exception", "expected"),
    [
        (None, None, False),
        (Audience.EVERYBODY, None, False),
        (Audience.NOBODY, None, False),
        (Audience.CONTACTS, None, True),
        (Audience.CONTACTS, ExceptionValue.NONE, True),
        (Audience.CONTACTS, ExceptionValue.ALLOWED, False),
        (Audience.CONTACTS, ExceptionValue.DENIED, False),
    ],
)
def test_a_contact_who_is_accepted_restarts_the_state_of_who_is_shown_receipts_of_contacts(
    audience: Audience | None, exception: ExceptionValue | None, *, expected: bool
) -> None:
    records = Records()
    records.set(OWNER, Setting.SHOW_READ_RECEIPTS, audience)
    records.exempt(OWNER, VIEWER, Setting.SHOW_READ_RECEIPTS, exception)
    records.known[Table.STATES, (OWNER,)] = State(Version(7), Version(0))
    changes = StateChanges(records.view)
    is_restarted = contact_changed(records.view, changes, OWNER, VIEWER, Contact(), Contact(grants=True))

    assert is_restarted is expected
    assert changes.news == [PrivacyNews(OWNER, VIEWER), *([StateRestarted(OWNER, Version(7))] if expected else [])]


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        (Contact(grants=True), False),
        (Contact(grants=True, granted=True), False),
        (Contact(grants=True, since=Millis(5)), False),
        (Contact(grants=True, blocked=True), True),
        (Contact(), True),
    ],
)
def test_only_what_others_see_by_it_is_news(after: Contact, *, expected: bool) -> None:
    records = Records()
    changes = StateChanges(records.view)
    contact_changed(records.view, changes, OWNER, VIEWER, Contact(grants=True), after)

    assert changes.news == ([PrivacyNews(OWNER, VIEWER)] if expected else [])


@pytest.mark.parametrize("relation", RELATIONS)
@pytest.mark.parametrize("visible", [None, 0, 1])
def test_who_asks_is_told_what_the_table_says(relation: str, visible: int | None) -> None:
    for seen, choice in product((Seen.ONLINE, Seen.LAST_SEEN), CHOICES):
        records = Records()
        records.relate(relation)
        records.set(OWNER, Setting.VISIBLE, visible)
        records.set(OWNER, SETTING[seen], choice.audience)
        records.exempt(OWNER, VIEWER, SETTING[seen], choice.exception)
        looked = look_evenly(records.view, VIEWER, OWNER)
        found = looked.online if seen is Seen.ONLINE else looked.last_seen

        assert found is verdict(records.view, VIEWER, OWNER, seen).allowed
