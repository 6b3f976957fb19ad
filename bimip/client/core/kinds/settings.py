"""What this user lets others know of them, as any of their devices set it last."""

from typing import Any, NamedTuple

from bimip.client.core.kinds.kind import Kind, Table
from bimip.client.events import SettingsChanged
from bimip.client.store import StateKey, Store
from bimip.client.wire.bimip import Settings
from bimip.domain.state.settings import PrivacySettings

KEY: StateKey = ("settings",)
"""All of them are one value."""


class KnownSettings(NamedTuple):
    version: int  # of the user's state, since when they stand so
    settings: PrivacySettings


class SettingsKind(Kind[Settings, KnownSettings]):
    field = "settings"

    def key(self, _item: Settings) -> StateKey | None:
        return KEY

    def value(self, item: Settings) -> KnownSettings:
        return KnownSettings(item.version, settings_told(item))

    def merge(self, known: KnownSettings, arrived: KnownSettings) -> KnownSettings:
        """The server has merged them: its newest word counts."""
        return max(known, arrived)

    def event(self, _key: StateKey, before: KnownSettings | None, now: KnownSettings | None) -> SettingsChanged | None:
        was, is_now = (known.settings if known else PrivacySettings() for known in (before, now))
        return SettingsChanged(is_now) if is_now != was else None

    def load(self, stored: Any) -> KnownSettings:  # noqa: ANN401 - as in Kind
        version, settings = stored
        return KnownSettings(version, PrivacySettings(*settings))


SETTINGS = SettingsKind()


def settings_told(told: Settings) -> PrivacySettings:
    """Reads what the server tells. What an older server does not tell is as nobody has set it."""
    given = {name: getattr(told, name) for name in PrivacySettings._fields}
    return PrivacySettings(**{name: value for name, value in given.items() if value is not None})


def settings_known(store: Store) -> PrivacySettings:
    """Returns the settings as this device knows them."""
    known = Table(store, SETTINGS).get(KEY)
    return known.settings if known else PrivacySettings()
