"""Exceptions to a user's settings: what holds for one other user in place of what the settings say.

Of each other user and setting it is a register, as settings are. One that was taken back stays as NONE, so that an
older write does not come to count again; the state of devices has it no more.
"""

from collections.abc import Mapping
from enum import IntEnum
from struct import Struct
from typing import NamedTuple

from bimip.domain.core.ids import DeviceId, Stamp, UserId
from bimip.domain.core.merges import LastWrite
from bimip.domain.core.records import DamagedRecordError, Reader, StateKey, Table
from bimip.domain.state.changes import StateKind
from bimip.domain.state.settings import Setting

TAG = 11
_KEY = Struct(">BI")

# As often as here, an enum's members cost more by their class than as names of the module.
EXCEPTIONS = Table.PRIVACY_EXCEPTIONS


class ExceptionValue(IntEnum):
    """An exception to one setting. Its numbers are those of PrivacyException.Exception on the wire."""

    NONE = 1
    ALLOWED = 2
    DENIED = 3


NONE, ALLOWED, DENIED = ExceptionValue
_VALUES = {value.value: value for value in ExceptionValue}

EXCEPTED: tuple[Setting, ...] = tuple(setting for setting in Setting if setting is not Setting.VISIBLE)
"""The settings to which there are exceptions."""

_DAMAGED = LastWrite(DENIED, Stamp(0), DeviceId(0))


class PrivacyException(NamedTuple):
    """The exceptions for one other user, by the names of their settings; `stamp`: of the newest write."""

    send_read_receipts: ExceptionValue = NONE
    show_read_receipts: ExceptionValue = NONE
    show_last_seen: ExceptionValue = NONE
    show_online_status: ExceptionValue = NONE
    stamp: Stamp = Stamp(0)

    @property
    def is_none(self) -> bool:
        """Nothing holds for them but what holds for all."""
        return self[:4] == (NONE, NONE, NONE, NONE)


def pack_key(other: UserId) -> StateKey:
    return _KEY.pack(TAG, other)


def unpack_key(key: StateKey) -> UserId:
    _, other = _KEY.unpack(key)
    return UserId(other)


def written_for(view: Reader, user: UserId, other: UserId, setting: Setting) -> LastWrite | None:
    """Reads the last write of a user's exception for another; None: there never was one. A damaged one denies."""
    try:
        found: LastWrite | None = view.get(EXCEPTIONS, (user, other, setting))
    except DamagedRecordError:
        return _DAMAGED
    return found


def exception_written(writes: Mapping[Setting, LastWrite | None]) -> PrivacyException:
    """Makes what holds for another user of the last write for each setting."""
    known = {setting: write for setting, write in writes.items() if write is not None}
    send, show, last_seen, online = (
        _VALUES.get(known[setting].value, DENIED) if setting in known else NONE for setting in EXCEPTED
    )
    stamp = max([write.stamp for write in known.values()], default=Stamp(0))
    return PrivacyException(send, show, last_seen, online, stamp)


def exception_for(view: Reader, user: UserId, other: UserId) -> PrivacyException:
    return exception_written({setting: written_for(view, user, other, setting) for setting in EXCEPTED})


def exceptions_of(view: Reader, user: UserId, most: int) -> dict[UserId, PrivacyException]:
    """Reads a user's exceptions, with those that were taken back, of at most so many other users. What is damaged is
    left out: looked up by itself it denies.
    """
    found: dict[UserId, dict[Setting, LastWrite | None]] = {}
    for (_, other, setting), write in view.scan(EXCEPTIONS, (user,), (user + 1,), limit=most * len(EXCEPTED)):
        found.setdefault(other, {})[Setting(setting)] = write
    return {other: exception_written(writes) for other, writes in found.items()}


def _read(view: Reader, user: UserId, key: StateKey) -> PrivacyException | None:
    """Reads an exception; None where there is none, or none any more, or nobody whom it is for."""
    other = unpack_key(key)
    found = exception_for(view, user, other)
    try:
        is_erased = not view.get(Table.EIDS, (other,))
    except DamagedRecordError:
        is_erased = True
    return None if found.is_none or is_erased else found


KIND = StateKind(TAG, _read, has_removals=True)
