"""What supervisors told of late: failures, restarts and ends, in a ring of bounded size."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from bimip.supervision.policy import Exit
from bimip.supervision.reports import Crashed, GaveUp, Overdue, Progress, Report

MAX_TEXT: Final = 200
"""Characters of a failure's own words."""


@dataclass(frozen=True, slots=True)
class Happening:
    """A failure of a process, its start after one, or a supervisor that gave up."""

    number: int
    """Counts up from 1, without gaps."""
    when: float  # what `now()` said
    what: str  # "crashed", "killed", "restarted", "gave up" or "overdue"
    path: str
    text: str


class ReportHistory:
    """Keeps the newest reports that a person would ask for, of so many seconds at most."""

    def __init__(self, now: Callable[[], float], *, seconds: float = 3600.0, most: int = 500) -> None:
        self._now = now
        self._seconds = seconds
        self._ring = deque[Happening](maxlen=most)
        self._count = 0

    def note(self, report: Report) -> None:
        """Takes a report in. Starts that are nobody's restart cost one comparison: there are thousands."""
        if isinstance(report, Progress):
            if report.restarts:
                self._add("restarted", report.path, f"restart {report.restarts}")
        elif isinstance(report, Crashed):
            what = "killed" if report.reason.exit is Exit.KILLED else "crashed"
            self._add(what, report.path, str(report.reason))
        elif isinstance(report, GaveUp):
            used = f"more than {report.intensity} restarts within {report.period:g} s, the last of {report.child}"
            self._add("gave up", report.path, used)
        elif isinstance(report, Overdue):
            self._add("overdue", report.path, f"told to stop, and still at {report.waiting_at}")

    def after(self, number: int) -> Sequence[Happening]:
        """Lists what happened behind that number and is not too old, the oldest first."""
        oldest = self._now() - self._seconds
        found: list[Happening] = []
        for one in reversed(self._ring):
            if one.number <= number or one.when < oldest:
                break
            found.append(one)
        return found[::-1]

    def _add(self, what: str, path: str, text: str) -> None:
        self._count += 1
        self._ring.append(Happening(self._count, self._now(), what, path, text[:MAX_TEXT]))
