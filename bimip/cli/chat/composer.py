"""Where one writes: Enter sends, Ctrl-J begins a line, arrow up in an empty one edits the last message."""

from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message as Told
from textual.widgets import TextArea

MOST_CHARACTERS = 16_000
"""Of one message: more than the server takes is refused there; this keeps a paste from filling the screen."""

JOINERS = frozenset("\u200c\u200d\ufe0e\ufe0f")
"""Characters that nobody sees, and that a keyboard for emoji, or for Persian, sends between others: they count."""


class Composer(TextArea):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "send", "Send"),
        Binding("ctrl+j,shift+enter", "new_line", "Line", key_display="^j"),
        Binding("escape", "app.leave_composer", "Messages", show=False),
    ]

    class Written(Told):
        """A message is to be sent."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class EditLast(Told):
        """The last message is to be edited."""

    class Typed(Told):
        """Something was typed."""

    def __init__(self) -> None:
        super().__init__(id="composer", soft_wrap=True, show_line_numbers=False, compact=True, theme="css")
        self.highlight_cursor_line = False

    def action_send(self) -> None:
        if self.text.strip():
            self.post_message(self.Written(self.text.rstrip()))

    def action_new_line(self) -> None:
        self.insert("\n")

    def action_cursor_up(self, select: bool = False) -> None:
        if not self.text and not select:
            self.post_message(self.EditLast())
        else:
            super().action_cursor_up(select)

    async def _on_key(self, event: events.Key) -> None:
        """Takes keys in the order typed. Bindings with priority would overtake letters that are still on their way."""
        does = {"enter": self.action_send, "ctrl+j": self.action_new_line, "shift+enter": self.action_new_line}
        if event.key in does:
            event.stop()
            event.prevent_default()
            does[event.key]()
        elif event.character in JOINERS:
            event.stop()
            event.prevent_default()
            self.insert(event.character)
        elif event.key != "escape":
            await super()._on_key(event)
            if event.is_printable:
                self.post_message(self.Typed())

    def fill(self, text: str) -> None:
        """Puts a text in, the cursor behind it."""
        self.load_text(text)
        self.move_cursor(self.document.end)
