"""Under `until-acked` an entry goes when all live devices of the log's user have it, and the message with the last log
that had it.
"""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bimip.domain.conversations.groups import CreateGroup
from bimip.domain.core.ids import Millis, Offset
from bimip.domain.core.operations import ExpireBodies, Expired, ExpireLog, Forget, OpenPosition, Register
from bimip.domain.core.records import LogTable, Table
from bimip.domain.keeping.timekeeping import DAY
from bimip.domain.messages.committed import ExpireCommitted, committed_offset
from bimip.domain.messages.expiring import TrimHistory, last_stamp
from bimip.names import conversation_id
from tests.domain.support import BEGIN, CHAT, Ledger, Peer

OFFLINE = 7 * DAY


class Three:
    """Ann's phone writes to Bob, who has a phone and a laptop, in a partition that is kept until-acked."""

    def __init__(self, messages: int = 0, **rules: Any) -> None:
        self.ledger = Ledger(until_acked=frozenset({CHAT}), **rules)
        self.ann, self.phone = self.ledger.device("ann"), self.ledger.device("bob")
        self.laptop = self.ledger.device("bob", "laptop")
        for peer in (self.ann, self.phone, self.laptop):
            self.open(peer)
        for number in range(messages):
            self.ledger.send(self.ann, "bob", f"m{number}", sent=b"x" * 100)

    def open(self, peer: Peer) -> None:
        self.ledger.do(OpenPosition(peer.user, peer.device, CHAT, start=1))

    def pass_days(self, days: float) -> None:
        self.ledger.now = Millis(self.ledger.now + int(days * DAY))

    @property
    def seen_since(self) -> Millis:
        return Millis(self.ledger.now - OFFLINE)

    def expire(self, peer: Peer) -> int:
        removed = 0
        while True:
            result = self.ledger.do(ExpireCommitted(peer.user, CHAT, self.seen_since))
            assert isinstance(result, Expired)
            removed += result.removed
            if not result.more:
                return removed

    def kept(self, peer: Peer) -> list[int]:
        return [number for number, _ in self.ledger.entries(peer.user)]

    def bodies(self) -> int:
        with self.ledger.store.snapshot() as view:
            return len(view.scan(Table.BODIES, (), (1 << 64,), limit=999))


def test_the_slowest_live_device_decides() -> None:
    three = Three(5)
    three.ledger.ack(three.phone, 4)
    three.ledger.ack(three.laptop, 2)

    assert three.expire(three.phone) == 2
    assert three.kept(three.phone) == [3, 4, 5]
    three.ledger.ack(three.laptop, 5)
    assert three.expire(three.phone) == 2
    assert three.kept(three.phone) == [5]


def test_who_was_away_for_longer_than_the_offline_period_holds_nothing_back() -> None:
    three = Three(5)
    three.ledger.ack(three.phone, 5)
    three.pass_days(6.9)
    three.ledger.do(Register("bob", "phone"))
    early = three.expire(three.phone)
    three.pass_days(0.2)

    assert early == 0
    assert three.expire(three.phone) == 5


def test_without_a_live_device_nothing_goes() -> None:
    three = Three(5)
    three.ledger.ack(three.phone, 5)
    three.ledger.ack(three.laptop, 5)
    three.pass_days(8)

    assert three.expire(three.phone) == 0


def test_a_device_that_was_forgotten_or_never_named_the_log_holds_nothing_back() -> None:
    three = Three(5)
    three.ledger.device("bob", "watch")
    three.ledger.ack(three.phone, 5)
    three.ledger.do(Forget(three.laptop.device))

    assert three.expire(three.phone) == 5


def test_what_a_device_holds_above_its_floor_and_what_is_not_owed_is_passed_over() -> None:
    three = Three(3)
    three.ledger.do(Forget(three.laptop.device))
    three.ledger.ack(three.phone, 0, ((2, 3),))

    assert three.expire(three.phone) == 0
    three.ledger.ack(three.phone, 1)
    assert three.expire(three.phone) == 3
    assert three.expire(three.ann) == 3  # her own: she acknowledged nothing, and is owed nothing


def test_the_message_goes_with_the_last_log_that_had_it_and_its_bytes_with_its_authors() -> None:
    three = Three(4)
    three.ledger.ack(three.phone, 4)
    three.ledger.ack(three.laptop, 4)
    full = three.ledger.get(Table.USAGE, three.ann.user)
    three.expire(three.phone)

    assert three.bodies() == 4
    assert three.ledger.get(Table.USAGE, three.ann.user) == full
    three.expire(three.ann)
    assert three.bodies() == 0
    assert three.ledger.get(Table.USAGE, three.ann.user) == 0
    with three.ledger.store.snapshot() as view:
        assert view.scan(Table.REFERENCES, (), (1 << 64,), limit=9) == []
        assert last_stamp(view) == three.ledger.last  # the next one is still greater


def test_history_lets_go_of_what_went_at_its_begin() -> None:
    three = Three(4)
    three.ledger.do(Forget(three.laptop.device))
    three.ledger.ack(three.phone, 3)
    three.expire(three.phone)
    three.expire(three.ann)
    conversation = three.ledger.direct(three.ann, "bob")
    result = three.ledger.do(TrimHistory(conversation))

    assert result.removed == 3
    assert three.ledger.get(Table.CONVERSATIONS, conversation).first == 4
    with three.ledger.store.snapshot() as view:
        assert [place for place, _ in view.read(LogTable.HISTORY, (conversation,), 0, limit=9)] == [4]


