"""The rules alone: what a supervisor does about an end, as tables. No await, no clock, no logging.

Every rule stands in OTP's `supervisor` documentation and source (`supervisor.erl`: `do_restart/3`, `restart/4`,
`add_restart/1`, `do_auto_shutdown/2`). Where this library departs from it, the package docstring says so.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum


class Restart(Enum):
    """When a child that ended by itself is started again."""

    PERMANENT = "permanent"  # always
    TRANSIENT = "transient"  # if it ended abnormally
    TEMPORARY = "temporary"  # never, not even when a sibling's restart took it down


class Strategy(Enum):
    """Whom a restart concerns."""

    ONE_FOR_ONE = "one_for_one"  # the child that ended
    ONE_FOR_ALL = "one_for_all"  # all children
    REST_FOR_ONE = "rest_for_one"  # it and those started after it


class AutoShutdown(Enum):
    """Whether the end of significant children ends their supervisor."""

    NEVER = "never"
    ANY_SIGNIFICANT = "any_significant"
    ALL_SIGNIFICANT = "all_significant"


class Exit(Enum):
    """How a child ended."""

    NORMAL = "normal"  # it returned
    SHUTDOWN = "shutdown"  # its supervisor asked, or it is a supervisor that significant children ended
    KILLED = "killed"  # by kill(), or it took longer to stop than its `shutdown`
    CRASHED = "crashed"  # it raised


class Action(Enum):
    """A supervisor's action about an end."""

    RESTART = "restart"
    IGNORE = "ignore"
    GIVE_UP = "give up"


@dataclass(frozen=True, slots=True)
class ExitReason:
    """How a child ended, and the exception if it raised one."""

    exit: Exit
    error: Exception | None = None

    def __str__(self) -> str:
        if self.error is None:
            return self.exit.value
        error = root_error(self.error)
        return f"{self.exit.value}: {type(error).__name__}: {error}"


def root_error(error: BaseException) -> BaseException:
    """The exception inside groups of one. For display: decisions and tracebacks keep the group."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


_ON_END = {
    (Restart.PERMANENT, Exit.NORMAL): Action.RESTART,
    (Restart.PERMANENT, Exit.SHUTDOWN): Action.RESTART,
    (Restart.PERMANENT, Exit.KILLED): Action.RESTART,
    (Restart.PERMANENT, Exit.CRASHED): Action.RESTART,
    (Restart.TRANSIENT, Exit.NORMAL): Action.IGNORE,
    (Restart.TRANSIENT, Exit.SHUTDOWN): Action.IGNORE,
    (Restart.TRANSIENT, Exit.KILLED): Action.RESTART,
    (Restart.TRANSIENT, Exit.CRASHED): Action.RESTART,
    (Restart.TEMPORARY, Exit.NORMAL): Action.IGNORE,
    (Restart.TEMPORARY, Exit.SHUTDOWN): Action.IGNORE,
    (Restart.TEMPORARY, Exit.KILLED): Action.IGNORE,
    (Restart.TEMPORARY, Exit.CRASHED): Action.IGNORE,
}

_ON_FAILED_RESTART = {
    Restart.PERMANENT: Action.RESTART,
    Restart.TRANSIENT: Action.RESTART,
    Restart.TEMPORARY: Action.IGNORE,
}


def on_end(restart: Restart, how: Exit, *, started: bool = True) -> Action:
    """RESTART or IGNORE for a child that ended by itself.

    A restarted child that ends before it `started()` failed to start, however it ended: it is tried again, and each
    try counts.
    """
    return _ON_END[restart, how] if started else _ON_FAILED_RESTART[restart]


def restarted_with(strategy: Strategy, ids: Sequence[str], ended: str) -> Sequence[str]:
    """The children to start again, in this order, when `ended` restarts; first they stop, in the reverse order."""
    match strategy:
        case Strategy.ONE_FOR_ONE:
            return [ended]
        case Strategy.ONE_FOR_ALL:
            return list(ids)
        case Strategy.REST_FOR_ONE:
            return list(ids[ids.index(ended) :])


def ends_supervisor(mode: AutoShutdown, *, significant: bool, others: int) -> bool:
    """Whether a child that ended for good ends its supervisor, with `others` significant siblings not yet over."""
    match mode:
        case AutoShutdown.NEVER:
            return False
        case AutoShutdown.ANY_SIGNIFICANT:
            return significant
        case AutoShutdown.ALL_SIGNIFICANT:
            return significant and others == 0


class RestartWindow:
    """The restarts of the last `period` seconds, at most `intensity` of which are allowed.

    A restart exactly `period` seconds old still counts, as in OTP.
    """

    __slots__ = ("_times", "intensity", "period")

    def __init__(self, intensity: int, period: float) -> None:
        self.intensity = intensity
        self.period = period
        self._times: deque[float] | None = None

    def add(self, now: float) -> bool:
        """Count a restart at `now`; False if it is one too many."""
        used = self.used(now)
        if self._times is None:
            # Most supervisors never see a restart.
            self._times = deque()
        self._times.append(now)
        return used < self.intensity

    def used(self, now: float) -> int:
        times = self._times
        if times is None:
            return 0
        while times and times[0] < now - self.period:
            times.popleft()
        return len(times)
