"""What this user lets others know of them, as any of their devices set it last; and what holds for single others."""

from typing import Any, NamedTuple

from bimip.client.core.kinds.kind import Kind, Table
from bimip.client.events import PrivacyExceptionChanged, SettingsChanged
from bimip.client.store import StateKey, Store
from bimip.client.wire import bimip as pb
from bimip.domain.core.ids import Stamp
from bimip.domain.state.privacy_exceptions import EXCEPTED, ExceptionValue, PrivacyException
from bimip.domain.state.settings import FIELDS, Audience, PrivacySettings

KEY: StateKey = ("settings",)
"""All of them are one value."""

AUDIENCES = {pb.Audience.EVERYBODY: Audience.EVERYBODY, pb.Audience.CONTACTS: Audience.CONTACTS}
"""As the server tells them; any other is NOBODY, as the one that only a later version understands."""


class KnownSettings(NamedTuple):
    version: int  # of the user's state, since when they stand so
    settings: PrivacySettings


class SettingsKind(Kind[pb.Settings, KnownSettings]):
    field = "settings"

    def key(self, _item: pb.Settings) -> StateKey | None:
        return KEY

    def value(self, item: pb.Settings) -> KnownSettings:
        return KnownSettings(item.version, settings_told(item))

    def merge(self, known: KnownSettings, arrived: KnownSettings) -> KnownSettings:
        """The server has merged them: its newest word counts."""
        return max(known, arrived)

    def event(self, _key: StateKey, before: KnownSettings | None, now: KnownSettings | None) -> SettingsChanged | None:
        was, is_now = (known.settings if known else PrivacySettings() for known in (before, now))
        return SettingsChanged(is_now) if is_now != was else None

    def load(self, stored: Any) -> KnownSettings:  # noqa: ANN401 - as in Kind
        """Reads also what was kept before there were audiences: four switches and the stamp."""
        version, (*values, stamp) = stored
        to, of, last_seen, online = map(Audience, values[:4])
        visible = all(values[4:])
        return KnownSettings(version, PrivacySettings(to, of, last_seen, online, visible, Stamp(stamp)))


SETTINGS = SettingsKind()


def settings_told(told: pb.Settings) -> PrivacySettings:
    """Reads what the server tells. What an older server does not tell is as nobody has set it."""
    audiences = {}
    for setting in EXCEPTED:
        field = FIELDS[setting]
        audience, is_on = getattr(told, field), getattr(told, setting.name.lower())
        if audience == pb.Audience.AUDIENCE_UNSPECIFIED:
            audiences[field] = Audience.EVERYBODY if is_on is None else Audience(int(is_on))
        else:
            audiences[field] = AUDIENCES.get(audience, Audience.NOBODY)
    return PrivacySettings(**audiences, visible=told.visible is not False, stamp=Stamp(told.stamp))


def settings_known(store: Store) -> PrivacySettings:
    """Returns the settings as this device knows them."""
    known = Table(store, SETTINGS).get(KEY)
    return known.settings if known else PrivacySettings()


class KnownException(NamedTuple):
    version: int
    exception: PrivacyException


class ExceptionKind(Kind[pb.PrivacyException, KnownException]):
    """An exception: what holds for one other user in place of the settings."""

    field = "privacy_exception"

    def key(self, item: pb.PrivacyException) -> StateKey | None:
        return (item.eid,) if item.eid else None

    def value(self, item: pb.PrivacyException) -> KnownException:
        return KnownException(item.version, exception_told(item))

    def merge(self, known: KnownException, arrived: KnownException) -> KnownException:
        """The server has merged them: its newest word counts."""
        return max(known, arrived)

    def event(
        self, key: StateKey, before: KnownException | None, now: KnownException | None
    ) -> PrivacyExceptionChanged | None:
        was, is_now = (known.exception if known else PrivacyException() for known in (before, now))
        return PrivacyExceptionChanged(str(key[0]), is_now) if is_now != was else None

    def load(self, stored: Any) -> KnownException:  # noqa: ANN401 - as in Kind
        version, (*values, stamp) = stored
        send, show, last_seen, online = map(ExceptionValue, values)
        return KnownException(version, PrivacyException(send, show, last_seen, online, Stamp(stamp)))


EXCEPTIONS = ExceptionKind()


def exception_told(told: pb.PrivacyException) -> PrivacyException:
    """Reads what the server tells of one other user. A value that only a later version understands is DENIED."""
    values = {}
    for setting in EXCEPTED:
        name = setting.name.lower()
        number = int(getattr(told, name)) or ExceptionValue.NONE
        values[name] = ExceptionValue(number) if number in set(ExceptionValue) else ExceptionValue.DENIED
    return PrivacyException(**values, stamp=Stamp(told.stamp))


def exceptions_known(store: Store) -> dict[str, PrivacyException]:
    """Returns the exceptions as this device knows them, by eid."""
    return {str(key[0]): known.exception for key, known in Table(store, EXCEPTIONS).under(())}
