"""The server process under test: `bimip serve` as `python -m tests.chaos.runner`, with its settings in the environment.

It loads the program, then waits for a line on its standard input before it opens anything: the next one is made ready
while the last one still runs, so that a restart takes a moment. CHAOS_FAULT names a fault that is built into it, to
show that the checker sees it.
"""

import os
import sys
from collections.abc import Sequence

import trio

from bimip import processes
from bimip.cli.serve import serve
from bimip.config import load_settings
from bimip.journal.journal import Committed, Journal
from bimip.journal.queue import Ticket


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
    settings = load_settings(None, os.environ)
    if sys.stdin.readline():
        serve(settings, with_demo=False, config=None)


if __name__ == "__main__":
    main()
