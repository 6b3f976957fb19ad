"""Whether the event loop keeps up, and whether there is room."""

import pytest
import trio
from trio.testing import MockClock

from bimip.config import HealthSettings
from bimip.health import LoopWatch, loop_is_behind, short_of_room
from bimip.storage.interface import StoreStatistics
from bimip.systemd import ServiceManager

SETTINGS = HealthSettings(min_free_disk_bytes=1000, max_loop_lag_seconds=1.0)


class Manager(ServiceManager):
    def __init__(self, watchdog_seconds: float) -> None:
        super().__init__(watchdog_seconds=watchdog_seconds)
        self.times: list[float] = []

    def tell_alive(self) -> None:
        self.times.append(trio.current_time())


@pytest.mark.parametrize(("watchdog", "times"), [(0.0, [0, 1, 2]), (30.0, [0, 1, 2]), (1.0, [0, 0.5, 1, 1.5, 2])])
async def test_the_watchdog_hears_of_it_twice_in_its_time(
    autojump_clock: MockClock, watchdog: float, times: list[float]
) -> None:
    manager = Manager(watchdog)
    with trio.move_on_after(2.25):
        await LoopWatch(manager).run()

    assert manager.times == times


async def test_a_loop_that_keeps_up_has_no_lag(autojump_clock: MockClock) -> None:
    watch = LoopWatch(ServiceManager())
    with trio.move_on_after(10.5):
        await watch.run()

    assert watch.lag_seconds == 0
    assert sum(watch.late_seconds.counts) == 10


@pytest.mark.parametrize(
    ("late", "lag"), [([9], 0), ([9, 9], 0), ([9, 8, 7], 7), ([9, 0.1, 9], 0.1), ([9, 9, 9, 0.5], 0.5)]
)
def test_only_what_goes_on_is_lag(late: list[float], lag: float) -> None:
    watch = LoopWatch(ServiceManager())
    for one in late:
        watch.note(one)

    assert watch.lag_seconds == lag


@pytest.mark.parametrize(("lag", "most", "is_behind"), [(0.9, 1, False), (1.1, 1, True), (99, 0, False)])
def test_a_loop_is_behind_beyond_the_setting(lag: float, most: float, is_behind: bool) -> None:  # noqa: FBT001 - a table
    found = list(loop_is_behind(lag, HealthSettings(max_loop_lag_seconds=most)))

    assert [sentence.startswith(f"the event loop is {lag:.1f} s behind") for sentence in found] == [True] * is_behind


def store(*, used: int = 0, quota: int = 0, free: int | None = None) -> StoreStatistics:
    return StoreStatistics(used_bytes=used, file_bytes=used, map_bytes=0, quota_bytes=quota, free_bytes=free)


@pytest.mark.parametrize(
    "roomy", [store(), store(free=1000), store(used=10**9), store(used=949, quota=1000), store(used=5, free=10**9)]
)
def test_where_there_is_room_nothing_is_said(roomy: StoreStatistics) -> None:
    assert list(short_of_room(roomy, SETTINGS)) == []


def test_what_is_short_is_named_with_its_setting() -> None:
    disk, quota = short_of_room(store(used=950, quota=1000, free=0), SETTINGS)

    assert disk == "the store's disk has 0 bytes left, less than health.min_free_disk_bytes (1000)"
    assert quota == "the store takes 950 of 1000 bytes: raise store.quota_bytes, or its map"


def test_a_disk_is_not_looked_at_where_that_is_wanted() -> None:
    assert list(short_of_room(store(free=0), HealthSettings(min_free_disk_bytes=0))) == []
