"""Privacy settings: for whom what a user lets others know holds, and whether they are visible at all.

Each setting is a register of its own, so that two devices that change different ones while they are apart both win. The
last write counts (core/merges.py). A setting that was never written holds for everybody; one that is damaged for
nobody, since nobody may be told what its user may have forbidden.

What holds for one other user in place of these is `privacy_exceptions.py`. Who sees what by all of it, and by who knows
and blocks whom, `contacts/privacy.py` alone says.
"""

from collections.abc import Iterable
from enum import IntEnum
from typing import NamedTuple

from bimip.domain.core.ids import DeviceId, Stamp, UserId
from bimip.domain.core.merges import LastWrite
from bimip.domain.core.records import DamagedRecordError, Reader, StateKey, Table
from bimip.domain.state.changes import StateKind

TAG = 5
KEY: StateKey = bytes((TAG,))
"""All settings of a user are one value of their state."""

# As often as here, an enum's members cost more by their class than as names of the module.
SETTINGS = Table.SETTINGS


class Setting(IntEnum):
    """Its numbers are those of the fields of Settings on the wire."""

    SEND_READ_RECEIPTS = 1
    SHOW_READ_RECEIPTS = 2
    SHOW_LAST_SEEN = 3
    SHOW_ONLINE_STATUS = 4
    VISIBLE = 7


SEND, SHOW, VISIBLE = Setting.SEND_READ_RECEIPTS, Setting.SHOW_READ_RECEIPTS, Setting.VISIBLE


class Audience(IntEnum):
    """Says for whom a setting holds. What was written as off means NOBODY, as on EVERYBODY."""

    NOBODY = 0
    EVERYBODY = 1
    CONTACTS = 2  # whom the user lets see them


EVERYBODY, NOBODY = Audience.EVERYBODY, Audience.NOBODY
_AUDIENCES = {audience.value: audience for audience in Audience}


class PrivacySettings(NamedTuple):
    """A user's settings as they stand: each Setting under the name of its field on the wire."""

    read_receipts_to: Audience = EVERYBODY  # who learns what this user has read and played
    read_receipts_of: Audience = EVERYBODY  # of whom this user learns that
    last_seen_to: Audience = EVERYBODY
    online_status_to: Audience = EVERYBODY
    visible: bool = True  # else nobody learns where this user is, whether they are there, or what they do
    stamp: Stamp = Stamp(0)  # of the newest write; 0: nothing was ever set

    @property
    def send_read_receipts(self) -> bool:
        """Whether anybody learns what this user has read and played."""
        return bool(self.read_receipts_to)

    @property
    def show_read_receipts(self) -> bool:
        """Whether this user learns of anybody what they have read and played."""
        return bool(self.read_receipts_of)

    @property
    def show_last_seen(self) -> bool:
        return bool(self.last_seen_to)

    @property
    def show_online_status(self) -> bool:
        return bool(self.online_status_to)


FIELDS = dict(zip(Setting, PrivacySettings._fields, strict=False))
"""Where each Setting stands in PrivacySettings."""

DAMAGED = LastWrite(0, Stamp(0), DeviceId(0))
"""Any other write is later."""
ASSUMED = LastWrite(1, Stamp(0), DeviceId(0))
"""Nobody wrote it, and it holds for everybody; but there is something beside it: an exception, or what was read in
private. So where a setting has no write, there is nothing more to look for. Any other write is later."""


def written(view: Reader, user: UserId, setting: Setting) -> LastWrite | None:
    """Reads the last write of a setting; None where it never was written, and holds for everybody without exception."""
    try:
        found: LastWrite | None = view.get(SETTINGS, (user, setting))
    except DamagedRecordError:
        return DAMAGED
    return found


def audience_of(write: LastWrite | None) -> Audience:
    """Reads for whom a setting holds, of its last write. What a later version may have written holds for nobody."""
    return EVERYBODY if write is None else _AUDIENCES.get(write.value, NOBODY)


def settings_of(view: Reader, user: UserId) -> PrivacySettings:
    return settings_written(written(view, user, setting) for setting in Setting)


def settings_written(writes: Iterable[LastWrite | None]) -> PrivacySettings:
    """Makes the settings of the last write of each, in the order of Setting."""
    writes = list(writes)
    stamp = max([write.stamp for write in writes if write is not None], default=Stamp(0))
    to, of, last_seen, online, visible = map(audience_of, writes)
    return PrivacySettings(to, of, last_seen, online, bool(visible), stamp)


def _read(view: Reader, user: UserId, _key: StateKey) -> PrivacySettings | None:
    found = settings_of(view, user)
    return found if found != PrivacySettings() else None


KIND = StateKind(TAG, _read)
