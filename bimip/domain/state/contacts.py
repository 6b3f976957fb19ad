"""What a user has of each other user, as their devices are told of it. Who is no contact any more was removed."""

from struct import Struct

from bimip.domain.core.ids import UserId
from bimip.domain.core.records import Contact, DamagedRecordError, Reader, StateKey, Table
from bimip.domain.state.changes import UNSEEN, StateKind

TAG = 9
_KEY = Struct(">BI")


def pack_key(peer: UserId) -> StateKey:
    return _KEY.pack(TAG, peer)


def unpack_key(key: StateKey) -> UserId:
    _, peer = _KEY.unpack(key)
    return UserId(peer)


def _read(view: Reader, user: UserId, key: StateKey) -> Contact | tuple[()] | None:
    """Reads a contact; None: there is none. Where that is damaged nothing is told of it: it was not removed."""
    try:
        found: Contact | None = view.get(Table.CONTACTS, (user, unpack_key(key)))
    except DamagedRecordError:
        return UNSEEN
    return found


KIND = StateKind(TAG, _read, has_removals=True)
