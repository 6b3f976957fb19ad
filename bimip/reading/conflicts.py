"""The ledger of writes that lost against others: what operators are asked for when somebody's edit is not there."""

from typing import NamedTuple

from bimip.domain.core.clock import millis_of
from bimip.domain.core.ids import ConversationOffset, DeviceId, Millis
from bimip.domain.core.records import Conflict, DeviceOwner, Reader, Table
from bimip.domain.state.merges import MergeRule
from bimip.names import conversation_id
from bimip.storage.interface import Store

NEWEST = Table.CONFLICTS.schema.end


class LostWrite(NamedTuple):
    time: Millis  # when it arrived
    eid: str
    conversation: str
    conversation_offset: ConversationOffset  # 0: it is about the conversation
    rule: str
    lost_at: Millis  # when it was done, by the clock that counts
    lost_by: str  # the device
    won_at: Millis
    won_by: str  # the device; empty: the server itself, or one that is gone


def read_conflicts(store: Store, limit: int) -> list[LostWrite]:
    """Reads the newest writes that lost, the newest first."""
    with store.snapshot() as view:
        found: list[tuple[tuple[int], Conflict]] = view.scan(Table.CONFLICTS, (0,), NEWEST, limit=limit, reverse=True)
        return [_named(view, conflict) for _, conflict in found]


def _named(view: Reader, conflict: Conflict) -> LostWrite:
    return LostWrite(
        conflict.time,
        view.get(Table.EIDS, (conflict.user,)) or "",
        conversation_id(conflict.conversation),
        conflict.conversation_offset,
        MergeRule(conflict.rule).name.lower().replace("_", " "),
        millis_of(conflict.lost),
        _device(view, conflict.lost_by),
        millis_of(conflict.won),
        _device(view, conflict.won_by),
    )


def _device(view: Reader, number: DeviceId) -> str:
    owner: DeviceOwner | None = view.get(Table.DEVICE_OWNERS, (number,))
    return "" if owner is None else owner.name
