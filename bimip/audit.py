"""The audit trail: who did what to the server, when and from where. A file of its own, which no setting switches off.

A record is one JSON object a line: `time`, `action`, `who`, `source`, `target`, `outcome`; no payload and no token.
What operators do is recorded each time; what anybody can cause as often as they like (tokens that are refused, what
users do with their own) is recorded so many times a minute, and the next record says how many were not (`kept_back`).

The file is only ever appended to, by whole lines, and is its owner's alone. It is opened anew for each record, so that
it may be moved away at any time. Beyond `max_bytes` it becomes NAME.1, and what was NAME.1 becomes NAME.2. What cannot
be written is dropped and counted: a full disk does not keep an operator from acting.
"""

import json
import os
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

MOST_A_MINUTE = 60
"""Records of what anybody can cause."""
MAX_TEXT = 256
"""Characters of what somebody else chose."""
FILE_MODE = 0o600


class AuditTrail:
    def __init__(
        self,
        path: Path | None = None,
        *,
        wall_clock: Callable[[], int],
        max_bytes: int = 16 << 20,
        kept_files: int = 10,
    ) -> None:
        """`path` None: there is no disk, as with a store in memory. `wall_clock` tells milliseconds since 1970."""
        self.records = 0
        """How many were written since the start."""
        self.lost = 0
        """How many could not be written."""
        self._path = path
        self._wall_clock = wall_clock
        self._max_bytes = max_bytes
        self._kept_files = kept_files
        self._minute = self._in_minute = self._kept_back = 0

    def note(self, action: str, *, who: str, source: str = "", target: str = "", outcome: str = "") -> None:
        """Records what an operator did, or the server itself. Raises nothing."""
        self._write(action, who, source, target, outcome)

    def note_sampled(self, action: str, *, who: str, source: str = "", target: str = "", outcome: str = "") -> None:
        """Records what anybody can cause, as often as there is room for. Raises nothing."""
        minute = self._wall_clock() // 60_000
        if minute != self._minute:
            self._minute, self._in_minute = minute, 0
        if self._in_minute >= MOST_A_MINUTE:
            self._kept_back += 1
            return
        self._in_minute += 1
        self._write(action, who, source, target, outcome)

    def _write(self, action: str, who: str, source: str, target: str, outcome: str) -> None:
        if self._path is None:
            return
        record: dict[str, object] = {"time": _date(self._wall_clock()), "action": action}
        texts = {"who": who, "source": source, "target": target, "outcome": outcome}
        record |= {name: text[:MAX_TEXT] for name, text in texts.items() if text}
        if self._kept_back:
            record["kept_back"] = self._kept_back
        try:
            self._append(self._path, json.dumps(record).encode() + b"\n")
        except OSError:
            self.lost += 1
        else:
            self.records += 1
            self._kept_back = 0

    def _append(self, path: Path, line: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = _opened(path)
        try:
            size = os.fstat(file).st_size
            if size and size + len(line) > self._max_bytes:
                self._rotate(path)
                os.close(file)
                file = _opened(path)
                size = 0
            if os.write(file, line) < len(line):  # the disk took a part of it
                with suppress(OSError):
                    os.ftruncate(file, size)
                raise OSError("no room for a whole record")
        finally:
            os.close(file)

    def _rotate(self, path: Path) -> None:
        for number in range(self._kept_files - 1, 0, -1):
            with suppress(FileNotFoundError):
                _numbered(path, number).rename(_numbered(path, number + 1))
        path.rename(_numbered(path, 1))


def _opened(path: Path) -> int:
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, FILE_MODE)
    if os.fstat(file).st_mode & 0o077:
        os.fchmod(file, FILE_MODE)
    return file


def _numbered(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.{number}")


def _date(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds")
