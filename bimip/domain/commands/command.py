"""A command is decided: known again, stamped, and merged into what is there.

The stamp that counts is the client's, so that what was done offline takes its place among what others did meanwhile;
but one that runs ahead of the server's clock is set back to it, or it would win for ever, and one that is older than
the message it is about is set behind that. It is the stamp of the first time: a resend is answered with it.

What loses against what is there is answered as done (it is: it happened before), marked as superseded, and noted in a
ledger of the newest few, for operators who are asked where somebody's edit went.
"""

from collections.abc import Callable
from typing import NamedTuple

from bimip.domain.commands import conversations, messages
from bimip.domain.commands.case import Case
from bimip.domain.commands.effect import Effect, stamp_of
from bimip.domain.commands.operation import Command, Commanded, CommandKind
from bimip.domain.commands.target import find_target
from bimip.domain.core.decision import Decision, Put, Writes
from bimip.domain.core.ids import DeviceId, Stamp
from bimip.domain.core.operation_kind import OperationKind
from bimip.domain.core.operations import Fault, Refused
from bimip.domain.core.records import CommandRecord, Conflict, Key, Reader, Table
from bimip.domain.core.rules import Context
from bimip.domain.messages.expiring import expired

LEDGER = 1000
"""Conflicts that are kept."""


class Rule(NamedTuple):
    """How commands of one kind are decided."""

    about_message: Callable[[Case], Effect | Refused] | None = None
    """None: it is about no message."""
    about_conversation: Callable[[Reader, Command, Context], Effect | Refused] | None = None
    frees: bool = False
    """It makes no store grow: a full one takes it too."""


RULES: dict[CommandKind, Rule] = {
    CommandKind.EDIT: Rule(messages.edit),
    CommandKind.DELETE_FOR_ME: Rule(messages.delete_for_me, frees=True),
    CommandKind.DELETE_FOR_EVERYONE: Rule(messages.delete_for_everyone, frees=True),
    CommandKind.REACT: Rule(messages.react),
    CommandKind.UNREACT: Rule(messages.react),
    CommandKind.FORWARD_MARK: Rule(messages.mark_forwarded),
    CommandKind.PIN: Rule(messages.pin, conversations.keep),
    CommandKind.ARCHIVE: Rule(about_conversation=conversations.keep),
    CommandKind.MUTE: Rule(about_conversation=conversations.keep),
    CommandKind.DRAFT: Rule(about_conversation=conversations.keep),
    CommandKind.MARK_UNREAD: Rule(about_conversation=conversations.keep),
}
"""PIN has two: a message is pinned, or the conversation."""


def command(view: Reader, op: Command, context: Context) -> Decision:
    known: CommandRecord | None = view.get(Table.COMMANDS, (op.device, op.id))
    if known is not None:
        return Decision(_again(op, known))
    rule = RULES[op.kind]
    effect = _decide(rule, view, op, context)
    if isinstance(effect, Refused):
        return Decision(effect)
    done = effect.done
    record = CommandRecord(
        op.digest,
        done.stamp,
        done.conversation,
        done.conversation_offset,
        done.message,
        done.version,
        done.superseded,
    )
    puts: list[Put] = [*effect.puts, (Table.COMMANDS, {(op.device, op.id): record})]
    if effect.lost is not None:
        puts += _note(view, effect.lost)
    return Decision(done, Writes(puts), effect.news, needs_room=not rule.frees)


def _decide(rule: Rule, view: Reader, op: Command, context: Context) -> Effect | Refused:
    if op.conversation is not None:
        assert rule.about_conversation is not None
        return rule.about_conversation(view, op, context)
    assert rule.about_message is not None
    target = find_target(view, op, context)
    if isinstance(target, Refused):
        return target
    return rule.about_message(Case(view, op, context, target, stamp_of(op, context, target.stamp)))


def _again(op: Command, known: CommandRecord) -> Commanded | Refused:
    if known.digest != op.digest:
        sentence = "this device already gave another command under this id; give every command an id of its own"
        return Refused(Fault.CONFLICT, sentence, "id")
    _, stamp, conversation, place, message, version, superseded = known
    return Commanded(conversation, place, message, stamp, version, duplicate=True, superseded=superseded)


def _note(view: Reader, lost: Conflict) -> list[Put]:
    number: int = (view.get(Table.META, ("conflicts",)) or 0) + 1
    kept: dict[tuple[int], Conflict | None] = {(number,): lost}
    if number > LEDGER:
        kept[(number - LEDGER,)] = None
    return [(Table.META, {("conflicts",): number}), (Table.CONFLICTS, kept)]


class ExpireCommands(NamedTuple):
    """Forgets ids of commands, as ExpireSeen forgets those of messages."""

    before: Stamp
    start: Key = (DeviceId(0), "")


def expire_commands(view: Reader, op: ExpireCommands, context: Context) -> Decision:
    limit = context.rules.slice_entries
    found = view.scan(Table.COMMANDS, op.start, Table.COMMANDS.schema.end, limit=limit)
    return expired(Table.COMMANDS, found, [key for key, record in found if record.stamp < op.before], limit)


OPERATIONS: dict[type, OperationKind] = {
    Command: OperationKind(command),
    ExpireCommands: OperationKind(expire_commands),
}
