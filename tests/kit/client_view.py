"""What one device saw, by the rule that every client follows (I5): a position for each partition, and the
offsets beyond it that it holds. What is not held when it arrives is shown, and must not have been shown before.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from tests.kit.history import Acked, Batch, Gap, GapReason, Knocked, Name, Opened, Place, Ranges, Seat, Turn
from tests.kit.message_invariants import LogKey, Message, MessageInvariants, Report

Excused = frozenset[GapReason]


@dataclass
class LogView:
    """One partition, to one device."""

    key: LogKey
    start: int = 0  # nothing at or below was asked for
    first: int = 1  # what is below has expired, when this device was last told
    offset: int = 0
    held: set[int] = field(default_factory=set)
    had: dict[int, int] = field(default_factory=dict)  # offset -> stamp; 0: a gap
    joined: int = 0  # where this connection's ranges stand
    acked: dict[int, int] = field(default_factory=dict)  # offset -> when first
    acked_upto: int = 0
    floors: list[tuple[int, int]] = field(default_factory=list)  # (when, floor)

    def holds(self, offset: int) -> bool:
        return offset <= self.offset or offset in self.held

    def hold(self, offset: int) -> None:
        if offset > self.offset:
            self.held.add(offset)
        self._absorb()

    def reach(self, offset: int) -> None:
        self.offset = max(self.offset, offset)
        self._absorb()

    def _absorb(self) -> None:
        while self.offset + 1 in self.held:
            self.offset += 1
        self.held = {offset for offset in self.held if offset > self.offset} if self.held else self.held

    def ack(self, upto: int, ranges: Ranges, at: int) -> None:
        for offset in range(self.acked_upto + 1, upto + 1):
            self.acked.setdefault(offset, at)
        self.acked_upto = max(self.acked_upto, upto)
        for first, last in ranges:
            for offset in range(first, last + 1):
                self.acked.setdefault(offset, at)


class ClientView:
    def __init__(self, name: Name, messages: MessageInvariants, report: Report, at: int) -> None:
        self.name = name
        self.first_seen = at
        self.epoch = 0
        self.logs: dict[str, LogView] = {}
        self.shown: set[int] = set()
        self.is_stale = False
        """What it has is of a store that is no more."""
        self._former: dict[str, dict[int, int]] = {}  # what it had there, by partition
        self._former_starts: dict[str, int] = {}  # where it began there: it may have lost what it had, and begun again
        self._knows_by_stamp: set[int] = set()  # of what it was shown, that of former epochs
        self._comes_empty: set[str] = set()  # partitions of which it has nothing, by its own word
        self._known: dict[str, int] = {}  # by partition, the furthest that anybody saw when this one connected
        self._messages = messages
        self._report = report

    def put_back(self, former: "ClientView | None") -> None:
        """An older copy is there now. `former`: what this device had of the store that is no more."""
        self.is_stale = True
        self._former = former.knew() if former else {}
        self._former_starts = former.starts() if former else {}

    def knew(self) -> dict[str, dict[int, int]]:
        """What it had by offset, of each partition; also of a store that is no more, if it has not come since."""
        older = self._former if self.is_stale else {}
        return {partition: older.get(partition, {}) | log.had for partition, log in self.logs.items()}

    def starts(self) -> dict[str, int]:
        """Behind which offset of each partition it began; also in a store that is no more."""
        older = self._former_starts if self.is_stale else {}
        return {partition: max(log.start, older.get(partition, 0)) for partition, log in self.logs.items()}

    def knocked(self, event: Knocked, at: int) -> None:
        """What the client tells of, it acknowledges; what anybody knows by now must still be there."""
        for partition, place in event.places.items():
            log = self.logs.get(partition)
            if log is not None and not self.is_stale:
                self._believe(log, place)
                log.ack(place.offset, place.held, at)
        self._comes_empty = {name for name, place in event.places.items() if not place.offset and not place.held}
        self._known = {
            partition: max(offsets)
            for (eid, partition), offsets in self._messages.logs.items()
            if eid == self.name.eid and offsets
        }

    def opened(self, event: Opened, at: int) -> None:
        if self.epoch not in {0, event.epoch}:
            self._begin_anew(event.seats)
        self.epoch = event.epoch
        self.is_stale = False
        for partition, seat in event.seats.items():
            self._seat(partition, seat, event.gaps.get(partition, ()), at)

    def _begin_anew(self, seats: Mapping[str, Seat]) -> None:
        """In another epoch: positions are dropped, and messages are known by their stamps."""
        self._knows_by_stamp |= self.shown
        for partition, log in self.logs.items():
            position = seats[partition].position if partition in seats else 0
            for offset in range(log.offset + 1, position + 1):  # which lie below the copy's floor: they are the same
                if offset in self._former.get(partition, {}):
                    log.had.setdefault(offset, self._former[partition][offset])
            is_new = partition in self._comes_empty and position == seats[partition].first - 1
            log.start = max(log.start, position if is_new else min(self._former_starts.get(partition, 0), position))
            log.offset, log.held = position, set()

    def _seat(self, partition: str, seat: Seat, gaps: Iterable[Gap], at: int) -> None:
        log = self.logs.get(partition)
        if log is None:
            start = seat.position
            log = self.logs[partition] = LogView((self.name.eid, partition), start=start, offset=start)
        self._take_gaps(log, gaps)
        if not log.offset and not log.held and seat.position == seat.first - 1:
            log.offset = seat.position  # it has nothing, and begins where the log does by now
            log.start = max(log.start, log.offset)
        if seat.position > log.offset:
            line = f"{self.name} {partition}: has {log.offset}, the server begins behind {seat.position}"
            self._report("I4", "skipped", f"{line} and tells no gap")
        highest = max((floor for _, floor in log.floors), default=0)
        if seat.floor < highest:
            self._report("I6", "floor moved back", f"{self.name} {partition}: was {highest}, is {seat.floor}")
        known = self._known.get(partition, 0)
        if seat.head < known:
            line = f"{self.name} {partition}: the log ends at {seat.head}, but {known} was given"
            self._report("I1", "lost", line)
        log.joined, log.first = seat.position, seat.first
        log.floors.append((at, seat.floor))

    def _believe(self, log: LogView, place: Place) -> None:
        """The client's word: one that lost its store holds less than it was shown, and is shown that again."""
        told = {offset for first, last in place.held for offset in range(first, last + 1)}
        for offset in [offset for offset in log.had if offset > place.offset and offset not in told]:
            self.shown.discard(log.had.pop(offset))
        if place.offset > log.offset or not told <= log.held | set(range(log.offset + 1)):
            line = f"{self.name} says {place}, but was sent {log.offset} and {sorted(log.held)}"
            self._report("I5", "client", line)
        log.offset, log.held = place.offset, told

    def received(self, event: Batch) -> None:
        if event.turn is Turn.HISTORY:
            for delivery in event.deliveries:
                self._messages.delivered(self.name, event.partition, delivery)
            return
        log = self.logs.get(event.partition)
        if log is None:
            self._report("I10", "leaked", f"{self.name} was sent {event.partition!r}, which it did not ask for")
            return
        if event.turn is Turn.IN_TURN:
            self._check_range(log, event)
        self._take_gaps(log, event.gaps)
        for delivery in event.deliveries:
            message = self._messages.delivered(self.name, event.partition, delivery)
            if log.holds(delivery.offset):
                continue
            log.had[delivery.offset] = delivery.stamp
            if event.turn is not Turn.IN_TURN:
                log.hold(delivery.offset)
            if message is not None and message.wrote.device != self.name:
                self._show(str(message), delivery.stamp, event.partition, delivery.offset)
        if event.turn is Turn.IN_TURN:
            log.reach(event.upto)
            log.joined = event.upto

    def _check_range(self, log: LogView, event: Batch) -> None:
        where = f"{self.name} {event.partition}: range ({event.after}, {event.upto}]"
        if event.after != log.joined or event.upto < event.after:
            self._report("I3", "reordered", f"{where} does not join {log.joined}")
        if event.after > log.offset:
            self._report("I4", "skipped", f"{where} begins beyond {log.offset}")
        offsets = [delivery.offset for delivery in event.deliveries]
        if offsets != sorted(set(offsets)) or any(not event.after < offset <= event.upto for offset in offsets):
            self._report("I3", "reordered", f"{where} holds {offsets}")

    def _show(self, what: str, stamp: int, partition: str, offset: int) -> None:
        if stamp in self._knows_by_stamp:
            self._knows_by_stamp.discard(stamp)  # once in each epoch
        elif stamp in self.shown:
            self._report("I5", "duplicated", f"{self.name} {partition}: {what} is shown again, at {offset}")
        self.shown.add(stamp)

    def _take_gaps(self, log: LogView, gaps: Iterable[Gap]) -> None:
        for gap in gaps:
            for offset in range(gap.first, gap.last + 1):
                log.had.setdefault(offset, -int(gap.reason))
                log.hold(offset)

    def answered(self, partition: str, offset: int, stamp: int) -> None:
        """SENT counts as received."""
        log = self.logs.get(partition)
        if log is not None and not log.holds(offset):
            log.had[offset] = stamp
            log.hold(offset)
        elif log is not None:
            log.had.setdefault(offset, stamp)

    def offset_of(self, log: LogView, message: Message) -> int | None:
        """Where it stands in this user's log, as far as anybody saw it."""
        if log.key[1] != message.wrote.partition:
            return None
        return self._messages.offsets.get(log.key, {}).get(message.stamp)

    def acked(self, event: Acked, at: int) -> None:
        log = self.logs.get(event.partition)
        if log is not None:
            log.ack(event.upto, event.ranges, at)

    def finish(self, excused: Excused) -> None:
        for log in self.logs.values():
            self._check_complete(log, excused)
            self._check_floors(log)

    def _check_complete(self, log: LogView, excused: Excused) -> None:
        """All that the position passed over was sent, or is not owed."""
        partition = log.key[1]
        entries = self._messages.logs.get(log.key, {})
        for offset in range(log.start + 1, log.offset + 1):
            stamp = log.had.get(offset)
            if stamp is not None and stamp < 0:
                self._check_gap(log, offset, GapReason(-stamp), excused)
            elif stamp is None and offset not in entries:
                if self._messages.was_put_back:
                    continue  # the copy has it, perhaps, and it was told only after the copy was made
                if GapReason.EXPIRED in excused and offset < log.first:
                    continue  # for another device, perhaps, which did not see it in time
                line = f"{self.name} {partition}: {offset} was passed over, and nobody ever saw what stands there"
                self._report("I4", "skipped", line)
            elif stamp is None:
                message = self._messages.by_stamp[entries[offset]]
                if message.is_owed(self.name):
                    self._report("I4", "skipped", f"{self.name} {partition}: {offset} was passed over: {message}")

    def _check_gap(self, log: LogView, offset: int, reason: GapReason, excused: Excused) -> None:
        if reason not in excused:
            self._report("I4", "skipped", f"{self.name} {log.key[1]}: {offset} was told as {reason.name}")

    def _check_floors(self, log: LogView) -> None:
        """No floor is ahead of what its device acknowledged."""
        entries = self._messages.logs.get(log.key, {})
        done = log.start
        if self._messages.was_put_back and log.floors:
            done = max(done, log.floors[0][1])  # the copy has it, perhaps, and it was told only after the copy was made
        for at, floor in sorted(log.floors, key=lambda pair: pair[1]):
            for offset in range(done + 1, floor + 1):
                stamp = entries.get(offset)
                owed = stamp is not None and self._messages.by_stamp[stamp].is_owed(self.name)
                if owed and log.had.get(offset, 0) >= 0 and log.acked.get(offset, at + 1) > at:
                    line = f"{self.name} {log.key[1]}: floor {floor}, but {offset} was not acknowledged by then"
                    self._report("I6", "floor ahead", line)
            done = max(done, floor)
