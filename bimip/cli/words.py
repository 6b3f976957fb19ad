"""Words and numbers for people."""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def printable(text: str) -> str:
    """`text` on one line, what is not plain text escaped: a message must not be able to draw on the screen."""
    return "".join(character if character.isprintable() else _escaped(character) for character in text)


def payload_text(payload: bytes) -> str:
    """A payload as a person can read it, or how much of it there is."""
    try:
        return printable(payload.decode("utf-8"))
    except UnicodeDecodeError:
        return f"({len(payload)} bytes)"


def counted(number: int, noun: str, plural: str = "") -> str:
    """A number with its noun: '1 member', '2 members'."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def show_json(told: Mapping[str, object]) -> None:
    """Prints an object on one line, for programs."""
    print(json.dumps(told, default=repr), flush=True)


def date_text(at: int, *, seconds: bool = False) -> str:
    """Formats milliseconds since 1970 as a date in UTC, to the minute or to the second: '2023-11-14 22:13 UTC'."""
    try:
        return f"{datetime.fromtimestamp(at / 1000, UTC):{'%Y-%m-%d %H:%M:%S' if seconds else '%Y-%m-%d %H:%M'}} UTC"
    except (OverflowError, OSError, ValueError):
        return f"{at / 1000:.0f} seconds since 1970"


def duration(seconds: float) -> str:
    """The two largest units: '3 d 4 h', '12 min 5 s', '0.4 s'."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    parts = [(whole // 86_400, "d"), (whole % 86_400 // 3600, "h"), (whole % 3600 // 60, "min"), (whole % 60, "s")]
    while parts[0][0] == 0:
        parts.pop(0)
    return " ".join(f"{number} {unit}" for number, unit in parts[:2] if number)


def seconds_of(text: str) -> int:
    """'90s', '15m', '12h' or '30d'. ValueError."""
    match = re.fullmatch(r"([1-9][0-9]{0,8})([smhd])", text)
    if match is None:
        raise ValueError(f"{text!r} is not a time such as 90s, 15m, 12h or 30d")
    return int(match[1]) * _UNITS[match[2]]


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
