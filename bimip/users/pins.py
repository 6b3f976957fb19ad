"""What an operator is told of who holds back which log, and of what goes when a device is evicted."""

from collections.abc import Callable, Generator, Mapping, Sequence
from typing import NamedTuple

from bimip.domain.conversations.membership import NOBODY
from bimip.domain.core.ids import Millis, UserId
from bimip.reading.backlog import LOOK_MOST
from bimip.reading.devices import read_device
from bimip.reading.pins import Freed, Pin, find_worst_pins, held_since, measure_freed, read_pins
from bimip.reading.presence import find_user
from bimip.storage.interface import Store
from bimip.users.diagnosis import PinnedLog
from bimip.users.session import Connected

ConnectedOf = Callable[[str], Mapping[str, Connected]]
"""A user's devices that are connected, by name."""

MOST_MEASURED = 20_000
"""Entries that are looked at for one answer: what is behind them is told as at least nothing."""


class LogPolicies(NamedTuple):
    """The settings that say how long logs are kept, and by whom they are held back."""

    partitions: Sequence[str]
    until_acked: frozenset[str]
    history_days: Mapping[str, int]  # 0 or absent: for ever
    seen_since: Millis  # devices that were seen since then are live, and hold logs back
    live_ms: int  # so long after it was seen a device is live

    def describe(self, partition: str) -> dict[str, object]:
        policy = "until-acked" if partition in self.until_acked else "history"
        return {"policy": policy, "days": self.history_days.get(partition, 0)}


def describe_pins(
    store: Store, eid: str, policies: LogPolicies, connected: ConnectedOf
) -> Generator[None, None, dict[str, object] | None]:
    """Describes in slices who holds back each log of a user, and how much; None: there is no such user."""
    user = find_user(store, eid)
    if user == NOBODY:
        return None
    measure, logs = _Measure(store, policies, connected), {}
    for log in read_pins(store, eid, user, policies.partitions, policies.until_acked, policies.seen_since):
        pins = []
        for pin in log.pins:
            told = yield from measure.describe(pin)
            pins.append(told)
        logs[log.partition] = {
            **policies.describe(log.partition),
            "first": log.first,
            "head": log.head,
            "pins": pins,
            "more_pins": log.more_pins,
        }
    return {"eid": eid, "logs": logs}


def describe_worst_pins(
    store: Store, policies: LogPolicies, connected: ConnectedOf, after: str
) -> Generator[None, None, dict[str, object]]:
    """Describes in slices the devices that hold back the most, of a page of users. Raises ValueError where `after` is
    no place of a page.
    """
    page = yield from find_worst_pins(store, policies.until_acked, policies.seen_since, after)
    measure, pins = _Measure(store, policies, connected), []
    for pin in page.pins:
        told = yield from measure.describe(pin)
        pins.append({"eid": pin.eid, "partition": pin.partition, **told})
    return {"until_acked": sorted(policies.until_acked), "pins": pins, "next": page.behind}


def foresee_eviction(
    store: Store, eid: str, device: str, policies: LogPolicies, connected: ConnectedOf
) -> Generator[None, None, dict[str, object] | None]:
    """Foresees in slices what goes when a device is evicted; None: there is no such user or device."""
    found = read_device(store, eid, device)
    if found is None:
        return None
    user, known = found
    measure, logs = _Measure(store, policies, connected), {}
    for log in read_pins(store, eid, user, policies.partitions, policies.until_acked, policies.seen_since, device):
        for pin in log.pins:
            told = yield from measure.describe(pin)
            logs[log.partition] = {name: told[name] for name in _OF_AN_EVICTION} | (_NOTHING if pin.is_only else {})
    return {
        "eid": eid,
        "device": device,
        "connected": device in connected(eid),
        "last_seen": known.last_seen,
        "stale": known.last_seen < policies.seen_since,
        "logs": logs,
    }


_OF_AN_EVICTION = ("acknowledged", "holds", "is_only", "frees", "frees_bytes", "frees_store_bytes", "at_least")
_NOTHING = {"frees": 0, "frees_bytes": 0, "frees_store_bytes": 0, "at_least": False}
"""Goes with the only live device of a log: without it the period of days alone decides."""


class _Measure:
    """Measures what devices hold back, all of one answer together no more than so much."""

    def __init__(self, store: Store, policies: LogPolicies, connected: ConnectedOf) -> None:
        self._store = store
        self._policies = policies
        self._connected = connected
        self._left = MOST_MEASURED

    def describe(self, pin: Pin) -> Generator[None, None, dict[str, object]]:
        freed = Freed()
        if pin.frees:
            most = min(LOOK_MOST, self._left)
            freed = yield from measure_freed(self._store, pin, most)
            self._left -= min(most, pin.frees)
        is_connected = pin.device in self._connected(pin.eid)
        return {
            "device": pin.device,
            "connected": is_connected,
            "last_seen": pin.last_seen,
            "live_until": None if is_connected else pin.last_seen + self._policies.live_ms,
            "acknowledged": pin.passed,
            "holds": pin.holds,
            "is_only": pin.is_only,
            "frees": pin.frees,
            "frees_bytes": freed.bytes,
            "frees_store_bytes": freed.store_bytes,
            "at_least": not freed.is_whole,
        }


def find_pinned_logs(store: Store, eid: str, user: UserId, policies: LogPolicies) -> dict[str, list[PinnedLog]]:
    """Finds the logs that each device of a user holds back, by its name, for who looks why."""
    found: dict[str, list[PinnedLog]] = {}
    for log in read_pins(store, eid, user, policies.partitions, policies.until_acked, policies.seen_since):
        for pin in log.pins:
            since = held_since(store, pin) or Millis(0)
            found.setdefault(pin.device, []).append(PinnedLog(pin.partition, pin.holds, since))
    return found
