"""A user sets what others may know of them, and what of it holds for single others; or asks how it stands.

Whoever changes of whom they are shown receipts is sent all of their state again: so all their devices come to hold what
they may know and nothing else, those too that were told otherwise before. An exception does that only where it makes a
difference, and then nothing less would do: the receipts of one member lie in the conversation with them and in each
group in common, however many those are.
"""

from typing import NamedTuple

from bimip.domain.accounts.registering import register_users
from bimip.domain.contacts.privacy import allows_by
from bimip.domain.core.decision import Decision, PrivacyNews, Put, Writes
from bimip.domain.core.ids import DeviceId, Stamp, UserId, Version
from bimip.domain.core.merges import LastWrite, later
from bimip.domain.core.operation_kind import OperationKind
from bimip.domain.core.operations import Fault, Refused
from bimip.domain.core.records import Reader, StateKey, Table, User
from bimip.domain.core.rules import Context
from bimip.domain.messages.appending import no_user
from bimip.domain.state.changes import StateChanges
from bimip.domain.state.privacy_exceptions import (
    EXCEPTED,
    EXCEPTIONS,
    ExceptionValue,
    PrivacyException,
    exception_written,
    exceptions_of,
    pack_key,
    written_for,
)
from bimip.domain.state.settings import (
    ASSUMED,
    KEY,
    SETTINGS,
    SHOW,
    PrivacySettings,
    Setting,
    audience_of,
    settings_written,
    written,
)

MAX_EXCEPTIONS = 256
"""Other users for whom a user may have exceptions, and whom one request may name; so many more are remembered of whom
they were taken back.
"""

AT_ONCE = (Setting.VISIBLE, Setting.SHOW_LAST_SEEN, Setting.SHOW_ONLINE_STATUS)
"""Settings by which others see the user in another way at once, and not only what is told from now on."""

EID = "exceptions.eid"


class ChangeException(NamedTuple):
    """An exception to each setting that is named, for one other user."""

    eid: str
    values: tuple[tuple[Setting, ExceptionValue], ...]
    stamp: Stamp


class ChangeSettings(NamedTuple):
    """A user sets these; the others stay as they are. None at all asks how they stand, with all exceptions."""

    user: UserId
    device: DeviceId
    values: tuple[tuple[Setting, int], ...]
    stamp: Stamp  # drawn before the operation is first tried, so that a repeated one does not win again
    exceptions: tuple[ChangeException, ...] = ()  # each for another user


class CurrentException(NamedTuple):
    """An exception as it stands, and since which version of the state; 0: nothing was ever set."""

    other: UserId
    exception: PrivacyException
    version: Version


class CurrentSettings(NamedTuple):
    """How a user's settings stand, and since which version of their state; 0: nothing was ever set."""

    settings: PrivacySettings
    version: Version
    is_restarted: bool = False  # the user's devices are sent all of their state again
    exceptions: tuple[CurrentException, ...] = ()  # for those who were named; where one asked, all


Registers = dict[Setting, LastWrite | None]
"""The last write of each setting, or of what holds for one other user."""


class _Exception(NamedTuple):
    """Another user, with the last write for each setting as it was and as it is to be."""

    other: UserId
    before: Registers
    after: Registers
    was: PrivacyException
    now: PrivacyException


def change_settings(view: Reader, op: ChangeSettings, context: Context) -> Decision:
    """Sets what is later than what stands. Of exceptions that are too many, or for nobody, nothing is set at all."""
    if _asks_only(view, op):
        return Decision(_current(view, op.user))
    puts: list[Put] = []
    exceptions = _exceptions(view, op, context, puts)
    if isinstance(exceptions, Refused):
        return Decision(exceptions)
    before: Registers = {setting: written(view, op.user, setting) for setting in Setting}
    after = _merged(before, op.values, op.stamp, op.device)
    for one in exceptions:
        after |= {setting: ASSUMED for setting in EXCEPTED if after[setting] is None and one.after[setting] is not None}
    changes = StateChanges(view)
    stored = {(op.user, setting): write for setting, write in after.items() if write != before[setting]}
    if stored:
        changes.values[SETTINGS] = stored
    settings = settings_written(after.values())
    is_new = settings != settings_written(before.values())
    version = changes.tell(op.user, KEY, settings) if is_new else _version(view, op.user, KEY)
    told = tuple([_tell_exception(view, changes, op.user, one, context) for one in exceptions])
    _tell_others(changes, op.user, before, after, exceptions)
    is_restarted = _is_shown_otherwise(view, op.user, before, after, exceptions)
    if is_restarted:
        changes.restart(op.user)
    result = CurrentSettings(settings, version, is_restarted, told)
    return Decision(result, Writes([*puts, *changes.puts()]), changes.news, needs_room=bool(exceptions))


def _merged(known: Registers, values: tuple[tuple[Setting, int], ...], stamp: Stamp, device: DeviceId) -> Registers:
    merged = known.copy()
    for setting, value in values:
        old, new = known[setting], LastWrite(int(value), stamp, device)
        merged[setting] = new if old is None else later(old, new)
    return merged


