import pytest

from bimip.domain.core.clock import earliest_stamp
from bimip.domain.core.ids import ConversationId, Millis, Offset, Stamp, UserId
from bimip.domain.core.operations import (
    Acknowledge,
    Address,
    ExpireBodies,
    Expired,
    ExpireHistory,
    ExpireLog,
    ExpireRevoked,
    ExpireSeen,
    Links,
    Operation,
    Revoke,
)
from bimip.domain.core.records import LogTable, Table
from bimip.domain.core.schema import behind
from bimip.domain.messages.expiring import ExpireMentions, ExpireThreads, last_stamp
from tests.domain.support import BEGIN, CHAT, Ledger, Peer


class Old:
    """Ann wrote messages to Bob, one each ten milliseconds."""

    def __init__(self, messages: int, slice_entries: int = 1000) -> None:
        self.ledger = Ledger(slice_entries=slice_entries)
        self.ann, self.bob = self.ledger.device("ann"), self.ledger.device("bob")
        self.sent = []
        for number in range(messages):
            self.ledger.now = Millis(BEGIN + 10 * number)
            addresses = (Address("bob", "phone", None),) if number % 2 else ()
            self.sent.append(self.ledger.send(self.ann, "bob", f"m{number}", addresses=addresses))
        self.conversation = self.sent[0].conversation

    def before(self, number: int) -> Stamp:
        """Older than this are the first `number` messages."""
        return earliest_stamp(Millis(BEGIN + 10 * number))

    def all_slices(self, operation: Operation) -> list[Expired]:
        results = []
        while True:
            result = self.ledger.do(operation)
            assert isinstance(result, Expired)
            results.append(result)
            if result.resume is not None:
                assert isinstance(operation, ExpireSeen | ExpireRevoked | ExpireMentions | ExpireThreads)
                operation = operation._replace(start=result.resume)
            if not result.more:
                return results

    def numbers(self, peer: Peer) -> list[int]:
        return [number for number, _ in self.ledger.entries(peer.user)]


def test_entries_older_than_the_period_go_from_one_log() -> None:
    old = Old(6)
    result = old.ledger.do(ExpireLog(old.bob.user, CHAT, old.before(4)))

    assert result == Expired(4, more=False)
    assert old.numbers(old.bob) == [5, 6]
    assert old.ledger.log(old.bob.user)[:2] == (5, 6)
    assert old.numbers(old.ann) == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("number", [0, 3, 7])
def test_a_long_log_goes_in_slices(number: int) -> None:
    old = Old(7, slice_entries=3)
    results = old.all_slices(ExpireLog(old.bob.user, CHAT, old.before(number)))

    assert sum(result.removed for result in results) == number
    assert all(result.removed <= 3 for result in results)
    assert old.numbers(old.bob) == list(range(number + 1, 8))


def test_offsets_of_an_emptied_log_are_not_given_again() -> None:
    old = Old(3)
    old.ledger.do(ExpireLog(old.bob.user, CHAT, old.before(99)))
    old.ledger.now = Millis(BEGIN + 1000)
    sent = old.ledger.send(old.bob, "ann", "later")

    assert sent.offset == 4
    assert old.numbers(old.bob) == [4]
    assert old.ledger.log(old.bob.user)[:2] == (4, 4)


def test_a_history_goes_like_a_log_and_its_offsets_are_not_given_again() -> None:
    old = Old(5, slice_entries=2)
    results = old.all_slices(ExpireHistory(old.conversation, old.before(5)))
    sent = old.ledger.send(old.bob, "ann", "later")

    assert sum(result.removed for result in results) == 5
    assert sent.conversation_offset == 6
    assert old.ledger.get(Table.CONVERSATIONS, old.conversation).first == 6
    with old.ledger.store.snapshot() as view:
        assert [number for number, _ in view.read(LogTable.HISTORY, (old.conversation,), 0, limit=9)] == [6]


