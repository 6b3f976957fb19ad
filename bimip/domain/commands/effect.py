"""What a command leads to, before it is noted and answered."""

from collections.abc import Sequence
from typing import NamedTuple

from bimip.domain.commands.operation import Command, Commanded
from bimip.domain.core.decision import News, Put
from bimip.domain.core.ids import ConversationId, ConversationOffset, DeviceId, Stamp
from bimip.domain.core.merges import clamped
from bimip.domain.core.records import Conflict
from bimip.domain.core.rules import Context
from bimip.domain.state.merges import MergeRule


class Effect(NamedTuple):
    """Carries what a command leads to."""

    done: Commanded
    puts: Sequence[Put] = ()
    news: Sequence[News] = ()
    lost: Conflict | None = None


def stamp_of(op: Command, context: Context, least: int = 0) -> Stamp:
    """The stamp that counts: the client's, but not ahead of the server's clock, and behind what it is about."""
    now = context.stamp()
    return max(clamped(op.stamp, now), Stamp(least + 1))


def lost_against(
    op: Command,
    stamp: Stamp,
    rule: MergeRule,
    place: tuple[ConversationId, ConversationOffset],
    won: tuple[Stamp, DeviceId],
    context: Context,
) -> Conflict:
    return Conflict(context.now, op.user, *place, rule, stamp, op.device, *won)
