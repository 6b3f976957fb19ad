"""With whom a user shares where they are, and until when, for all their devices. Where that is, is not here."""

from enum import IntEnum
from struct import Struct
from typing import NamedTuple

from bimip.domain.core.ids import UserId
from bimip.domain.core.records import DamagedRecordError, LocationShare, Reader, StateKey, Table
from bimip.domain.state.changes import StateKind

TAG = 13
_KEY = Struct(">BBI")


class With(IntEnum):
    """Tells what the number of a share's other end is; on disks."""

    USER = 1
    CONVERSATION = 2


class OtherEnd(NamedTuple):
    """A user shares where they are with this: one other user, or whoever is in a conversation."""

    kind: With
    number: int


def pack_key(other: OtherEnd) -> StateKey:
    return _KEY.pack(TAG, *other)


def unpack_key(key: StateKey) -> OtherEnd:
    _, kind, number = _KEY.unpack(key)
    return OtherEnd(With(kind), number)


def read_share(view: Reader, user: UserId, other: OtherEnd) -> LocationShare | None:
    """Reads a share; None: there is none, or it is damaged, and nobody is shown anything by it."""
    try:
        share: LocationShare | None = view.get(Table.LOCATION_SHARES, (user, *other))
    except DamagedRecordError:
        return None
    return share


KIND = StateKind(TAG, lambda view, user, key: read_share(view, user, unpack_key(key)), has_removals=True)
