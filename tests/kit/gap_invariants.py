"""A gap comes only for its reason (I4): what is kept for ever is there, and of what is kept until all live devices
acknowledged it no device lacks what it did not.
"""

from collections.abc import Iterable, Sequence

from tests.kit.history import Acked, Answered, Batch, Event, Gap, GapReason, Knocked, Name, Opened, PutBack, Wrote
from tests.kit.message_invariants import Report

Place = tuple[str, str, int]
"""user, partition, offset"""


class GapInvariants:
    def __init__(
        self, report: Report, *, expiring: frozenset[str], until_acked: frozenset[str], may_be_stale: bool
    ) -> None:
        """`expiring`: partitions of which something may have gone by age. `may_be_stale`: a device may have been away
        for longer than the offline period, and then held nothing back.
        """
        self._report = report
        self._expiring = expiring
        self._until_acked = until_acked
        self._may_be_stale = may_be_stale
        self.told = 0
        """Offsets that were told as expired."""

    def check(self, history: Sequence[Event]) -> None:
        owed = {} if any(isinstance(event, PutBack) for event in history) else _written(history)
        acked: dict[tuple[Name, str], set[int]] = {}
        for event in history:
            if isinstance(event, Acked):
                known = acked.setdefault((event.device, event.partition), set())
                known.update(range(1, event.upto + 1))
                known.update(offset for first, last in event.ranges for offset in range(first, last + 1))
            elif isinstance(event, Knocked):
                for partition, place in event.places.items():
                    known = acked.setdefault((event.device, partition), set())
                    known.update(range(1, place.offset + 1))
                    known.update(offset for first, last in place.held for offset in range(first, last + 1))
            for partition, gap in _gaps(event):
                assert isinstance(event, Opened | Batch)
                self.told += gap.last - gap.first + 1
                self._check(event.device, partition, gap, owed, acked.get((event.device, partition), set()))

    def _check(self, device: Name, partition: str, gap: Gap, owed: dict[Place, Wrote], acked: set[int]) -> None:
        if gap.reason is not GapReason.EXPIRED or partition not in self._expiring | self._until_acked:
            self._report("I4", "skipped", f"{device} was told that {gap} of {partition} is not there")
        elif partition in self._until_acked and not self._may_be_stale:
            for offset in range(gap.first, gap.last + 1):
                wrote = owed.get((device.eid, partition, offset))
                if wrote is not None and _is_owed(wrote, device) and offset not in acked:
                    line = f"{device} did not acknowledge {offset} of {partition}, and it is gone"
                    self._report("I4", "gone too early", line)


def _gaps(event: Event) -> Iterable[tuple[str, Gap]]:
    if isinstance(event, Opened):
        return [(partition, gap) for partition, gaps in event.gaps.items() for gap in gaps]
    return [(event.partition, gap) for gap in event.gaps] if isinstance(event, Batch) else ()


def _is_owed(wrote: Wrote, device: Name) -> bool:
    return wrote.device != device and (not wrote.addressed or device in wrote.addressed)


def _written(history: Sequence[Event]) -> dict[Place, Wrote]:
    """What stands where in users' logs, as far as any device saw it."""
    wrote = {(event.device, event.id): event for event in history if isinstance(event, Wrote)}
    found: dict[Place, Wrote] = {}
    for event in history:
        if isinstance(event, Answered) and (event.device, event.id) in wrote:
            one = wrote[event.device, event.id]
            found[event.device.eid, one.partition, event.ids.offset] = one
        elif isinstance(event, Batch):
            for delivery in event.deliveries:
                if delivery.offset and (delivery.author, delivery.id) in wrote:
                    found[event.device.eid, event.partition, delivery.offset] = wrote[delivery.author, delivery.id]
    return found
