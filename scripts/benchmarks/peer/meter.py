"""What a client's process costs from here on: for programs that have nothing but the standard library and their own."""

import time
from pathlib import Path


class Meter:
    """Measures this process from its making on."""

    def __init__(self) -> None:
        self._wall, self._own = time.perf_counter(), time.process_time()

    def row(self, count: int) -> dict[str, float]:
        """Returns what so many messages cost: of the wall clock, of the processor and of memory."""
        wall, own = time.perf_counter() - self._wall, time.process_time() - self._own
        return {"per_s": count / wall, "client_us": 1e6 * own / count, "seconds": wall, "peak_mib": _peak_mib()}


def _peak_mib() -> float:
    """Reads what this program had most; `ru_maxrss` would begin with what its starter had."""
    [line] = [one for one in Path("/proc/self/status").read_text().splitlines() if one.startswith("VmHWM")]
    return int(line.split()[1]) / 1024
