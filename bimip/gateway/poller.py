"""Waits for all sockets in one place, and reads from each as soon as something is there.

Why: a task that waits for its own socket costs a system call, a cancel scope and a turn of the scheduler for every
frame; thousands of sockets cost one such turn together here. What is read is the connection's, and what it does with it
happens at once, in the poller's task: plain code, that never waits. A defect in there is the connection's crash, and
nobody else notices.

Level-triggered: what was not read is reported again, so killing and restarting the poller loses nothing. Who wants
nothing for now is taken out, as the end of its stream would be reported again and again. A source that read more than
it may handle in one go asks for another turn (`again`), which comes after everybody else's.

Who was served least of late comes first, and those who were served much end the round soon: so whoever asks little
waits for hardly more than one turn of those who ask much, however many they are and whatever they ask.
"""

import os
import select
from collections.abc import Hashable
from operator import itemgetter
from time import perf_counter
from typing import Protocol

import trio

from bimip.concurrency.shares import HALVING_SECONDS, MUCH_SECONDS, Shares
from bimip.supervision import Turns

MAX_READY = 256
"""Sockets that are looked at in one round."""
TURN_SECONDS = 0.01
"""A round goes on until this is over, and then others have their turn: what is bounded is one socket's work."""
MUCH_TURN_SECONDS = 0.0005
"""A round is over after this once only those are left who had so much."""


_SERVED = itemgetter(0)


class Source(Protocol):
    """A connection that reads from its socket when the poller says so."""

    @property
    def account(self) -> Hashable:
        """On which it is served. Who comes by many sockets, one after the other or at once, has one account."""
        ...

    @property
    def whose(self) -> str:
        """The name of who is served, for the operator."""
        ...

    def read_now(self, now: float) -> bool:
        """Read what is there, without waiting. False: no more for now. Raises nothing. `now` is the loop's time."""
        ...


class Poller:
    """Made once; `run` is each incarnation. File descriptors name the sources."""

    def __init__(self, turns: Turns | None = None, served: Shares | None = None) -> None:
        self.turns = turns or Turns(trio.current_time)
        self._epoll = select.epoll()
        self._sources: dict[int, Source] = {}
        self._again: dict[int, None] = {}
        self._served = Shares() if served is None else served
        self._sleeping = False
        self._wakeup = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._epoll.register(self._wakeup, select.EPOLLIN)

    def close(self) -> None:
        """It does not run any more, and will not."""
        self._epoll.close()
        os.close(self._wakeup)

    def __len__(self) -> int:
        return len(self._sources)

    def add(self, fd: int, source: Source) -> None:
        """Read from it until it wants no more, or is removed."""
        if fd not in self._sources:
            self._sources[fd] = source
            self._epoll.register(fd, select.EPOLLIN)

    def again(self, fd: int) -> None:
        """Call its source in the next round, whether there is something to read or not."""
        self._again[fd] = None
        if self._sleeping:
            self._sleeping = False
            os.eventfd_write(self._wakeup, 1)

    def remove(self, fd: int) -> None:
        """Before the socket is closed: its number may be another's afterwards."""
        self._again.pop(fd, None)
        if self._sources.pop(fd, None) is not None:
            self._epoll.unregister(fd)

    async def run(self) -> None:
        """Serve until cancelled."""
        all_of_it = True
        while True:
            if self._again or not all_of_it:
                await trio.lowlevel.checkpoint()
            else:
                await self._sleep()
            now = trio.current_time()
            ready = [fd for fd, _ in self._epoll.poll(0, MAX_READY)]
            if self._again:
                ready = [*dict.fromkeys(ready) | self._again]
            if now > self.turns.until:
                self.turns.turn_over()
            served, sources = self._served, self._sources
            if now > served.due:
                served.age(now)
            found = [(served[source.account], fd, source) for fd in ready if (source := sources.get(fd)) is not None]
            if len(found) > 1:
                found.sort(key=_SERVED)
            if found and found[0][0] < MUCH_SECONDS:
                served.little_until = now + HALVING_SECONDS
            all_of_it = self._serve(found, now)

    def _serve(self, ready: list[tuple[float, int, Source]], now: float) -> bool:
        """One round. False: it was cut short, and what is left is found again."""
        turns, served, sources, again = self.turns, self._served, self._sources, self._again
        before = began = perf_counter()
        for much, fd, source in ready:
            if before - began > (TURN_SECONDS if much < MUCH_SECONDS else MUCH_TURN_SECONDS):
                return False
            if fd in again:
                del again[fd]
            if sources.get(fd) is not source:
                continue  # one that came before has closed it
            if not source.read_now(now):
                self.remove(fd)
            at = perf_counter()
            served[source.account] += at - before
            if at - before > turns.longest:
                turns.note(at - before, source.whose)
            before = at
        return True

    async def _sleep(self) -> None:
        """Until there is something to read, or a source asks for another turn."""
        self._sleeping = True
        try:
            await trio.lowlevel.wait_readable(self._epoll.fileno())
        finally:
            if not self._sleeping:
                os.eventfd_read(self._wakeup)
            self._sleeping = False
