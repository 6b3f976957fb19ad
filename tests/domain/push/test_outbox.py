"""What a subscription is owed, by what was acknowledged, read, deleted and kept, and what was pushed already."""

from collections.abc import Callable
from typing import Any

import pytest

from bimip.domain.core.ids import ConversationId, ConversationOffset, Millis, Offset, UserId
from bimip.domain.core.operations import Done, MarkRead
from bimip.domain.core.records import Cursor, PushSubscription, Table
from bimip.domain.push.outbox import (
    LOOK,
    Looking,
    NotePushed,
    NoticeKind,
    PassPushed,
    Plan,
    PushRules,
    collapse_key,
    next_clear,
    notification_id,
    plan,
)
from bimip.domain.push.subscribing import MAX_SHOWN, Subscribe, SubscriptionKey, Unsubscribe
from tests.domain.support import Ledger, Peer

RULES = PushRules()
MINUTE = 60_000


class Outbox:
    """Ann's phone has subscribed; bob writes to her."""

    def __init__(self, rules: PushRules = RULES) -> None:
        self.ledger = Ledger()
        self.rules = rules
        self.ann, self.bob = self.ledger.device("ann"), self.ledger.device("bob")
        self.key = SubscriptionKey(self.ann.user, self.ann.device, "p")
        self.ledger.do(Subscribe(self.key, "fcm", "t"))
        self.taken: list[tuple[str, int, int]] = []

    @property
    def subscription(self) -> PushSubscription:
        found: PushSubscription = self.ledger.get(Table.PUSH_SUBSCRIPTIONS, *self.key)
        return found

    def looking(self, **more: Any) -> Looking:
        return Looking(self.key, self.subscription, self.ledger.now, **more)

    def write(self, count: int = 1, sender: Peer | None = None) -> None:
        for _ in range(count):
            self.ledger.now = Millis(self.ledger.now + 1)
            self.ledger.send(sender or self.bob, "ann", f"m{self.ledger.batches}")

    def plan(self, after: int | None = None, **more: Any) -> Plan:
        with self.ledger.store.snapshot() as view:
            return plan(view, self.looking(**more), "chat", self.rules, None if after is None else Offset(after))

    def push(self) -> list[tuple[str, int, int]]:
        """Has all that is owed be taken: kind, place and how many are shown then."""
        taken: list[tuple[str, int, int]] = []
        while (found := self.plan()).notice is not None:
            taken.append((str(found.notice.kind), found.notice.place, found.notice.messages))
            self.note(found)
        return taken

    def note(self, found: Plan) -> None:
        assert found.notice is not None
        operation = NotePushed(self.key, self.subscription.number, found.notice, found.upto)
        assert self.ledger.do(operation) == Done()
        before = self.ledger.everything()
        assert self.ledger.do(operation) == Done()
        assert self.ledger.everything().keys() == before.keys()

    def read(self, upto: int) -> None:
        self.ledger.do(MarkRead(self.ann.user, ConversationId(1), ConversationOffset(upto)))

    def cursor(self) -> int:
        found: int = self.ledger.get(Table.PUSH_CURSORS, self.ann.user, self.subscription.number, "chat") or 0
        return found


def test_few_are_told_one_by_one_and_more_together() -> None:
    outbox = Outbox()
    outbox.write(2)
    assert outbox.push() == [("message", 1, 1), ("message", 2, 2)]
    outbox.write()
    assert outbox.push() == [("message", 3, 3)]
    outbox.write(5)
    outbox.ledger.now = Millis(outbox.ledger.now + MINUTE)
    assert outbox.push() == [("summary", 8, 8)]
    assert outbox.cursor() == 8


def test_many_at_once_are_told_together() -> None:
    outbox = Outbox()
    outbox.write(10)

    assert outbox.push() == [("summary", 10, 10)]


def test_the_next_summary_waits_and_says_until_when() -> None:
    outbox = Outbox()
    outbox.write(4)
    outbox.push()
    shown_at = outbox.ledger.now
    outbox.write()
    found = outbox.plan()

    assert (found.notice, found.due_at) == (None, shown_at + RULES.collapse_ms)
    outbox.ledger.now = Millis(shown_at + RULES.collapse_ms)
    assert outbox.push() == [("summary", 5, 5)]


def test_one_conversation_that_waits_holds_up_no_other() -> None:
    outbox = Outbox()
    carol = outbox.ledger.device("carol")
    outbox.write(4)
    outbox.push()
    outbox.write()
    outbox.write(sender=carol)
    found = outbox.plan()

    assert found.notice is not None
    assert found.notice.author == carol.user
    assert found.upto == 4  # what waits is behind it
    outbox.note(found)
    outbox.ledger.now = Millis(outbox.ledger.now + MINUTE)
    assert outbox.push() == [("summary", 5, 5)]
    assert outbox.cursor() == 6


Change = Callable[[Outbox], object]


def acknowledged(outbox: Outbox) -> None:
    laptop = outbox.ledger.device("ann", "laptop")
    outbox.ledger.ack(laptop, 1)


def written_by_oneself(outbox: Outbox) -> None:
    outbox.ledger.send(outbox.ledger.device("ann", "laptop"), "bob", "own")


NOT_OWED: dict[str, Change] = {
    "acknowledged by another device": acknowledged,
    "read": lambda outbox: outbox.read(1),
    "too old": lambda outbox: setattr(outbox.ledger, "now", Millis(outbox.ledger.now + RULES.max_age_ms + 2)),
}


