"""An actor of the simulation: without a task of its own, it lives in the calls of the event queue."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random
from typing import Protocol

from tests.kit.actor import CALM, FIRST, Actor, Habits, Link
from tests.kit.codecs import SERVER
from tests.kit.history import Closed, Event, Name
from tests.simulation.event_queue import EventQueue
from tests.simulation.network_link import NetworkLink

ANSWER_SECONDS = 30.0
HABITS = Habits(
    agent="simulation",
    frames=(4, 50),
    acks=(0.25, 0.35, 0.5, 0.7),
    late_seconds=3.0,
    linger_seconds=0.5,
    may_be_refused=True,
    pushes=True,
)


class Surroundings(Protocol):
    """What a device needs of the simulation."""

    event_queue: EventQueue
    partitions: Sequence[str]
    told: int  # how many held offsets a Hello names at most
    blocks: bool  # whether users block one another

    def record(self, event: Event) -> None: ...

    def dial(
        self, name: Name, random: Random, on_frame: Callable[[bytes], None], on_end: Callable[[int], None]
    ) -> NetworkLink | None:
        """None: there is nobody."""
        ...

    def may_write(self) -> bool:
        """Takes one from the messages that are to be written; False when there is none left."""
        ...


class QueueLink(Link):
    line: NetworkLink

    def __init__(self, event_queue: EventQueue, on_end: Callable[["QueueLink", int], None]) -> None:
        super().__init__()
        self._event_queue = event_queue
        self._on_end = on_end

    def send(self, frame: bytes) -> None:
        self.line.send(frame)

    def cut(self) -> None:
        if not self.is_cut:
            super().cut()
            self.line.cut()
            self._on_end(self, 1006)

    def linger(self, seconds: float) -> None:
        self.line.linger(seconds)

    def after(self, seconds: float, call: Callable[[], None]) -> None:
        self._event_queue.after(seconds, lambda: None if self.is_cut else call())


class Device(Actor):
    def __init__(
        self, name: Name, around: Surroundings, random: Random, directory: Sequence[Name], start: int = FIRST
    ) -> None:
        super().__init__(
            name,
            SERVER,
            habits=replace(HABITS, blocks=around.blocks),
            random=random,
            record=around.record,
            directory=directory,
            partitions=around.partitions,
            told=around.told,
            start=start,
            may_write=around.may_write,
        )
        self._around = around
        self.is_retired = False

    @property
    def is_connected(self) -> bool:
        return self.link is not None

    def retire(self) -> None:
        """Its user is to be erased: it writes nothing more, and once its connection ends it does not come back."""
        self.is_retired = True

    def wake(self) -> None:
        """It comes back all the same."""
        self.is_retired = False
        self.mood = CALM
        self.begin()

    def begin(self) -> None:
        self._dial()
        self._write_later()

    def _dial(self) -> None:
        if self.is_retired:
            return
        link = QueueLink(self._around.event_queue, self._end)
        line = self._around.dial(
            self.name,
            self._random,
            lambda frame: self.receive(link, frame),
            lambda code: self._end(link, code),
        )
        if line is None:
            self._dial_later()
            return
        link.line = line
        self.say_hello(link)
        link.after(ANSWER_SECONDS, lambda: self._give_up(link))

    def _dial_later(self) -> None:
        if self.is_retired:
            return
        away = self.mood.cuts and self._random.random() < 0.05
        self._around.event_queue.after(self._random.uniform(0.0, 4.0 if away else 0.3), self._dial)

    def _give_up(self, link: Link) -> None:
        if not link.welcomed:
            self._complain("I7", "no answer", f"to Hello, for {ANSWER_SECONDS:g} s")
            link.cut()

    def _end(self, link: Link, code: int) -> None:
        """By either side; the line tells of what the other one did."""
        link.is_cut = True
        self.link = None
        self._record(Closed(self.name, code))
        self.counts[f"closed with {code}"] += 1
        self._dial_later()

    def _write_later(self) -> None:
        self._around.event_queue.after(self.pause_seconds(), self._write)

    def _write(self) -> None:
        if not self.is_retired:
            self._write_later()
            self.write()
