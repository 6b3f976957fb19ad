"""Whatever stands under the places of messages goes with them from the conversation's history, and nothing else."""

from typing import Any

from bimip.domain.commands.operation import Command, Commanded, CommandKind
from bimip.domain.core.ids import ConversationId, ConversationOffset, Millis, Stamp
from bimip.domain.core.operations import ExpireHistory
from bimip.domain.core.records import Conversation, LogTable, ReceiptKey, ReceiptKind, Table
from bimip.domain.messages.leaving import LEAST_SLICE, slice_of
from bimip.domain.state.messages import pack_key as message_key
from bimip.domain.state.receipts import PART, pack_key
from tests.domain.support import BEGIN, Ledger

ONE = ConversationId(1)
MESSAGES = 3 * PART + 5


class Talk:
    """Ann wrote to Bob, a message each ten milliseconds; Bob acknowledged and read all."""

    def __init__(self, **rules: Any) -> None:
        self.ledger = Ledger(**rules)
        self.ann, self.bob = self.ledger.device("ann"), self.ledger.device("bob")
        self.sent = []
        for number in range(MESSAGES):
            self.ledger.now = Millis(BEGIN + 10 * number)
            self.sent.append(self.ledger.send(self.ann, "bob", f"m{number}"))
        self.ledger.ack(self.bob, MESSAGES)
        self.ledger.read(self.bob, "ann", MESSAGES)

    def expire(self, first: int) -> None:
        """Until `first` is the oldest."""
        while self.ledger.do(ExpireHistory(ONE, self.sent[first - 1].stamp)).more:
            pass

    def react(self, place: int) -> None:
        command = Command(
            self.bob.user,
            self.bob.device,
            f"k{place}",
            CommandKind.REACT,
            bytes(8),
            Stamp(0),
            target=self.sent[place - 1].stamp,
            emoji="+",
        )
        assert isinstance(self.ledger.do(command), Commanded)

    def places(self, table: Table) -> list[Any]:
        with self.ledger.store.snapshot() as view:
            return [key for key, _ in view.scan(table, (), (1 << 32,), limit=9999)]

    def state_keys(self) -> set[bytes]:
        return {key for _, key in self.places(Table.VERSIONS)}


def test_parts_of_receipts_go_that_lie_before_what_stays() -> None:
    talk = Talk()
    talk.expire(2 * PART + 3)

    assert {key[3] for key in talk.places(Table.RECEIPTS)} == {2, 3}
    assert pack_key(ReceiptKey(ONE, talk.bob.user, ReceiptKind.READ, 0)) in talk.state_keys()
    assert talk.ledger.marked(ONE, talk.bob.user, ReceiptKind.READ) == set(range(2 * PART + 1, MESSAGES + 1))


def test_a_block_of_which_nothing_stays_is_no_state_any_more() -> None:
    ledger = Ledger()
    ann, bob = ledger.device("ann"), ledger.device("bob")
    for number in range(260):
        last = ledger.send(ann, "bob", f"m{number}")
    ledger.ack(bob, 260)
    ledger.do(ExpireHistory(ONE, last.stamp))

    with ledger.store.snapshot() as view:
        keys = {key for (_, key), _ in view.scan(Table.VERSIONS, (), (1 << 32,), limit=999)}
        changes = {key for _, key in view.scan(Table.CHANGES, (), (1 << 32,), limit=999)}
    assert keys == changes
    assert pack_key(ReceiptKey(ONE, bob.user, ReceiptKind.DELIVERED, 0)) not in keys
    assert pack_key(ReceiptKey(ONE, bob.user, ReceiptKind.DELIVERED, 1)) in keys


def test_what_became_of_messages_goes_with_them() -> None:
    talk = Talk()
    talk.react(2)
    talk.react(40)
    talk.expire(30)

    assert talk.places(Table.MESSAGE_STATES) == [(ONE, 40)]
    assert talk.places(Table.REACTIONS) == [(ONE, 40, talk.bob.user)]
    assert message_key(ONE, ConversationOffset(2)) not in talk.state_keys()
    assert message_key(ONE, ConversationOffset(40)) in talk.state_keys()


def test_history_itself_goes_in_slices_that_lose_nothing() -> None:
    talk = Talk(slice_entries=7)
    talk.expire(MESSAGES)

    with talk.ledger.store.snapshot() as view:
        assert [place for place, _ in view.read(LogTable.HISTORY, (ONE,), 0, limit=99)] == [MESSAGES]
    assert {key[3] for key in talk.places(Table.RECEIPTS)} == {3}


def test_of_a_large_group_fewer_go_at_once() -> None:
    direct = Conversation(ConversationOffset(1), ConversationOffset(9), (talk_user(), talk_user()))
    group = direct._replace(members=())

    assert slice_of(direct, 2, 1000) == 1000
    assert slice_of(group, 10, 1000) == 100
    assert slice_of(group, 500, 1000) == LEAST_SLICE


def talk_user() -> Any:
    return 1
