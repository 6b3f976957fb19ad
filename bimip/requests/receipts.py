"""READ and PLAYED: a device says what of a conversation its user has seen.

A receipt that is not decided yet takes the next one of its conversation in, as an acknowledgement does: what a screen
scrolls through is one operation, and one item of state for whoever wrote the messages. What comes behind a change of
the user's settings is not taken in before it, since they say who learns of it.
"""

from typing import Final

from bimip.domain.core.ids import ConversationId, ConversationOffset
from bimip.domain.core.operations import Receipt, Refused, Result
from bimip.domain.core.ranges import normal
from bimip.domain.core.records import ReceiptKind
from bimip.journal.queue import Ticket
from bimip.names import conversation_number, is_conversation_id
from bimip.requests.asker import Asker
from bimip.requests.named import named_ranges
from bimip.requests.refusals import no_conversation, refuse
from bimip.wire import bimip_pb2 as pb

RANGES_TOGETHER: Final = 256
"""Of one operation, and runs of what was received: more is an operation of its own."""


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
    before = asker.receipts.get((kind, named))
    places = "offsets" if payload.offsets else "conversation_offset"
    if before is None or not before.merge(operation, ref, places):
        asker.receipts[kind, named] = _PendingReceipt(asker, (kind, named), operation, ref, places)


class _PendingReceipt:
    __slots__ = ("_asker", "_key", "_parts", "_ticket")

    def __init__(self, asker: Asker, key: tuple[int, str], operation: Receipt, ref: int, places: str) -> None:
        """`places`: the field that names single messages, or ranges of them."""
        self._asker = asker
        self._key = key
        self._parts = [(operation, ref, places)]
        self._ticket: Ticket | None = asker.services.queue.submit(operation, self._decided, owner=asker.user)

    def merge(self, operation: Receipt, ref: int, places: str) -> bool:
        """Takes a later one in, of the same kind and conversation. False: this one is under way, or has enough."""
        ticket = self._ticket
        if ticket is None or ticket.taken:
            return False
        mine = ticket.operation
        assert isinstance(mine, Receipt)
        ranges = normal((*mine.ranges, *operation.ranges)) if operation.ranges else mine.ranges
        received = mine.received
        if operation.received != received:
            received = tuple(dict.fromkeys((*received, *operation.received)))
        if max(len(ranges), len(received)) > RANGES_TOGETHER:
            return False
        upto = max(mine.upto, operation.upto)
        ticket.operation = mine._replace(upto=upto, ranges=ranges, received=received)
        self._parts.append((operation, ref, places))
        return True

    def _decided(self, result: Result) -> None:
        asker, parts = self._asker, self._parts
        self._ticket = None  # which leads back here: the garbage collector would have a cycle for each
        if asker.receipts.get(self._key) is self:
            del asker.receipts[self._key]
        if not isinstance(result, Refused):
            asker.pay(len(parts))
        elif len(parts) == 1:
            ((_, ref, places),) = parts
            refuse(asker, result._replace(field=places) if result.field == "offsets" else result, ref)
        else:  # each for itself, so that nobody's fault is another's
            for operation, ref, places in parts:
                _PendingReceipt(asker, self._key, operation, ref, places)
