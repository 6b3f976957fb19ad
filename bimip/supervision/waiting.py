"""Where a suspended task waits."""

import os

import trio

from bimip.supervision import notify

_TRIO = os.path.dirname(trio.__file__) + os.sep  # noqa: PTH120 -- compared with a frame's file name, which is a string


def waiting_at(task: trio.lowlevel.Task | None) -> str:
    """The innermost frame that is not trio's own, nor `Notify`'s, as "file:line function"; empty for a task that has
    ended.

    trio's frames would be the same few for every task: a trap at the bottom of `sleep` or `receive`. Only a child that
    is nothing but one of trio's functions is shown in that.
    """
    if task is None:
        return ""
    place = ""
    for frame, line in task.iter_await_frames():
        code = frame.f_code
        is_inner = code.co_filename.startswith(_TRIO) or code.co_filename == notify.__file__
        if not place or not is_inner or place.endswith(" Incarnation.run"):
            place = f"{code.co_filename}:{line} {code.co_qualname}"
    return place
