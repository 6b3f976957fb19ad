"""What this library raises.

* `SupervisionError`
    * `SupervisorGaveUp`: its children needed more restarts than it allows. Its cause is the last failure.
    * `ChildFailedToStart`: a child ended before it called `started()`. Its cause is what the child raised.
    * `ProcessKilled`: the root was killed by `Tree.kill`.
    * `Refused`: nothing was done. The caller's to handle.
        * `DuplicateChild`: a child of this id is in the books; if it is stopping, await `terminate_child` first.
        * `MaxChildren`: the dynamic supervisor is full; try later.
        * `SupervisorStopping`: the supervisor is ending or has ended; its successor has a handle of its own.
        * `NoSuchProcess`: nothing of that path or id.
        * `WouldDeadlock`: a task asked to await its own end; see `Children.terminate_child_nowait`.
        * `RootHasNoSupervisor`: nobody could start the root again.
"""

from bimip.supervision.policy import ExitReason


class SupervisionError(Exception):
    """Base of everything here."""


class SupervisorGaveUp(SupervisionError):  # noqa: N818 -- a name of the field, as trio's
    """More than `intensity` restarts within `period` seconds."""

    def __init__(self, path: str, reason: ExitReason, *, child: str, intensity: int, period: float) -> None:
        super().__init__(
            f"{path} gave up: more than {intensity} restarts within {period:g} s; the last was {child} ({reason})"
        )
        self.path = path
        self.reason = reason
        self.child = child
        self.intensity = intensity
        self.period = period


class ChildFailedToStart(SupervisionError):  # noqa: N818 -- a name of the field, as trio's
    """A child ended, `reason` says how, before it called `started()`."""

    def __init__(self, path: str, reason: ExitReason) -> None:
        super().__init__(f"{path} ended before it was started ({reason})")
        self.path = path
        self.reason = reason


class ProcessKilled(SupervisionError):  # noqa: N818 -- a name of the field, as trio's
    """The root was killed."""


class Refused(SupervisionError):  # noqa: N818 -- a name of the field, as trio's
    """Nothing was done."""


class DuplicateChild(Refused):
    """The id is taken."""


class MaxChildren(Refused):
    """The dynamic supervisor is full."""


class SupervisorStopping(Refused):
    """The supervisor is ending or has ended."""


class NoSuchProcess(Refused):
    """Nothing of that path or id."""


class WouldDeadlock(Refused):
    """A task asked to await its own end."""


class RootHasNoSupervisor(Refused):
    """Nobody could start the root again."""
