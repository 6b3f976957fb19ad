"""READ and PLAYED: a device says what of a conversation its user has seen."""

from functools import partial

from bimip.domain.core.ids import ConversationId, ConversationOffset
from bimip.domain.core.operations import Receipt, Result
from bimip.domain.core.records import ReceiptKind
from bimip.names import conversation_number, is_conversation_id
from bimip.requests.asker import Asker
from bimip.requests.named import named_ranges
from bimip.requests.refusals import answer_errors_only, no_conversation
from bimip.wire import bimip_pb2 as pb


def note_receipt(asker: Asker, payload: pb.Signal, ref: int) -> None:
    named = payload.conversation or payload.to.eid
    number = conversation_number(named)
    if number is None and (payload.conversation or is_conversation_id(named)):
        raise no_conversation(named, "conversation" if payload.conversation else "to.eid")
    ranges = named_ranges(asker, payload.offsets, payload.conversation_offset)
    kind = ReceiptKind(payload.status)
    upto = ConversationOffset(payload.upto)
    conversation = None if number is None else ConversationId(number)
    received = tuple(one for one in asker.list_received() if number in {None, one.conversation})
    operation = Receipt(asker.user, kind, conversation, payload.to.eid, upto, ranges, received)
    asker.services.queue.submit(operation, partial(_decided, asker, ref), owner=asker.user)


def _decided(asker: Asker, ref: int, result: Result) -> None:
    answer_errors_only(asker, result, ref)
