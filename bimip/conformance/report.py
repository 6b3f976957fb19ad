"""The report: a line for each sequence, as a person reads it and as a program does."""

import json
import textwrap
from collections.abc import Iterable, Sequence
from typing import Final

from bimip.conformance.playing import Outcome

WIDTH: Final = 110


def row_of(outcome: Outcome) -> str:
    """Writes what became of one sequence; where it failed, what was to be, what was, and where that stands."""
    row = f"{outcome.word:8}{outcome.sequence.name:46}{outcome.seconds:6.1f} s"
    if outcome.is_passed:
        return row
    told = [f"{outcome.why}."]
    if not outcome.is_skipped:
        told += [f"{outcome.sequence.rule}.", f"PROTOCOL.md#{outcome.sequence.anchor}"]
    return "\n".join(
        [row, *(textwrap.fill(one, WIDTH, initial_indent=" " * 8, subsequent_indent=" " * 8) for one in told)]
    )


def summary_of(outcomes: Sequence[Outcome]) -> str:
    """Counts what became of all of them."""
    count = {word: sum(one.word == word for one in outcomes) for word in ("passed", "FAILED", "skipped")}
    return ", ".join(f"{number} {word}" for word, number in count.items() if number or word == "passed")


def json_of(outcomes: Iterable[Outcome]) -> str:
    """Writes all of it for a program: an array of objects."""
    rows = [
        {
            "sequence": one.sequence.name,
            "result": one.word.lower(),
            "why": one.why,
            "rule": one.sequence.rule,
            "anchor": one.sequence.anchor,
            "seconds": round(one.seconds, 3),
        }
        for one in outcomes
    ]
    return json.dumps(rows, ensure_ascii=False, indent=2)


def is_good(outcomes: Iterable[Outcome]) -> bool:
    """Whether none failed."""
    return all(one.is_passed or one.is_skipped for one in outcomes)
