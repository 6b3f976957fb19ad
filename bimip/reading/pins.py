"""What keeps a log as long as it is: under the policy `until-acked` the live device that has acknowledged the least,
else the period of days alone. What an eviction of a device would free is told beforehand.

A log is *held back* from where its slowest live device stands up to its head. Were that device at the head, all up to
the next slowest would go. Where several stand at the same place, or there is no other, one of them alone decides
nothing.
"""

from collections.abc import Generator, Iterator, Sequence
from contextlib import suppress
from heapq import nlargest
from typing import Any, NamedTuple

from bimip.domain.core.clock import millis_of
from bimip.domain.core.ids import DeviceId, Millis, Offset, UserId
from bimip.domain.core.records import DamagedRecordError, Log, LogTable, Reader, Table
from bimip.domain.core.schema import behind
from bimip.domain.messages.appending import EMPTY_LOG
from bimip.domain.messages.committed import LEAST_LOOK, Standing, find_standings
from bimip.reading.backlog import AT_ONCE, LOOK_MOST, sizes_of
from bimip.storage.interface import Store

LOOK = 1024
"""Entries of a log that are looked at for who passed over what it is not owed, of one user."""
LOGS_AT_ONCE = 16
"""Logs of one slice, of each of which all devices are looked at."""
LOGS_OF_A_PAGE = 5000
"""Logs that are looked at for one answer."""
MOST_USERS = 2**32
MOST_PINS = 20
"""Devices that are told of one log, those first that hold back the most; and of all users so many together."""


class Pin(NamedTuple):
    """A live device that has not acknowledged all of a log."""

    eid: str
    user: UserId
    partition: str
    device: str
    number: DeviceId
    last_seen: Millis
    passed: Offset  # everything that it is owed up to here is acknowledged
    head: Offset
    upto: Offset  # up to here all would go, were this device at the head
    is_only: bool  # no other live device ever named the log: without this one the period of days alone decides

    @property
    def holds(self) -> int:
        """Entries that are kept behind where it stands."""
        return self.head - self.passed

    @property
    def frees(self) -> int:
        """Entries that would go, were this device at the head."""
        return self.upto - self.passed


class Freed(NamedTuple):
    """The bytes of what would go from a log."""

    bytes: int = 0  # in this user's log
    store_bytes: int = 0  # of those what no other log has: they leave the store
    is_whole: bool = True  # False: so many at least, as not all was looked at


class LogStanding(NamedTuple):
    """A log of a user, with who holds it back."""

    partition: str
    first: Offset
    head: Offset
    pins: Sequence[Pin]  # those first that stand back the furthest; none under the policy `history`
    more_pins: int


def read_pins(
    store: Store,
    eid: str,
    user: UserId,
    partitions: Sequence[str],
    until_acked: frozenset[str],
    seen_since: Millis,
    only: str = "",
) -> list[LogStanding]:
    """Reads who holds back each of a user's logs: all devices, or the one of a name."""
    found = []
    with store.snapshot() as view:
        for partition in partitions:
            with suppress(DamagedRecordError):  # the store's check tells of it
                log: Log = view.get(Table.LOGS, (user, partition)) or EMPTY_LOG
                pins = _pins_of(view, eid, user, partition, log, seen_since, LOOK) if partition in until_acked else []
                pins = [pin for pin in pins if only in {"", pin.device}]
                more = max(0, len(pins) - MOST_PINS)
                found.append(LogStanding(partition, log.first, log.head, pins[:MOST_PINS], more))
    return found


def _pins_of(
    view: Reader, eid: str, user: UserId, partition: str, log: Log, seen_since: Millis, look: int
) -> list[Pin]:
    """Finds the devices that hold back a log, those first that stand back the furthest."""
    standings = sorted(find_standings(view, user, partition, seen_since, look) or (), key=_passed)
    return [
        Pin(
            eid,
            user,
            partition,
            one.name,
            one.device.number,
            one.device.last_seen,
            one.passed,
            log.head,
            max(one.passed, _lowest_but(standings, place, log.head)),
            len(standings) == 1,
        )
        for place, one in enumerate(standings)
        if one.passed < log.head
    ]


