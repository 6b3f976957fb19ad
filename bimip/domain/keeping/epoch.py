"""Epochs: offsets and versions can be compared within one, and mean nothing in another.

An epoch is a stamp, drawn when a store begins and again whenever an older copy of it is put back. A stamp's lowest bits
name its node, which an epoch has no need of: they number its *names*. A device that is ahead of the store, so that what
it knows must be from another one, is told the next name of the same epoch: to the device that is another epoch, as it
has to be, and nobody else notices. So nothing has to be kept for it, and nothing new is said on the wire.
"""

from collections.abc import Iterable

from bimip.domain.core.clock import NODE_BITS
from bimip.domain.core.ids import UserId
from bimip.domain.core.operations import OpenPosition
from bimip.domain.core.records import Log, Reader, Table
from bimip.domain.messages.appending import EMPTY_LOG
from bimip.domain.state.changes import state_of

NAMES = 1 << NODE_BITS


def epoch_for(
    view: Reader, user: UserId, said: int, positions: Iterable[OpenPosition], version: int
) -> tuple[int, bool]:
    """The epoch to tell a device, and whether it is the one of the device's positions and state version.

    `said` is the epoch that the device names; 0: none, and its positions are taken at its word as far as they go.
    """
    epoch: int = view.get(Table.META, ("epoch",)) or 0
    if said and said // NAMES != epoch // NAMES:
        return epoch, False
    if _is_ahead(view, user, positions, version):
        return (_next_name(said) if said else epoch), False
    return said or epoch, True


def _next_name(epoch: int) -> int:
    return epoch // NAMES * NAMES + (epoch + 1) % NAMES


def _is_ahead(view: Reader, user: UserId, positions: Iterable[OpenPosition], version: int) -> bool:
    """Whether a device knows more than this store ever gave."""
    state = state_of(view, user)
    return version > state.head or any(position.furthest > _head(view, position) for position in positions)


def _head(view: Reader, position: OpenPosition) -> int:
    log: Log = view.get(Table.LOGS, (position.user, position.partition)) or EMPTY_LOG
    return log.head
