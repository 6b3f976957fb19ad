"""Command: a device does something to what is there already. Each kind that is served has its row in COMMANDS."""

from collections.abc import Callable
from functools import partial
from hashlib import blake2b

from bimip.domain.commands.operation import Command, Commanded, CommandKind
from bimip.domain.core.ids import ConversationId, ConversationOffset, Millis, Stamp
from bimip.domain.core.operations import MarkRead, ReadMarked, Refused, Result
from bimip.domain.core.records import DIGEST_BYTES
from bimip.names import conversation_id, conversation_number
from bimip.requests.asker import Asker
from bimip.requests.message import LAST_MILLISECOND
from bimip.requests.refusals import error_of, no_conversation
from bimip.wire import bimip_pb2 as pb
from bimip.wire import frames
from bimip.wire.checks import check_id, check_length
from bimip.wire.errors import WireError
from bimip.wire.limits import Limits

Check = Callable[[pb.Command, Limits], None]
"""Raises WireError for what a command of a kind may not say."""

TOLD_FOR_A_REQUEST = 16
"""What a command costs of which many learn: each has it written down, and their devices are sent it."""

NOT_CONTENT = ("id", "stamp", "version", "duplicate", "superseded", "ref", "conversation_offset")
"""Fields in which two commands with one id may differ and be the same."""


def ask(asker: Asker, payload: pb.Command, ref: int) -> None:
    limits = asker.services.limits
    if payload.id:
        check_id(payload.id, "id", limits)
    check = COMMANDS.get(payload.kind)
    if check is None and payload.kind != pb.Command.MARK_READ:
        names = pb.Command.Kind.values()
        name = pb.Command.Kind.Name(payload.kind) if payload.kind in names else str(payload.kind)
        sentence = f"this server does not serve the command {name}; leave it out"
        raise WireError(pb.UNSUPPORTED, sentence, field="kind", id=payload.id)
    try:
        if check is None:
            mark_read(asker, payload, ref)
        else:
            check(payload, limits)
            _submit(asker, payload, ref)
    except WireError as error:
        error.id = payload.id
        raise


def _submit(asker: Asker, payload: pb.Command, ref: int) -> None:
    operation = operation_of(asker, payload)
    asker.services.queue.submit(operation, partial(_done, asker, operation, ref), owner=asker.user)


def operation_of(asker: Asker, payload: pb.Command) -> Command:
    """Makes an operation of a command that was checked. Raises WireError for a conversation that is none."""
    conversation: ConversationId | None = None
    if _is_about_conversation(payload):
        number = conversation_number(payload.conversation)
        if number is None:
            raise no_conversation(payload.conversation, "conversation")
        conversation = ConversationId(number)
    return Command(
        asker.user,
        asker.number,
        payload.id or asker.services.new_id(),
        CommandKind(payload.kind),
        digest(payload),
        Stamp(payload.stamp),
        Stamp(payload.target),
        payload.target_id,
        conversation,
        payload.payload,
        payload.emoji,
        payload.value,
        Millis(payload.until),
    )


def _done(asker: Asker, operation: Command, ref: int, result: Result) -> None:
    if isinstance(result, Refused):
        asker.answer_error(error_of(result, ref, operation.id))
        return
    assert isinstance(result, Commanded)
    charge(asker, result)
    answer = pb.Command(
        id=operation.id,
        kind=operation.kind,  # type: ignore[arg-type]  # the stub knows names of enums, not their numbers
        target=result.message,
        conversation=conversation_id(result.conversation),
        conversation_offset=result.conversation_offset,
        stamp=result.stamp,
        version=result.version,
        duplicate=result.duplicate,
        superseded=result.superseded,
        ref=ref,
    )
    asker.answer_together(frames.command_part(answer))


def charge(asker: Asker, done: Commanded) -> None:
    """Charges for all those who are told of it."""
    asker.weigh(done.told // TOLD_FOR_A_REQUEST)


def digest(payload: pb.Command) -> bytes:
    """DIGEST_BYTES over what makes two commands with one id the same."""
    content = pb.Command()
    content.CopyFrom(payload)
    content.DiscardUnknownFields()
    for name in NOT_CONTENT:
        content.ClearField(name)
    return blake2b(content.SerializeToString(deterministic=True), digest_size=DIGEST_BYTES).digest()


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
        asker.answer_error(error_of(result, ref, command_id))
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


def _is_about_conversation(payload: pb.Command) -> bool:
    return bool(payload.conversation) and not payload.target and not payload.target_id


def about_message(payload: pb.Command, limits: Limits) -> None:
    if payload.target_id:
        check_id(payload.target_id, "target_id", limits)
    if bool(payload.target) == bool(payload.target_id):
        sentence = "Name one message: by target, its signal_offset, or by target_id, the id under which you sent it."
        raise WireError(pb.INVALID, sentence, field="target")


def about_conversation(payload: pb.Command, limits: Limits) -> None:
    check_id(payload.conversation, "conversation", limits)
    if payload.target or payload.target_id:
        raise WireError(pb.INVALID, "This is about a conversation: leave the message away.", field="target")


def _edit(payload: pb.Command, limits: Limits) -> None:
    about_message(payload, limits)
    if not payload.payload:
        raise WireError(pb.INVALID, "An edit needs its payload; to take a message away, delete it.", field="payload")
    _check_payload(payload, limits)


def _react(payload: pb.Command, limits: Limits) -> None:
    about_message(payload, limits)
    check_length(len(payload.emoji.encode()), "emoji", limits.max_id_bytes)
    if not payload.emoji or payload.emoji != payload.emoji.strip() or any(one < " " for one in payload.emoji):
        sentence = "A reaction is an emoji or a short word, without space around it or control characters."
        raise WireError(pb.INVALID, sentence, field="emoji")


def _pin(payload: pb.Command, limits: Limits) -> None:
    if _is_about_conversation(payload):
        about_conversation(payload, limits)
    else:
        about_message(payload, limits)


def _mute(payload: pb.Command, limits: Limits) -> None:
    about_conversation(payload, limits)
    if not 0 <= payload.until <= LAST_MILLISECOND:
        sentence = "until is no time in milliseconds since 1970 (0: not muted any more): mind the unit."
        raise WireError(pb.INVALID, sentence, field="until")


def _draft(payload: pb.Command, limits: Limits) -> None:
    about_conversation(payload, limits)
    _check_payload(payload, limits)


def _check_payload(payload: pb.Command, limits: Limits) -> None:
    if len(payload.payload) > limits.max_message_bytes:
        sentence = f"The payload is larger than {limits.max_message_bytes} bytes: send large content by reference."
        raise WireError(pb.TOO_LARGE, sentence, field="payload")


COMMANDS: dict[int, Check] = {
    pb.Command.EDIT: _edit,
    pb.Command.DELETE_FOR_ME: about_message,
    pb.Command.DELETE_FOR_EVERYONE: about_message,
    pb.Command.REACT: _react,
    pb.Command.UNREACT: _react,
    pb.Command.FORWARD_MARK: about_message,
    pb.Command.PIN: _pin,
    pb.Command.ARCHIVE: about_conversation,
    pb.Command.MUTE: _mute,
    pb.Command.DRAFT: _draft,
    pb.Command.MARK_UNREAD: about_conversation,
}
"""By kind, but for MARK_READ, which is no command with a stamp: it only moves forward."""
