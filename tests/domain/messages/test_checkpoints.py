"""Checkpoints say where a log and its state stood; and the chain is known at every offset of what is kept."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bimip.domain.core.clock import earliest_stamp
from bimip.domain.core.ids import Millis, Offset, UserId, Version
from bimip.domain.core.operations import ExpireLog
from bimip.domain.core.records import Checkpoint, Log, Table
from bimip.domain.messages.chaining import START, STEP, chain_at, extend
from bimip.domain.messages.checkpoints import KEPT, CheckpointTaken, TakeCheckpoint, is_due
from tests.domain.support import BEGIN, CHAT, Ledger, Peer

MINUTE = 60_000


def exchange(ledger: Ledger, count: int) -> tuple[Peer, Peer]:
    ann, bob = ledger.device("ann"), ledger.device("bob")
    for number in range(count):
        ledger.send(ann, "bob", f"m{number}", digest=b"%d" % number)
        ledger.now = Millis(ledger.now + MINUTE)
    return ann, bob


def chain(ledger: Ledger, user: UserId, offset: int) -> bytes | None:
    with ledger.store.snapshot() as view:
        return chain_at(view, user, CHAT, offset)


def test_it_says_where_the_log_and_the_state_stand() -> None:
    ledger = Ledger()
    ann, bob = exchange(ledger, 3)
    ledger.ack(bob, 2)

    assert ledger.get(Table.STATES, ann.user).head > 0
    assert ledger.do(TakeCheckpoint(ann.user, CHAT)) == CheckpointTaken(Offset(3))
    assert ledger.get(Table.CHECKPOINTS, ann.user, CHAT) == (
        Checkpoint(Offset(3), ledger.log(ann.user).chain, ledger.get(Table.STATES, ann.user).head, ledger.now),
    )


def test_a_log_that_did_not_grow_has_no_second_one() -> None:
    ledger = Ledger()
    ann, _ = exchange(ledger, 3)
    ledger.do(TakeCheckpoint(ann.user, CHAT))
    before = ledger.everything()
    ledger.now = Millis(ledger.now + MINUTE)
    ledger.do(TakeCheckpoint(ann.user, CHAT))

    assert ledger.everything() == before


def test_an_empty_log_has_none() -> None:
    ledger = Ledger()
    ann = ledger.device("ann")

    assert ledger.do(TakeCheckpoint(ann.user, CHAT)) == CheckpointTaken(Offset(0))
    assert ledger.get(Table.CHECKPOINTS, ann.user, CHAT) is None


def test_the_newest_are_kept() -> None:
    ledger = Ledger()
    ann, _ = exchange(ledger, 0)
    for number in range(KEPT + 5):
        ledger.send(ann, "bob", f"m{number}")
        ledger.do(TakeCheckpoint(ann.user, CHAT))

    assert [one.offset for one in ledger.get(Table.CHECKPOINTS, ann.user, CHAT)] == list(range(6, KEPT + 6))


@pytest.mark.parametrize(
    ("head", "taken", "passed", "due"),
    [
        (0, None, 0, False),
        (1, None, 0, True),
        (99, 0, 0, False),
        (100, 0, 0, True),
        (99, 0, 999, False),
        (99, 0, 1000, True),
        (0, 0, 1000, False),
    ],
)
def test_one_is_due_by_count_and_by_time(head: int, taken: int | None, passed: int, *, due: bool) -> None:
    known = () if taken is None else (Checkpoint(Offset(taken), START, Version(0), BEGIN),)

    assert is_due(Log(Offset(1), Offset(head)), known, BEGIN + passed, 100, 1000) == due


EDGES = [0, 1, 2, STEP - 1, STEP, STEP + 1, 2 * STEP - 1, 2 * STEP, 2 * STEP + 1]


@pytest.fixture(scope="module")
def ledger() -> Ledger:
    ledger = Ledger()
    exchange(ledger, 2 * STEP + 1)
    return ledger


@pytest.mark.parametrize("offset", EDGES)
def test_the_chain_at_an_offset_is_that_of_the_entries_up_to_there(ledger: Ledger, offset: int) -> None:
    entries = [entry for _, entry in ledger.entries(UserId(1))[:offset]]

    assert chain(ledger, UserId(1), offset) == extend(START, 0, entries)[0]


def test_what_was_never_given_has_no_chain(ledger: Ledger) -> None:
    assert chain(ledger, UserId(1), 2 * STEP + 2) is None
    assert chain(ledger, UserId(9), 1) is None
    assert chain(ledger, UserId(9), 0) == START


@given(st.integers(1, 3 * STEP), st.lists(st.integers(0, 3 * STEP), min_size=1, max_size=9))
@settings(max_examples=15, deadline=None)
def test_the_chain_is_the_same_after_expiry_or_unknown(expired: int, offsets: list[int]) -> None:
    ledger = Ledger(slice_entries=10_000)
    ann, _ = exchange(ledger, 3 * STEP)
    before = [chain(ledger, ann.user, offset) for offset in offsets]
    ledger.do(ExpireLog(ann.user, CHAT, earliest_stamp(Millis(BEGIN + expired * MINUTE))))
    first = ledger.log(ann.user).first
    for offset, known in zip(offsets, before, strict=True):
        now = chain(ledger, ann.user, offset)

        assert now in {None, known}
        if offset >= -(-(first - 1) // STEP) * STEP:
            assert now == known