def _exceptions(view: Reader, op: ChangeSettings, context: Context, puts: list[Put]) -> list[_Exception] | Refused:
    """Finds whom the exceptions are for. Whether they are there is told as it is of a message's recipient."""
    users: dict[str, User | None] = {change.eid: view.get(Table.USERS, (change.eid,)) for change in op.exceptions}
    unknown = [eid for eid, user in users.items() if user is None]
    if unknown and not context.rules.accept_unknown_recipients:
        return no_user(unknown[0], EID)
    if unknown:
        users |= zip(unknown, register_users(view, unknown, context, puts), strict=True)
    found: list[_Exception] = []
    for change in op.exceptions:
        user = users[change.eid]
        assert user is not None
        if user.number == op.user:
            return Refused(Fault.INVALID, "your own devices see all that is yours; except others", EID)
        before: Registers = {setting: written_for(view, op.user, user.number, setting) for setting in EXCEPTED}
        after = _merged(before, change.values, change.stamp, op.device)
        found.append(_Exception(user.number, before, after, exception_written(before), exception_written(after)))
    if any(one.was.is_none and one.after != one.before for one in found):
        return _bounded(view, op.user, found, puts)
    return found


def _bounded(view: Reader, user: UserId, found: list[_Exception], puts: list[Put]) -> list[_Exception] | Refused:
    """Holds exceptions to their number, where there come more, and forgets the oldest of those that were taken back."""
    known = exceptions_of(view, user, 3 * MAX_EXCEPTIONS)
    known |= {one.other: one.now for one in found}
    taken_back = sorted((one.stamp, other) for other, one in known.items() if one.is_none)
    if len(known) - len(taken_back) > MAX_EXCEPTIONS:
        sentence = f"you have exceptions for {MAX_EXCEPTIONS} users; take one back before you make another"
        return Refused(Fault.INVALID, sentence, "exceptions")
    named = {one.other for one in found}
    forgotten = {other for _, other in taken_back[: max(len(taken_back) - MAX_EXCEPTIONS, 0)]} - named
    if forgotten:
        puts.append((EXCEPTIONS, {(user, other, setting): None for other in forgotten for setting in EXCEPTED}))
    return found


def _tell_exception(
    view: Reader, changes: StateChanges, user: UserId, one: _Exception, context: Context
) -> CurrentException:
    """Writes what is to hold for another user, and tells the user's devices of it."""
    key = pack_key(one.other)
    stored = {(user, one.other, setting): write for setting, write in one.after.items() if write != one.before[setting]}
    if stored:
        changes.values.setdefault(EXCEPTIONS, {}).update(stored)
    if not stored or (one.was.is_none and one.now.is_none):
        version = _version(view, user, key)
    elif one.now.is_none:
        version = changes.remove(user, key, context.now)
    else:
        version = changes.tell(user, key, one.now)
    return CurrentException(one.other, one.now, version)


def _is_shown_otherwise(
    view: Reader, user: UserId, before: Registers, after: Registers, exceptions: list[_Exception]
) -> bool:
    """Tells whether the user is to be shown other receipts than before."""
    was, now = audience_of(before[SHOW]), audience_of(after[SHOW])
    return was is not now or any(
        allows_by(view, user, one.other, SHOW, was, one.was.show_read_receipts).allowed
        is not allows_by(view, user, one.other, SHOW, now, one.now.show_read_receipts).allowed
        for one in exceptions
    )


def _tell_others(
    changes: StateChanges, user: UserId, before: Registers, after: Registers, exceptions: list[_Exception]
) -> None:
    if any(audience_of(before[setting]) is not audience_of(after[setting]) for setting in AT_ONCE):
        changes.news.append(PrivacyNews(user))
        return
    for one in exceptions:
        if one.was[2:4] != one.now[2:4]:
            changes.news.append(PrivacyNews(user, one.other))


def _current(view: Reader, user: UserId) -> CurrentSettings:
    settings = settings_written(written(view, user, setting) for setting in Setting)
    exceptions = tuple(
        CurrentException(other, one, _version(view, user, pack_key(other)))
        for other, one in exceptions_of(view, user, 3 * MAX_EXCEPTIONS).items()
        if not one.is_none
    )
    return CurrentSettings(settings, _version(view, user, KEY), exceptions=exceptions)


def _version(view: Reader, user: UserId, key: StateKey) -> Version:
    version: Version | None = view.get(Table.VERSIONS, (user, key))
    return version or Version(0)


def _asks_only(_view: Reader, op: ChangeSettings) -> bool:
    return not op.values and not op.exceptions


def _weight(op: ChangeSettings) -> int:
    return 1 + len(op.exceptions)


OPERATIONS: dict[type, OperationKind] = {
    ChangeSettings: OperationKind(change_settings, needs_no_room=_asks_only, weight=_weight)
}
