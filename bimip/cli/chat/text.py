"""What is shown of text that others wrote.

A terminal obeys control characters, and reorders a line by bidirectional ones: both are shown as what they are. What
has no width is left away or shown, so that a line is as wide as it is counted; marks that are stacked are cut.
"""

import unicodedata
from collections.abc import Iterator

MAX_MARKS = 3
"""Marks upon one character: more climb into the lines above."""

MAX_CHARACTERS = 4000
"""Shown of one message; the rest is counted."""

TAB = "    "

_JOINER, _EMOJI_STYLE, _TEXT_STYLE = "\u200d", "\ufe0f", "\ufe0e"
_PICTURES = frozenset({"So", "Sk"})
_MARKS = frozenset({"Mn", "Me", "Mc"})


def shown(text: str) -> str:
    """Returns text as one line."""
    return "".join(_shown(text.replace("\n", " ")))


def shown_lines(text: str) -> list[str]:
    """Returns text as its lines, each without anything that a terminal would obey."""
    return ["".join(_shown(line)) for line in text.replace("\r\n", "\n").split("\n")]


def cut(text: str, most: int = MAX_CHARACTERS) -> tuple[str, int]:
    """Returns the beginning of a text, and how many characters are left away."""
    return text[:most], max(0, len(text) - most)


def decoded(payload: bytes) -> str:
    """Returns a payload as text, or how much of it there is."""
    try:
        return payload.decode()
    except UnicodeDecodeError:
        return f"({len(payload)} bytes)"


def _shown(line: str) -> Iterator[str]:
    before = ""
    marks = 0
    for character in line:
        category = unicodedata.category(character)
        if character == "\t":
            yield TAB
        elif character in {_EMOJI_STYLE, _TEXT_STYLE}:
            continue  # terminals do not agree about the width of what comes out of it
        elif character == _JOINER and before and unicodedata.category(before) in _PICTURES:
            continue  # the same
        elif category in _MARKS:
            marks += 1
            if marks <= MAX_MARKS:
                yield character
            continue
        else:
            yield character if character.isprintable() else _escaped(character)
        marks = 0
        before = character


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