def test_bodies_go_with_what_was_addressed() -> None:
    old = Old(7, slice_entries=2)
    old.all_slices(ExpireBodies(old.before(4)))
    kept = [sent.stamp for sent in old.sent[4:]]

    with old.ledger.store.snapshot() as view:
        assert [key for (key,), _ in view.scan(Table.BODIES, (0,), (1 << 64,), limit=99)] == kept
        addressed = view.scan(Table.ADDRESSED, (0,), (1 << 64,), limit=99)
    assert [stamp for (stamp, _), _ in addressed] == [sent.stamp for sent in old.sent[4:] if sent.offset % 2 == 0]


@pytest.mark.parametrize("gone", [0, 2, 3])
def test_the_last_stamp_is_known_also_when_its_message_is_gone(gone: int) -> None:
    old = Old(3, slice_entries=2)
    old.all_slices(ExpireBodies(old.before(gone)))
    old.all_slices(ExpireBodies(old.before(gone)))  # there is nothing left to learn it from

    with old.ledger.store.snapshot() as view:
        assert last_stamp(view) == old.sent[-1].stamp


def test_deduplication_goes_when_it_is_old_enough_and_not_before() -> None:
    old = Old(7, slice_entries=2)
    results = old.all_slices(ExpireSeen(old.before(4)))

    assert sum(result.removed for result in results) == 4
    assert len(results) == 4
    assert [old.ledger.get(Table.SEEN, old.ann.device, f"m{number}") is None for number in range(7)] == [True] * 4 + [
        False
    ] * 3


@pytest.mark.parametrize("slice_entries", [1, 2, 1000])
def test_what_refers_to_messages_that_are_gone_goes(slice_entries: int) -> None:
    old = Old(1, slice_entries)
    for number in range(1, 6):
        old.ledger.now = Millis(BEGIN + 10 * number)
        old.ledger.send(old.ann, "bob", f"m{number}", links=Links(old.sent[0].stamp, ("bob",)))
    old.all_slices(ExpireMentions(old.before(4)))
    old.all_slices(ExpireThreads(old.before(3)))

    kept = [key for key in old.ledger.everything() if key[0] in {Table.MENTIONS, Table.THREADS}]
    assert [key[-1] for table, key in kept if table is Table.MENTIONS] == [5, 6]
    assert [key[-1] for table, key in kept if table is Table.THREADS] == [4, 5, 6]


@pytest.mark.parametrize("slice_entries", [1, 2, 3, 5, 1000])
def test_a_revocation_goes_once_its_token_would_have_expired(slice_entries: int) -> None:
    """Also those that lie behind a slice full of others that are still in force."""
    old = Old(1, slice_entries)
    for number in range(9):
        old.ledger.do(Revoke(UserId(1), f"token {number}", Millis(BEGIN + (0 if number >= 6 else 1000))))
    old.all_slices(ExpireRevoked(Millis(BEGIN + 500)))

    kept = [old.ledger.get(Table.REVOKED, 1, f"token {number}") is not None for number in range(9)]
    assert kept == [True] * 6 + [False] * 3


def test_what_is_not_there_expires_as_nothing() -> None:
    old = Old(1)
    before = old.ledger.everything()

    for operation in (
        ExpireLog(old.bob.user, "feed", old.before(9)),
        ExpireHistory(old.conversation, old.before(0)),
        ExpireHistory(ConversationId(99), old.before(9)),
        ExpireBodies(Stamp(0)),
        ExpireSeen(Stamp(0)),
        ExpireRevoked(Millis(0)),
    ):
        assert old.ledger.do(operation) == Expired(0, more=False)
    assert old.ledger.everything() == before


def test_an_ack_of_what_expired_gives_no_receipt_and_moves_the_floor() -> None:
    old = Old(5)
    old.ledger.do(ExpireLog(old.bob.user, CHAT, old.before(3)))
    old.ledger.do(Acknowledge(old.bob.user, old.bob.device, CHAT, Offset(4)))

    assert old.ledger.cursor(old.bob) == (4, ())
    assert old.ledger.state_keys(old.ann.user)[0][1].member == old.bob.user


def test_a_slice_resumes_behind_the_last_one_looked_at() -> None:
    old = Old(5, slice_entries=2)
    first = old.ledger.do(ExpireSeen(Stamp(0)))

    assert first == Expired(0, more=True, resume=behind((old.ann.device, "m1")))
