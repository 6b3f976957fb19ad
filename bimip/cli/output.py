"""What a command prints: output that cannot be written is lost, and changes nothing of what the command does.

A pipe whose reader left, a full disk, a terminal that has no such characters: a script that repeats a command because
of that would do it twice. So an exit code says what became of the work alone.
"""

import io
import os
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

STANDARD_OUTPUT, STANDARD_ERROR = 1, 2


class LossyFile(io.RawIOBase):
    """A file for bytes, to which writing never fails."""

    def __init__(self, number: int) -> None:
        self.lost = False
        """Something could not be written."""
        self._number = number

    def write(self, data: Any) -> int:  # noqa: ANN401 - any buffer
        left = memoryview(data).cast("B")
        size = len(left)
        while left:
            try:
                left = left[os.write(self._number, left) :]
            except BlockingIOError:
                select.select((), (self._number,), ())
            except OSError:
                self.lost = True
                return size
        return size

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._number

    def isatty(self) -> bool:
        return os.isatty(self._number)


def lossy(number: int, encoding: str) -> io.TextIOWrapper:
    """Text to a file descriptor, a line at a time. What the encoding does not have is escaped."""
    file = io.BufferedWriter(LossyFile(number))
    return io.TextIOWrapper(file, encoding, errors="backslashreplace", line_buffering=True, write_through=True)


def is_lost() -> bool:
    """Whether standard output has no reader any more."""
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    return isinstance(raw, LossyFile) and raw.lost


@contextmanager
def lossy_output() -> Iterator[None]:
    """Replaces standard output and error by lossy ones, in a process of its own, until it ends."""
    for name, number in (("stdout", STANDARD_OUTPUT), ("stderr", STANDARD_ERROR)):
        before = getattr(sys, name)
        setattr(sys, name, lossy(number, getattr(before, "encoding", None) or "utf-8"))
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
