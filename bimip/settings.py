"""What a floor declares its settings with: a frozen dataclass whose fields are made by `setting`, each with its default
and its rule. Says nothing of where values come from: `bimip.config` reads them, and knows which floor has which.

A field without a rule is no setting: what a server is made with beside them, or a number that nobody chooses.
"""

import ipaddress
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar
from urllib.parse import urlsplit

KIB: Final = 1024
MIB: Final = 1024 * KIB
GIB: Final = 1024 * MIB
TIB: Final = 1024 * GIB

T = TypeVar("T")
_NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,31}")

Raw = Any
"""A value as the file or the environment has it, before its rule has seen it."""


class ConfigError(Exception):
    """The settings cannot be used. One line for each problem: where, what, and what is allowed."""


class Secret:
    """A text that shows itself to nobody who does not ask for it by name."""

    __slots__ = ("_text",)

    def __init__(self, text: str = "") -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __repr__(self) -> str:
        return "Secret(…)" if self._text else "Secret()"


class Rule(NamedTuple):
    """How a value is read, and what an error says is allowed. `parse` raises ValueError."""

    parse: Callable[[Any], Any]
    allowed: str
    holds_secrets: bool = False  # an error does not repeat the value


@dataclass(frozen=True, slots=True)
class Declared:
    """Describes the setting that a field is."""

    rule: Rule
    section: str = ""
    """Where it stands in the file; "": in the section that is called as the whole of its class is."""
    reloads: bool = False
    """Whether a running server takes another value over (`bimip.reloading`)."""


def setting(default: Raw, rule: Rule, *, section: str = "", reloads: bool = False) -> Raw:
    """A dataclass field that can be set: its name is its key. `reloads`: also while the server runs."""
    metadata = {Declared: Declared(rule, section, reloads)}
    if isinstance(default, dict):
        return field(default_factory=lambda: dict(default), metadata=metadata)
    return field(default=default, metadata=metadata)


def whole(least: int, most: int) -> Rule:
    def parse(value: Raw) -> int:
        if isinstance(value, str):
            value = int(value.replace("_", ""))
        if type(value) is not int or not least <= value <= most:
            raise ValueError
        return value

    return Rule(parse, f"a whole number from {least} to {most}")


def seconds(least: float, most: float) -> Rule:
    def parse(value: Raw) -> float:
        if isinstance(value, bool):
            raise ValueError  # noqa: TRY004 - the caller turns every ValueError into one sentence
        value = float(value)
        if not least <= value <= most:
            raise ValueError
        return float(value)

    return Rule(parse, f"seconds from {least:g} to {most:g}")


def choice(*choices: str) -> Rule:
    def parse(value: Raw) -> str:
        if value not in choices:
            raise ValueError
        return str(value)

    return Rule(parse, " or ".join(f'"{one}"' for one in choices))


def nonempty(what: str) -> Rule:
    def parse(value: Raw) -> str:
        if not text(value).strip():
            raise ValueError
        return text(value).strip()

    return Rule(parse, what)


def text(value: Raw) -> str:
    if not isinstance(value, str):
        raise ValueError  # noqa: TRY004 - the caller turns every ValueError into one sentence
    return value


def items(value: Raw) -> list[Any]:
    """A list; from the environment a text with commas."""
    if isinstance(value, str):
        value = [item.strip() for item in value.split(",") if item.strip()]
    if not isinstance(value, list):
        raise ValueError  # noqa: TRY004 - the caller turns every ValueError into one sentence
    return value


def tables(value: Raw, keys: frozenset[str], read: Callable[[str, dict[str, Any]], T]) -> dict[str, T]:
    """Reads tables by name, which have these keys; from the environment, a text with the same in JSON."""
    given = json.loads(value) if isinstance(value, str) else value
    if not isinstance(given, dict):
        raise ValueError  # noqa: TRY004 - the caller turns every ValueError into one sentence
    for name, table in given.items():
        if not _NAME.fullmatch(name) or not isinstance(table, dict) or not table.keys() <= keys:
            raise ValueError
    return {name: read(name, table) for name, table in given.items()}


def http_url(value: Raw) -> str:
    """Reads a URL that requests can be sent to, with nobody's password in it."""
    url = text(value)
    parts = urlsplit(url)
    if not url.isascii() or not url.isprintable() or " " in url or "@" in parts.netloc:
        raise ValueError
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.port == 0:  # it raises ValueError too
        raise ValueError
    return url


def _flag(value: Raw) -> bool:
    if isinstance(value, bool):
        return value
    return {"true": True, "false": False}[text(value).lower()]


FLAG: Final = Rule(_flag, "true or false")
TEXT: Final = Rule(text, "a text")
SECRET: Final = Rule(lambda value: Secret(text(value)), "a text")
"""Its value is never repeated in an error."""
NO_SECRET: Final = Secret()
COUNT: Final = whole(0, 2**62)
PORT: Final = whole(0, 65_535)


def is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False  # a name may lead anywhere


def find_open_url(where: str, url: str, allowing: str, *, allow_private: bool) -> list[str]:
    """Tells where a URL would have what is sent read on its way. `allowing`: the setting that allows that."""
    parts = urlsplit(url)
    if parts.scheme == "https" or is_loopback(parts.hostname or "") or allow_private:
        return []
    return [f"{where}.url is {url!r}; allowed: https; http to this machine, or anywhere with {allowing}"]


def find_two_secrets(where: str, secret: Secret, file: str) -> list[str]:
    """Tells where a secret is given twice, or not at all."""
    if bool(secret) != bool(file):
        return []
    return [f"{where} has secret and secret_file, or neither; allowed: one of them"]


def read_secret(name: str, secret: Secret, file: str) -> Secret:
    """Reads the secret from its file, if a file is named. Raises ConfigError."""
    if not file:
        return secret
    try:
        return Secret(Path(file).read_text(encoding="utf-8").strip())
    except OSError as error:
        raise ConfigError(f"{name}_file: {file} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{name}_file: {file} is not text") from error
