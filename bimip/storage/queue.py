"""Operations on their way into the journal. Made by app.py: it outlives the journal's incarnations, so nothing is lost
between them, and what one of them left undone the next one finds here.
"""

from collections import deque
from collections.abc import Callable

import trio

from bimip.domain.operations import Operation, Result

Reply = Callable[[Result], None]


class Ticket:
    """An operation and who waits for its result."""

    __slots__ = ("answered", "crashes", "operation", "reply")

    def __init__(self, operation: Operation, reply: Reply) -> None:
        self.operation = operation
        self.reply = reply
        self.answered = False
        self.crashes = 0  # how many incarnations of the journal ended while this one alone was tried


def ignore(_result: Result) -> None:
    """A reply for operations that nobody waits for."""


class OperationQueue:
    """First in, first out. Its length is bounded by what its callers may have unanswered."""

    def __init__(self) -> None:
        self.suspects: deque[Ticket] = deque()
        """Outcome unknown: taken by an incarnation that ended before it answered. In their order, before all others."""
        self._taken: list[Ticket] = []
        self._waiting: deque[Ticket] = deque()
        self._urgent = 0
        self._since = 0.0  # when the oldest of the waiting came
        self._changed = trio.Event()

    def __len__(self) -> int:
        return len(self._waiting) + len(self._taken) + len(self.suspects)

    @property
    def has_suspects(self) -> bool:
        """Whether something was taken whose answer is still due."""
        return bool(self.suspects) or any(not ticket.answered for ticket in self._taken)

    def submit(self, operation: Operation, reply: Reply = ignore, *, lazy: bool = False) -> None:
        """Have an operation decided and written. `reply` is called, once, when the result is on disk.

        A lazy one has nobody who waits: it rides on the next batch, or on one of its own a little later.
        """
        if not self._waiting:
            self._since = trio.current_time()
        self._waiting.append(Ticket(operation, reply))
        if not lazy:
            self._urgent += 1
        if not lazy or len(self._waiting) == 1:
            self._changed.set()

    async def execute(self, operation: Operation) -> Result:
        """Submit and wait for the result. Cancelling it leaves the operation in the queue, to be decided."""
        done = trio.Event()
        results: list[Result] = []

        def reply(result: Result) -> None:
            results.append(result)
            done.set()

        self.submit(operation, reply)
        await done.wait()
        return results[0]

    async def wait(self, lazy_seconds: float) -> None:
        """Return when something is to be decided now: at once, or `lazy_seconds` after the first of only lazy ones.

        Cancelling it is safe, and takes effect however busy the queue is.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        while not self._waiting:
            await self._wait_changed()
        with trio.move_on_at(self._since + lazy_seconds):
            while not self._urgent:
                await self._wait_changed()

    def take(self, limit: int) -> list[Ticket]:
        """The oldest of the waiting. They stay known here until they are answered."""
        if len(self._waiting) > limit:
            taken = [self._waiting.popleft() for _ in range(limit)]
        else:
            taken = list(self._waiting)
            self._waiting.clear()
            self._urgent = 0
        self._taken += taken
        return taken

    def settle(self) -> None:
        """Forget what has been answered."""
        self._taken = [ticket for ticket in self._taken if not ticket.answered]

    def inherit(self) -> None:
        """A new incarnation begins: what the last one took and did not answer is suspect."""
        self.suspects.extend(ticket for ticket in self._taken if not ticket.answered)
        self._taken = []

    async def _wait_changed(self) -> None:
        if self._changed.is_set():
            self._changed = trio.Event()
        await self._changed.wait()
