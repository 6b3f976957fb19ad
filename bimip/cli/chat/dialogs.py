"""What is asked for in front of the conversation: a choice, words, or a text to be read. Escape leaves each."""

from collections.abc import Callable, Sequence
from typing import ClassVar, Generic, NamedTuple, TypeVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Input, Label, OptionList, Static
from textual.widgets.option_list import Option

T = TypeVar("T")


class Choice(NamedTuple):
    """A line that can be chosen, and what that means."""

    line: Text
    value: str


class Picked(NamedTuple):
    """A choice was made: of what, by which key, and what was typed."""

    value: str
    key: str = "enter"
    typed: str = ""


class Dialog(ModalScreen[T], Generic[T]):
    """The base: a box in the middle that Escape closes."""

    DEFAULT_CSS = """
    Dialog { align: center middle; }
    Dialog > #box {
        width: 74; max-width: 96%; height: auto; max-height: 90%;
        border: round $accent; padding: 0 1; background: $surface;
    }
    Dialog Label { width: 100%; height: auto; }
    Dialog .hint { color: $text-muted; }
    Dialog Input { margin: 0 0 1 0; background: $boost; }
    Dialog OptionList { height: auto; max-height: 14; border: none; padding: 0; background: $surface; }
    Dialog OptionList:focus { border: none; }
    Dialog VerticalScroll { height: auto; max-height: 18; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "close", "Close")]

    def __init__(self, title: str) -> None:
        super().__init__()
        self._title = title

    def compose(self) -> ComposeResult:
        with Vertical(id="box"):
            yield Label(Text(self._title, style="bold"))
            yield from self.content()

    def content(self) -> ComposeResult:
        raise NotImplementedError

    def action_close(self) -> None:
        self.dismiss(None)


class Picker(Dialog[Picked | None]):
    """Chooses a line, by arrows and Enter or a key of its own; what is typed into a field says which there are."""

    def __init__(
        self,
        title: str,
        choices: Callable[[str], Sequence[Choice]],
        *,
        hint: str = "",
        asks: str = "",
        keys: Sequence[str] = (),
        nothing: str = "",
        at: str = "",
    ) -> None:
        super().__init__(title)
        self._choices = choices
        self._hint, self._asks, self._keys = hint, asks, frozenset(keys)
        self._at = at  # is chosen at first, where it is there
        self._nothing = nothing  # is said where there is none for what was typed
        self._values: list[str] = []

    def content(self) -> ComposeResult:
        if self._asks:
            yield Input(placeholder=self._asks, id="typed", compact=True)
        yield OptionList(id="choices", markup=False)
        if self._hint:
            yield Label(Text(self._hint, style="dim"), classes="hint")

    def on_mount(self) -> None:
        self._fill("")
        self.query_one("#typed" if self._asks else "#choices").focus()

    def _fill(self, typed: str) -> None:
        listed = self.query_one("#choices", OptionList)
        choices = self._choices(typed)
        self._values = [choice.value for choice in choices]
        listed.clear_options()
        listed.add_options([Option(choice.line) for choice in choices])
        if choices:
            listed.highlighted = self._values.index(self._at) if self._at in self._values else 0
        elif typed.strip() and self._nothing:
            listed.add_option(Option(Text(self._nothing, style="dim"), disabled=True))

    @property
    def typed(self) -> str:
        return self.query_one("#typed", Input).value if self._asks else ""

    @property
    def _value(self) -> str:
        at = self.query_one("#choices", OptionList).highlighted
        return self._values[at] if at is not None and at < len(self._values) else ""

    def on_input_changed(self, event: Input.Changed) -> None:
        self._fill(event.value)

    def on_input_submitted(self) -> None:
        self.dismiss(Picked(self._value, "enter", self.typed))

    def on_option_list_option_selected(self) -> None:
        self.dismiss(Picked(self._value, "enter", self.typed))

    def key_down(self) -> None:
        if not (listed := self.query_one("#choices", OptionList)).has_focus:  # else it moves itself
            listed.action_cursor_down()

    def key_up(self) -> None:
        if not (listed := self.query_one("#choices", OptionList)).has_focus:
            listed.action_cursor_up()

    def on_key(self, event: object) -> None:
        key = getattr(event, "key", "")
        if key in self._keys and not (self._asks and self.query_one("#typed").has_focus and len(key) == 1):
            self.dismiss(Picked(self._value, key, self.typed))


class Asked(Dialog[list[str] | None]):
    """Asks for words, in one or more fields: Enter in the last one is the answer."""

    def __init__(self, title: str, *fields: tuple[str, str], hint: str = "") -> None:
        super().__init__(title)
        self._fields, self._hint = fields, hint

    def content(self) -> ComposeResult:
        for number, (name, value) in enumerate(self._fields):
            yield Input(value, placeholder=name, id=f"field{number}", compact=True)
        if self._hint:
            yield Label(Text(self._hint, style="dim"), classes="hint")

    def on_mount(self) -> None:
        self.query_one("#field0").focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        fields = [*self.query(Input)]
        if event.input is fields[-1]:
            self.dismiss([field.value.strip() for field in fields])
        else:
            self.focus_next()


class Reading(Dialog[None]):
    """Shows a text that may be longer than the screen."""

    def __init__(self, title: str, text: Text, *, hint: str = "") -> None:
        super().__init__(title)
        self._text, self._hint = text, hint

    def content(self) -> ComposeResult:
        with VerticalScroll():
            yield Static(self._text)
        yield Label(Text(self._hint or "Esc closes", style="dim"), classes="hint")

    def on_mount(self) -> None:
        self.query_one(VerticalScroll).focus()
