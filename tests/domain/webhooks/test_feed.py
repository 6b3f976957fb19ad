"""What happens stands in the feed, once, until all webhooks were told of it."""

from typing import Any

import pytest

from bimip.domain.accounts.erasing import BeginErasing
from bimip.domain.contacts.changing_settings import ChangeSettings
from bimip.domain.core.ids import ConversationId, ConversationOffset, Millis, Stamp, UserId
from bimip.domain.core.operations import Append
from bimip.domain.core.records import Event, ReceiptKind, Table
from bimip.domain.state.settings import Setting
from bimip.domain.webhooks.feed import (
    KIND_NAMES,
    CutEvents,
    EventKind,
    NoteTold,
    OpenWebhooks,
    event_id,
    events_behind,
    head_of,
    positions_of,
)
from tests.domain.support import BEGIN, Ledger

ALL = frozenset(KIND_NAMES.values())


def ledger_of(*kinds: EventKind, **rules: Any) -> Ledger:
    return Ledger(events=frozenset(kinds) or ALL, **rules)


def feed(ledger: Ledger) -> list[Event]:
    with ledger.store.snapshot() as view:
        found = events_behind(view, 0, 10_000)
        head = head_of(view)
    numbers = [number for number, _ in found]
    assert numbers == list(range(head - len(found) + 1, head + 1))
    return [event for _, event in found]


def told(ledger: Ledger) -> list[tuple[str, int, int, int, int]]:
    return [
        (EventKind(one.kind).name, one.user, one.conversation, one.first, one.last)
        for one in feed(ledger)
        if one.kind != EventKind.FIRST_SEEN
    ]


def test_a_message_is_accepted_delivered_and_read_once() -> None:
    ledger = ledger_of()
    ann, bob, laptop = ledger.device("ann"), ledger.device("bob"), ledger.device("bob", "laptop")
    sent = ledger.send(ann, "bob", "m1")
    again = ledger.send(ann, "bob", "m1")
    ledger.ack(bob, 1)
    ledger.ack(laptop, 1)
    ledger.read(bob, "ann", 1)
    ledger.read(laptop, "ann", 1)

    assert again.duplicate
    assert told(ledger) == [
        ("ACCEPTED", ann.user, sent.conversation, 1, 1),
        ("DELIVERED", bob.user, sent.conversation, 1, 1),
        ("READ", bob.user, sent.conversation, 1, 1),
    ]
    assert [one.stamp for one in feed(ledger) if one.kind == EventKind.ACCEPTED] == [sent.stamp]


def test_receipts_of_one_decision_stand_one_behind_the_other() -> None:
    ledger = ledger_of(EventKind.DELIVERED, EventKind.READ, EventKind.PLAYED)
    ann, bob = ledger.device("ann"), ledger.device("bob")
    for number in range(6):
        ledger.send(ann, "bob", f"m{number}")
    ledger.ack(bob, 2, ((4, 4),))
    ledger.read(bob, "ann", 4, kind=ReceiptKind.PLAYED)

    assert told(ledger) == [
        ("DELIVERED", bob.user, 1, 1, 2),
        ("DELIVERED", bob.user, 1, 4, 4),
        ("PLAYED", bob.user, 1, 1, 4),
        ("READ", bob.user, 1, 1, 4),
        ("DELIVERED", bob.user, 1, 3, 3),
    ]


def test_several_messages_of_one_append_are_an_event_each() -> None:
    ledger = ledger_of(EventKind.ACCEPTED)
    ann, _ = ledger.device("ann"), ledger.device("bob")
    one, two = (ledger.append(ann, "bob", name) for name in ("m1", "m2"))
    ledger.do(Append(ann.user, ann.device, "bob", "chat", (*one.messages, *two.messages)))

    assert told(ledger) == [("ACCEPTED", ann.user, 1, 1, 1), ("ACCEPTED", ann.user, 1, 2, 2)]


def test_a_user_is_seen_first_with_their_first_device() -> None:
    ledger = ledger_of(accept_unknown_recipients=True)
    ann = ledger.device("ann")
    ledger.send(ann, "bob", "m1")  # who exists by that, and was not seen
    ledger.device("ann", "laptop")
    bob = ledger.device("bob")

    assert [one.user for one in feed(ledger) if one.kind == EventKind.FIRST_SEEN] == [ann.user, bob.user]


