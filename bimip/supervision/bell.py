"""Where one task waits until another rings.

Why not an event: it keeps a set of its waiters, of which there is one here, and is made anew for every wait; thousands
of tasks wait like this all day. What a ring tells is to look again: one that nobody waits for is not kept, so look
first, and wait without a checkpoint in between.
"""

from collections.abc import Generator
from typing import Any

import trio


class Bell:
    __slots__ = ("_task",)

    def __init__(self) -> None:
        self._task: trio.lowlevel.Task | None = None

    def ring(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            trio.lowlevel.reschedule(task)

    def __await__(self) -> Generator[Any, Any, None]:
        """`await bell`: until the next ring. One task at a time. Cancelling is safe.

        It is no coroutine of its own: each costs its frame for as long as it waits.
        """
        assert self._task is None, "two tasks wait for one bell"
        self._task = trio.lowlevel.current_task()
        return trio.lowlevel.wait_task_rescheduled(self._leave).__await__()  # noqa: ASYNC105 - that is what is awaited

    def _leave(self, _raise_cancel: Any) -> trio.lowlevel.Abort:  # noqa: ANN401 - trio's, and not used
        self._task = None
        return trio.lowlevel.Abort.SUCCEEDED
