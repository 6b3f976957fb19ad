"""Waits for all sockets in one place, and reads from each as soon as something is there.

Why: a task that waits for its own socket costs a system call, a cancel scope and a turn of the scheduler for every
frame; thousands of sockets cost one such turn together here. What is read is the connection's, and what it does with it
happens at once, in the poller's task: plain code, that never waits. A defect in there is the connection's crash, and
nobody else notices.

Level-triggered: what was not read is reported again, so killing and restarting the poller loses nothing. Who wants
nothing for now is taken out, as the end of its stream would be reported again and again. A source that read more than
it may handle in one go asks for another turn (`again`), which comes after everybody else's.
"""

import os
import select
from time import perf_counter
from typing import Protocol

import trio

from bimip.supervision import Turns

MAX_READY = 64
"""Sockets that are looked at in one round."""
TURN_SECONDS = 0.01
"""Reading goes on until this is over, and then others have their turn: what is bounded is one socket's work."""


class Source(Protocol):
    """What reads from a socket."""

    @property
    def whose(self) -> str:
        """Who is served, for the operator."""
        ...

    def read_now(self, now: float) -> bool:
        """Read what is there, without waiting. False: no more for now. Raises nothing. `now` is the loop's time."""
        ...


class Poller:
    """Made once; `run` is each incarnation. File descriptors name the sources."""

    def __init__(self, turns: Turns | None = None) -> None:
        self.turns = turns or Turns(trio.current_time)
        self._epoll = select.epoll()
        self._sources: dict[int, Source] = {}
        self._again: dict[int, None] = {}
        self._sleeping = False
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._epoll.register(self._bell, select.EPOLLIN)

    def close(self) -> None:
        """It does not run any more, and will not."""
        self._epoll.close()
        os.close(self._bell)

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
            os.eventfd_write(self._bell, 1)

    def remove(self, fd: int) -> None:
        """Before the socket is closed: its number may be another's afterwards."""
        self._again.pop(fd, None)
        if self._sources.pop(fd, None) is not None:
            self._epoll.unregister(fd)

    async def run(self) -> None:
        """Serve until cancelled."""
        while True:
            if self._again:
                await trio.lowlevel.checkpoint()
            else:
                await self._sleep()
            now = trio.current_time()
            ready = [fd for fd, _ in self._epoll.poll(0, MAX_READY)]
            if self._again:
                ready = [*dict.fromkeys(ready) | self._again]
            turns = self.turns
            if now > turns.until:
                turns.turn_over()
            before = began = perf_counter()
            for fd in ready:
                self._again.pop(fd, None)
                source = self._sources.get(fd)  # one that came before may have closed it
                if source is not None and not source.read_now(now):
                    self.remove(fd)
                at = perf_counter()
                if at - before > turns.longest and source is not None:
                    turns.note(at - before, source.whose)
                before = at
                if at - began > TURN_SECONDS:
                    await trio.lowlevel.checkpoint()
                    now, before = trio.current_time(), perf_counter()
                    began = before

    async def _sleep(self) -> None:
        """Until there is something to read, or a source asks for another turn."""
        self._sleeping = True
        try:
            await trio.lowlevel.wait_readable(self._epoll.fileno())
        finally:
            if not self._sleeping:
                os.eventfd_read(self._bell)
            self._sleeping = False
