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

    def new_id(self) -> str:
        """Draws an id, of a message or a request: 32 hexadecimal digits, which begin with the time, so that what a
        device writes lies side by side where the server looks for what it has already.
        """
        return f"{self.now() % (1 << 48):012x}{self.random.getrandbits(80):020x}"
