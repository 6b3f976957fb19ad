"""Removals are versions until they are older than the offline period: then the state's floor passes them.

A device whose version lies below the floor is sent the whole state, and drops what is not in it: so it does without the
removal that it was not told of. Where nothing was removed the floor stays, and who comes after years catches up.
"""

from typing import Any, NamedTuple

from bimip.domain.core.decision import Decision, News, Put, StateRestarted, Writes
from bimip.domain.core.ids import UserId, Version
from bimip.domain.core.operation_kind import OperationKind
from bimip.domain.core.operations import Expired
from bimip.domain.core.records import Reader, State, StateKey, Table
from bimip.domain.core.rules import Context
from bimip.domain.state.changes import state_of
from bimip.domain.state.kinds import read_value


class PruneRemoval(NamedTuple):
    """A removal is older than any device may be away."""

    user: UserId
    version: Version


def prune_removal(view: Reader, op: PruneRemoval, _context: Context) -> Decision:
    place = (op.user, op.version)
    puts: list[Put] = [(Table.REMOVALS, {place: None})]
    if view.get(Table.REMOVALS, place) is None:
        return Decision(Expired(0, more=False))
    key: StateKey | None = view.get(Table.CHANGES, place)
    value: Any = None if key is None else read_value(view, op.user, key)
    if key is None or value:
        return Decision(Expired(0, more=False), Writes(puts))  # it came again since, under another version
    state = state_of(view, op.user)
    news: list[News] = []
    puts += [(Table.CHANGES, {place: None}), (Table.VERSIONS, {(op.user, key): None})]
    if op.version > state.floor:
        puts.append((Table.STATES, {(op.user,): State(state.head, op.version)}))
        news.append(StateRestarted(op.user, op.version))
    return Decision(Expired(1, more=False), Writes(puts), news)


OPERATIONS: dict[type, OperationKind] = {PruneRemoval: OperationKind(prune_removal)}
