"""Fetch: a device asks, out of turn. Nothing moves by it: fetching and acknowledging are separate (seed 000).

What is fetched unacknowledged behaves as what is delivered: the next such batch waits until the last one is
acknowledged, or the grace period ends, so that nothing is pulled twice in a hurry (seed 001, step 6).
"""

from collections import OrderedDict, deque
from math import inf
from typing import NamedTuple, Protocol

import trio

from bimip.domain.appending import is_addressed, is_owed
from bimip.domain.ids import DeviceId, Offset, UserId
from bimip.domain.operations import Barrier, Result
from bimip.domain.ranges import contains
from bimip.domain.records import Conversation, Cursor, Entry, Index, Mention, Reader, Seq, Sequence, Table
from bimip.domain.records import Row as RowOfIndex
from bimip.names import conversation_number
from bimip.users.session import Session
from bimip.users.wakeup import Wakeup
from bimip.wire import bimip_pb2 as pb
from bimip.wire import frames, stored
from bimip.wire.errors import WireError
from bimip.wire.validation import seq_numbers

MAX_SCAN = 1000
"""Entries looked at for one answer; `next_offset` goes on."""
ANSWER_BYTES = 512 * 1024
HIGHEST = 1 << 64
"""Beyond any number of a seq."""
MAX_QUESTIONS = 64
"""Of one connection, for which it is remembered where they go on."""


class Asker(Protocol):
    """A device, as far as its fetches need it."""

    session: Session
    number: DeviceId
    wakeup: Wakeup
    unanswered: int

    @property
    def name(self) -> str: ...

    @property
    def has_unsent_answers(self) -> bool: ...

    def answer(self, frame: bytes) -> None: ...

    def fail(self, error: WireError, ref: int = 0) -> None: ...


class Row(NamedTuple):
    offset: int
    part: bytes
    acknowledged: bool


class Batch(NamedTuple):
    rows: list[Row]
    next_offset: int
    complete: bool


class Request(NamedTuple):
    fetch: pb.Fetch
    ref: int


