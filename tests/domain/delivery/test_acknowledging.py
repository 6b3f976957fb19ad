import pytest

from bimip.domain.core.decision import StateNews
from bimip.domain.core.ids import ConversationId, ConversationOffset, Millis, Offset
from bimip.domain.core.operations import Acknowledge, Acknowledged, Address, Done, Receipt, Received
from bimip.domain.core.ranges import Ranges
from bimip.domain.core.records import Cursor, ReceiptKey, ReceiptKind, ReceiptRun, Table
from bimip.domain.state.receipts import BLOCK, PART, pack_key, read_block, unpack_key
from tests.domain.support import BEGIN, CHAT, Ledger, Peer, fault_of

DELIVERED, READ, PLAYED = ReceiptKind.DELIVERED, ReceiptKind.READ, ReceiptKind.PLAYED


class Pair:
    """Ann wrote some messages to Bob."""

    def __init__(self, messages: int = 3, ledger: Ledger | None = None) -> None:
        self.ledger = ledger or Ledger()
        self.ann, self.bob = self.ledger.device("ann"), self.ledger.device("bob")
        self.laptop = self.ledger.device("bob", "laptop")
        self.conversation = ConversationId(0)
        for number in range(messages):
            self.conversation = self.ledger.send(self.ann, "bob", f"m{number}").conversation

    def delivered(self, member: Peer) -> set[int]:
        return self.ledger.marked(self.conversation, member.user, DELIVERED)

    def read(self, member: Peer) -> set[int]:
        return self.ledger.marked(self.conversation, member.user, READ)


def told_of(pair: Pair) -> list[StateNews]:
    """Lists the state news of the first decision."""
    return [news for news in pair.ledger.decisions[0].news if isinstance(news, StateNews)]


def test_the_first_ack_by_any_device_of_the_recipient_marks_delivered() -> None:
    pair = Pair()
    pair.ledger.now = Millis(BEGIN + 5)
    pair.ledger.ack(pair.laptop, 2)
    pair.ledger.now = Millis(BEGIN + 9)
    pair.ledger.ack(pair.bob, 3)

    assert pair.ledger.runs(pair.conversation, pair.bob.user, DELIVERED) == (
        ReceiptRun(ConversationOffset(1), ConversationOffset(2), Millis(BEGIN + 5)),
        ReceiptRun(ConversationOffset(3), ConversationOffset(3), Millis(BEGIN + 9)),
    )


def test_an_ack_answers_with_the_floor() -> None:
    pair = Pair()

    assert pair.ledger.ack(pair.bob, 0, ((2, 2),)) == 0
    assert pair.ledger.ack(pair.bob, 1) == 2
    assert pair.ledger.cursor(pair.bob) == Cursor(Offset(2), ())
    assert pair.ledger.cursor(pair.laptop) is None


def test_what_one_wrote_oneself_is_not_delivered_to_oneself() -> None:
    pair = Pair()
    sibling = pair.ledger.device("ann", "laptop")
    pair.ledger.ack(sibling, 3)
    pair.ledger.ack(pair.ann, 3)

    assert pair.delivered(pair.ann) == set()


def test_an_ack_of_what_was_addressed_to_another_device_gives_no_receipt() -> None:
    pair = Pair(0)
    sent = pair.ledger.send(pair.ann, "bob", "m", addresses=(Address("bob", "laptop", None),))
    pair.ledger.ack(pair.bob, 1)
    before = pair.ledger.marked(sent.conversation, pair.bob.user, DELIVERED)
    pair.ledger.ack(pair.laptop, 1)

    assert before == set()
    assert pair.ledger.marked(sent.conversation, pair.bob.user, DELIVERED) == {1}


@pytest.mark.parametrize(("upto", "ranges"), [(4, ()), (0, ((4, 4),)), (3, ((1, 2), (3, 4))), (2**63, ())])
def test_an_offset_beyond_the_head_is_refused_and_moves_nothing(upto: int, ranges: Ranges) -> None:
    pair = Pair()
    pair.ledger.ack(pair.bob, 1)
    before = pair.ledger.everything()
    result = pair.ledger.do(Acknowledge(pair.bob.user, pair.bob.device, CHAT, Offset(upto), ranges))

    assert fault_of(result) == "OFFSET_BEYOND_HEAD"
    assert pair.ledger.everything() == before


def test_an_ack_in_an_empty_log_changes_nothing() -> None:
    pair = Pair()
    before = pair.ledger.everything()

    assert pair.ledger.ack(pair.bob, 0, partition="feed") == 0
    assert pair.ledger.everything() == before


def test_an_ack_again_changes_nothing() -> None:
    pair = Pair()
    pair.ledger.ack(pair.bob, 2)
    before = pair.ledger.everything()
    pair.ledger.now = Millis(BEGIN + 60_000)

    assert pair.ledger.ack(pair.bob, 2) == 2
    assert pair.ledger.ack(pair.bob, 1, ((1, 2),)) == 2
    assert pair.ledger.everything() == before


