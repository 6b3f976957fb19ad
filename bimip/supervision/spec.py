"""What to run, as plain values: OTP's child specs and supervisor flags."""

import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING

from bimip.supervision.child import Child
from bimip.supervision.policy import AutoShutdown, Restart, Strategy

if TYPE_CHECKING:
    from bimip.supervision.dynamic import Children

INFINITY = math.inf
"""A `shutdown` without limit."""

BRUTAL_KILL = -math.inf
"""A `shutdown` that cuts grace at its first checkpoint."""

DEFAULT_SHUTDOWN = 5.0  # seconds

Start = Callable[[Child], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Supervisor:
    """A fixed list of children, started in order and stopped in reverse.

    It gives up at the restart after `intensity` within `period` seconds. Its `started()` value is a dict of its
    children's.
    """

    children: Sequence["ChildSpec"]
    _: KW_ONLY
    strategy: Strategy = Strategy.ONE_FOR_ONE
    intensity: int = 3
    period: float = 5.0  # seconds
    auto_shutdown: AutoShutdown = AutoShutdown.NEVER

    def __post_init__(self) -> None:
        _check_budget(self.intensity, self.period)
        ids = [child.id for child in self.children]
        if len(set(ids)) < len(ids):
            raise ValueError(f"duplicate child ids in {ids}")
        for child in self.children:
            check_significance(child, self.auto_shutdown)


@dataclass(frozen=True, slots=True)
class DynamicSupervisor:
    """Children that come and go, through the `Children` handle of each incarnation.

    The handle is the supervisor's `started()` value, and `on_ready` is given it just before. Children start side by
    side, restart one by one, and stop all at once.
    """

    _: KW_ONLY
    intensity: int = 3
    period: float = 5.0  # seconds
    max_children: int | None = None
    auto_shutdown: AutoShutdown = AutoShutdown.NEVER
    on_ready: "Callable[[Children], None] | None" = None

    def __post_init__(self) -> None:
        _check_budget(self.intensity, self.period)
        if self.max_children is not None and self.max_children < 0:
            raise ValueError(f"max_children is {self.max_children}")


@dataclass(frozen=True, slots=True)
class Factory:
    """A supervisor made anew for each incarnation, so that one that restarts has new objects and no scars.

    If `make` raises, the start has failed.
    """

    make: Callable[[], Supervisor | DynamicSupervisor]


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """One child: an async function of a `Child`, or a supervisor.

    `shutdown` is the time in seconds to stop in; None means 5 for a worker and INFINITY for a supervisor.
    `significant` needs a supervisor with auto_shutdown, and a child that is not permanent.
    `ready_at_once` is for a function that never calls `started()`: it counts as started before its first line.
    """

    id: str
    start: Start | Supervisor | DynamicSupervisor | Factory
    restart: Restart = Restart.PERMANENT
    shutdown: float | None = None
    significant: bool = False
    ready_at_once: bool = False

    def __post_init__(self) -> None:
        if not self.id:
            raise ValueError("a child needs an id")
        if self.shutdown is not None and not (self.shutdown >= 0 or self.shutdown == BRUTAL_KILL):
            raise ValueError(f"shutdown of {self.id!r} is {self.shutdown}")
        if self.significant and self.restart is Restart.PERMANENT:
            raise ValueError(f"{self.id!r} is permanent, so its end cannot be significant")

    @property
    def is_supervisor(self) -> bool:
        return isinstance(self.start, Supervisor | DynamicSupervisor | Factory)

    @property
    def shutdown_seconds(self) -> float:
        if self.shutdown is not None:
            return self.shutdown
        return INFINITY if self.is_supervisor else DEFAULT_SHUTDOWN


def check_significance(child: ChildSpec, auto_shutdown: AutoShutdown) -> None:
    if child.significant and auto_shutdown is AutoShutdown.NEVER:
        raise ValueError(f"{child.id!r} is significant to a supervisor without auto_shutdown")


def _check_budget(intensity: int, period: float) -> None:
    if intensity < 0 or not period > 0:
        raise ValueError(f"intensity {intensity} within {period} seconds")