class Fetching:
    """One connection's fetches: where the last one ended, and what waits for acknowledgements."""

    def __init__(self, device: Asker) -> None:
        self._device = device
        self._next: OrderedDict[_Question, int] = OrderedDict()
        self._last: dict[_Question, Seq | None] = {}  # of BY_SEQ, whose order is not that of offsets
        self._waiting: deque[Request] = deque()
        self._unacknowledged: dict[tuple[str, int], None] = {}
        self._deadline = 0.0

    @property
    def deadline(self) -> float:
        """When what waits is answered all the same."""
        return self._deadline if self._waiting and self._unacknowledged else inf

    def ask(self, fetch: pb.Fetch, ref: int) -> None:
        """Answer when everything that the device sent before is decided, its acknowledgements too."""
        if fetch.kind not in {pb.UNACKNOWLEDGED, pb.LOG, pb.HISTORY, pb.BY_SEQ}:
            name = pb.FetchKind.Name(fetch.kind)
            raise WireError(pb.UNSUPPORTED, f"this server does not serve Fetch {name} yet", field="kind")
        if fetch.kind != pb.HISTORY and fetch.partition not in self._device.session.logs:
            known = ", ".join(sorted(self._device.session.logs))
            sentence = f"there is no partition {fetch.partition!r}; use one of: {known}"
            raise WireError(pb.NOT_FOUND, sentence, field="partition")

        def decided(_result: Result) -> None:
            self._waiting.append(Request(fetch, ref))
            self.go_on()
            if self._waiting:
                self._device.wakeup.ring()  # the fetcher is to know of the deadline

        self._device.unanswered += 1
        self._device.session.services.queue.submit(Barrier(), decided)

    def acknowledged(self, partition: str, upto: int, ranges: tuple[tuple[int, int], ...]) -> None:
        """An ack of this device is on disk."""
        if not (self._unacknowledged or self._waiting):
            return
        for place in list(self._unacknowledged):
            if place[0] == partition and (place[1] <= upto or contains(ranges, place[1])):
                del self._unacknowledged[place]
        self._deadline = trio.current_time() + self._device.session.services.grace_seconds
        if not self._unacknowledged and self._waiting:
            self.go_on()

    def go_on(self) -> None:
        """Answer what waits, as far as it may be answered now.

        One answer at a time is made: a device that asks much and reads nothing must not fill the server's memory.
        """
        while self._waiting and not self._device.has_unsent_answers:
            request = self._waiting[0]
            if request.fetch.kind == pb.UNACKNOWLEDGED and self._unacknowledged:
                if trio.current_time() < self._deadline:
                    return
                self._unacknowledged.clear()
            self._waiting.popleft()
            self._answer(request)

    def _answer(self, request: Request) -> None:
        try:
            batch = self._read(request.fetch)
        except WireError as error:
            self._device.fail(error, request.ref)
            return
        except Exception as error:  # noqa: BLE001 - whoever lets this go on must not suffer for it
            self._device.session.services.report("fetch failed", error)
            sentence = "the server failed at this request; the operator has been told"
            self._device.fail(WireError(pb.INTERNAL, sentence), request.ref)
            return
        fetch = request.fetch
        if fetch.kind == pb.UNACKNOWLEDGED and batch.rows:
            self._unacknowledged = {(fetch.partition, row.offset): None for row in batch.rows}
            self._deadline = trio.current_time() + self._device.session.services.grace_seconds
        self._remember(_question(fetch), batch.next_offset)
        tail = frames.fetch_part(
            next_offset=batch.next_offset,
            acknowledged=[row.acknowledged for row in batch.rows],
            complete=batch.complete,
            ref=request.ref,
        )
        parts = [row.part for row in batch.rows]
        self._device.answer(frames.body(fetch.partition, 0, 0, pb.TURN_FETCH, parts, tail=tail))

    def _remember(self, question: "_Question", offset: int) -> None:
        self._next[question] = offset
        self._next.move_to_end(question)
        if len(self._next) > MAX_QUESTIONS:
            forgotten, _ = self._next.popitem(last=False)
            self._last.pop(forgotten, None)

    def _read(self, fetch: pb.Fetch) -> Batch:
        limits = self._device.session.services.limits
        limit = min(fetch.limit or limits.max_fetch, limits.max_fetch)
        offset = fetch.offset if fetch.HasField("offset") else self._next.get(_question(fetch), 0)
        with self._device.session.services.store.snapshot() as view:
            if fetch.kind == pb.HISTORY:
                return _history(view, self._device, fetch, offset, limit)
            if fetch.kind == pb.BY_SEQ:
                question = _question(fetch)
                last = None if fetch.HasField("offset") else self._last.get(question)
                batch, self._last[question] = _by_seq(view, self._device, fetch, last, limit)
                return batch
            return _log(view, self._device, fetch, offset, limit)


class _Question(NamedTuple):
    """What a Fetch asks for, apart from where it begins: each has a place of its own where it goes on."""

    kind: int
    place: str
    author: str
    origin: str
    to: str
    backwards: bool
    seqs: tuple[str, str]


def _question(fetch: pb.Fetch) -> _Question:
    author = getattr(fetch, "from")
    to = f"{fetch.to.eid}/{fetch.to.connection_resource_id}"
    place = fetch.conversation if fetch.kind == pb.HISTORY else fetch.partition
    seqs = (fetch.seq_from, fetch.seq_to)
    return _Question(fetch.kind, place, author.eid, author.connection_resource_id, to, fetch.backwards, seqs)


class _Filter(NamedTuple):
    """Whose messages a Fetch asks for."""

    author: UserId | None
    origin: DeviceId | None
    nothing: bool = False  # what is named does not exist, or is not the asking device's to see

    def lets(self, author: UserId, origin: DeviceId) -> bool:
        return self.author in {None, author} and (self.origin is None or self.origin == origin)


