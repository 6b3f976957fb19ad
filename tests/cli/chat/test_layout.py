"""Messages as lines: what stands in them, that none is wider than the screen, and that nobody else's text styles it."""

import pytest
from rich.cells import cell_len

from bimip.cli.chat.layout import MAX_LINES, Line, block_of, fit, places, row_of, typing_text, wrap
from bimip.cli.chat.model import Conversation, Model
from bimip.client.events import SendRefused
from bimip.client.wire.bimip import ErrorCode
from bimip.domain.awareness.activities import Doing
from tests.cli.chat.test_model import ALICE, BOB, a_model, a_row, changed, kept, received
from tests.cli.chat.test_text import HOSTILE

NOW = 1_700_000_100_000


def text_of(line: Line) -> str:
    return "".join(text for text, _ in line)


def laid_out(model: Model, width: int = 60) -> list[str]:
    one = model.conversations["c1"]
    lines = [line for entry, place in places(one, width, "") for line in block_of(model, one, entry, place)]
    return [text_of(line).rstrip() for line in lines]


def a_conversation(*written: tuple[str, str]) -> tuple[Model, Conversation]:
    model = a_model()
    for offset, (author, text) in enumerate(written, start=1):
        model.take(received(offset, text, author=author, to=BOB if author == ALICE else ALICE))
    return model, model.conversations["c1"]


def test_messages_of_one_author_stand_under_one_name() -> None:
    model, _ = a_conversation((BOB, "one"), (BOB, "two"), (ALICE, "three"))
    lines = [line.split("  ")[1] if line.startswith("  ") else line for line in laid_out(model)]

    assert lines[1:] == ["bob", "one", "two", "you", "three"]
    assert "November 2023" in lines[0]


def test_an_own_message_says_how_far_it_has_come() -> None:
    model, one = a_conversation((ALICE, "Hello"))
    model.times = lambda _conversation, _offset: {BOB: {"delivered": 1}}
    model.wrote(one, "own-1", "waits", NOW)
    model.wrote(one, "own-2", "no", NOW)
    model.take(SendRefused("own-2", ErrorCode.FORBIDDEN, "they do not take it"))
    lines = laid_out(model)

    assert lines[2].endswith(" ✓✓")
    assert any(line.startswith("  waits") and line.endswith("⧖") for line in lines)
    assert "✗ not sent: they do not take it (Enter: change it, s: send it again, d: drop it)" in " ".join(
        line.strip() for line in lines
    )


def test_edits_deletions_reactions_and_answers_are_seen() -> None:
    model, one = a_conversation((BOB, "Helo"), (BOB, "secret"), (ALICE, "yes"))
    one.entries[2].reply_to = one.entries[0].key
    model.take(changed(1, payload=b"Hello", reactions={"👍": (ALICE, BOB), "❤": (ALICE,)}))
    model.take(changed(2, deleted=True))
    lines = "\n".join(laid_out(model))

    assert "Hello (edited)" in lines
    assert "👍 2  ❤ 1" in lines
    assert "deleted" in lines
    assert "secret" not in lines
    assert "┌ bob: Hello" in lines


def test_what_is_new_is_marked() -> None:
    model, one = a_conversation((BOB, "old"), (BOB, "new"))
    one.new_from = 2

    assert [line for line in laid_out(model) if " new ─" in line]


@pytest.mark.parametrize("width", [20, 33, 60, 120])
@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_no_line_is_wider_than_the_screen_whatever_was_written(text: str, width: int) -> None:
    model, one = a_conversation((BOB, "Hello"))
    one.entries[0].written = text
    model.take(changed(1, reactions={"\x1b[31m" * 20: (ALICE,)}))
    one.entries[0].failure = text[:300]
    for entry, place in places(one, width, one.entries[0].key):
        for line in block_of(model, one, entry, place):
            assert cell_len(text_of(line)) <= width
            assert text_of(line).isprintable()
    for line in row_of(model, one, width, NOW, is_chosen=True):
        assert cell_len(text_of(line)) <= width
        assert text_of(line).isprintable()


def test_markup_is_text() -> None:
    model, one = a_conversation((BOB, "[red]eight[/red]"))
    entry, place = next(places(one, 60, ""))
    styles = {style for line in block_of(model, one, entry, place) for text, style in line if "eight" in text}

    assert any("[red]eight[/red]" in line for line in laid_out(model))
    assert styles == {""}


def test_a_very_long_message_is_cut_and_counted() -> None:
    model, _ = a_conversation((BOB, "x" * 60_000))
    assert "… 56,000 more characters" in "\n".join(laid_out(model))
    model, _ = a_conversation((BOB, "\n".join("x" * 500)))
    assert len(laid_out(model)) == MAX_LINES + 3

    assert "… 420 more lines" in "\n".join(laid_out(model))


def test_a_row_says_who_when_and_how_much_is_unread() -> None:
    model = a_model()
    model.take_inbox([a_row(has_more_unread=True)])
    model.take(kept("c1", pinned=True, muted_until=NOW + 5))
    first, second = (text_of(line) for line in row_of(model, model.conversations["c1"], 30, NOW, is_chosen=False))

    assert first.startswith(" ○ bob")
    assert " ↑m " in first
    assert second.startswith("   the last")
    assert second.endswith(" @4+ ")


def test_a_row_says_who_is_typing_and_what_was_begun() -> None:
    model, one = a_conversation((BOB, "Hello"))
    one.draft = "To be answered"
    assert "draft: To be answered" in text_of(row_of(model, one, 40, NOW, is_chosen=False)[1])
    one.typing[BOB] = Doing.RECORDING

    assert typing_text(model, one) == "bob is recording …"
    assert "bob is recording …" in text_of(row_of(model, one, 40, NOW, is_chosen=False)[1])


@pytest.mark.parametrize(
    ("text", "width", "lines"),
    [
        ("", 8, [""]),
        ("one two three", 8, ["one two", "three"]),
        ("    code", 8, ["    code"]),
        ("abcdefghijkl", 5, ["abcde", "fghij", "kl"]),
        ("日本語日本語", 5, ["日本", "語日", "本語"]),
        ("a  b", 3, ["a", "b"]),
    ],
)
def test_lines_break_at_spaces_and_words_where_they_must(text: str, width: int, lines: list[str]) -> None:
    assert wrap(text, width) == lines


def test_what_does_not_fit_ends_in_an_ellipsis() -> None:
    assert [fit("hello", 5), fit("hello!", 5), fit("日本語", 5)] == ["hello", "hell…", "日本…"]
