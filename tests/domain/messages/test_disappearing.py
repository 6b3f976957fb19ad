from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bimip.domain.core.decision import BodyNews, StateNews
from bimip.domain.core.ids import Millis, Offset
from bimip.domain.core.operations import Address, ExpireBodies, ExpireLog
from bimip.domain.core.records import Addressed, Table
from bimip.domain.messages.appending import LONGEST_TTL_MS
from bimip.domain.messages.disappearing import Disappear, due_by, earliest_expiry
from tests.domain.support import BEGIN, CHAT, Ledger, Peer, fault_of

TTL = 10_000


class Pair:
    def __init__(self, **rules: Any) -> None:
        self.ledger = Ledger(**rules)
        self.ann, self.bob = self.ledger.device("ann"), self.ledger.device("bob")

    def due(self, after: int = 0) -> list[Disappear]:
        with self.ledger.store.snapshot() as view:
            return due_by(view, Millis(self.ledger.now + after), 99)

    def body(self, stamp: int) -> bytes | None:
        body: bytes | None = self.ledger.get(Table.BODIES, stamp)
        return body

    def usage(self, peer: Peer) -> int:
        usage: int = self.ledger.get(Table.USAGE, peer.user)
        return usage


def test_it_is_due_when_its_time_has_passed_and_not_before() -> None:
    pair = Pair()
    with pair.ledger.store.snapshot() as view:
        assert earliest_expiry(view) is None
    sent = pair.ledger.send(pair.ann, "bob", "m", ttl=TTL, sent=b"secret")

    assert pair.due(TTL - 1) == []
    assert pair.due(TTL) == [Disappear(Millis(BEGIN + TTL), sent.stamp)]
    with pair.ledger.store.snapshot() as view:
        assert earliest_expiry(view) == BEGIN + TTL
    assert pair.body(sent.stamp) == b"%d/1/1/secret@%d" % (sent.stamp, BEGIN + TTL)


def test_its_content_goes_its_place_stays_and_all_are_told() -> None:
    pair = Pair()
    free = pair.ledger.send(pair.ann, "bob", "kept")
    kept = pair.usage(pair.ann)
    sent = pair.ledger.send(pair.ann, "bob", "m", ttl=TTL, sent=b"secret")
    chain = pair.ledger.log(pair.bob.user).chain
    [operation] = pair.due(TTL)
    result = pair.ledger.do(operation)
    news = pair.ledger.decisions[0].news

    assert result.removed == 1
    assert b"secret" not in (pair.body(sent.stamp) or b"")
    assert pair.usage(pair.ann) == kept + len(pair.body(sent.stamp) or b"")
    assert pair.ledger.log(pair.bob.user) == (1, 2, chain)
    assert {one.user for one in news if isinstance(one, BodyNews)} == {pair.ann.user, pair.bob.user}
    told = [one.change.record for one in news if isinstance(one, StateNews)]
    assert [bool(record.deleted) for record in told] == [True, True]
    assert pair.due(TTL) == []
    assert pair.ledger.do(operation).removed == 0
    assert pair.body(free.stamp) is not None


def test_what_was_addressed_goes_with_it() -> None:
    pair = Pair()
    before = pair.usage(pair.ann) if pair.ledger.get(Table.USAGE, pair.ann.user) else 0
    addresses = (Address("bob", "phone", b"for the phone"),)
    sent = pair.ledger.send(pair.ann, "bob", "m", ttl=TTL, addresses=addresses)
    pair.ledger.do(pair.due(TTL)[0])

    assert pair.ledger.addressed(sent.stamp, pair.bob.user) == (Addressed(pair.bob.device, None),)
    assert pair.usage(pair.ann) == before + len(pair.body(sent.stamp) or b"")


def test_one_that_went_by_age_leaves_its_row() -> None:
    pair = Pair()
    sent = pair.ledger.send(pair.ann, "bob", "m", ttl=TTL)
    for peer in (pair.ann, pair.bob):
        pair.ledger.do(ExpireLog(peer.user, CHAT, sent.stamp + 1))  # type: ignore[arg-type]
    pair.ledger.do(ExpireBodies(sent.stamp + 1))  # type: ignore[arg-type]

    assert pair.ledger.do(pair.due(TTL)[0]).removed == 0
    assert pair.due(TTL) == []
    assert pair.body(sent.stamp) is None


@pytest.mark.parametrize(("most", "ttl", "taken"), [(5000, 5000, True), (5000, 5001, False)])
def test_it_may_be_seen_for_no_longer_than_it_is_kept(most: int, ttl: int, taken: bool) -> None:  # noqa: FBT001
    pair = Pair(longest_ms={CHAT: most})
    result = pair.ledger.do(pair.ledger.append(pair.ann, "bob", "m", ttl=ttl))

    assert taken is (result[0] == "m")
    if not taken:
        assert (fault_of(result), result.field) == ("INVALID", "ttl_ms")


def test_for_ever_has_a_bound_too() -> None:
    pair = Pair()
    result = pair.ledger.do(pair.ledger.append(pair.ann, "bob", "m", ttl=LONGEST_TTL_MS + 1))

    assert fault_of(result) == "INVALID"


def test_a_resend_is_known_after_it_is_gone() -> None:
    pair = Pair()
    sent = pair.ledger.send(pair.ann, "bob", "m", ttl=TTL)
    pair.ledger.do(pair.due(TTL)[0])
    again = pair.ledger.send(pair.ann, "bob", "m", ttl=TTL)

    assert (again.duplicate, again.stamp, again.offset) == (True, sent.stamp, Offset(1))


@given(st.lists(st.tuples(st.sampled_from([0, 1000, 5000, 20_000]), st.integers(0, 8000)), max_size=25))
@settings(max_examples=100, deadline=None)
def test_whatever_is_sent_when_only_that_is_gone_whose_time_is_over(draws: list[tuple[int, int]]) -> None:
    pair = Pair()
    goes_at: dict[int, int] = {}
    for at, (ttl, pause) in enumerate(draws):
        sent = pair.ledger.send(pair.ann, "bob", f"m{at}", ttl=ttl, sent=b"secret")
        goes_at[sent.stamp] = pair.ledger.now + ttl if ttl else 1 << 60
        pair.ledger.now = Millis(pair.ledger.now + pause)
        for operation in pair.due():
            pair.ledger.do(operation)
        for stamp, time in goes_at.items():
            assert (b"secret" in (pair.body(stamp) or b"")) is (time > pair.ledger.now)
    sizes = sum(len(pair.body(stamp) or b"") for stamp in goes_at)
    assert sizes == (pair.ledger.get(Table.USAGE, pair.ann.user) or 0)