def _filter(view: Reader, device: Asker, fetch: pb.Fetch) -> _Filter:
    """`to` may only be the asking device: one that asks with another's name gets nothing."""
    if fetch.to.eid not in {"", device.session.eid}:
        return _Filter(None, None, nothing=True)
    if fetch.to.connection_resource_id not in {"", device.name}:
        return _Filter(None, None, nothing=True)
    if not getattr(fetch, "from").eid:
        return _Filter(None, None)
    user = view.get(Table.USERS, (getattr(fetch, "from").eid,))
    if user is None:
        return _Filter(None, None, nothing=True)
    name = getattr(fetch, "from").connection_resource_id
    if not name:
        return _Filter(user.number, None)
    origin = view.get(Table.DEVICES, (user.number, name))
    return _Filter(user.number, origin.number) if origin else _Filter(None, None, nothing=True)


def _log(view: Reader, device: Asker, fetch: pb.Fetch, offset: int, limit: int) -> Batch:
    """Of the user's own log. Backwards begins below `offset`, or at the head."""
    user, partition = device.session.number, fetch.partition
    wanted = _filter(view, device, fetch)
    log = view.get(Table.LOGS, (user, partition))
    if log is None or wanted.nothing:
        return Batch([], (log.head if log else 0) + 1, complete=True)
    cursor: Cursor | None = view.get(Table.CURSORS, (device.number, partition))
    after, scan = _slice(fetch, offset, log.first, log.head)
    items = view.read(Sequence.ENTRIES, (user, partition), after, limit=scan)
    rows: list[Row] = []
    size, looked = 0, 0
    for place, entry in reversed(items) if fetch.backwards else items:
        if len(rows) == limit or size > ANSWER_BYTES:
            break
        looked += 1
        row = _row(view, device, fetch, wanted, cursor, place, entry)
        if row is not None:
            rows.append(row)
            size += len(row.part)
    return _batch(fetch, rows, items, looked, log.first, log.head)


def _slice(fetch: pb.Fetch, offset: int, first: int, head: int) -> tuple[int, int]:
    """Read behind which number, and how many."""
    if not fetch.backwards:
        return max(offset, first) - 1, MAX_SCAN
    below = min(offset or head + 1, head + 1)
    after = max(first - 1, below - 1 - MAX_SCAN)
    return after, max(0, below - 1 - after)


def _batch(
    fetch: pb.Fetch, rows: list[Row], items: list[tuple[int, Entry]], looked: int, first: int, head: int
) -> Batch:
    """Behind the last row; where all was looked at, behind the end (seed 000: `next_offset`)."""
    if fetch.backwards:
        end = items[-looked][0] if looked else first
        return Batch(rows[::-1], end, complete=end <= first)
    exhausted = looked == len(items) and (not items or items[-1][0] == head)
    if rows:
        return Batch(rows, rows[-1].offset + 1, complete=exhausted)
    return Batch(rows, items[looked - 1][0] + 1 if looked else head + 1, complete=exhausted)


def _row(
    view: Reader, device: Asker, fetch: pb.Fetch, wanted: _Filter, cursor: Cursor | None, offset: int, entry: Entry
) -> Row | None:
    user = device.session.number
    if not wanted.lets(entry.author, entry.origin):
        return None
    own = entry.origin == device.number
    acknowledged = cursor is not None and (offset <= cursor.floor or contains(cursor.above, offset))
    if fetch.kind == pb.UNACKNOWLEDGED and (acknowledged or not is_owed(view, entry, user, device.number)):
        return None
    if entry.addressed and not own and not is_addressed(view, entry.stamp, user, device.number):
        return None
    body = view.get(Table.BODIES, (entry.stamp,))
    if body is None:
        return None
    return Row(offset, _element(view, device, entry.stamp, body, offset, own=own), acknowledged)


