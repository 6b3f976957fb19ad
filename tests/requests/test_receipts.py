"""What a device says was read counts for what it received, in the conversation that it names."""

import pytest

from bimip.domain.core.ids import ConversationId, ConversationOffset
from bimip.domain.core.operations import Receipt, Received
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
