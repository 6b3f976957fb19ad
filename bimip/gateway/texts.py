"""What a connection that speaks JSON is sent, as frames.

A text is converted in slices, so that others have their turn, and no faster than the rate of objects allows. What came
with it and behind it waits until then, and no more is read from the socket.
"""

import math
from collections.abc import Generator, Iterable, Iterator
from typing import Protocol

from bimip.concurrency.buckets import Bucket, Rate
from bimip.gateway.framing import Event
from bimip.gateway.wire import convert, weight_of
from bimip.wire.errors import WireError

AT_ONCE = 128
"""Objects that are converted until others have their turn: about 1 ms."""


class Converted(Protocol):
    """A connection whose texts are converted."""

    @property
    def is_ending(self) -> bool: ...

    @property
    def owes_answer(self) -> bool:
        """It has to say first what was wrong with a text."""
        ...

    def on_event(self, event: Event) -> None:
        """Takes what came, in its order. A text it gives back by `begin`."""

    def on_converted(self, frame: bytes) -> None: ...

    def on_malformed(self, error: WireError) -> None: ...


class Texts:
    """One connection's."""

    __slots__ = ("_bucket", "_conversion", "_events", "resume_at")

    def __init__(self, objects_per_second: int) -> None:
        self._bucket = Bucket(Rate(requests_per_second=objects_per_second))
        self._conversion: Generator[int, None, bytes] | None = None  # of a text, in slices
        self._events: Iterator[Event] | None = None  # what came with that text and behind it
        self.resume_at = math.inf
        """Until then its texts must wait; infinite: they need not."""

    @property
    def pending(self) -> bool:
        """Something came that was too much for one turn."""
        return self._events is not None

    def take(self, events: Iterable[Event]) -> None:
        """Takes what came, once nothing is pending."""
        self._events = iter(events)

    def begin(self, text: str, now: float) -> None:
        """Begin with a text, or wait with it as long as the rate asks for."""
        self._conversion = convert(text)
        self._bucket.take(weight_of(text), 0, now)
        wait = self._bucket.wait(now)
        if wait > 0:
            self.resume_at = now + wait

    def go_on(self, connection: Converted) -> None:
        """Convert what came, until others must have their turn."""
        room = AT_ONCE
        while room > 0 and self.resume_at == math.inf and not connection.owes_answer:
            if self._conversion is not None:
                room -= self._convert(self._conversion, connection)
                continue
            event = next(self._events, None) if self._events is not None else None
            if event is None:
                self._events = None
                return
            connection.on_event(event)
            room -= 1
        if connection.is_ending and room > 0:
            self._events = self._conversion = None  # nobody is there who could wait for it

    def _convert(self, conversion: Generator[int, None, bytes], connection: Converted) -> int:
        """One slice of a text. Returns what that cost."""
        try:
            return next(conversion)
        except StopIteration as done:
            self._conversion = None
            connection.on_converted(done.value)
        except WireError as error:
            self._conversion = None
            connection.on_malformed(error)
        return 1
