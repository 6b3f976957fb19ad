"""Operations on their way into the journal. Made by parts.py, the queue outlives the journal's incarnations: nothing is
lost between them, and what one of them left undone the next one finds here.

Some are *lazy*, as acknowledgements are: nobody waits for them. Until they are some milliseconds old they make no batch
of their own, and a message does not wait for them to be decided too: it overtakes them. Meanwhile a device's next
acknowledgement joins its last one. Whatever else is asked for may depend on them, and takes all that came before along.
What kind an operation is, its row in OPERATIONS says (domain/decisions.py): none is known by name here.

Where more waits than the journal decides in one go, its users take turns: who asked for little is decided with the next
batch, however much others asked for before. Of one user everything stays in its order.
"""

from collections import deque
from collections.abc import Awaitable, Callable
from functools import partial
from operator import attrgetter
from typing import cast

import trio

from bimip.domain.core.ids import UserId
from bimip.domain.core.operations import Appended, Operation, Outcomes, Refused, Result
from bimip.domain.decisions import OPERATIONS

MAX_BATCH_BYTES = 8 << 20
"""To be stored in one transaction, but for one operation that is larger."""
REST_WEIGHT = 64
"""In messages: what is left of an operation that was too long for one batch may be too long for the next one too."""

Reply = Callable[[Result], None]

Owner = UserId | str | None
"""On whose behalf something is asked: a user, by number or, before that is known, by eid. None: the server's own."""


class Ticket:
    """An operation and who waits for its result."""

    __slots__ = ("answered", "crashes", "is_rest", "kind", "lazy", "operation", "owner", "reply", "taken", "turn")

    def __init__(self, operation: Operation, reply: Reply, *, owner: Owner = None, is_rest: bool = False) -> None:
        self.operation = operation
        self.kind = kind = OPERATIONS[type(operation)]
        self.reply = reply
        self.owner = owner
        self.lazy = kind.is_lazy and not is_rest
        self.turn = 0  # where many wait: see `_by_turns`
        self.is_rest = is_rest  # what is left of an operation that was begun
        self.taken = False  # by the journal; until then the operation may be exchanged for one that does more
        self.answered = False
        self.crashes = 0  # how many incarnations of the journal ended while this one alone was tried


def ignore(_result: Result) -> None:
    """A reply for operations that nobody waits for."""


_TURN = attrgetter("turn")


def parts_of(ticket: Ticket) -> list[Ticket]:
    """A ticket for each element of an operation that has several: what is tried again because one of it may be at fault
    is tried one by one. The whole is answered when the last part is.
    """
    parts, outcomes = ticket.kind.split(ticket.operation) if ticket.kind.split else (), dict[int, Appended | Refused]()
    count = len(parts)
    if count <= 1:
        return [ticket]

    def gather(at: int, result: Result) -> None:
        outcomes[at] = result if isinstance(result, Refused) else cast("Outcomes", result)[0]
        if len(outcomes) == count:
            ticket.answered = True
            ticket.reply(tuple(outcomes[number] for number in range(count)))

    return [Ticket(part, partial(gather, at), owner=ticket.owner) for at, part in enumerate(parts)]


def _weight(ticket: Ticket) -> int:
    """About how many messages it costs as much as."""
    return 1 if ticket.kind.weight is None else ticket.kind.weight(ticket.operation)


def _by_turns(waiting: list[Ticket]) -> list[Ticket]:
    """Sorts tickets by what each owner will have had when it is decided, if all have as much as the others at any time:
    each owner's in their order, and whoever asks for little before those who ask for much at once. What is told a turn
    keeps it, and whoever comes later begins where the first of those stands: so everybody's comes.
    """
    begin = min([ticket.turn for ticket in waiting if ticket.turn], default=0)
    had: dict[Owner, int] = {}
    for ticket in waiting:
        if ticket.kind.is_barrier and ticket.owner is None:
            return waiting  # it waits for all that came before
        before = had.get(ticket.owner, begin)
        if not ticket.turn or ticket.owner in had:
            weight = REST_WEIGHT if ticket.is_rest else _weight(ticket)
            ticket.turn = max(ticket.turn, before + weight)
        had[ticket.owner] = ticket.turn
    return sorted(waiting, key=_TURN)


def _fitting(waiting: list[Ticket], limit: int, most_bytes: int) -> int:
    """How many of the oldest fit into a batch: one always does."""
    weight = room = 0
    for count, ticket in enumerate(waiting):
        weigh, measure = ticket.kind.weight, ticket.kind.size
        weight += 1 if weigh is None else weigh(ticket.operation)
        room += 0 if measure is None else measure(ticket.operation)
        if count and (weight > limit or room > most_bytes):
            return count
    return len(waiting)


