"""The open conversation: its messages, of which one may be chosen."""

from collections.abc import Sequence
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message as Told

from bimip.cli.chat.layout import Line, Place, block_of, places
from bimip.cli.chat.lines import LinesView
from bimip.cli.chat.model import Entry, Model

Cached = tuple[tuple[Entry, int, Place, int], list[Line]]

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
        Binding("v", "app.whole", "Whole", show=False),
        Binding("escape", "app.compose", "Write"),
    ]

    class NearTop(Told):
        """The page before is wanted."""

    class AtEnd(Told):
        """The newest message is visible."""

    def __init__(self, model: Model) -> None:
        super().__init__(id="messages")
        self.laid_out = 0
        self._model = model
        self._entries: Sequence[Entry] = ()
        self._blocks: list[list[Line]] = []
        self._cache: dict[str, Cached] = {}
        self._shown = ""
        self._chosen = ""
        self._follows = True  # what is new is scrolled to
        self._marks = 0

    @property
    def chosen(self) -> Entry | None:
        return next((entry for entry in self._entries if entry.key == self._chosen), None)

    def block(self, number: int) -> list[Line]:
        return self._blocks[number]

    def show(self) -> None:
        """Lays out what changed of the open conversation."""
        one = self._model.open_one
        if one is None:
            self._entries, self._blocks = (), []
            self.set_heights(())
            return
        if one.key != self._shown and not (self._entries and one.entries and self._entries[0] is one.entries[0]):
            self._cache.clear()
            self._chosen, self._follows = "", True
        self._shown = one.key
        anchor = self._anchor()
        cache: dict[str, Cached] = {}
        for entry, place in places(one, self.text_width, self._chosen if self.has_focus else ""):
            seen = self._cache.get(entry.key)
            wanted = (entry, entry.revision, place, self._marks)
            if seen is None or seen[0] != wanted:
                self.laid_out += 1
                seen = (wanted, block_of(self._model, one, entry, place))
            cache[entry.key] = seen
        self._cache = cache
        self._entries = list(one.entries)
        self._blocks = [cache[entry.key][1] for entry in self._entries]
        self.set_heights([len(block) for block in self._blocks])
        if self._follows:
            self.scroll_end(animate=False, force=True, immediate=True)
        elif anchor is not None:
            self._return_to(*anchor)

    def note_names(self) -> None:
        """Lays all out again: names or members are others than before."""
        self._marks += 1

    def choose(self, key: str) -> None:
        """Chooses a message and shows it."""
        self._chosen, self._follows = key, False
        self.show()
        for number, entry in enumerate(self._entries):
            if entry.key == key:
                self.show_block(number)

    def follow(self) -> None:
        """Goes to the newest message, and stays there."""
        self._follows, self._chosen = True, ""
        self.show()

    def action_choose(self, step: int) -> None:
        keys = [entry.key for entry in self._entries]
        if not keys:
            return
        at = keys.index(self._chosen) if self._chosen in keys else len(keys) - (step < 0) * 0
        at = max(0, at + step)
        if at >= len(keys):
            self.follow()
            self.app.action_compose()  # type: ignore[attr-defined]  # of this program's own app
            return
        self.choose(keys[at])
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
        for number, entry in enumerate(self._entries):
            if entry.key == key:
                self.scroll_to(y=self.span_of(number)[0] + beyond, animate=False, force=True, immediate=True)
