"""One sequence: what a server does, what must be true of a client then, and where PROTOCOL.md says so."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from bimip.conformance.play import Play


@dataclass(frozen=True, slots=True)
class Sequence:
    """A sequence, by the name of its function."""

    name: str
    rule: str
    """What must be true, in a sentence."""
    anchor: str
    """The heading of PROTOCOL.md that says so."""
    run: Callable[[Play], Awaitable[None]]


def sequence(rule: str, anchor: str) -> Callable[[Callable[[Play], Awaitable[None]]], Sequence]:
    """Makes a Sequence of a function, which raises Broken where the rule is broken."""

    def make(run: Callable[[Play], Awaitable[None]]) -> Sequence:
        return Sequence(run.__name__.replace("_", "-"), rule, anchor, run)

    return make