def _element(view: Reader, device: Asker, stamp: int, body: bytes, offset: int, *, own: bool) -> bytes:
    for one in () if own else view.get(Table.ADDRESSED, (stamp, device.session.number)) or ():
        if one.device == device.number and one.payload is not None:
            body = stored.readdressed(body, one.payload)
    return stored.deliver(body, offset)


def _by_seq(view: Reader, device: Asker, fetch: pb.Fetch, last: Seq | None, limit: int) -> tuple[Batch, Seq | None]:
    """Of the user's own log what their devices wrote, in the order of their `seq` (seed 003), behind `last`."""
    place = (device.session.number, fetch.partition)
    wanted = _filter(view, device, fetch)
    if wanted.nothing:
        return Batch([], 0, complete=True), last
    low: RowOfIndex = seq_numbers(fetch.seq_from) if fetch.seq_from else (0,)
    high: RowOfIndex = (*seq_numbers(fetch.seq_to), HIGHEST) if fetch.seq_to else (HIGHEST,)
    if last is not None:
        low, high = (low, last) if fetch.backwards else ((*last, 0), high)
    cursor: Cursor | None = view.get(Table.CURSORS, (device.number, fetch.partition))
    found = [Seq._make(row) for row in view.find(Index.SEQS, place, low, high, limit=MAX_SCAN, reverse=fetch.backwards)]
    rows: list[Row] = []
    size, looked = 0, 0
    for seq in found:
        if len(rows) == limit or size > ANSWER_BYTES:
            break
        looked, last = looked + 1, seq
        row = _row_at(view, device, fetch, wanted, cursor, seq.offset)
        if row is not None:
            rows.append(row)
            size += len(row.part)
    complete = looked == len(found) < MAX_SCAN
    return Batch(rows[::-1] if fetch.backwards else rows, last.offset if last else 0, complete), last


def _row_at(
    view: Reader, device: Asker, fetch: pb.Fetch, wanted: _Filter, cursor: Cursor | None, offset: Offset
) -> Row | None:
    """None also for what expired: an index is trimmed later than its log."""
    found = view.read(Sequence.ENTRIES, (device.session.number, fetch.partition), offset - 1, limit=1)
    if not found or found[0][0] != offset:
        return None
    return _row(view, device, fetch, wanted, cursor, offset, found[0][1])


def _history(view: Reader, device: Asker, fetch: pb.Fetch, offset: int, limit: int) -> Batch:
    """Of a conversation, by its own offsets. It is nobody's log: user_offset is 0."""
    number = conversation_number(fetch.conversation)
    known: Conversation | None = None if number is None else view.get(Table.CONVERSATIONS, (number,))
    if known is None or device.session.number not in known.members:
        raise WireError(pb.NOT_FOUND, "you are in no such conversation", field="conversation")
    wanted = _filter(view, device, fetch)
    after, scan = _slice(fetch, offset, known.first, known.head)
    found: list[tuple[int, Mention]] = view.read(Sequence.HISTORY, (number,), after, limit=min(scan, MAX_SCAN))
    rows: list[Row] = []
    size, last = 0, 0
    for place, mention in reversed(found) if fetch.backwards else found:
        if len(rows) == limit or size > ANSWER_BYTES:
            break
        last = place
        part = _from_history(view, device, wanted, mention)
        if part is not None:
            rows.append(Row(place, part, acknowledged=True))
            size += len(part)
    if fetch.backwards:
        return Batch(rows[::-1], last or known.first, complete=(last or known.first) <= known.first)
    return Batch(rows, (last or known.head) + 1, complete=last in {0, known.head})


def _from_history(view: Reader, device: Asker, wanted: _Filter, mention: Mention) -> bytes | None:
    user = device.session.number
    if wanted.nothing or not wanted.lets(mention.author, mention.origin):
        return None
    own = mention.origin == device.number
    if mention.addressed and not own and not is_addressed(view, mention.stamp, user, device.number):
        return None
    body = view.get(Table.BODIES, (mention.stamp,))
    return None if body is None else _element(view, device, mention.stamp, body, 0, own=own)
