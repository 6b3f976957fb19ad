"""How a user keeps a conversation, by command: each setting is a register, and only their own devices learn of it."""

from typing import Any

from bimip.domain.commands.effect import Effect, lost_against, stamp_of
from bimip.domain.commands.operation import Command, Commanded, CommandKind
from bimip.domain.conversations.membership import conversation_of
from bimip.domain.core.ids import ConversationOffset, Stamp, Version
from bimip.domain.core.merges import LastWrite
from bimip.domain.core.operations import Refused
from bimip.domain.core.records import Reader, Table
from bimip.domain.core.rules import Context
from bimip.domain.state.changes import StateChanges
from bimip.domain.state.conversation_settings import AS_THEY_WERE, pack_key, read_settings
from bimip.domain.state.merges import MergeRule, merge_settings

NO_MESSAGE = ConversationOffset(0)


def keep(view: Reader, op: Command, context: Context) -> Effect | Refused:
    number = conversation_of(view, op.user, op.conversation, "")
    if isinstance(number, Refused):
        return number
    stamp = stamp_of(op, context)
    field, value = _written(op)
    known = read_settings(view, op.user, number) or AS_THEY_WERE
    write = LastWrite(value, stamp, op.device)
    merged = merge_settings(known, AS_THEY_WERE._replace(**{field: write}))
    key = pack_key(number)
    if merged == known:
        version: Version = view.get(Table.VERSIONS, (op.user, key)) or Version(0)
        won: LastWrite = getattr(known, field)
        lost = lost_against(op, stamp, MergeRule.LATER_SETTING, (number, NO_MESSAGE), (won.stamp, won.writer), context)
        return Effect(Commanded(number, NO_MESSAGE, Stamp(0), stamp, version, superseded=True), lost=lost)
    changes = StateChanges(view)
    changes.values[Table.CONVERSATION_SETTINGS] = {(op.user, number): merged}
    told = changes.tell(op.user, key, merged)
    return Effect(Commanded(number, NO_MESSAGE, Stamp(0), stamp, told, told=1), changes.puts(), changes.news)


def _written(op: Command) -> tuple[str, Any]:
    match op.kind:
        case CommandKind.ARCHIVE:
            return "archived", op.value
        case CommandKind.PIN:
            return "pinned", op.value
        case CommandKind.MARK_UNREAD:
            return "unread", op.value
        case CommandKind.MUTE:
            return "muted_until", op.until
        case _:
            return "draft", op.payload
