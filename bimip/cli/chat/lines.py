"""A widget that draws lines on demand: of however many there are, those that are visible."""

from bisect import bisect_right
from collections.abc import Sequence

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from bimip.cli.chat.layout import Line


class LinesView(ScrollView, can_focus=True):
    """Shows blocks of lines, one below the other. `drawn` counts the lines that were drawn."""

    DEFAULT_CSS = """
    LinesView { scrollbar-size-vertical: 1; overflow-x: hidden; }
    """

    def __init__(self, *, id: str) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self.drawn = 0
        self._ends: list[int] = []  # of each block, the number of lines up to its end
        self._base = Style()
        self._blocks_drawn: dict[int, Sequence[Line]] = {}  # of one drawing

    def block(self, number: int) -> Sequence[Line]:
        """Returns the lines of a block."""
        raise NotImplementedError

    def set_heights(self, heights: Sequence[int]) -> None:
        """Says how many lines each block has."""
        ends, end = [], 0
        for height in heights:
            end += height
            ends.append(end)
        self._ends = ends
        self.virtual_size = Size(self.text_width, end)
        self.refresh()

    @property
    def text_width(self) -> int:
        return max(1, self.scrollable_content_region.width - 1)

    @property
    def is_at_end(self) -> bool:
        return self.scroll_offset.y >= self.max_scroll_y

    def span_of(self, number: int) -> tuple[int, int]:
        """Returns the first line of a block, and the one behind its last."""
        return (self._ends[number - 1] if number else 0, self._ends[number])

    def show_block(self, number: int) -> None:
        """Scrolls as little as shows a block."""
        first, end = self.span_of(number)
        top, height = self.scroll_offset.y, self.scrollable_content_region.height
        if first < top or end - first > height:
            self.scroll_to(y=first, animate=False, force=True)
        elif end > top + height:
            self.scroll_to(y=end - height, animate=False, force=True)

    def block_at(self, y: int) -> int | None:
        """Returns the block of a line on the screen."""
        number = bisect_right(self._ends, y + self.scroll_offset.y)
        return number if number < len(self._ends) else None

    def render_lines(self, crop: Region) -> list[Strip]:
        """Draws some lines. What is the same for all of them is found out once: it costs more than a line does."""
        self._base = self.rich_style
        self._blocks_drawn = {}
        return super().render_lines(crop)

    def render_line(self, y: int) -> Strip:
        base, width = self._base, self.size.width
        number = self.block_at(y)
        if number is None:
            return Strip.blank(width, base)
        self.drawn += 1
        block = self._blocks_drawn.get(number)
        if block is None:
            block = self._blocks_drawn[number] = self.block(number)
        spans = block[y + self.scroll_offset.y - self.span_of(number)[0]]
        segments = [Segment(text, base + Style.parse(style) if style else base) for text, style in spans]
        return Strip(segments).adjust_cell_length(width, base)
