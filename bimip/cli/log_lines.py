"""A file for the log that ends and delays nobody: lines that cannot be written are dropped and counted.

Where a log goes is nobody's promise: a disk that is full or fails, a pipe whose reader stopped or went away, a terminal
that is held. Who writes here only puts a line into memory; a thread of its own writes it to the file, for however long
that takes. What then has no room in memory is lost, and so is what the system refuses.
"""

import io
import os
import select
import threading
from collections import deque
from collections.abc import Callable

MAX_WAITING_BYTES = 1 << 20
DRAIN_SECONDS = 1.0
"""At the end, for what is still waiting."""


class LogLines(io.TextIOBase):
    """`write` takes whole lines, from any thread; it never raises an OSError and never waits for the file."""

    def __init__(
        self, file: int, tell_lost: Callable[[int], None] | None = None, *, max_bytes: int = MAX_WAITING_BYTES
    ) -> None:
        """`tell_lost` is told how many lines were lost, when the next one could be written."""
        self.lost = 0
        self.tell_lost = tell_lost
        self._file = file
        self._max_bytes = max_bytes
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._told = 0  # of those that were lost
        self._is_torn = False  # the last line that was begun has no end
        self._ends = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def write(self, text: str) -> int:
        line = text.encode(errors="backslashreplace")
        with self._changed:
            if self._waiting_bytes + len(line) > self._max_bytes or self._ends:
                self.lost += 1
            else:
                self._waiting.append(line)
                self._waiting_bytes += len(line)
                self._changed.notify_all()
        return len(text)

    @property
    def is_idle(self) -> bool:
        return not self._waiting_bytes

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return os.isatty(self._file)

    def close(self) -> None:
        """Give what is waiting a moment. A second call does nothing."""
        with self._changed:
            self._ends = True
            self._changed.notify_all()
        self._thread.join(DRAIN_SECONDS)

    def _run(self) -> None:
        while True:
            with self._changed:
                while not (self._waiting or self._ends):
                    self._changed.wait()
                if not self._waiting:
                    return
                line = self._waiting.popleft()
            self._put(line)
            with self._changed:
                self._waiting_bytes -= len(line)

    def _put(self, line: bytes) -> None:
        try:
            self._write(b"\n" + line if self._is_torn else line)
        except OSError:
            with self._changed:
                self.lost += 1
            return
        lost, self._told = self.lost - self._told, self.lost
        if lost and self.tell_lost is not None:
            self.tell_lost(lost)

    def _write(self, line: bytes) -> None:
        while line:
            try:
                line = line[os.write(self._file, line) :]
                self._is_torn = bool(line)
            except BlockingIOError:
                self._wait_for_room()

    def _wait_for_room(self) -> None:
        """Waits for room in a file that somebody has made non-blocking. Raises OSError once there is no more time for
        it.
        """
        if not select.select((), (self._file,), (), DRAIN_SECONDS)[1] and self._ends:
            raise BlockingIOError
