"""The network between a device and the server: a connection in memory that delays, gathers, stalls, fills and breaks.

Both directions keep their order; each frame has a delay of its own, so frames sent together arrive apart and frames
sent apart arrive together. Towards the device there is room for a few frames on their way: when that is full, the
server's end has one unfinished and is busy.
"""

from collections.abc import Callable
from random import Random

from tests.kit.memory_connection import Peer
from tests.simulation.event_queue import EventQueue

STALLS = 0.01
LATE = 1.0
"""Seconds that a stall takes at most."""


class NetworkLink(Peer):
    def __init__(
        self,
        event_queue: EventQueue,
        random: Random,
        *,
        on_frame: Callable[[bytes], None],
        on_end: Callable[[int], None],
    ) -> None:
        super().__init__(room=random.choice((1, 2, 3, 1000, 1000)))
        self.busy = 0
        """How often the server met a line without room."""
        self._event_queue = event_queue
        self._random = random
        self._on_frame = on_frame
        self._on_end = on_end
        self._latency = random.uniform(0.0, 0.03)
        self._on_the_way = 0
        self._down = 0  # the tick at which the last frame arrives at the device
        self._up = 0
        self._left = False  # the device is gone
        self._lost = False  # what is on its way to the device does not arrive
        self._code = 1006

    def has_room(self) -> bool:
        if self._on_the_way < self._room:
            return True
        self.busy += 1
        return False

    def deliver(self, frame: bytes) -> None:
        self._on_the_way += 1
        self._down = max(self._down, self._event_queue.tick_after(self._delay()))
        self._event_queue.at(self._down, self._arrive, frame)

    def _arrive(self, frame: bytes) -> None:
        self._on_the_way -= 1
        if not self._left and not self._lost:
            self._on_frame(frame)
        self.connection.pump()

    def ended(self) -> None:
        """The server's end is closed: the device learns of it behind what was sent before."""
        assert self.connection.closed is not None
        self._code = self.connection.closed[0]
        self._down = max(self._down, self._event_queue.tick_after(self._delay()))
        self._event_queue.at(self._down, self._end)

    def _end(self) -> None:
        if not self._left:
            self._left = True
            self._on_end(self._code)

    def send(self, frame: bytes) -> None:
        if not self._left:
            self._up = max(self._up, self._event_queue.tick_after(self._delay()))
            self._event_queue.at(self._up, self.connection.arrive, frame)

    def cut(self) -> None:
        """By the device, or for it: it is gone at once. The server learns of it with the next packets, or later."""
        self._left = True
        if self._random.random() < 0.5:
            self.connection.cut()  # what is on its way to the server is lost
        else:
            self._up = max(self._up, self._event_queue.tick_after(self._delay()))
            self._event_queue.at(self._up, self.connection.cut)

    def lose(self) -> None:
        """The server is gone, without a word: nothing more leaves it. What had left it arrives, or does not."""
        self._lost = self._random.random() < 0.5
        self.connection.cut()

    def lose_everything(self) -> None:
        """Nothing arrives any more."""
        self._lost = True

    def linger(self, seconds: float) -> None:
        """The device takes nothing for a while."""
        self._down = max(self._down, self._event_queue.tick_after(seconds))

    def _delay(self) -> float:
        if self._random.random() < STALLS:
            return self._random.uniform(0.0, LATE)
        return self._latency + self._random.uniform(0.0, 0.01)