def test_what_goes_by_age_is_counted_too() -> None:
    three = Three(4)
    three.ledger.do(ExpireLog(three.phone.user, CHAT, three.ledger.last))
    three.ledger.do(ExpireLog(three.ann.user, CHAT, three.ledger.last))

    assert (three.bodies(), three.kept(three.ann), three.kept(three.phone)) == (1, [4], [4])
    three.ledger.do(ExpireBodies(three.ledger.last + 1))  # type: ignore[arg-type]
    with three.ledger.store.snapshot() as view:
        assert view.scan(Table.REFERENCES, (), (1 << 64,), limit=9) == []


def test_a_partition_that_is_kept_by_time_counts_nothing() -> None:
    ledger = Ledger()
    ann, bob = ledger.device("ann"), ledger.device("bob")
    ledger.do(OpenPosition(bob.user, bob.device, CHAT, start=1))
    ledger.send(ann, "bob", "m")
    ledger.ack(bob, 1)

    assert ledger.do(ExpireCommitted(bob.user, CHAT, Millis(0))).removed == 0
    with ledger.store.snapshot() as view:
        assert view.scan(Table.REFERENCES, (), (1 << 64,), limit=9) == []


def test_a_group_counts_the_logs_of_all_its_members() -> None:
    three = Three()
    cid = three.ledger.device("cid")
    three.open(cid)
    three.ledger.do(Forget(three.laptop.device))
    made = CreateGroup(three.ann.user, three.ann.device, "g", bytes(8), "us", ("bob", "cid"))
    group = conversation_id(three.ledger.do(made).conversation)
    three.ledger.send(three.ann, group, "m")

    with three.ledger.store.snapshot() as view:
        assert [count for _, count in view.scan(Table.REFERENCES, (), (1 << 64,), limit=9)] == [3, 3]
    for peer in (three.phone, cid):
        three.ledger.ack(peer, 2)
        three.expire(peer)
    assert three.bodies() == 2
    three.ledger.ack(three.ann, 2)
    three.expire(three.ann)
    assert three.bodies() == 0


def test_many_go_in_slices() -> None:
    three = Three(25, slice_entries=10)
    three.ledger.ack(three.phone, 25)
    three.ledger.ack(three.laptop, 25)
    first = three.ledger.do(ExpireCommitted(three.phone.user, CHAT, three.seen_since))

    assert (first.removed, first.more) == (10, True)
    assert three.expire(three.phone) == 15
    removed = 0
    while step := three.expire(three.ann):  # of which nobody has said how far it is: a look at a time
        removed += step
    assert removed == 25


def test_more_devices_than_are_looked_at_leave_it_to_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bimip.domain.messages.committed.MOST_DEVICES", 1)
    three = Three(3)
    three.ledger.ack(three.phone, 3)
    three.ledger.ack(three.laptop, 3)

    assert three.expire(three.phone) == 0


steps = st.lists(
    st.one_of(
        st.tuples(st.just("send"), st.integers(0, 1)),
        st.tuples(st.just("ack"), st.tuples(st.integers(0, 2), st.integers(1, 12))),
        st.tuples(st.just("pass"), st.floats(0.1, 4)),
        st.tuples(st.just("see"), st.integers(0, 2)),
        st.tuples(st.just("expire"), st.integers(0, 1)),
    ),
    max_size=40,
)


@given(steps)
@settings(max_examples=150, deadline=None)
def test_nothing_that_a_live_device_lacks_ever_goes(draws: list[tuple[str, Any]]) -> None:
    three = Three()
    peers = [three.ann, three.phone, three.laptop]
    lacks: dict[int, set[int]] = {1: set(), 2: set()}  # what Bob's devices have not acknowledged
    seen = {1: BEGIN, 2: BEGIN}
    for at, (what, value) in enumerate(draws):
        if what == "send":
            sent = three.ledger.send(peers[value], "bob" if value == 0 else "ann", f"m{at}")
            offset = sent.offset
            for one, missing in lacks.items():
                if one != value:
                    missing.add(offset)
        elif what == "ack":
            one, upto = value
            log = three.ledger.log(peers[one].user)
            if log is not None and upto <= log.head:
                three.ledger.ack(peers[one], upto)
                if one in lacks:
                    lacks[one] = {offset for offset in lacks[one] if offset > upto}
        elif what == "pass":
            three.pass_days(value)
        elif what == "see":
            three.ledger.do(Register(peers[value].eid, peers[value].name))
            seen[value] = three.ledger.now
        else:
            before = set(three.kept(peers[value]))
            three.expire(peers[value])
            gone = before - set(three.kept(peers[value]))
            for one, missing in lacks.items():
                if value == 1 and seen[one] >= three.seen_since:
                    assert not gone & missing
    with three.ledger.store.snapshot() as view:
        stamps = {entry.stamp for peer in peers for _, entry in three.ledger.entries(peer.user)}
        assert {key[0] for key, _ in view.scan(Table.BODIES, (), (1 << 64,), limit=999)} == stamps


def test_the_committed_offset_is_nobodys_where_nobody_says() -> None:
    three = Three(2)
    with three.ledger.store.snapshot() as view:
        assert committed_offset(view, three.phone.user, "feed", three.seen_since) is None
        assert committed_offset(view, three.phone.user, CHAT, three.seen_since) == Offset(0)