def test_a_long_ack_is_decided_in_slices_and_the_floor_moves_with_each() -> None:
    pair = Pair(10, Ledger(slice_entries=4))
    ack = Acknowledge(pair.bob.user, pair.bob.device, CHAT, Offset(10))
    batch, decisions = pair.ledger.decide(ack)
    pair.ledger.commit(batch.changes)

    assert decisions[0].result == Acknowledged(Offset(4))
    assert decisions[0].then == ack
    assert pair.delivered(pair.bob) == {1, 2, 3, 4}
    pair.ledger.do(ack)
    assert pair.delivered(pair.bob) == set(range(1, 11))
    assert pair.ledger.cursor(pair.bob) == Cursor(Offset(10), ())


def test_an_ack_of_more_than_the_window_in_ranges_gives_every_receipt() -> None:
    """The floor passed over all of them, and the receipts of those beyond the window never came."""
    pair = Pair(12, Ledger(window_entries=3, slice_entries=5))
    pair.ledger.ack(pair.bob, 0, ((1, 9), (11, 12)))

    assert pair.delivered(pair.bob) == {*range(1, 10), 11, 12}
    assert pair.ledger.cursor(pair.bob) == Cursor(Offset(9), ((11, 12),))


def test_the_author_learns_of_the_receipt_and_the_reader_does_not_of_a_delivery() -> None:
    pair = Pair()
    pair.ledger.ack(pair.bob, 2)
    key = ReceiptKey(pair.conversation, pair.bob.user, DELIVERED, 0)
    news = told_of(pair)

    assert pair.ledger.state_keys(pair.ann.user) == [(2, key)]
    assert pair.ledger.state_keys(pair.bob.user) == []
    assert [(one.user, one.version, unpack_key(one.key)) for one in news] == [(pair.ann.user, 2, key)]
    assert news[0].change == pair.ledger.runs(pair.conversation, pair.bob.user, DELIVERED)


def test_only_what_is_new_travels_and_only_the_newest_version_of_a_key_stays() -> None:
    pair = Pair()
    pair.ledger.ack(pair.bob, 2)
    pair.ledger.ack(pair.bob, 3)
    key = ReceiptKey(pair.conversation, pair.bob.user, DELIVERED, 0)

    assert [(run.first, run.last) for run in told_of(pair)[0].change] == [(3, 3)]
    assert pair.ledger.state_keys(pair.ann.user) == [(3, key)]
    assert pair.ledger.get(Table.STATES, pair.ann.user).head == 3
    assert pair.ledger.get(Table.VERSIONS, pair.ann.user, pack_key(key)) == 3


def test_a_read_implies_a_delivery_and_a_play_both() -> None:
    pair = Pair()
    pair.ledger.read(pair.bob, "ann", 1)
    pair.ledger.read(pair.bob, "ann", 0, ((3, 3),), PLAYED)

    assert pair.delivered(pair.bob) == {1, 3}
    assert pair.read(pair.bob) == {1, 3}
    assert pair.ledger.marked(pair.conversation, pair.bob.user, PLAYED) == {3}


def test_the_readers_other_devices_learn_what_was_read() -> None:
    pair = Pair()
    pair.ledger.read(pair.bob, "ann", 2)

    assert [key.kind for _, key in pair.ledger.state_keys(pair.bob.user)] == [READ]
    assert sorted(key.kind for _, key in pair.ledger.state_keys(pair.ann.user)) == [DELIVERED, READ]


def test_a_read_names_the_conversation_or_its_other_member() -> None:
    pair = Pair()
    pair.ledger.ack(pair.bob, 1)
    receipt = Receipt(pair.bob.user, READ, pair.conversation, "", ConversationOffset(1))

    assert pair.ledger.do(receipt) == Done()
    assert pair.ledger.read(pair.bob, "ann", 2) == Done()
    assert pair.read(pair.bob) == {1, 2}


def test_what_one_wrote_oneself_is_not_read_by_oneself() -> None:
    pair = Pair()
    pair.ledger.send(pair.bob, "ann", "answer")
    pair.ledger.read(pair.bob, "ann", 4)

    assert pair.read(pair.bob) == {1, 2, 3}
    assert pair.ledger.marked(pair.conversation, pair.ann.user, READ) == set()


@pytest.mark.parametrize("kind", [READ, PLAYED])
def test_a_receipt_claims_what_a_device_of_the_reader_acknowledged_or_this_one_was_sent(kind: ReceiptKind) -> None:
    pair = Pair(6)
    pair.ledger.ack(pair.laptop, 2)
    pair.ledger.read(pair.bob, "ann", 0, ((1, 6),), kind, received=(4, 5))

    assert pair.read(pair.bob) == {1, 2, 4, 5}
    assert pair.delivered(pair.bob) == {1, 2, 4, 5}


