"""From defaults, then a TOML file, then environment variables BIMIP_SECTION_KEY, to frozen values.

A key that does not exist, a wrong type or a value out of range is a `ConfigError` that names where it stands and what
is allowed; all of them are reported at once. Paths are relative to the working directory. Secrets are read when
somebody needs them, so that `bimip tree` works without the signing key.
"""

import difflib
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from bimip.config.sections import SECTIONS, Settings
from bimip.push.settings import PushSettings
from bimip.retention.settings import HISTORY
from bimip.settings import SECRET, ConfigError, Rule

_PREFIX = "BIMIP_"
_VARIABLES: Final = {
    f"{_PREFIX}{section}_{key}".upper(): (section, key) for section, keys in SECTIONS.items() for key in keys
}
_SECTION_PREFIXES: Final = tuple(f"{_PREFIX}{section}_".upper() for section in SECTIONS)


def load_settings(file: Path | None, environ: Mapping[str, str]) -> Settings:
    """Defaults, then `file` if there is one, then `environ`. ConfigError tells everything that is wrong."""
    return load_with_sources(file, environ)[0]


def load_with_sources(file: Path | None, environ: Mapping[str, str]) -> tuple[Settings, Mapping[tuple[str, str], str]]:
    """Loads settings, and tells of each section and key that was given where it was: the file or the variable. What is
    not there has its default. Raises ConfigError.
    """
    given: dict[tuple[str, str], tuple[str, Any]] = {}
    problems: list[str] = []
    if file is not None:
        given |= _from_file(file, problems)
    given |= _from_environment(environ, problems)
    values: dict[str, dict[str, Any]] = {}
    for (section, key), (where, value) in given.items():
        found = SECTIONS[section][key]
        try:
            values.setdefault(found.part, {})[key] = found.rule.parse(value)
        except (ValueError, KeyError, TypeError):
            problems.append(f"{where} is {_shown(found.rule, value)}; allowed: {found.rule.allowed}")
    _complete_retention(values)
    settings = Settings()
    settings = replace(settings, **{name: replace(getattr(settings, name), **new) for name, new in values.items()})
    wrong = (*settings.contradictions(), *_unknown_partitions(settings))
    problems += [f"{file or 'settings'}: {problem}" for problem in wrong]
    if problems:
        raise ConfigError("\n".join(problems))
    return settings, {key: where for key, (where, _) in given.items()}


def _from_file(file: Path, problems: list[str]) -> dict[tuple[str, str], tuple[str, Any]]:
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} is not TOML: {error}") from error
    given: dict[tuple[str, str], tuple[str, Any]] = {}
    for section, table in document.items():
        if section not in SECTIONS:
            problems.append(f"{file}: [{section}] does not exist; {_meant(section, SECTIONS)}")
        elif not isinstance(table, dict):
            problems.append(f"{file}: {section} is not a table; write [{section}] on a line of its own, then its keys")
        else:
            for key, value in table.items():
                if key in SECTIONS[section]:
                    given[section, key] = (f"{file}: {section}.{key}", value)
                else:
                    problems.append(f"{file}: {section}.{key} does not exist; {_meant(key, SECTIONS[section])}")
    return given


def _from_environment(environ: Mapping[str, str], problems: list[str]) -> dict[tuple[str, str], tuple[str, Any]]:
    """Reads settings from the environment. What names a section of ours must name one of its keys; others are somebody
    else's, unless nearly ours.
    """
    given: dict[tuple[str, str], tuple[str, Any]] = {}
    for name in sorted(environ):
        if name in _VARIABLES:
            given[_VARIABLES[name]] = (f"environment: {name}", environ[name])
        elif name.startswith(_SECTION_PREFIXES) or (
            name.startswith(_PREFIX) and difflib.get_close_matches(name, _VARIABLES, cutoff=0.9)
        ):
            problems.append(f"environment: {name} does not exist; {_meant(name, _VARIABLES)}")
    return given


def _complete_retention(values: dict[str, dict[str, Any]]) -> None:
    """Partitions that retention does not name keep their default, or, if they are somebody's own, their history."""
    names = values.get("partitions", {}).get("names", Settings().partitions.names)
    defaults = Settings().retention
    given = values.setdefault("retention", {})
    given["history_days"] = {name: defaults.history_days.get(name, 0) for name in names} | given.get("history_days", {})
    given["policies"] = {name: defaults.policies.get(name, HISTORY) for name in names} | given.get("policies", {})


def _unknown_partitions(settings: Settings) -> Iterator[str]:
    retention = settings.retention
    for key, given in (("history_days", retention.history_days), ("policies", retention.policies)):
        for name in given:
            if name not in settings.partitions.names:
                yield f"retention.{key}.{name} does not exist; {_meant(name, settings.partitions.names)}"
    for name in settings.push.partitions:
        if name not in settings.partitions.names and name not in PushSettings().partitions:
            yield f"push.partitions: {name} does not exist; {_meant(name, settings.partitions.names)}"


def _meant(name: str, names: Iterable[str]) -> str:
    names = list(names)
    close = difflib.get_close_matches(name, names, n=1)
    return f'did you mean "{close[0]}"?' if close else f"allowed: {', '.join(names)}"


def _shown(rule: Rule, value: object) -> str:
    if rule is SECRET:
        return "not a text"
    return "something else" if rule.holds_secrets else repr(value)