def test_what_nobody_is_told_of_is_not_written() -> None:
    quiet, some = Ledger(), ledger_of(EventKind.READ)
    for ledger in (quiet, some):
        ann, bob = ledger.device("ann"), ledger.device("bob")
        ledger.send(ann, "bob", "m1")
        ledger.ack(bob, 1)
        ledger.read(bob, "ann", 1)

    assert feed(quiet) == []
    assert [name for name, *_ in told(some)] == ["READ"]


def test_what_somebody_reads_unseen_is_no_event() -> None:
    ledger = ledger_of(EventKind.READ)
    ann, bob = ledger.device("ann"), ledger.device("bob")
    ledger.send(ann, "bob", "m1")
    ledger.ack(bob, 1)
    ledger.do(ChangeSettings(bob.user, bob.device, ((Setting.SEND_READ_RECEIPTS, 0),), Stamp(0)))
    ledger.read(bob, "ann", 1)

    assert feed(ledger) == []


def positions(ledger: Ledger) -> dict[str, int]:
    with ledger.store.snapshot() as view:
        return positions_of(view)


def test_a_new_webhook_begins_at_the_head_and_one_that_is_there_goes_on() -> None:
    ledger = ledger_of()
    ledger.do(OpenWebhooks(("crm",)))
    ann, _ = ledger.device("ann"), ledger.device("bob")
    ledger.send(ann, "bob", "m1")
    ledger.do(OpenWebhooks(("crm", "audit")))

    assert positions(ledger) == {"crm": 0, "audit": 3}
    assert len(feed(ledger)) == 3


def test_what_all_were_told_of_is_cut_off_and_no_position_goes_back_or_beyond() -> None:
    ledger = ledger_of(EventKind.ACCEPTED)
    ledger.do(OpenWebhooks(("crm", "audit")))
    ann, _ = ledger.device("ann"), ledger.device("bob")
    for number in range(5):
        ledger.send(ann, "bob", f"m{number}")
    ledger.do(NoteTold("crm", 4))
    before = len(feed(ledger))
    ledger.do(NoteTold("audit", 3))
    ledger.do(NoteTold("audit", 2))
    ledger.do(NoteTold("crm", 99))
    ledger.do(NoteTold("unknown", 5))

    assert before == 5
    assert [one.first for one in feed(ledger)] == [4, 5]
    assert positions(ledger) == {"crm": 5, "audit": 3}


def test_a_webhook_that_is_gone_holds_nothing_back() -> None:
    ledger = ledger_of(EventKind.ACCEPTED, slice_entries=3)
    ledger.do(OpenWebhooks(("crm", "audit")))
    ann, _ = ledger.device("ann"), ledger.device("bob")
    for number in range(10):
        ledger.send(ann, "bob", f"m{number}")
    ledger.do(NoteTold("crm", 9))
    ledger.do(OpenWebhooks(("crm",)))

    assert [one.first for one in feed(ledger)] == [10]
    ledger.do(OpenWebhooks(()))
    assert (feed(ledger), positions(ledger)) == ([], {})
    ledger.do(CutEvents())
    ledger.send(ann, "bob", "m10")
    assert [key for key in ledger.everything() if key[0] is Table.EVENTS] == [(Table.EVENTS, (11,))]


def test_each_event_has_an_id_of_its_own() -> None:
    event = Event(
        EventKind.READ, BEGIN, UserId(1), ConversationId(2), ConversationOffset(3), ConversationOffset(4), Stamp(5)
    )
    others = [event._replace(**{name: value + 1}) for name, value in event._asdict().items()]

    assert event_id(event) == event_id(event._replace(time=Millis(BEGIN)))
    assert len({event_id(one) for one in (event, *others)}) == len(others) + 1
    assert len(event_id(event)) <= 64


def test_who_is_erased_has_no_name_in_the_feed() -> None:
    ledger = ledger_of()
    ann = ledger.device("ann")
    ledger.do(BeginErasing("ann"))

    assert ledger.get(Table.EIDS, ann.user) == ""
    assert [one.user for one in feed(ledger)] == [ann.user]


@pytest.mark.parametrize("kind", ReceiptKind)
def test_receipts_have_the_numbers_of_the_wire(kind: ReceiptKind) -> None:
    assert int(EventKind[kind.name]) == int(kind)
