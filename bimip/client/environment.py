from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from bimip.client.transport import Connect


@dataclass(frozen=True, slots=True)
class Environment:
    """The machine as a client sees it: tests bring their own, under virtual time."""

    connect: Connect
    clock: Callable[[], float]  # seconds, of any origin
    now: Callable[[], int]  # the wall clock, in milliseconds
    random: Random
