import pytest

from bimip.cli.words import counted, date_text, duration, payload_text, printable, seconds_of


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0.0 s"),
        (0.44, "0.4 s"),
        (9.94, "9.9 s"),
        (9.97, "10 s"),
        (59.9, "1 min"),
        (61, "1 min 1 s"),
        (3600, "1 h"),
        (3661, "1 h 1 min"),
        (86_400 * 3 + 3600 * 4 + 59, "3 d 4 h"),
    ],
)
def test_a_duration_has_its_two_largest_units(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_a_date_is_told_to_the_minute_or_to_the_second_and_one_that_is_none_all_the_same() -> None:
    assert date_text(1_700_000_000_000) == "2023-11-14 22:13 UTC"
    assert date_text(1_700_000_000_999, seconds=True) == "2023-11-14 22:13:20 UTC"
    assert date_text(2**62) == "4611686018427388 seconds since 1970"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Grüße 👋", "Grüße 👋"),
        ("a\nb\tc", r"a\nb\tc"),
        ("\x1b[2J\x1b]0;title\x07", r"\x1b[2J\x1b]0;title\x07"),
        ("\u202eevil", r"\u202eevil"),
        ("\x9b31m", r"\x9b31m"),
        ("[red]not markup[/red]", "[red]not markup[/red]"),
    ],
)
def test_text_of_others_cannot_draw_on_the_screen(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_a_payload_is_text_or_its_size() -> None:
    assert payload_text("Grüße".encode()) == "Grüße"
    assert payload_text(b"\xff\x00\x01") == "(3 bytes)"


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("15m", 900), ("12h", 43_200), ("30d", 2_592_000)])
def test_times_are_a_number_and_a_unit(text: str, seconds: int) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "0s", "-1s", "1", "s", "1w", "1.5h", "1 h", "9999999999s"])
def test_other_times_are_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="is not a time such as 90s, 15m, 12h or 30d"):
        seconds_of(text)


def test_one_of_a_thing_is_no_plural() -> None:
    assert [counted(number, "member") for number in (0, 1, 2)] == ["0 members", "1 member", "2 members"]
    assert counted(2, "entry", "entries") == "2 entries"
