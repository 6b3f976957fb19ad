"""The open conversation: its messages, of which one may be chosen."""

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message as Told

from bimip.cli.chat.layout import Line, Place, block_of, places
from bimip.cli.chat.lines import LinesView
from bimip.cli.chat.model import Conversation, Entry, Model

Look = tuple[Entry, int, Place, int]
"""What a message's lines depend on: itself and its revision, where it stands, and how people are called."""

Cached = tuple[Look, list[Line]]

NEAR_TOP = 5
"""So many lines from the top the page before is loaded."""


class Messages(LinesView):
    """Lays out what is loaded, each message once until it changes; `laid_out` counts that."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "choose(-1)", "Up", show=False),
        Binding("down,j", "choose(1)", "Down", show=False),
        Binding("home", "choose_first", "First", show=False),
        Binding("end", "choose_last", "Last", show=False),
        Binding("enter", "app.use", "Use", show=False),
        Binding("r", "app.reply", "Reply"),
        Binding("e", "app.edit", "Edit"),
        Binding("d,delete", "app.delete", "Delete"),
        Binding("plus,a", "app.react", "React", key_display="+"),
        Binding("i", "app.info", "Info"),
        Binding("s", "app.send_again", "Again", show=False),
        Binding("v", "app.whole", "Whole", show=False),
        Binding("escape", "app.compose", "Write"),
    ]

    class NearTop(Told):
        """The page before is wanted."""

    class Left(Told):
        """The arrow went down behind the newest one."""

    class AtEnd(Told):
        """The newest message is visible."""

    def __init__(self, model: Model) -> None:
        super().__init__(id="messages")
        self.laid_out = 0
        self._model = model
        self._entries: Sequence[Entry] = ()
        self._blocks: list[list[Line]] = []
        self._cache: dict[str, Cached] = {}
        self._numbers: dict[str, int] = {}  # by key, which block
        self._drawn: tuple[object, ...] = ()  # what was laid out
        self._drawn_chosen = ""
        self._shown = ""
        self._chosen = ""
        self._follows = True  # what is new is scrolled to
        self._marks = 0

    @property
    def chosen(self) -> Entry | None:
        number = self._numbers.get(self._chosen)
        return self._entries[number] if number is not None and number < len(self._entries) else None

    def block(self, number: int) -> list[Line]:
        return self._blocks[number]

    def show(self) -> None:
        """Lays out what changed of the open conversation; where only another message is chosen, that and the last."""
        one = self._model.open_one
        if one is None:
            self._entries, self._blocks, self._drawn = (), [], ()
            self.set_heights(())
            return
        wanted = (one.key, self._model.revision, self.text_width, self._marks)
        if wanted == self._drawn:
            self._choose_again(one)
            return
        if one.key != self._shown and not (self._entries and one.entries and self._entries[0] is one.entries[0]):
            self._cache.clear()
            self._chosen, self._follows = "", True
        self._choose_near(one)
        self._drawn, self._shown = wanted, one.key
        anchor = self._anchor()
        cache: dict[str, Cached] = {}
        marked = self._marked()
        for entry, place in places(one, self.text_width, marked):
            seen = self._cache.get(entry.key)
            look = (entry, entry.revision, place, self._marks)
            cache[entry.key] = seen if seen is not None and seen[0] == look else self._lay_out(one, look)
        self._cache, self._drawn_chosen = cache, marked
        self._entries = list(one.entries)
        self._numbers = {entry.key: number for number, entry in enumerate(self._entries)}
        self._blocks = [cache[entry.key][1] for entry in self._entries]
        self.set_heights([len(block) for block in self._blocks])
        if self._follows:
            self.scroll_end(animate=False, force=True, immediate=True)
        elif anchor is not None:
            self._return_to(*anchor)

    def _choose_near(self, one: Conversation) -> None:
        """Keeps a message chosen that has another key since it was sent; of one that is gone, what is in its place."""
        number = self._numbers.get(self._chosen)
        if number is None or number >= len(self._entries) or one.find(self._chosen) is not None:
            return
        entry = self._entries[number]
        if one.find(entry.key) is entry:
            self._chosen = entry.key
        elif one.entries:
            self._chosen = one.entries[min(number, len(one.entries) - 1)].key

    def _choose_again(self, one: Conversation) -> None:
        marked = self._marked()
        for key in {marked, self._drawn_chosen} if marked != self._drawn_chosen else ():
            if (number := self._numbers.get(key)) is not None:
                entry, revision, place, marks = self._cache[key][0]
                look = (entry, revision, replace(place, is_chosen=key == marked), marks)
                self._cache[key] = self._lay_out(one, look)
                self._blocks[number] = self._cache[key][1]
        self._drawn_chosen = marked
        self.refresh()
        if self._follows:
            self.scroll_end(animate=False, force=True, immediate=True)

    def _lay_out(self, one: Conversation, look: Look) -> Cached:
        self.laid_out += 1
        return look, block_of(self._model, one, look[0], look[2])

    def _marked(self) -> str:
        """Returns the message that is shown as chosen: none is while one writes."""
        return self._chosen if self.has_focus else ""

    def note_names(self) -> None:
        """Lays all out again: names or members are others than before."""
        self._marks += 1

    def choose(self, key: str) -> None:
        """Chooses a message and shows it."""
        self._chosen, self._follows = key, False
        self.show()
        if (number := self._numbers.get(key)) is not None:
            self.show_block(number)

    def follow(self) -> None:
        """Goes to the newest message, and stays there."""
        self._follows, self._chosen = True, ""
        self.show()

    def action_choose(self, step: int) -> None:
        if not self._entries:
            return
        at = max(0, self._numbers.get(self._chosen, len(self._entries)) + step)
        if at >= len(self._entries):
            self.follow()
            self.post_message(self.Left())
            return
        self.choose(self._entries[at].key)
        if at == 0:
            self.post_message(self.NearTop())

    def action_choose_first(self) -> None:
        if self._entries:
            self.choose(self._entries[0].key)
            self.post_message(self.NearTop())

    def action_choose_last(self) -> None:
        if self._entries:
            self.choose(self._entries[-1].key)

    def on_focus(self) -> None:
        if self._entries and self.chosen is None:
            self._chosen = self._entries[-1].key
        self.show()

    def on_blur(self) -> None:
        self.show()

    def on_resize(self) -> None:
        self.show()

    def on_click(self, event: events.Click) -> None:
        number = self.block_at(event.y)
        if number is not None:
            self.choose(self._entries[number].key)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        if new_value != old_value:
            self._follows = self.is_at_end
        if new_value <= NEAR_TOP and new_value < old_value:
            self.post_message(self.NearTop())
        if self.is_at_end:
            self.post_message(self.AtEnd())

    @property
    def follows(self) -> bool:
        return self._follows

    def _anchor(self) -> tuple[str, int] | None:
        """Returns the message at the top of the screen, and how far it is scrolled out."""
        number = self.block_at(0)
        if number is None or number >= len(self._entries):
            return None
        return self._entries[number].key, self.scroll_offset.y - self.span_of(number)[0]

    def _return_to(self, key: str, beyond: int) -> None:
        if (number := self._numbers.get(key)) is not None:
            self.scroll_to(y=self.span_of(number)[0] + beyond, animate=False, force=True, immediate=True)
