"""What blocking calls go through: the thread of the loop in which the client lives."""

import inspect
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Generic, TypeVar, overload

import anyio
from anyio.from_thread import BlockingPortal

from bimip.client.errors import TimedOut

F = TypeVar("F")
T = TypeVar("T")


class Loop:
    """A loop in a thread of its own, and how long a call may take."""

    def __init__(self, portal: BlockingPortal) -> None:
        self.patience: float | None = None
        self._portal = portal

    @overload
    def call(self, function: Callable[[], Awaitable[T]]) -> T: ...

    @overload
    def call(self, function: Callable[[], T]) -> T: ...

    def call(self, function: Callable[[], Awaitable[T] | T]) -> T:
        """Runs a function in the loop, and returns what it returns. Raises TimedOut where that takes too long."""
        return self._portal.call(partial(self._run, function, self.patience))

    def within(self, function: Callable[[], Awaitable[T]], seconds: float | None) -> T | None:
        """Runs a function in the loop, and returns what it returns; None: it took longer."""
        return self._portal.call(partial(self._run_within, function, seconds))

    @staticmethod
    async def _run_within(function: Callable[[], Awaitable[T]], seconds: float | None) -> T | None:
        with anyio.move_on_after(seconds):
            return await function()
        return None

    @staticmethod
    async def _run(function: Callable[[], Awaitable[T] | T], patience: float | None) -> T:
        try:
            with anyio.fail_after(patience):
                returned = function()
                return await returned if inspect.isawaitable(returned) else returned
        except TimeoutError:
            raise TimedOut(f"no answer within {patience:g} s: it may come later") from None


class Blocking(Generic[F]):
    """A facet, whose calls block."""

    def __init__(self, facet: F, loop: Loop) -> None:
        self._facet = facet
        self._call = loop.call
