"""What a supervisor tells the outside: typed facts for one hook, `open_tree(report=…)`.

The hook is called in the middle of a supervisor's work: it must not block. What it raises is logged under
"bimip.supervision" and goes no further, as trio treats its instruments.
"""

import logging
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from bimip.supervision.policy import Action, ExitReason, root_error

_LOGGER = logging.getLogger("bimip.supervision")
_MAX_TRACEBACK_CHARS = 16_384


@dataclass(frozen=True, slots=True)
class Progress:
    """A child called `started()`; `restarts` says how often it was started again before."""

    path: str
    restarts: int


@dataclass(frozen=True, slots=True)
class Crashed:
    """A child failed: by itself, while it started, or while it stopped; and what its supervisor does about it.

    Also for a permanent child that merely returned, since somebody meant it to stay.
    """

    path: str
    reason: ExitReason
    traceback: str
    restarts: int
    will: Action


@dataclass(frozen=True, slots=True)
class GaveUp:
    """A supervisor ends because of `child`, one restart more than `intensity` within `period` seconds."""

    path: str
    child: str
    reason: ExitReason
    intensity: int
    period: float


@dataclass(frozen=True, slots=True)
class Overdue:
    """A child was told to stop, its time is over, and it is still there: it swallows `Cancelled` or shields itself.

    A coroutine cannot be killed, so its supervisor waits on.
    """

    path: str
    waiting_at: str


Report = Progress | Crashed | GaveUp | Overdue


class ReportCounts:
    """Counts what supervisors tell, by whatever a path is counted under: of a large tree not by each path."""

    def __init__(self, name_of: Callable[[str], str]) -> None:
        self._name_of = name_of
        self.crashes: Counter[str] = Counter()
        self.restarts: Counter[str] = Counter()
        """Starts of a child after its first."""
        self.gave_up: Counter[str] = Counter()

    def note(self, report: Report) -> None:
        if isinstance(report, Progress):
            if report.restarts:
                self.restarts[self._name_of(report.path)] += 1
        elif isinstance(report, Crashed):
            self.crashes[self._name_of(report.path)] += 1
        elif isinstance(report, GaveUp):
            self.gave_up[self._name_of(report.path)] += 1


@dataclass(frozen=True, slots=True)
class Crash:
    """The last failure of a child, as text, so that no frame is kept alive by it."""

    type: str
    message: str
    traceback: str
    when: float  # what `now()` said


def crash_of(reason: ExitReason, when: float) -> Crash:
    if reason.error is None:
        return Crash(reason.exit.value, "", "", when)
    error = root_error(reason.error)
    text = "".join(traceback.format_exception(reason.error))
    return Crash(type(error).__name__, str(error), text[-_MAX_TRACEBACK_CHARS:], when)


def guarded(hook: Callable[[Report], None]) -> Callable[[Report], None]:
    def report(fact: Report) -> None:
        try:
            hook(fact)
        except Exception:
            _LOGGER.exception("the report hook raised on %r", fact)

    return report