class OperationQueue:
    """Its length is bounded by what its callers may have unanswered."""

    def __init__(self) -> None:
        self.suspects: deque[Ticket] = deque()
        """Outcome unknown: taken by an incarnation that ended before it answered. In their order, before all others."""
        self._taken: list[Ticket] = []
        self._waiting: list[Ticket] = []
        self._urgent = 0
        self.is_crowded = False
        """More was taken than could be decided in one go."""
        self._all = False  # something waits that takes the lazy ones along
        self._since = 0.0  # when the oldest of the lazy ones came
        self._lazy_seconds = 0.0  # how old they may become
        self._changed = trio.Event()

    def __len__(self) -> int:
        return len(self._waiting) + len(self._taken) + len(self.suspects)

    @property
    def is_urgent(self) -> bool:
        """Whether something waits that is to be decided at once."""
        return self._urgent > 0

    @property
    def has_suspects(self) -> bool:
        """Whether something was taken whose answer is still due."""
        return bool(self.suspects) or any(not ticket.answered for ticket in self._taken)

    def submit(self, operation: Operation, reply: Reply = ignore, *, owner: Owner = None) -> Ticket:
        """Have an operation decided and written. `reply` is called, once, when the result is on disk."""
        ticket = Ticket(operation, reply, owner=owner)
        if not ticket.lazy:
            self._urgent += 1
            self._all = self._all or not ticket.kind.overtakes
            self._changed.set()
        elif self._urgent == len(self._waiting):
            self._since = trio.current_time()
            self._changed.set()
        self._waiting.append(ticket)
        return ticket

    async def execute(self, operation: Operation, *, owner: Owner = None) -> Result:
        """Submit and wait for the result. Cancelling it leaves the operation in the queue, to be decided."""
        done = trio.Event()
        results: list[Result] = []

        def reply(result: Result) -> None:
            results.append(result)
            done.set()

        self.submit(operation, reply, owner=owner)
        await done.wait()
        return results[0]

    async def wait(self, lazy_seconds: float) -> None:
        """Return when something is to be decided now: at once, or `lazy_seconds` after the first of only lazy ones.

        Cancelling it is safe, and takes effect however busy the queue is.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        self._lazy_seconds = lazy_seconds
        while not self._waiting:
            await self._wait_changed()
        if self._urgent:
            return
        with trio.move_on_at(self._since + lazy_seconds):
            while not self._urgent:
                await self._wait_changed()

    def take(self, limit: int, most_bytes: int = MAX_BATCH_BYTES) -> list[Ticket]:
        """The oldest of what is to be decided now: as many as weigh so many messages and
        store so many bytes, or a single one that is larger. They stay known here until they are answered.
        """
        if self.is_crowded:
            self._waiting, self.is_crowded = _by_turns(self._waiting), False
        fitting = _fitting(self._waiting, limit, most_bytes) if len(self._waiting) > 1 else 1
        taken, rest = self._waiting[:fitting], self._waiting[fitting:]
        if not (rest or self._all) and trio.current_time() < self._since + self._lazy_seconds:
            rest = [ticket for ticket in taken if ticket.lazy]
            taken = [ticket for ticket in taken if not ticket.lazy]
        for ticket in taken:
            ticket.taken = True
        self._waiting = rest
        self._urgent = sum([not ticket.lazy for ticket in rest])
        self._all = self._all and self._urgent > 0
        self._taken += taken
        return taken

    def give_back(self, tickets: list[Ticket], *, is_crowded: bool = True) -> None:
        """Tickets that were taken and not looked at, or what is left of some, come before all else of their owners.
        `is_crowded`: there was no time for them.
        """
        for ticket in tickets:
            ticket.taken = False
        given = set(tickets)
        self._taken = [ticket for ticket in self._taken if ticket not in given]
        self.is_crowded = self.is_crowded or is_crowded
        self._waiting = tickets + self._waiting
        self._urgent += sum([not ticket.lazy for ticket in tickets])
        self._all = self._urgent > 0
        self._changed.set()

    def settle(self) -> None:
        """Forget what has been answered."""
        self._taken = [ticket for ticket in self._taken if not ticket.answered]

    def inherit(self) -> None:
        """A new incarnation begins: what the last one took and did not answer is suspect."""
        self.suspects.extend(part for ticket in self._taken if not ticket.answered for part in parts_of(ticket))
        self._taken = []

    def _wait_changed(self) -> Awaitable[None]:
        if self._changed.is_set():
            self._changed = trio.Event()
        return self._changed.wait()