def _passed(one: Standing) -> Offset:
    return one.passed


def _lowest_but(standings: Sequence[Standing], place: int, head: Offset) -> Offset:
    """The lowest offset that all but one device have passed, of those in ascending order."""
    if len(standings) == 1:
        return head
    return standings[0 if place else 1].passed


def held_since(store: Store, pin: Pin) -> Millis | None:
    """When the oldest entry was accepted that a device holds back; None: that is not known."""
    with store.snapshot() as view:
        try:
            entries = view.read(LogTable.ENTRIES, (pin.user, pin.partition), pin.passed, limit=1)
        except DamagedRecordError:
            return None
    return millis_of(entries[0][1].stamp) if entries else None


def measure_freed(store: Store, pin: Pin, most: int = LOOK_MOST) -> Generator[None, None, Freed]:
    """Counts the bytes of what would go, were a device at the head: of at most so many entries, with a pause after each
    slice.
    """
    found, after, left = Freed(), int(pin.passed), min(most, pin.frees)
    while left > 0:
        with store.snapshot() as view:
            try:
                entries = view.read(LogTable.ENTRIES, (pin.user, pin.partition), after, limit=min(AT_ONCE, left))
            except DamagedRecordError:  # of what is damaged nothing is known
                return found._replace(is_whole=False)
            listed = [entry for _, entry in entries]
            sizes = sizes_of(view, listed)
            counts: list[Any] = view.get_all(Table.REFERENCES, [(entry.stamp,) for entry in listed])
        alone = sum(size for size, count in zip(sizes, counts, strict=True) if count == 1)
        found = Freed(found.bytes + sum(sizes), found.store_bytes + alone)
        yield
        if not entries:  # they went meanwhile
            return found
        left -= len(entries)
        after = entries[-1][0]
    return found._replace(is_whole=pin.frees <= most)


class PinsPage(NamedTuple):
    """The devices that hold back the most, of some users."""

    pins: Sequence[Pin]
    behind: str  # behind this the next page begins; empty: this is the last one


def find_worst_pins(
    store: Store, until_acked: frozenset[str], seen_since: Millis, after: str, most: int = MOST_PINS
) -> Generator[None, None, PinsPage]:
    """Finds the devices that hold back the most, of so many logs behind a place, in slices. Raises ValueError where
    `after` is no such place.
    """
    low, worst, looked = _place(after), list[Pin](), 0
    while until_acked:
        with store.snapshot() as view:
            found: list[tuple[Any, Log]] = view.scan(Table.LOGS, low, Table.LOGS.schema.end, limit=LOGS_AT_ONCE)
            for (user, partition), log in found:
                if partition in until_acked and log.first <= log.head:
                    worst += _slowest(view, user, partition, log, seen_since)
        worst = nlargest(most, worst, key=_held)
        looked += len(found)
        yield
        if len(found) < LOGS_AT_ONCE:
            break
        user, partition = found[-1][0]
        low = behind((user, partition))
        if looked >= LOGS_OF_A_PAGE:
            return PinsPage(worst, f"{user}/{partition}")
    return PinsPage(worst, "")


def _held(pin: Pin) -> int:
    return pin.holds


def _slowest(view: Reader, user: UserId, partition: str, log: Log, seen_since: Millis) -> Iterator[Pin]:
    """Finds the device that stands back the furthest, of a user who is not being erased."""
    try:
        eid: str | None = view.get(Table.EIDS, (user,))
        pins = [] if eid is None else _pins_of(view, eid, user, partition, log, seen_since, LEAST_LOOK)
    except DamagedRecordError:  # the store's check tells of it
        return
    yield from pins[:1]


def _place(after: str) -> Any:  # noqa: ANN401 - a key, or the begin of all
    if not after:
        return ()
    number, _, partition = after.partition("/")
    if not (number.isascii() and number.isdecimal() and partition and int(number) < MOST_USERS):
        raise ValueError(f"{after!r} is no place of a page")
    return behind((int(number), partition))
