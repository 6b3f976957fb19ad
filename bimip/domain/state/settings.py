"""Privacy settings: what a user lets others know of them.

Each setting is a register of its own, so that two devices that change different ones while they are apart both win. The
last write counts (core/merges.py). A setting that was never written is on; one that is damaged is off, since nobody may
be told what its user may have forbidden.

Receipts obey here: `may_see` is the one door through which a READ or PLAYED reaches anybody but its reader. What a user
does not send never comes to that door (private_reads.py).
"""

from collections.abc import Iterable
from enum import IntEnum
from typing import NamedTuple

from bimip.domain.core.decision import Decision, Writes
from bimip.domain.core.ids import DeviceId, Stamp, UserId, Version
from bimip.domain.core.merges import LastWrite, later
from bimip.domain.core.operation_kind import OperationKind
from bimip.domain.core.records import DamagedRecordError, Reader, ReceiptKind, StateKey, Table
from bimip.domain.core.rules import Context
from bimip.domain.state.changes import StateChanges, StateKind

TAG = 5
KEY: StateKey = bytes((TAG,))
"""All settings of a user are one value of their state."""

# As often as here, an enum's members cost more by their class than as names of the module.
SETTINGS, DELIVERED = Table.SETTINGS, ReceiptKind.DELIVERED


class Setting(IntEnum):
    """Its numbers are those of the fields of Settings on the wire."""

    SEND_READ_RECEIPTS = 1
    SHOW_READ_RECEIPTS = 2
    SHOW_LAST_SEEN = 3
    SHOW_ONLINE_STATUS = 4


SEND, SHOW = Setting.SEND_READ_RECEIPTS, Setting.SHOW_READ_RECEIPTS


class PrivacySettings(NamedTuple):
    """Each Setting by its name, as a user has set it."""

    send_read_receipts: bool = True  # others learn what this user has read and played
    show_read_receipts: bool = True  # this user learns what others have read and played
    show_last_seen: bool = True
    show_online_status: bool = True
    stamp: Stamp = Stamp(0)  # of the newest write; 0: nothing was ever set


class ChangeSettings(NamedTuple):
    """A user sets these; the others stay as they are. None at all asks how they stand."""

    user: UserId
    device: DeviceId
    values: tuple[tuple[Setting, bool], ...]
    stamp: Stamp  # drawn before the operation is first tried, so that a repeated one does not win again


class CurrentSettings(NamedTuple):
    """How a user's settings stand, and since which version of their state; 0: nothing was ever set."""

    settings: PrivacySettings
    version: Version
    is_restarted: bool = False  # the user's devices are sent all of their state again


_DAMAGED = LastWrite(0, Stamp(0), DeviceId(0))
"""Any other write is later."""


def written(view: Reader, user: UserId, setting: Setting) -> LastWrite | None:
    """Reads the last write of a setting; None where it never was written, and is on."""
    try:
        found: LastWrite | None = view.get(SETTINGS, (user, setting))
    except DamagedRecordError:
        return _DAMAGED
    return found


def is_on(view: Reader, user: UserId, setting: Setting) -> bool:
    found = written(view, user, setting)
    return found is None or bool(found.value)


def may_see(view: Reader, viewer: UserId, member: UserId, kind: ReceiptKind) -> bool:
    """Tells whether a user may learn of a member's public receipts of one kind: always that something was delivered,
    and always their own; that others read or played something while they show receipts themselves.
    """
    return kind is DELIVERED or viewer == member or is_on(view, viewer, SHOW)


def settings_of(view: Reader, user: UserId) -> PrivacySettings:
    return _settings(written(view, user, setting) for setting in Setting)


def _settings(writes: Iterable[LastWrite | None]) -> PrivacySettings:
    writes = list(writes)
    stamp = max([write.stamp for write in writes if write is not None], default=Stamp(0))
    send, show, last_seen, online = (write is None or bool(write.value) for write in writes)
    return PrivacySettings(send, show, last_seen, online, stamp)


def change_settings(view: Reader, op: ChangeSettings, _context: Context) -> Decision:
    """Sets what is later than what stands.

    Whoever turns the showing of receipts on or off is sent all of their state again: so all their devices come to hold
    what they may know and nothing else, those too that were told otherwise before.
    """
    before = {setting: written(view, op.user, setting) for setting in Setting}
    after = before.copy()
    for setting, value in op.values:
        known, new = before[setting], LastWrite(int(value), op.stamp, op.device)
        after[setting] = new if known is None else later(known, new)
    puts = {(op.user, setting): write for setting, write in after.items() if write != before[setting]}
    if not puts:
        version: Version | None = view.get(Table.VERSIONS, (op.user, KEY))
        return Decision(CurrentSettings(_settings(after.values()), version or Version(0)))
    settings = _settings(after.values())
    changes = StateChanges(view)
    changes.values[SETTINGS] = puts
    told = changes.tell(op.user, KEY, settings)
    is_restarted = settings.show_read_receipts != _settings(before.values()).show_read_receipts
    if is_restarted:
        changes.restart(op.user)
    return Decision(CurrentSettings(settings, told, is_restarted), Writes(changes.puts()), changes.news)


def _asks_only(_view: Reader, op: ChangeSettings) -> bool:
    return not op.values


def _read(view: Reader, user: UserId, _key: StateKey) -> PrivacySettings | None:
    found = settings_of(view, user)
    return found if found != PrivacySettings() else None


KIND = StateKind(TAG, _read)

OPERATIONS: dict[type, OperationKind] = {ChangeSettings: OperationKind(change_settings, needs_no_room=_asks_only)}
