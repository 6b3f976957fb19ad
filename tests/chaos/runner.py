"""The server process under test, as `bimip.testing.runner` runs it. CHAOS_FAULT names a fault that is built into it, to
show that the checker sees it.
"""

import os
from collections.abc import Sequence

import trio

from bimip import processes
from bimip.journal.journal import Committed, Journal
from bimip.journal.queue import Ticket
from bimip.testing import runner


class HastyJournal(Journal):
    """Answers and tells first, and commits a little later: what a `kill -9` in between takes was acknowledged."""

    async def _write(self, tickets: Sequence[Ticket], *, has_room: bool = True) -> None:
        batch, decided, results, rest = self._decide(tickets, has_room=has_room)
        self._release(decided, results, rest, Committed(batch.news))
        await trio.sleep(0.05)
        await self._commit(batch.changes)


FAULTS: dict[str, type[Journal]] = {"": Journal, "answer before commit": HastyJournal}


def main() -> None:
    vars(processes)["Journal"] = FAULTS[os.environ.pop("CHAOS_FAULT", "")]
    runner.main()


if __name__ == "__main__":
    main()
