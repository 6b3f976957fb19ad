"""The list of conversations."""

import time
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message as Told

from bimip.cli.chat.layout import Line, row_of
from bimip.cli.chat.lines import LinesView
from bimip.cli.chat.model import Conversation, Model

ROW_LINES = 2


class Rows(LinesView):
    """Draws the rows that are visible, of however many; which one is chosen, it knows by its key."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "choose(-1)", "Up", show=False),
        Binding("down,j", "choose(1)", "Down", show=False),
        Binding("home", "choose(-100000)", "First", show=False),
        Binding("end", "choose(100000)", "Last", show=False),
        Binding("pageup", "choose(-8)", "Page up", show=False),
        Binding("pagedown", "choose(8)", "Page down", show=False),
        Binding("enter,right", "open", "Open"),
        Binding("m", "app.mute", "Mute"),
        Binding("p", "app.keep('pin')", "Pin"),
        Binding("a", "app.keep('archive')", "Archive"),
        Binding("u", "app.keep('unread')", "Unread"),
        Binding("escape", "app.compose", "Write"),
    ]

    class Opened(Told):
        """A conversation is to be opened."""

        def __init__(self, key: str) -> None:
            super().__init__()
            self.key = key

    def __init__(self, model: Model) -> None:
        super().__init__(id="rows")
        self._model = model
        self._chosen = ""

    @property
    def chosen(self) -> Conversation | None:
        return self._model.conversations.get(self._chosen) or self._model.open_one

    def block(self, number: int) -> list[Line]:
        one = self._model.ordered()[number]
        chosen = self.chosen
        is_chosen = self.has_focus and chosen is not None and one.key == chosen.key
        return row_of(self._model, one, self.text_width, time.time_ns() // 1_000_000, is_chosen=is_chosen)

    def show(self) -> None:
        self.set_heights([ROW_LINES] * len(self._model.ordered()))

    def action_choose(self, step: int) -> None:
        keys = [one.key for one in self._model.ordered()]
        if not keys:
            return
        chosen = self.chosen
        at = keys.index(chosen.key) if chosen is not None else -1
        at = min(max(0, at + step), len(keys) - 1)
        self._chosen = keys[at]
        self.show_block(at)
        self.refresh()

    def action_open(self) -> None:
        if self.chosen is not None:
            self.post_message(self.Opened(self.chosen.key))

    def on_focus(self) -> None:
        self._chosen = self._model.opened
        self.refresh()

    def on_click(self, event: events.Click) -> None:
        number = self.block_at(event.y)
        if number is not None:
            self._chosen = self._model.ordered()[number].key
            self.action_open()
