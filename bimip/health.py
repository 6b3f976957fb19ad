"""How the server is: whether its event loop keeps up, and whether its disk and its store have room.

`LoopWatch` measures; what is said of it all is a sentence for each thing that is wrong, for `/readyz`.
"""

from collections import deque
from collections.abc import Iterator

import trio

from bimip.config import HealthSettings
from bimip.histograms import SECONDS, Histogram
from bimip.storage.interface import StoreStatistics
from bimip.systemd import ServiceManager

LOOK_SECONDS = 1.0
LATE_IN_A_ROW = 3
"""One turn that was long is told by the metrics; the server is behind where one look after the other is late."""
NEARLY_FULL = 0.95
"""The part of the quota that may be taken until the server says that there is little left."""


class LoopWatch:
    """Looks every period (a second) how much later than it should the event loop lets somebody go on, and tells the
    service manager that it does so at all.
    """

    def __init__(self, manager: ServiceManager, period: float = LOOK_SECONDS) -> None:
        self._manager = manager
        self._period = min(period, manager.watchdog_seconds / 2 or period)
        self._late: deque[float] = deque([0.0] * LATE_IN_A_ROW, maxlen=LATE_IN_A_ROW)
        self.late_seconds = Histogram(SECONDS)

    @property
    def lag_seconds(self) -> float:
        """The least that one of the last looks was late."""
        return min(self._late)

    async def run(self) -> None:
        """Looks until it is cancelled."""
        while True:
            self._manager.tell_alive()
            due = trio.current_time() + self._period
            await trio.sleep_until(due)
            self.note(trio.current_time() - due)

    def note(self, late: float) -> None:
        self._late.append(late)
        self.late_seconds.observe(late)


def loop_is_behind(lag_seconds: float, settings: HealthSettings) -> Iterator[str]:
    if settings.max_loop_lag_seconds and lag_seconds > settings.max_loop_lag_seconds:
        yield (
            f"the event loop is {lag_seconds:.1f} s behind: there is more to do than one core can; "
            "`bimip top` shows whose it is"
        )


def short_of_room(store: StoreStatistics, settings: HealthSettings) -> Iterator[str]:
    if store.free_bytes is not None and store.free_bytes < settings.min_free_disk_bytes:
        yield (
            f"the store's disk has {store.free_bytes} bytes left, less than health.min_free_disk_bytes "
            f"({settings.min_free_disk_bytes})"
        )
    if store.quota_bytes and store.used_bytes >= NEARLY_FULL * store.quota_bytes:
        yield f"the store takes {store.used_bytes} of {store.quota_bytes} bytes: raise store.quota_bytes, or its map"
