"""What a device claims is judged from the newest place on, and costs are told in slices."""

from collections.abc import Generator
from typing import Any, TypeVar

import pytest

from bimip.domain.core.ids import Millis, UserId
from bimip.domain.messages.checkpoints import TakeCheckpoint
from bimip.reading.snapshots import (
    MOST,
    SLICE,
    Claim,
    Cost,
    Match,
    judge,
    read_chain,
    read_checkpoint,
    read_state_head,
    weigh,
)
from tests.domain.support import CHAT, Ledger

ANN = UserId(1)
T = TypeVar("T")


def run(asking: Generator[int, None, T]) -> tuple[list[int], T]:
    """Lists what each slice looked at, and the answer."""
    slices = []
    while True:
        try:
            slices.append(next(asking))
        except StopIteration as end:
            return slices, end.value


@pytest.fixture(scope="module")
def ledger() -> Ledger:
    ledger = Ledger()
    ann, bob = ledger.device("ann"), ledger.device("bob")
    for number in range(300):
        ledger.send(ann, "bob", f"m{number}", digest=b"%d" % number, sent=b"x" * 10)
        if number == 99:
            ledger.do(TakeCheckpoint(ANN, CHAT))
            ledger.now = Millis(ledger.now + 1)
    ledger.do(TakeCheckpoint(ANN, CHAT))
    ledger.ack(bob, 300)
    return ledger


def claim(ledger: Ledger, offset: int, *, whole: bool = True, partition: str = CHAT) -> Claim:
    chain = read_chain(ledger.store, ANN, CHAT, offset) or bytes(16)
    return Claim(partition, offset, chain if whole else b"x" * 16)


@pytest.mark.parametrize(
    ("claims", "expected", "looks"),
    [
        ([], None, 0),
        ([(300, True)], Match(CHAT, 300, matches=True, unknown=False), 1),
        ([(300, True), (10, True), (200, True)], Match(CHAT, 300, matches=True, unknown=False), 1),
        ([(10, True), (300, False), (200, True)], Match(CHAT, 200, matches=False, unknown=False), 2),
        ([(300, False), (200, False)], Match(CHAT, 0, matches=False, unknown=False), 2),
        ([(301, True), (200, True)], Match(CHAT, 0, matches=False, unknown=True), 1),
    ],
)
def test_the_newest_that_matches_is_found(
    ledger: Ledger, claims: list[tuple[int, bool]], expected: Match | None, looks: int
) -> None:
    said = [claim(ledger, offset, whole=whole) for offset, whole in claims]
    slices, found = run(judge(ledger.store, ANN, said))

    assert found.get(CHAT) == expected
    assert len(slices) == looks


def test_each_partition_is_judged_for_itself(ledger: Ledger) -> None:
    _, found = run(judge(ledger.store, ANN, [claim(ledger, 300), claim(ledger, 5, partition="feed")]))

    assert found["chat"].matches
    assert found["feed"] == Match("feed", 0, matches=False, unknown=True)


def test_a_checkpoint_is_found_by_its_offset_and_the_newest_without_one(ledger: Ledger) -> None:
    first, newest = read_checkpoint(ledger.store, ANN, CHAT, 100), read_checkpoint(ledger.store, ANN, CHAT)
    assert first is not None
    assert newest is not None

    assert (first.offset, first.chain) == (100, read_chain(ledger.store, ANN, CHAT, 100))
    assert newest.offset == 300
    assert read_checkpoint(ledger.store, ANN, CHAT, 101) is None
    assert read_checkpoint(ledger.store, ANN, "feed") is None


def test_costs_are_told_in_slices(ledger: Ledger) -> None:
    slices, (delta, whole) = run(weigh(ledger.store, ANN, CHAT, 290, 0, 20))
    states = read_state_head(ledger.store, ANN)

    assert (delta.entries, whole.entries) == (10, 20)
    assert 2 * delta.bytes == whole.bytes > 20 * 10
    assert 0 < delta.states == whole.states <= states
    assert max(slices) <= SLICE


def test_what_there_is_nothing_of_costs_nothing(ledger: Ledger) -> None:
    _, found = run(weigh(ledger.store, ANN, "feed", 0, 10**6, 20))

    assert found[0] == Cost(0, 0, 0)


def test_the_cost_of_much_is_estimated() -> None:
    ledger: Any = Ledger()
    ann = ledger.device("ann")
    for number in range(MOST + 200):
        ledger.send(ann, "ann", f"m{number}", sent=b"x" * 100)
    slices, (delta, _) = run(weigh(ledger.store, ANN, CHAT, 0, 0, 1))

    assert sum(slices) < MOST + 10
    assert delta.entries == MOST + 200
    assert 100 * delta.entries < delta.bytes < 160 * delta.entries
