"""Sets of code points, and what of a text is printable."""

from bisect import bisect
from functools import cache
from itertools import accumulate

from bimip.names import unicode14


class CodePoints:
    """A set of code points, kept as the borders between what is outside and what is inside."""

    def __init__(self, lengths: str) -> None:
        """`lengths`: by turns how many are outside and inside, to the base 36."""
        self._borders = list(accumulate(int(length, 36) for length in lengths.split()))

    def __contains__(self, character: str) -> bool:
        return bisect(self._borders, ord(character)) % 2 == 1


@cache
def code_points(name: str) -> CodePoints:
    """A set by its name in `unicode14`, made when somebody first asks: most names are ASCII."""
    return CodePoints(getattr(unicode14, name))


def is_printable(text: str) -> bool:
    """Whether a text is letters, marks, numbers, punctuation, symbols and the space U+0020 alone."""
    if text.isascii():
        return text.isprintable()
    printable = code_points("PRINTABLE")
    return all(character == " " or character in printable for character in text)
