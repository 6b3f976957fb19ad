"""Where a user's logs and state end, and whether a device knows this store's epoch."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from bimip.domain.core.ids import Offset, UserId, Version
from bimip.domain.core.operations import OpenPosition
from bimip.domain.core.records import Table
from bimip.domain.keeping.epoch import epoch_for
from bimip.domain.messages.appending import EMPTY_LOG
from bimip.domain.state.changes import state_of
from bimip.storage.interface import Store


class Heads(NamedTuple):
    """The newest of all that a user's devices are told, and the state's oldest version that can be gone on from."""

    logs: dict[str, Offset]  # by partition
    state: Version
    state_floor: Version


def read_heads(store: Store, user: UserId, partitions: Iterable[str]) -> Heads:
    """Reads where a user's logs and state end, all at one moment."""
    with store.snapshot() as view:
        logs = {partition: (view.get(Table.LOGS, (user, partition)) or EMPTY_LOG).head for partition in partitions}
        known = state_of(view, user)
    return Heads(logs, known.head, known.floor)


def read_epoch(
    store: Store, user: UserId, claimed: int, openings: Sequence[OpenPosition], state_version: int
) -> tuple[int, bool]:
    """Reads the epoch that a device is told, and whether its positions are of it: see `domain/keeping/epoch.py`."""
    with store.snapshot() as view:
        return epoch_for(view, user, claimed, openings, state_version)
