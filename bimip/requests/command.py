"""Command: a device does something to what is there already. Each kind that is served has its row in COMMANDS."""

from collections.abc import Callable
from functools import partial

from bimip.domain.core.ids import ConversationId, ConversationOffset
from bimip.domain.core.operations import MarkRead, ReadMarked, Refused, Result
from bimip.names import conversation_id, conversation_number
from bimip.requests.asker import Asker
from bimip.requests.refusals import error_of, no_conversation
from bimip.wire import bimip_pb2 as pb
from bimip.wire import frames
from bimip.wire.checks import check_id
from bimip.wire.errors import WireError


def ask(asker: Asker, payload: pb.Command, ref: int) -> None:
    if payload.id:
        check_id(payload.id, "id", asker.services.limits)
    take = COMMANDS.get(payload.kind)
    if take is None:
        names = pb.Command.Kind.values()
        name = pb.Command.Kind.Name(payload.kind) if payload.kind in names else str(payload.kind)
        sentence = f"this server does not serve the command {name} yet; leave it out"
        raise WireError(pb.UNSUPPORTED, sentence, field="kind", id=payload.id)
    try:
        take(asker, payload, ref)
    except WireError as error:
        error.id = payload.id
        raise


def mark_read(asker: Asker, payload: pb.Command, ref: int) -> None:
    check_id(payload.conversation, "conversation", asker.services.limits)
    if not payload.conversation_offset:
        sentence = "Say up to which message was read: give conversation_offset."
        raise WireError(pb.INVALID, sentence, field="conversation_offset")
    number = conversation_number(payload.conversation)
    if number is None:
        raise no_conversation(payload.conversation, "conversation")
    operation = MarkRead(asker.user, ConversationId(number), ConversationOffset(payload.conversation_offset))
    asker.services.queue.submit(operation, partial(_marked, asker, payload.id, ref), owner=asker.user)


def _marked(asker: Asker, command_id: str, ref: int, result: Result) -> None:
    if isinstance(result, Refused):
        asker.answer_together(frames.error_part(error_of(result, ref, command_id)))
        return
    assert isinstance(result, ReadMarked)
    answer = pb.Command(
        id=command_id,
        kind=pb.Command.MARK_READ,
        conversation=conversation_id(result.conversation),
        conversation_offset=result.upto,
        version=result.version,
        ref=ref,
    )
    asker.answer_together(frames.command_part(answer))


COMMANDS: dict[int, Callable[[Asker, pb.Command, int], None]] = {pb.Command.MARK_READ: mark_read}
"""By kind. Each raises WireError, which is the command's answer."""
