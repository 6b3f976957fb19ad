"""Messages and rows of the list as lines of styled text, at a width. What others wrote went through `text.py`."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from rich.cells import cell_len, set_cell_size

from bimip.cli.chat.model import Conversation, Entry, Model
from bimip.cli.chat.text import cut, shown, shown_lines
from bimip.domain.awareness.activities import Doing
from bimip.domain.core.records import Status

Span = tuple[str, str]
"""A text, which nothing in it can end, and a style of Rich."""

Line = list[Span]

MARKS = {
    "waiting": ("⧖", "yellow"),
    "refused": ("✗", "bold red"),
    "sent": ("✓", "dim"),
    "delivered": ("✓✓", "dim"),
    "read": ("✓✓", "bold green"),
}

SIGNS = {
    Status.ONLINE: ("●", "green"),
    Status.OFFLINE: ("○", "dim"),
    Status.AWAY: ("◐", "yellow"),
    Status.BUSY: ("◉", "yellow"),  # another sign, too: not every terminal has colours, nor do all eyes see them
    Status.DND: ("⊘", "red"),
}

AUTHORS = ("magenta", "blue", "green", "yellow", "red")

MAX_LINES = 80
"""Of one message; the rest is counted."""

ASIDE = 9
"""Columns at the right: the time, and how far an own message has come."""

QUARTER_MS = 15 * 60_000

NEAR_MS = 5 * 60_000
"""Messages of one author within this time stand under one name."""


@dataclass(frozen=True, slots=True)
class Place:
    """A message stands here: what its look depends on beside itself."""

    width: int
    follows: bool  # the one before it is of the same author
    begins_day: bool
    begins_new: bool
    is_chosen: bool


def places(conversation: Conversation, width: int, chosen: str) -> Iterator[tuple[Entry, Place]]:
    """Yields each message of a conversation with its place."""
    before: Entry | None = None
    for entry in conversation.entries:
        begins_new = bool(conversation.new_from) and entry.offset >= conversation.new_from
        begins_new = begins_new and (before is None or before.offset < conversation.new_from)
        begins_day = before is None or _day(before.time) != _day(entry.time)
        follows = (
            before is not None
            and not (begins_new or begins_day or before.is_event or entry.is_event)
            and before.author == entry.author
            and entry.time - before.time < NEAR_MS
        )
        yield entry, Place(width, follows, begins_day, begins_new, entry.key == chosen)
        before = entry


def block_of(model: Model, conversation: Conversation, entry: Entry, place: Place) -> list[Line]:
    """Lays a message out."""
    lines: list[Line] = []
    if place.begins_day:
        lines.append(_rule(f" {datetime.fromtimestamp(entry.time / 1000).astimezone():%A, %d %B %Y} ", place.width))
    if place.begins_new:
        lines.append(_rule(" new ", place.width, "bold yellow"))
    gutter: Span = ("▌ ", "bold cyan") if place.is_chosen else ("  ", "")
    if entry.is_event:
        wrapped = wrap(shown(entry.written), max(8, place.width - 4))
        return lines + [[gutter, (line, "dim italic")] for line in wrapped]
    if not place.follows:
        lines.append(
            [gutter, (fit(shown("you" if entry.own else model.name_of(entry.author)), place.width - 3), _colour(entry))]
        )
    if entry.reply_to:
        lines.append([gutter, *_quote(model, conversation, entry, place.width - 2)])
    body = _body(entry, max(8, place.width - 2 - ASIDE - 1))
    for number, spans in enumerate(body):
        aside = _aside(model, entry) if number == 0 else []
        used = 2 + sum(cell_len(text) for text, _ in spans)
        room = place.width - used - sum(cell_len(text) for text, _ in aside)
        lines.append([gutter, *spans, *([(" " * max(1, room), ""), *aside] if aside else [])])
    reactions = entry.changes.reactions if entry.changes is not None else {}
    if reactions and not entry.is_deleted:
        said = "  ".join(f"{fit(shown(emoji), 12)} {len(eids)}" for emoji, eids in reactions.items())
        lines.append([gutter, (fit(said, place.width - 2), "cyan")])
    if entry.failure:
        hint = " (Enter: change it, s: send it again, d: drop it)" if entry.is_refused else ""
        lines += [[gutter, (line, "red")] for line in wrap(f"✗ {shown(entry.failure)}{hint}", place.width - 2)]
    return lines


def _body(entry: Entry, width: int) -> list[Line]:
    if entry.is_deleted:
        return [[("deleted", "dim italic")]]
    text, more = cut(entry.text)
    lines = [part for line in shown_lines(text) for part in wrap(line, width)]
    left = len(lines) - MAX_LINES
    style = "dim" if not entry.offset else ""
    found: list[Line] = [[(line, style)] for line in lines[:MAX_LINES]]
    if more or left > 0:
        found.append([(fit(f"… {more:,} more characters" if more else f"… {left} more lines", width), "dim italic")])
    notes = [
        "being deleted" if entry.leaving else "",
        "editing" if entry.wanted is not None else "edited" if entry.is_edited else "",
        f"forwarded {entry.changes.forwards} times" if entry.changes is not None and entry.changes.forwards else "",
    ]
    if note := ", ".join(filter(None, notes)):
        if cell_len(note) + 3 + sum(cell_len(one) for one, _ in found[-1]) <= width:
            found[-1].append((f" ({note})", "dim italic"))
        else:
            found.append([(f"({note})", "dim italic")])
    return found


def _aside(model: Model, entry: Entry) -> Line:
    clock = f"{datetime.fromtimestamp(entry.time / 1000).astimezone():%H:%M}" if entry.time else ""
    if not entry.own:
        return [(f"{clock:<{ASIDE - 1}}", "dim")]
    mark, style = MARKS[model.stage_of(entry)]
    return [(f"{clock} ", "dim"), (set_cell_size(mark, 2), style)]


def _quote(model: Model, conversation: Conversation, entry: Entry, width: int) -> Line:
    answered = conversation.find(entry.reply_to)
    if answered is None:
        return [("┌ ", "dim"), ("an earlier message", "dim italic")]
    who = "you" if answered.own else shown(model.name_of(answered.author))
    what = "deleted" if answered.is_deleted else shown(cut(answered.text, 200)[0])
    return [("┌ ", "dim"), (fit(f"{who}: {what}", max(4, width - 2)), "dim italic")]


def row_of(model: Model, conversation: Conversation, width: int, now: int, *, is_chosen: bool) -> list[Line]:
    """Lays a row of the list out: who, when, how much is unread, and the last line."""
    is_open = conversation.key == model.opened
    bar: Span = ("▌", "bold cyan" if is_chosen else "dim") if is_chosen or is_open else (" ", "")
    title = shown(model.title_of(conversation))
    sign = _sign(model, conversation)
    count = _count(conversation)
    flags = ("↑" if conversation.pinned else "") + ("m" if conversation.is_muted(now) else "")
    when = _when(conversation.activity, now)
    tail: Line = [(f" {flags}", "dim")] if flags else []
    tail += [(f" {when}", "dim")] if when else []
    room = width - 3 - sum(cell_len(text) for text, _ in tail)
    weight = "bold" if conversation.unread or conversation.marked_unread else "dim" if conversation.archived else ""
    first: Line = [bar, sign, (" ", ""), (set_cell_size(fit(title, max(1, room)), max(1, room)), weight), *tail]
    preview, style = _preview(model, conversation)
    badge: Line = [(f" {count} ", "bold reverse")] if count else []
    room = width - 3 - sum(cell_len(text) for text, _ in badge)
    second: Line = [bar, ("  ", ""), (set_cell_size(fit(preview, max(1, room)), max(1, room)), style), *badge]
    return [first, second]


def _sign(model: Model, conversation: Conversation) -> Span:
    if conversation.is_feed:
        return ("»", "dim")
    if not conversation.peer:
        return ("#", "dim")
    return SIGNS[model.is_online(conversation.peer)]


def _count(conversation: Conversation) -> str:
    if conversation.unread:
        mentioned = "@" if conversation.mentions else ""
        return f"{mentioned}{conversation.unread}{'+' if conversation.has_more_unread else ''}"
    return "•" if conversation.marked_unread else ""


def _preview(model: Model, conversation: Conversation) -> Span:
    last = conversation.last
    if said := typing_text(model, conversation):
        return said, "italic cyan"
    if conversation.draft and conversation.key != model.opened:
        return f"draft: {shown(cut(conversation.draft, 100)[0])}", "italic yellow"
    if last is None:
        return "", "dim"
    text = "deleted" if last.is_deleted else shown(cut(last.text, 200)[0])
    if last.is_event or last.is_deleted:
        return text, "dim italic"
    if last.is_refused:
        return f"not sent: {text}", "red"
    author = "you" if last.own else shown(model.name_of(last.author)) if conversation.is_group else ""
    return f"{author}: {text}" if author else text, "dim"


def typing_text(model: Model, conversation: Conversation) -> str:
    """Says who is typing or recording; empty: nobody."""
    if not conversation.typing:
        return ""
    names = ", ".join(shown(model.name_of(eid)) for eid in conversation.typing)
    does = "recording" if Doing.RECORDING in conversation.typing.values() else "typing"
    return f"{names} {'is' if len(conversation.typing) == 1 else 'are'} {does} …"


def wrap(text: str, width: int) -> list[str]:
    """Breaks one line at spaces, and words that are too long anywhere; no part is wider than `width` cells."""
    lines: list[str] = []
    line, used = "", 0
    for word in _words(text):
        size = cell_len(word)
        if used + size <= width:
            line, used = line + word, used + size
            continue
        if line.strip():
            lines.append(line.rstrip())
            line, used = "", 0
        if word.isspace():
            continue
        *whole, line = _pieces(word, width)
        lines += whole
        used = cell_len(line)
    return [*lines, line.rstrip()] if line.strip() or not lines else lines


def _words(text: str) -> Iterator[str]:
    start = 0
    for at, character in enumerate(text):
        if at and (character == " ") != (text[at - 1] == " "):
            yield text[start:at]
            start = at
    if text:
        yield text[start:]


def _pieces(word: str, width: int) -> Sequence[str]:
    pieces, piece, used = [], "", 0
    for character in word:
        size = cell_len(character)
        if used + size > width and piece:
            pieces.append(piece)
            piece, used = "", 0
        piece, used = piece + character, used + size
    return [*pieces, piece]


def fit(text: str, width: int) -> str:
    """Cuts a line to a width, and says so by an ellipsis."""
    if cell_len(text) <= width:
        return text
    return f"{set_cell_size(text, max(0, width - 1)).rstrip()}…"


def _rule(text: str, width: int, style: str = "dim") -> Line:
    side = max(1, (width - cell_len(text)) // 2)
    return [(fit(f"{'─' * side}{text}{'─' * max(1, width - side - cell_len(text))}", width), style)]


def _colour(entry: Entry) -> str:
    return "bold cyan" if entry.own else f"bold {AUTHORS[sum(entry.author.encode()) % len(AUTHORS)]}"


def _day(at: int) -> object:
    """Names a day, to be compared: no time zone's day begins within a quarter of an hour."""
    return _day_of(at // QUARTER_MS) if at else None


@lru_cache(maxsize=4096)
def _day_of(quarter: int) -> object:
    return datetime.fromtimestamp(quarter * QUARTER_MS / 1000).astimezone().date()


def _when(at: int, now: int) -> str:
    """Names a time in the fewest characters: today's by the clock, others by the day."""
    if not at:
        return ""
    moment = datetime.fromtimestamp(at / 1000).astimezone()
    if moment.date() == datetime.fromtimestamp(now / 1000).astimezone().date():
        return f"{moment:%H:%M}"
    return f"{moment:%d %b}" if now - at < 300 * 86_400_000 else f"{moment:%b %y}"
