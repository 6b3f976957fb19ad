"""A user's session: the registry group of their connected devices, and what is new for all of them.

It exists while a device of the user is connected. Whatever a commit brings reaches the session once; it wakes the
devices, each of which reads from its own position.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from bimip.domain.acknowledging import state_of
from bimip.domain.appending import EMPTY_LOG
from bimip.domain.batch import LogNews, News, StateNews
from bimip.domain.identity import Claims
from bimip.domain.ids import DeviceId, UserId, Version
from bimip.domain.receipts import read_block
from bimip.domain.records import DamagedRecordError, Entry, Reader, ReceiptKey, Runs, Table
from bimip.names import conversation_id
from bimip.session.close import Close
from bimip.supervision import Children
from bimip.users.connection import Connection
from bimip.users.salvage import read_entries
from bimip.users.services import Services
from bimip.users.tail import LogTail, Segment, StateTail, segment_of
from bimip.wire import state
from bimip.wire.stored import deliver, deliver_all

READ_LEAST, READ_AHEAD = 16, 256
"""Entries at once, whatever there is room for: some are not owed, and take none."""
STATE_PAGE = 128


class Connected(Protocol):
    """A device, as its siblings see it."""

    number: DeviceId
    claims: Claims
    connection: Connection

    def send_soon(self, now: float) -> None: ...

    def statistics(self) -> dict[str, object]: ...


class Session:
    def __init__(self, eid: str, number: UserId, services: Services) -> None:
        self.eid = eid
        self.number = number
        self.services = services
        self.rates = services.rates.of(number)
        self.children: Children | None = None
        self.devices: dict[str, Connected] = {}
        self.logs: dict[str, LogTail] = {}
        self.state = StateTail(Version(0))
        self.state_floor = Version(0)
        self.news = 0
        """Rises with everything that devices may have to be sent."""
        self.resync()

    def resync(self) -> None:
        """Begin with what the store holds; also when a commit may have gone by that nobody told of."""
        with self.services.store.snapshot() as view:
            self.logs = {
                partition: LogTail((view.get(Table.LOGS, (self.number, partition)) or EMPTY_LOG).head)
                for partition in self.services.partitions
            }
            known = state_of(view, self.number)
        self.state = StateTail(known.head)
        self.state_floor = known.floor
        self.news += 1

    def log_grew(self, news: LogNews) -> None:
        """Extends a log's tail by what one device wrote, all of it addressed or none."""
        _, partition, first, entries, bodies = news
        parts, written = deliver_all(bodies, first), entries[0]
        self.logs[partition].extend(Segment(first, entries, parts, {written.origin}, plain=not written.addressed))
        self.news += 1

    def state_changed(self, news: StateNews) -> None:
        """Extends the state's tail by what is new in one value."""
        _, version, key, change = news
        self.state.add(version, self.encode_state(version, key, change))
        self.news += 1

    def encode_state(self, version: Version, key: ReceiptKey, runs: Runs) -> bytes:
        return state.receipts_item(
            version,
            conversation=conversation_id(key.conversation),
            member=self.services.eid_of(key.member),
            kind=key.kind,
            block=key.block,
            runs=runs,
        )

    def _encoded(self, version: Version, key: ReceiptKey, runs: Runs) -> bytes | None:
        """Encodes a state item; None where whose it is cannot be read: it is left out, and the others go on."""
        try:
            return self.encode_state(version, key, runs)
        except DamagedRecordError:
            return None

    def is_revoked(self, jti: str) -> bool:
        with self.services.store.snapshot() as view:
            return view.get(Table.REVOKED, (self.number, jti)) is not None

    def adopt(self, children: Children) -> None:
        self.children = children

    def close_revoked(self, jti: str, *, but: Connected) -> None:
        for device in self.devices.values():
            if device.claims.jti == jti and device is not but:
                device.connection.close(Close.TOKEN_REVOKED, "the token was revoked; log in again")

    def read_log(self, partition: str, after: int, limit: int, size: int) -> list[Segment]:
        """The next entries behind an offset, from memory if they are all there: about as many as there is room for."""
        segments = self.logs[partition].after(after)
        if segments is None:
            limit = min(max(limit, READ_LEAST), READ_AHEAD)
            with self.services.store.snapshot() as view:
                segments = read_segments(view, self.number, partition, after, limit, size)
        return segments

    def read_state(self, after: int, *, live: bool, reset: bool) -> "StatePage":
        """The next changes behind a version, for a device that is live there or is catching up.

        In memory there is of each change what was new in it: enough for a device that had all before (`live`). Any
        other gets whole values from the store, until a page ends at its head: the page in which a value stood may have
        passed before the value changed again, and then it stands further on. With `reset` it is all of the state.
        """
        part = self.state.delta(after) if live else None
        if part is not None:
            return StatePage(part, self.state.head, live=True)
        with self.services.store.snapshot() as view:
            known = state_of(view, self.number)
            low, high = (self.number, after + 1), (self.number + 1, 0)
            changes = view.scan(Table.CHANGES, low, high, limit=STATE_PAGE)
            found = [(at, key, read_block(view, key)) for (_, at), key in changes]
        items = [item for one in found if (item := self._encoded(*one)) is not None]
        whole = len(found) < STATE_PAGE
        upto = found[-1][0] if not whole else known.head
        part = state.delta_part(after, upto, items, reset=reset and after == 0, complete=reset and whole)
        return StatePage(part, upto, live=whole)


LISTENERS: dict[type[News], Callable[[Session, Any], None]] = {
    LogNews: Session.log_grew,
    StateNews: Session.state_changed,
}
"""What a session does with news of each class."""


class StatePage(NamedTuple):
    part: bytes  # an element of Body.states
    upto: Version
    live: bool  # whoever has this page and all before it has the whole state as of `upto`


def read_segments(view: Reader, user: UserId, partition: str, after: int, limit: int, size: int) -> list[Segment]:
    """Entries with their bodies, straight from the store, as far as `size` bytes reach and the one that is too much."""
    found = read_entries(view, user, partition, after, limit)
    parts: list[bytes | None] = []
    while len(parts) < len(found) and (size >= 0 or not parts):
        slice_ = found[len(parts) : len(parts) + READ_LEAST]
        bodies = view.get_all(Table.BODIES, [(entry.stamp,) for _, entry in slice_])
        for part in _delivered(slice_, bodies):
            parts.append(part)
            if part is not None:
                size -= len(part)
                if size < 0:
                    break
    return _segments_of(found[: len(parts)], parts)


def _delivered(found: list[tuple[int, Entry]], bodies: list[bytes | None]) -> list[bytes | None]:
    first, last = found[0][0], found[-1][0]
    if last - first == len(found) - 1:
        return deliver_all(bodies, first)
    return [body and deliver(body, offset) for (offset, _), body in zip(found, bodies, strict=True)]


def _segments_of(found: list[tuple[int, Entry]], parts: list[bytes | None]) -> list[Segment]:
    """One segment, but where some between are lost."""
    if not found:
        return []
    first, last = found[0][0], found[-1][0]
    if last - first == len(found) - 1:
        return [segment_of(first, [entry for _, entry in found], parts)]
    return [segment_of(offset, [entry], [part]) for (offset, entry), part in zip(found, parts, strict=True)]
