"""Where one task waits until another notifies it.

Why not an event: it keeps a set of its waiters, of which there is one here, and is made anew for every wait; thousands
of tasks wait like this all day. A notification tells to look again: one that nobody waits for is not kept, so look
first, and wait without a checkpoint in between.

Why not `wait_task_rescheduled` at each wait: its coroutine, what it yields and a function that forgets the task take
600 bytes for as long as somebody waits. What it yields says "wake me when I am rescheduled, or at once when I am
cancelled", and is the same for all: so it is asked for once. Whether the task still waits here, its
`custom_sleep_data` says, which trio clears when it wakes.
"""

from collections.abc import Generator
from typing import Any

import trio


def _may_be_cancelled(_raise_cancel: Any) -> trio.lowlevel.Abort:  # noqa: ANN401 - trio's, and not used
    return trio.lowlevel.Abort.SUCCEEDED


_UNTIL_RESCHEDULED: Any = trio.lowlevel.wait_task_rescheduled(_may_be_cancelled).send(None)  # noqa: ASYNC105 - see above


class Notify:
    """Wakes the one task that waits for it; notifying is without effect while nobody does."""

    __slots__ = ("_task",)

    def __init__(self) -> None:
        self._task: trio.lowlevel.Task | None = None

    def notify(self) -> None:
        task, self._task = self._task, None
        if task is not None and task.custom_sleep_data is self:
            trio.lowlevel.reschedule(task)

    def __await__(self) -> Generator[Any, Any, None]:
        """`await notify`: until the next notification. One task at a time. Cancelling is safe.

        It is no coroutine of its own: each costs its frame for as long as it waits.
        """
        assert self._task is None or self._task.custom_sleep_data is not self, "two tasks wait for one Notify"
        self._task = trio.lowlevel.current_task()
        self._task.custom_sleep_data = self
        (yield _UNTIL_RESCHEDULED).unwrap()
