"""Draining: the gateway accepts nobody any more, and closes everybody it has, spread over some time.

    serving -- begin --> draining -- all have left --> drained
       ^                    |                             |
       +----- cancel -------+-----------------------------+

Clients that are all closed at once come back all at once, and a server that just started has them all to greet. So
they are closed one after the other, in random order, and each is told when to come back: when the draining is over,
and a random while later, as long at most as the draining takes. What was asked is answered first.

The wait stands in the reason of the close frame alone. The answer to Hello has none: there is no Hello while a server
drains, and nobody knows of a drain before it begins.

The process of the listener runs this: it has nothing else to do meanwhile. What is to be done stands here, and outlives
it. Nothing is added to the life of a connection.
"""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from math import ceil
from random import Random
from typing import Final, Protocol

import structlog
import trio

from bimip.session.close import Close, again_in
from bimip.supervision import NoSuchProcess
from bimip.users.connection import Connection, RefusedError

_log = structlog.get_logger("bimip")

STEP_SECONDS: Final = 0.1
"""Between two looks whose turn it is."""
CLOSED_AT_ONCE = 200
"""Connections, until others have their turn."""


class Sockets(Protocol):
    """All that were accepted and are open, whatever they are asked for."""

    def __len__(self) -> int: ...

    def numbers(self) -> Sequence[str]: ...

    def hang_up(self, number: str) -> None:
        """Begins to close one. Raises NoSuchProcess where it is gone."""
        ...

    def wait_gone(self, number: str) -> Awaitable[None]:
        """Returns when one that closes is closed. Raises NoSuchProcess where it is."""
        ...


class Draining:
    """Made once; each incarnation of the listener's process runs it."""

    def __init__(
        self,
        random: Random,
        *,
        connected: Callable[[], Iterator[Connection]],
        sockets: Sockets,
        answer: Callable[[], Awaitable[object]],
        answer_seconds: Callable[[], float],
    ) -> None:
        """`connected` lists the devices' connections while they come and go; `answer` returns when what was asked
        until now is answered, for which there is so much time.
        """
        self._random = random
        self._connected = connected
        self._sockets = sockets
        self._answer = answer
        self._answer_seconds = answer_seconds
        self._turn = trio.CancelScope()
        self._drained = trio.Event()
        self._spread = self._until = 0.0
        self._may_answer = True
        self.is_on = False

    @property
    def state(self) -> str:
        if not self.is_on:
            return "serving"
        return "drained" if self._drained.is_set() else "draining"

    @property
    def seconds_left(self) -> float:
        """Until the last device is closed."""
        return max(self._until - trio.current_time(), 0.0) if self.state == "draining" else 0.0

    def reasons(self) -> list[str]:
        """Why the server should get no new work now."""
        undo = "`bimip drain --cancel` takes that back"
        told = {
            "draining": f"the server drains: {len(self._sockets)} connections are left; {undo}",
            "drained": f"the server is drained: nobody can connect; {undo}",
        }
        return [told[self.state]] if self.state in told else []

    def begin(self, seconds: float) -> None:
        """Drains within so many seconds from now, also where a drain is under way. 0: all at once."""
        self.is_on, self._may_answer = True, True
        self._spread, self._until = seconds, trio.current_time() + seconds
        if self._drained.is_set():
            self._drained = trio.Event()
        self._turn.cancel()

    def cancel(self) -> None:
        """Accepts again; who was closed stays so."""
        if self.is_on:
            self.is_on = False
            self._turn.cancel()

    def check_open(self) -> None:
        """Raises RefusedError while the server drains: a socket that was open already may ask to become a device."""
        if self.is_on:
            raise RefusedError(Close.GOING_AWAY, self._reason())

    async def wait_drained(self) -> None:
        """Returns when nobody is connected any more. Cancelling it is safe."""
        await self._drained.wait()

    async def run(self, accept: Callable[[], Awaitable[None]]) -> None:
        """Runs `accept` while the server serves, and drains while it is to. Cancelling leaves what is to be done."""
        while True:
            with trio.CancelScope() as self._turn:
                if self.is_on:
                    await self._close_all()
                    await trio.sleep_forever()
                await accept()

    async def _close_all(self) -> None:
        _log.info("draining", connections=len(self._sockets), seconds=round(self._spread, 3))
        left: list[Connection] = []
        for connection in self._connected():
            left.append(connection)
            await self._let_others(len(left))
        began, many = trio.current_time(), len(left)
        while left:
            await self._answered()
            share = (self._until - trio.current_time()) / max(self._until - began, STEP_SECONDS)
            stay = max(ceil(many * share) - 1, 0)
            while len(left) > stay:
                self._take_any(left).close(Close.GOING_AWAY, self._reason())
                await self._let_others(len(left))
            if left:
                await trio.sleep_until(max(self._due(began, len(left) / many), trio.current_time() + STEP_SECONDS))
        await self._answered()
        await self._hang_up()
        self._drained.set()
        _log.info("drained")

    def _due(self, began: float, share: float) -> float:
        """When only less than this share of all may still be there."""
        return self._until - max(self._until - began, 0.0) * share

    def _take_any(self, left: list[Connection]) -> Connection:
        chosen = self._random.randrange(len(left))
        left[chosen], left[-1] = left[-1], left[chosen]
        return left.pop()

    def _reason(self) -> str:
        sentence = "the server stops; please connect again"
        if not self._spread:
            return sentence
        wait = max(self._until - trio.current_time(), 0.0) + self._random.uniform(0, self._spread)
        return f"the server stops; please connect {again_in(ceil(wait))}"

    async def _answered(self) -> None:
        """Has what was asked answered. Where that once took too long, as on a disk that hangs, nothing more waits."""
        if self._may_answer:
            with trio.move_on_after(self._answer_seconds()) as waiting:
                await self._answer()
            self._may_answer = not waiting.cancelled_caught

    async def _hang_up(self) -> None:
        """Closes what is left: those that came meanwhile, and those that ask by HTTP, once they have their answer."""
        numbers = self._sockets.numbers()
        for count, number in enumerate(numbers, 1):
            with suppress(NoSuchProcess):
                self._sockets.hang_up(number)
            await self._let_others(count)
        for number in numbers:
            with suppress(NoSuchProcess):
                await self._sockets.wait_gone(number)

    @staticmethod
    async def _let_others(count: int) -> None:
        if not count % CLOSED_AT_ONCE:
            await trio.lowlevel.checkpoint()
