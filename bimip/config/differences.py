"""How settings are shown, what differs between two of them, and what of that a running server takes over."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from bimip.config.sections import SECTIONS, Settings
from bimip.settings import Secret


class Shown(NamedTuple):
    """A setting, as people may see it."""

    section: str
    key: str
    value: Any
    is_hidden: bool
    """It is a secret, or has some: the value says whether it is set."""
    reloads: bool
    """SIGHUP takes another value over; else it needs a restart."""


class Difference(NamedTuple):
    """A setting that is another one now."""

    section: str
    key: str
    old: Any
    new: Any
    reloads: bool


def shown(settings: Settings) -> Iterator[Shown]:
    """Lists all settings in the order of their sections, without a secret in it."""
    for section, keys in SECTIONS.items():
        for name, key in keys.items():
            value = getattr(getattr(settings, key.part), name)
            if isinstance(value, Secret) or key.rule.holds_secrets:
                yield Shown(section, name, "set" if value else "not set", True, key.reloads)  # noqa: FBT003 - named
            else:
                yield Shown(section, name, _plain(value), False, key.reloads)  # noqa: FBT003 - named


def differences(old: Settings, new: Settings) -> list[Difference]:
    """Finds what differs. Of a secret it is told that it does."""
    found = []
    for before, after in zip(shown(old), shown(new), strict=True):
        part, name = SECTIONS[before.section][before.key].part, before.key
        if getattr(getattr(old, part), name) != getattr(getattr(new, part), name):
            told = f"{after.value}, another" if after.value == before.value and after.is_hidden else after.value
            found.append(Difference(before.section, name, before.value, told, before.reloads))
    return found


def take_over(old: Settings, new: Settings) -> Settings:
    """Makes the settings of a server that runs with the old ones and takes over what it can of the new ones."""
    taken: dict[str, dict[str, Any]] = {}
    for keys in SECTIONS.values():
        for name, key in keys.items():
            if key.reloads:
                taken.setdefault(key.part, {})[name] = getattr(getattr(new, key.part), name)
    return replace(old, **{part: replace(getattr(old, part), **values) for part, values in taken.items()})


def _plain(value: Any) -> Any:  # noqa: ANN401 - whatever a setting is
    if isinstance(value, Mapping):
        return {str(name): _plain(one) for name, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, tuple | list | frozenset) else value