def test_a_read_does_not_claim_what_was_addressed_to_another_device() -> None:
    pair = Pair(1)
    pair.ledger.send(pair.ann, "bob", "for the laptop", addresses=(Address("bob", "laptop", None),))
    pair.ledger.ack(pair.bob, 2)
    pair.ledger.read(pair.bob, "ann", 2, received=(1, 1))
    before = pair.read(pair.bob)
    pair.ledger.ack(pair.laptop, 2)
    pair.ledger.read(pair.bob, "ann", 2, received=(1, 1))

    assert before == {1}
    assert pair.read(pair.bob) == {1, 2}


def test_a_read_does_not_claim_what_lies_in_a_partition_that_nobody_asked_for() -> None:
    pair = Pair(1)
    pair.ledger.send(pair.ann, "bob", "in the feed", partition="feed")
    pair.ledger.ack(pair.bob, 1)
    pair.ledger.read(pair.bob, "ann", 2, received=(1, 1))

    assert pair.read(pair.bob) == {1}


@pytest.mark.parametrize("kind", [READ, PLAYED])
def test_a_conversation_offset_beyond_the_head_is_refused(kind: ReceiptKind) -> None:
    pair = Pair()
    before = pair.ledger.everything()

    assert fault_of(pair.ledger.read(pair.bob, "ann", 4, (), kind)) == "OFFSET_BEYOND_HEAD"
    assert fault_of(pair.ledger.read(pair.bob, "ann", 0, ((2, 9),), kind)) == "OFFSET_BEYOND_HEAD"
    assert pair.ledger.everything() == before


def test_somebody_elses_conversation_is_like_one_that_does_not_exist() -> None:
    pair = Pair()
    cid = pair.ledger.device("cid")
    theirs = pair.ledger.do(Receipt(cid.user, READ, pair.conversation, "", ConversationOffset(1)))
    none = pair.ledger.do(Receipt(cid.user, READ, ConversationId(99), "", ConversationOffset(1)))

    assert theirs == none
    assert fault_of(theirs) == "NOT_FOUND"
    assert fault_of(pair.ledger.read(cid, "bob", 1)) == "NOT_FOUND"
    assert fault_of(pair.ledger.read(cid, "nobody", 1)) == "NOT_FOUND"


def test_a_long_read_is_decided_in_slices() -> None:
    pair = Pair(11, Ledger(slice_entries=3))
    received = (Received(pair.conversation, ConversationOffset(1), ConversationOffset(11)),)
    receipt = Receipt(pair.bob.user, READ, None, "ann", ConversationOffset(5), ((7, 11),), received)
    _, decisions = pair.ledger.decide(receipt)
    pair.ledger.do(receipt)

    assert decisions[0].then is not None
    assert pair.read(pair.bob) == {1, 2, 3, 4, 5, 7, 8, 9, 10, 11}


def test_a_read_of_what_expired_takes_no_slices() -> None:
    pair = Pair(11, Ledger(slice_entries=3))
    conversation = pair.ledger.get(Table.CONVERSATIONS, pair.conversation)
    batch, _ = pair.ledger.decide()
    batch.changes.puts = {
        Table.CONVERSATIONS: {(pair.conversation,): conversation._replace(first=ConversationOffset(10))}
    }
    pair.ledger.commit(batch.changes)
    batches = pair.ledger.batches
    pair.ledger.read(pair.bob, "ann", 0, ((1, 11),))

    assert pair.ledger.batches == batches + 1
    assert pair.read(pair.bob) == {10, 11}


def test_receipts_lie_in_blocks() -> None:
    pair = Pair(BLOCK + 2)
    pair.ledger.read(pair.bob, "ann", BLOCK + 2)
    told = [(unpack_key(one.key).block, one.change) for one in told_of(pair) if one.user == pair.ann.user]
    with pair.ledger.store.snapshot() as view:
        blocks = [read_block(view, ReceiptKey(pair.conversation, pair.bob.user, READ, block)) for block in (0, 1)]

    assert [(run.first, run.last) for run in blocks[0]] == [(1, BLOCK)]
    assert [(run.first, run.last) for run in blocks[1]] == [(BLOCK + 1, BLOCK + 2)]
    assert sorted(told) == sorted([(0, blocks[0]), (1, blocks[1])] * 2)


def test_an_ack_writes_only_the_part_that_it_changes() -> None:
    pair = Pair(PART + 2)
    pair.ledger.ack(pair.bob, PART + 1)
    batch, _ = pair.ledger.decide(Acknowledge(pair.bob.user, pair.bob.device, CHAT, Offset(PART + 2)))

    assert [key[3] for key in batch.changes.puts[Table.RECEIPTS]] == [1]


def test_acks_of_one_batch_share_its_versions() -> None:
    pair = Pair()
    bob, laptop = pair.bob, pair.laptop
    pair.ledger.do_all(
        Acknowledge(bob.user, bob.device, CHAT, Offset(2)), Acknowledge(laptop.user, laptop.device, CHAT, Offset(3))
    )

    assert pair.delivered(bob) == {1, 2, 3}
    assert [version for version, _ in pair.ledger.state_keys(pair.ann.user)] == [3]
