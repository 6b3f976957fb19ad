"""What the operating system says a process took: Linux, /proc."""

import os
import sys
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_PROC = Path("/proc")
SATURATED = 0.93
"""Of a core: more than that and the process itself is what limits."""
BUSY = 0.07
"""Less than that of the machine idle, and the machine is."""


def tree(pid: int) -> list[int]:
    """The process and all below it."""
    children: dict[int, list[int]] = defaultdict(list)
    for folder in _PROC.iterdir():
        if folder.name.isdigit():
            try:
                children[int(_stat(int(folder.name))[1])].append(int(folder.name))
            except OSError:
                continue
    found = [pid]
    for one in found:
        found += children[one]
    return found


def cpu_seconds(pid: int) -> float:
    """User and system time of the tree, all threads."""
    return sum(_ticks(one) for one in tree(pid)) / _TICKS


def memory_bytes(pid: int) -> tuple[int, int]:
    """RSS and PSS of the tree."""
    rss = pss = 0
    for one in tree(pid):
        for line in (_PROC / str(one) / "smaps_rollup").read_text().splitlines():
            name, _, rest = line.partition(":")
            if name == "Rss":
                rss += int(rest.split()[0]) * 1024
            elif name == "Pss":
                pss += int(rest.split()[0]) * 1024
    return rss, pss


def peak_memory_bytes(pid: int) -> int:
    """The most RSS that the tree's processes ever had, each at its own time."""
    found = 0
    for one in tree(pid):
        for line in (_PROC / str(one) / "status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                found += int(line.split()[1]) * 1024
    return found


def private_bytes(pid: int) -> int:
    """Memory that is the process's own and not a file's: LMDB's map grows with the store, and is the system's cache."""
    found = 0
    for line in (_PROC / str(pid) / "smaps_rollup").read_text().splitlines():
        if line.startswith("Anonymous:"):
            found += int(line.split()[1]) * 1024
    return found


def disk_bytes(folder: Path) -> int:
    """What the files take on disk (a map with holes takes only its pages)."""
    return sum(file.stat().st_blocks * 512 for file in folder.rglob("*") if file.is_file())


def filesystem(folder: Path) -> str:
    """Type and device of the filesystem that holds a folder."""
    folder = folder.resolve()
    best = ("?", "?", Path("/"))
    for line in (_PROC / "mounts").read_text().splitlines():
        device, point, kind = line.split()[:3]
        if folder.is_relative_to(point) and len(point) >= len(str(best[2])):
            best = (kind, device, Path(point))
    return f"{best[0]} on {best[1]}"


def machine() -> dict[str, object]:
    return {
        "cores": os.cpu_count(),
        "kernel": os.uname().release,
        "python": ".".join(map(str, sys.version_info[:3])),
        "load": round(os.getloadavg()[0], 2),
    }


@dataclass(frozen=True)
class Usage:
    """Of a stretch of time, in seconds."""

    wall: float
    server: float
    client: float
    idle: float
    """The part of the machine that nobody used."""

    @property
    def limit(self) -> str:
        """What kept the figure from being larger. Only `server` and `waiting` are figures about the server."""
        server, client = self.server / self.wall, self.client / self.wall
        shares = f"server {server:.2f}, client {client:.2f} cores"
        if client > SATURATED:
            return f"client ({shares})"
        if server > SATURATED:
            return f"server ({shares})"
        if self.idle < BUSY:
            return f"machine ({shares})"
        return f"waiting ({shares})"


class Meter:
    """Measures from its making to `stop`."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._server = cpu_seconds(pid)
        self._client = time.process_time()
        self._machine = _machine_ticks()
        self._at = time.perf_counter()

    def stop(self) -> Usage:
        wall = time.perf_counter() - self._at
        idle, whole = (after - before for before, after in zip(self._machine, _machine_ticks(), strict=True))
        return Usage(
            wall,
            cpu_seconds(self._pid) - self._server,
            time.process_time() - self._client,
            idle / max(whole, 1),
        )


def _stat(pid: int) -> list[str]:
    return (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()


def _ticks(pid: int) -> int:
    try:
        fields = _stat(pid)
    except OSError:
        return 0
    return int(fields[11]) + int(fields[12])


def _machine_ticks() -> tuple[int, int]:
    ticks = [int(part) for part in (_PROC / "stat").read_text().splitlines()[0].split()[1:9]]
    return ticks[3] + ticks[4], sum(ticks)
