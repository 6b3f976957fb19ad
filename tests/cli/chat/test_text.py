"""Hostile text: nothing that a terminal obeys is left, whatever others wrote."""

import unicodedata

import pytest
from rich.cells import cell_len

from bimip.cli.chat.text import MAX_CHARACTERS, cut, decoded, shown, shown_lines

HOSTILE = {
    "colour": "\x1b[31mred\x1b[0m",
    "cursor": "\x1b[2J\x1b[H\x1b[10A",
    "title": "\x1b]0;owned\x07",
    "clipboard": "\x1b]52;c;aGk=\x1b\\",
    "carriage return": "good\rbad",
    "backspace": "bad\x08\x08\x08good",
    "c1": "\x9b31mred\x85next",
    "bidi": "\u202eevil\u202c \u2066isolated\u2069 \u200f",
    "zero width": "a\u200bb\u2060c\ufeffd\u00ad",
    "markup": "[red]x[/red] [@click=app.quit]y[/] [link=http://x]z[/link]",
    "stacked marks": "a" + "\u0301" * 50,
    "lines": "\u2028two\u2029three\x0b\x0c",
    "tags": "\U000e0041\U000e0042",
    "private": "\ue000\U000f0000",
    "lone": "\udc80",
    "long": "x" * 100_000,
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_text_is_shown_as_text(text: str) -> None:
    for line in [shown(text), *shown_lines(text)]:
        assert all(unicodedata.category(one)[0] not in "CZ" or one == " " for one in line)


def test_what_is_escaped_can_be_told_from_what_was_written() -> None:
    assert shown("\x1b[31m") == "\\x1b[31m"
    assert shown("\u202eabc") == "\\u202eabc"
    assert shown("[red]x[/red]") == "[red]x[/red]"


def test_marks_that_are_stacked_are_cut() -> None:
    assert shown("a" + "\u0301" * 50) == "a" + "\u0301" * 3


def test_parts_of_an_emoji_stand_side_by_side_so_that_the_width_is_known() -> None:
    assert shown("👩\u200d👧") == "👩👧"
    assert cell_len(shown("❤\ufe0f")) == 1
    assert shown("x\u200dy") == "x\\u200dy"


def test_lines_stay_lines_and_tabs_are_spaces() -> None:
    assert shown_lines("one\r\n\ttwo\nthree") == ["one", "    two", "three"]
    assert shown("one\ntwo") == "one two"


def test_what_is_too_long_is_counted() -> None:
    assert cut("x" * (MAX_CHARACTERS + 5)) == ("x" * MAX_CHARACTERS, 5)
    assert cut("short") == ("short", 0)


def test_a_payload_that_is_no_text_is_told_by_its_size() -> None:
    assert decoded(b"\xff\xfe") == "(2 bytes)"
    assert decoded("größer".encode()) == "größer"
