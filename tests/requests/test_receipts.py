"""What a device says was read counts for what it received, in the conversation that it names."""

import pytest

from bimip.domain.contacts.changing_settings import ChangeSettings
from bimip.domain.core.ids import ConversationId, ConversationOffset
from bimip.domain.core.operations import Done, Fault, Receipt, Received, Refused
from bimip.requests.receipts import RANGES_TOGETHER
from bimip.wire import bimip_pb2 as pb
from tests.requests.support import Peer


def received(conversation: int, first: int, last: int) -> Received:
    return Received(ConversationId(conversation), ConversationOffset(first), ConversationOffset(last))


@pytest.mark.parametrize(
    ("fields", "conversation", "expected"),
    [
        ({"conversation": "c2"}, 2, [received(2, 4, 4)]),
        ({"to": pb.Identity(eid="c2")}, 2, [received(2, 4, 4)]),
        ({"to": pb.Identity(eid="bob")}, None, [received(1, 1, 3), received(2, 4, 4)]),
    ],
    ids=["a conversation", "a conversation as recipient", "a peer"],
)
def test_it_goes_with_what_was_received_of_that_conversation(
    fields: dict[str, object], conversation: int | None, expected: list[Received]
) -> None:
    peer = Peer()
    peer.received = [received(1, 1, 3), received(2, 4, 4)]
    peer.take("signal", pb.Signal(status=pb.READ, upto=3, **fields))  # type: ignore[arg-type]  # of those two fields
    (operation,) = peer.operations()

    assert isinstance(operation, Receipt)
    assert (operation.conversation, operation.received) == (conversation, tuple(expected))


@pytest.mark.parametrize(
    ("fields", "field"),
    [({"conversation": "c01"}, "conversation"), ({"conversation": "x"}, "conversation"), ({"to": "c01"}, "to.eid")],
)
def test_what_has_the_form_of_a_conversation_and_is_none_is_not_found(fields: dict[str, str], field: str) -> None:
    peer = Peer()
    to = pb.Identity(eid=fields.get("to", ""))
    peer.take("signal", pb.Signal(status=pb.READ, upto=3, conversation=fields.get("conversation", ""), to=to))

    assert [(error.code, error.field) for error in peer.together().errors] == [(pb.NOT_FOUND, field)]


def read(upto: int = 0, *offsets: int, conversation: str = "c1", status: int = pb.READ) -> pb.Signal:
    ranges = [pb.OffsetRange(**{"from": offset, "to": offset}) for offset in offsets]
    return pb.Signal(status=status, conversation=conversation, upto=upto, offsets=ranges)


def said(peer: Peer) -> list[tuple[int, int, tuple[tuple[int, int], ...]]]:
    asked = [one for one in peer.operations() if isinstance(one, Receipt)]
    return [(int(one.kind), one.upto, one.ranges) for one in asked]


def test_many_of_one_conversation_that_wait_are_one_operation_and_each_is_paid() -> None:
    peer = Peer()
    for signal in (read(3), read(5), read(0, 9), read(0, 7, 11), read(4)):
        peer.take("signal", signal)

    assert said(peer) == [(pb.READ, 5, ((7, 7), (9, 9), (11, 11)))]
    peer.decide(Done())
    assert (peer.owed, peer.parts, peer.receipts) == (0, [], {})


def test_another_conversation_or_kind_and_what_comes_later_stands_alone() -> None:
    peer = Peer()
    peer.take("signal", read(3))
    peer.take("signal", read(3, conversation="c2"))
    peer.take("signal", read(0, 3, status=pb.PLAYED))
    peer.queue.tickets[0].taken = True
    peer.take("signal", read(4))

    assert said(peer) == [(pb.READ, 3, ()), (pb.READ, 3, ()), (pb.PLAYED, 0, ((3, 3),)), (pb.READ, 4, ())]
    peer.decide(Done())
    assert peer.owed == 0


def test_what_is_read_after_a_setting_is_not_taken_in_before_it() -> None:
    peer = Peer()
    peer.take("signal", read(3))
    peer.take("settings", pb.Settings(send_read_receipts=False))
    peer.take("signal", read(4))

    assert [type(one) for one in peer.operations()] == [Receipt, ChangeSettings, Receipt]


def test_where_one_of_many_is_wrong_each_is_decided_and_answered_for_itself() -> None:
    peer = Peer()
    for ref, upto in ((1, 3), (2, 99), (3, 5)):
        peer.take("signal", read(upto), ref)
    peer.decide(Refused(Fault.OFFSET_BEYOND_HEAD, "beyond"))

    assert said(peer) == [(pb.READ, 3, ()), (pb.READ, 99, ()), (pb.READ, 5, ())]
    first, second, third = peer.queue.tickets
    peer.queue.tickets = []
    first.reply(Done())
    second.reply(Refused(Fault.OFFSET_BEYOND_HEAD, "beyond"))
    third.reply(Done())
    assert [(error.code, error.ref) for error in peer.together().errors] == [(pb.OFFSET_BEYOND_HEAD, 2)]
    assert peer.owed == 1  # until the error is sent


def test_a_receipt_takes_in_no_more_than_a_bound() -> None:
    peer = Peer()
    for first in range(1, 20_000, 400):
        peer.take("signal", read(0, *range(first, first + 400, 2)))

    assert max(len(ranges) for _, _, ranges in said(peer)) <= RANGES_TOGETHER
    assert sum(len(ranges) for _, _, ranges in said(peer)) == 10_000