@pytest.mark.parametrize("name", NOT_OWED)
def test_what_is_not_owed_is_passed_over(name: str) -> None:
    outbox = Outbox()
    outbox.write()
    assert outbox.plan().notice is not None
    NOT_OWED[name](outbox)

    assert outbox.plan() == Plan(None, Offset(1), passed=1)


def test_what_one_wrote_oneself_is_not_owed() -> None:
    outbox = Outbox()
    written_by_oneself(outbox)

    assert outbox.plan().notice is None


def test_a_device_before_which_nobody_sits_acknowledges_for_nobody() -> None:
    outbox = Outbox()
    outbox.write()
    laptop = outbox.ledger.device("ann", "laptop")
    outbox.ledger.ack(laptop, 1)

    assert outbox.plan().notice is None
    assert outbox.plan(inactive={laptop.device: {}}).notice is not None


def test_what_a_device_acknowledged_while_somebody_sat_before_it_is_not_owed_once_nobody_does() -> None:
    outbox = Outbox()
    outbox.write(2)
    laptop = outbox.ledger.device("ann", "laptop")
    outbox.ledger.ack(laptop, 2)
    attended = {laptop.device: {"chat": Cursor(Offset(1), ())}}

    owed = outbox.plan(inactive=attended).notice
    assert owed is not None
    assert owed.place == 2
    assert outbox.plan(inactive={laptop.device: {"chat": Cursor(Offset(2), ())}}).notice is None


def test_it_is_taken_away_when_the_newest_that_was_shown_is_read() -> None:
    outbox = Outbox()
    outbox.write(2)
    outbox.push()

    def clear() -> Any:
        with outbox.ledger.store.snapshot() as view:
            return next_clear(view, outbox.looking())

    outbox.read(1)
    assert clear() is None
    outbox.read(2)
    notice = clear()
    assert (notice.kind, notice.place) == (NoticeKind.CLEAR, 2)
    outbox.ledger.do(NotePushed(outbox.key, outbox.subscription.number, notice, Offset(0)))
    assert clear() is None
    outbox.write()
    assert outbox.push() == [("message", 3, 1)]


def test_what_was_pushed_since_is_not_taken_away_by_an_older_clear() -> None:
    outbox = Outbox()
    outbox.write()
    outbox.push()
    outbox.read(1)
    with outbox.ledger.store.snapshot() as view:
        clear = next_clear(view, outbox.looking())
    assert clear is not None
    outbox.write()
    outbox.push()
    outbox.ledger.do(NotePushed(outbox.key, outbox.subscription.number, clear, Offset(0)))

    assert outbox.ledger.get(Table.PUSH_SHOWN, outbox.ann.user, outbox.subscription.number, 1, "chat").last == 2


def test_ids_are_one_for_each_message_and_keys_for_each_conversation() -> None:
    outbox = Outbox()
    outbox.write(3)
    number, user = outbox.subscription.number, outbox.ann.user
    notices = []
    while (found := outbox.plan()).notice is not None:
        assert outbox.plan() == found
        notices.append(found.notice)
        outbox.note(found)
    ids = [notification_id(user, number, notice) for notice in notices]

    assert len(set(ids)) == 3
    assert notification_id(user, number, notices[0]) == ids[0]
    assert notification_id(user, number, notices[0]._replace(kind=NoticeKind.CLEAR)) not in ids
    assert len({collapse_key(user, notice) for notice in notices}) == 1
    assert collapse_key(UserId(99), notices[0]) != collapse_key(user, notices[0])


def test_a_long_log_is_looked_through_in_slices() -> None:
    outbox = Outbox()
    laptop = outbox.ledger.device("ann", "laptop")
    outbox.write(LOOK + 5)
    outbox.ledger.ack(laptop, LOOK + 4)
    first = outbox.plan()
    second = outbox.plan(after=first.upto)

    assert (first.notice, first.upto, first.more) == (None, LOOK, True)
    assert second.notice is not None
    assert second.notice.place == LOOK + 5
    assert outbox.cursor() == 0
    number = outbox.subscription.number
    outbox.ledger.do(PassPushed(outbox.key, number, "chat", first.upto))
    outbox.ledger.do(PassPushed(outbox.key, number, "chat", Offset(3)))
    assert outbox.cursor() == LOOK
    outbox.ledger.do(PassPushed(outbox.key, number, "chat", Offset(10_000)))
    assert outbox.cursor() == LOOK + 5


def test_what_is_noted_for_a_subscription_that_is_gone_is_not_kept() -> None:
    outbox = Outbox()
    outbox.write()
    found, number = outbox.plan(), outbox.subscription.number
    assert found.notice is not None
    outbox.ledger.do(Unsubscribe(outbox.key))
    outbox.ledger.do(NotePushed(outbox.key, number, found.notice, found.upto))
    outbox.ledger.do(PassPushed(outbox.key, number, "chat", found.upto))

    assert [key for key in outbox.ledger.everything() if key[0] in {Table.PUSH_CURSORS, Table.PUSH_SHOWN}] == []


def test_of_only_so_many_conversations_it_is_noted_what_was_shown() -> None:
    outbox = Outbox()
    outbox.write()
    found, number = outbox.plan(), outbox.subscription.number
    assert found.notice is not None
    for conversation in range(1, MAX_SHOWN + 5):
        outbox.ledger.now = Millis(outbox.ledger.now + 1)
        notice = found.notice._replace(conversation=ConversationId(conversation))
        outbox.ledger.do(NotePushed(outbox.key, number, notice, Offset(0)))
    shown = sorted(key[1][2] for key in outbox.ledger.everything() if key[0] is Table.PUSH_SHOWN)

    assert shown == list(range(5, MAX_SHOWN + 5))
