"""Writes the module of Unicode sets from lines of `property start value`, as scripts/generate-unicode prints them."""

import sys
import textwrap
from collections.abc import Callable, Iterator

SETS: dict[str, tuple[str, str, Callable[[str], bool]]] = {
    "PRINTABLE": (
        "letters, marks, numbers, punctuation, symbols",
        "General_Category",
        lambda value: value[0] in "LMNPS",
    ),
    "LETTER": ("letters", "General_Category", lambda value: value[0] == "L"),
    "NONSPACING": ("nonspacing marks", "General_Category", lambda value: value == "Mn"),
    "JOINS_LEFT": ("Joining_Type L or D", "Joining_Type", lambda value: value in {"L", "D"}),
    "JOINS_RIGHT": ("Joining_Type R or D", "Joining_Type", lambda value: value in {"R", "D"}),
    "TRANSPARENT": ("Joining_Type T", "Joining_Type", lambda value: value == "T"),
    "DEPENDENT_VOWEL": ("dependent vowels", "Indic_Syllabic_Category", lambda value: value == "Vowel_Dependent"),
    "PICTOGRAPHIC": ("Extended_Pictographic", "Extended_Pictographic", lambda value: value == "Y"),
}
DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"

HEAD = '''"""Sets of code points as of Unicode 14.0. Made by scripts/generate-unicode; do not edit.

Each is a text of numbers to the base 36: by turns how many code points are outside and how many are inside.
"""
'''


def runs(pairs: list[tuple[int, str]], wanted: Callable[[str], bool]) -> Iterator[int]:
    """The lengths of what is outside and inside, by turns, from code point 0."""
    inside, begin = False, 0
    for start, value in pairs:
        if wanted(value) != inside:
            yield start - begin
            inside, begin = not inside, start


def base36(number: int) -> str:
    text = ""
    while number or not text:
        number, digit = divmod(number, 36)
        text = DIGITS[digit] + text
    return text


def main() -> None:
    properties: dict[str, list[tuple[int, str]]] = {}
    for line in sys.stdin:
        name, start, value = line.split()
        properties.setdefault(name, []).append((int(start), value))
    print(HEAD)
    for name, (what, source, wanted) in SETS.items():
        text = " ".join(map(base36, runs(properties[source], wanted)))
        lines = "\n".join(f'    "{line} "' for line in textwrap.wrap(text, 110))
        print(f'{name} = (\n{lines}\n)\n"""{what[0].upper()}{what[1:]}."""\n')


main()
