"""The chain over a log: computed once more here, entry by entry, and compared with what the rules kept of it."""

from hashlib import blake2b

import pytest

from bimip.domain.core.clock import earliest_stamp
from bimip.domain.core.ids import Millis, Stamp
from bimip.domain.core.operations import ExpireLog
from bimip.domain.core.records import Entry, Log, LogTable
from bimip.domain.messages.chaining import STEP, extend
from tests.domain.support import BEGIN, CHAT, Ledger, Peer


def filled(count: int) -> tuple[Ledger, Peer, Peer]:
    """A message a second, by two people to each other."""
    ledger = Ledger()
    ann, bob = ledger.device("ann"), ledger.device("bob")
    for number in range(count):
        ledger.now = Millis(BEGIN + 1000 * number)
        sender, to = (ann, "bob") if number % 3 else (bob, "ann")
        ledger.send(sender, to, f"m{number}", digest=b"%08d" % number)
    return ledger, ann, bob


def link(before: bytes, entry: Entry) -> bytes:
    return extend(before, 0, [entry])[0]


def recomputed(entries: list[tuple[int, Entry]], upto: int) -> bytes:
    chain = bytes(16)
    for offset, entry in entries:
        if offset <= upto:
            material = chain + entry.stamp.to_bytes(8, "big") + entry.digest
            chain = blake2b(material, digest_size=16).digest()
    return chain


def chain(ledger: Ledger, peer: Peer, offset: int) -> bytes | None:
    """As it was at an offset, from what is kept; None where too much has expired to tell."""
    log: Log = ledger.log(peer.user)
    if offset == log.head:
        return log.chain
    number, place = offset // STEP, (peer.user, CHAT)
    with ledger.store.snapshot() as view:
        kept = {0: bytes(16)} | dict(view.read(LogTable.CHAINS, place, 0, limit=STEP))
        entries = view.read(LogTable.ENTRIES, place, number * STEP, limit=offset - number * STEP)
    if number not in kept or [at for at, _ in entries] != list(range(number * STEP + 1, offset + 1)):
        return None
    return extend(kept[number], number * STEP, [entry for _, entry in entries])[0]


@pytest.mark.parametrize("offset", [0, 1, STEP - 1, STEP, STEP + 1, 2 * STEP, 2 * STEP + 40, 2 * STEP + 44])
def test_it_is_known_at_every_offset(offset: int) -> None:
    ledger, ann, _ = filled(2 * STEP + 44)

    assert recomputed(ledger.entries(ann.user), offset) == chain(ledger, ann, offset)


def test_both_logs_of_a_conversation_that_is_all_they_hold_have_one_chain() -> None:
    ledger, ann, bob = filled(STEP + 1)

    assert chain(ledger, ann, STEP + 1) == chain(ledger, bob, STEP + 1) != chain(ledger, bob, STEP)


def test_one_other_digest_makes_another_chain() -> None:
    entry = filled(1)[0].entries(filled(1)[1].user)[0][1]

    assert link(bytes(16), entry) != link(bytes(16), entry._replace(digest=b"12345678"))
    assert link(bytes(16), entry) != link(bytes(16), entry._replace(stamp=Stamp(entry.stamp + 1)))


def test_what_expired_is_told_as_far_as_a_kept_value_reaches() -> None:
    ledger, ann, _ = filled(3 * STEP)
    expected = {offset: chain(ledger, ann, offset) for offset in (2 * STEP, 2 * STEP + 5, 3 * STEP)}
    ledger.now = Millis(ledger.now + 1000)
    ledger.do(ExpireLog(ann.user, CHAT, earliest_stamp(Millis(BEGIN + 1000 * (STEP + 9)))))

    assert ledger.log(ann.user).first == STEP + 10
    assert chain(ledger, ann, STEP + 5) is None
    assert chain(ledger, ann, STEP + 20) is None
    assert expected == {offset: chain(ledger, ann, offset) for offset in expected}
    with ledger.store.snapshot() as view:
        assert [number for number, _ in view.read(LogTable.CHAINS, (ann.user, CHAT), 0, limit=9)] == [1, 2, 3]


def test_a_log_goes_on_from_where_it_stood_also_when_all_of_it_expired() -> None:
    ledger, ann, bob = filled(5)
    before = chain(ledger, ann, 5)
    assert before is not None
    ledger.do(ExpireLog(ann.user, CHAT, earliest_stamp(Millis(BEGIN + 10_000))))
    ledger.now = Millis(BEGIN + 20_000)
    ledger.send(bob, "ann", "next", digest=b"n")
    ((_, entry),) = ledger.entries(ann.user)

    assert chain(ledger, ann, 6) == link(before, entry)
