"""Fetch: a device asks, out of turn. Nothing moves by it: fetching and acknowledging are separate.

What is fetched unacknowledged behaves as what is delivered: the next such page waits until the last one is
acknowledged, or the grace period ends, so that nothing is pulled twice in a hurry.

Messages come as they were written, and beside them, as items of the state, what is so now of each.

Looking is work that a few bytes ask for, so it is done by the device's own fetcher, a slice in each of its turns, and
charged to the device by what was looked at: whoever has asked for more than the rates allow is answered later.
"""

from collections import OrderedDict, deque
from collections.abc import Callable, Generator, Sequence
from math import inf
from typing import NamedTuple, Self

import trio

from bimip.domain.conversations.inbox import FillInbox, InboxFilled
from bimip.domain.core.ids import UserId
from bimip.domain.core.operations import Barrier, Operation, Refused, Result
from bimip.domain.core.ranges import Ranges, contains
from bimip.domain.core.records import DamagedRecordError
from bimip.reading.current import scan_current
from bimip.reading.fetches import PageStart, Viewer, scan_by_seq, scan_heads, scan_history, scan_log, scan_thread
from bimip.reading.inbox import is_inbox_whole, scan_inbox
from bimip.reading.pages import Page, Scan
from bimip.reading.receipts import scan_receipts
from bimip.reading.sources import HIGHEST
from bimip.reading.state import Change
from bimip.reading.synced import scan_synced
from bimip.requests.asker import Asker
from bimip.requests.cursors import pack_cursor, unpack_cursor
from bimip.requests.refusals import error_of, failed, no_partition
from bimip.requests.state_items import ENCODE
from bimip.storage.interface import Store
from bimip.wire import bimip_pb2 as pb
from bimip.wire import frames, state
from bimip.wire.checks import check_id, check_identity, check_seq, check_signal_id
from bimip.wire.errors import WireError
from bimip.wire.limits import Limits

_OF_A_CONVERSATION = {pb.HISTORY, pb.RECEIPTS, pb.THREAD}

_OF_A_LOG = {pb.UNACKNOWLEDGED, pb.LOG, pb.BY_SEQ, pb.HEADS, pb.SYNCED}

_FETCH_KINDS = frozenset(pb.FetchKind.values())

MAX_QUESTIONS = 64
"""Of one connection, for which it is remembered where they go on."""
REQUESTS_FOR_AN_ENTRY = 0.5
"""What an entry that is looked at is charged as: it takes half as long as a message."""
MOST_BEGUN_ANEW = 3
"""Because contents changed while it was looked: then the answer is as it was read."""
DEFAULT_LIMIT = 100
"""Messages in an answer to who names no limit."""
HOLD_SECONDS = 5.0
"""For how long delivery in turn waits for each page of a conversation that is opened, and for its acknowledgement."""
STATE_BYTES = 512 * 1024
"""What is so now of an answer's messages, at most. Receipts that have no room can be asked for by themselves."""


def no_operation(_store: Store, _user: UserId) -> Operation | None:
    return None


def prepare_inbox(store: Store, user: UserId) -> Operation | None:
    """Goes through the logs of a user who was there before inboxes were, once."""
    return None if is_inbox_whole(store, user) else FillInbox(user)


class Kind(NamedTuple):
    """A kind of Fetch: how it is looked for."""

    scan: Callable[[Store, Viewer, pb.Fetch, PageStart, int], Scan]
    of_log: bool = True  # it names a partition, and is told what of it is damaged
    waits: bool = False  # until the page before it is acknowledged
    cursor_numbers: int = 1
    is_numbered: bool = True  # its cursor is an offset
    is_remembered: bool = True  # asked for again without a cursor it goes on; else it begins anew
    is_backwards: bool = False  # it walks from the newest down, whatever is asked
    prepare: Callable[[Store, UserId], Operation | None] = no_operation  # what is to be done before


KINDS: dict[int, Kind] = {
    pb.UNACKNOWLEDGED: Kind(scan_log, waits=True),
    pb.LOG: Kind(scan_log),
    pb.HISTORY: Kind(scan_history, of_log=False),
    pb.RECEIPTS: Kind(scan_receipts, of_log=False, cursor_numbers=4, is_numbered=False, is_remembered=False),
    pb.BY_SEQ: Kind(scan_by_seq, cursor_numbers=4, is_numbered=False),
    pb.THREAD: Kind(scan_thread, of_log=False, is_remembered=False),
    pb.HEADS: Kind(scan_heads, is_remembered=False, is_backwards=True),
    pb.SYNCED: Kind(scan_synced, is_remembered=False, is_backwards=True),
    pb.INBOX: Kind(scan_inbox, of_log=False, is_numbered=False, is_remembered=False, prepare=prepare_inbox),
}


def ask(asker: Asker, payload: pb.Fetch, ref: int) -> None:
    """Answer when everything that the device sent before is decided, its acknowledgements too."""
    check_fetch(payload, asker.services.limits)
    kind = KINDS.get(payload.kind)
    if kind is None:
        name = pb.FetchKind.Name(payload.kind)
        raise WireError(pb.UNSUPPORTED, f"this server does not serve Fetch {name} yet", field="kind")
    if kind.of_log and payload.partition not in asker.services.partitions:
        raise no_partition(payload.partition, asker.services.partitions)
    payload.backwards = payload.backwards or kind.is_backwards
    place = unpack_cursor(payload, kind.cursor_numbers) if payload.cursor else None
    Fetches.of(asker).begin(PendingFetch(payload, kind, ref, place))


class Resumed(NamedTuple):
    """A conversation that a device opens: of these logs what is pending of it comes first."""

    conversation: str
    partitions: tuple[str, ...]  # which are left, the first of which is looked through


class PendingFetch(NamedTuple):
    fetch: pb.Fetch
    kind: Kind
    ref: int
    place: tuple[int, ...] | None = None  # its cursor's numbers
    resumed: Resumed | None = None  # it is no Fetch, but a page of this


FetchScan = Generator[int, None, tuple[Page, Sequence[Change]]]
"""Yields, after each slice, how much it looked at; a page, and what is so now of its messages."""


class Fetches:
    """One connection's fetches: where the last one ended, what waits for acknowledgements, what is being looked for."""

    def __init__(self, asker: Asker) -> None:
        self._asker = asker
        self._next: OrderedDict[_Question, tuple[int, ...]] = OrderedDict()
        self._waiting: deque[PendingFetch] = deque()
        self._running: tuple[PendingFetch, FetchScan] | None = None
        self._seen_changes = 0  # of contents, when it began to look
        self._begun_anew = 0
        self._unacknowledged: dict[tuple[str, int], None] = {}
        self._deadline = 0.0
        self._resuming = 0  # conversations of which not all was sent that is pending
        self._resumed_last = False  # what is unacknowledged is of one of which all was
        self._held_until = 0.0

    @classmethod
    def of(cls, asker: Asker) -> Self:
        """Those of an asker, who has none before the first."""
        if not isinstance(asker.pending, cls):
            asker.pending = cls(asker)
        return asker.pending

    def holds_back(self, now: float) -> bool:
        return now < self._held_until and (self._resuming > 0 or (self._resumed_last and bool(self._unacknowledged)))

    def deadline(self, now: float) -> float:
        """When there is something to do without anybody's word: now, or when a grace period or a debt has passed, or
        delivery in turn is to go on.
        """
        return min(self._due(now), self._held_until if self.holds_back(now) else inf)

    def _due(self, now: float) -> float:
        """When there is something to look for."""
        if self._asker.frames or not (self._running or self._waiting):
            return inf
        until = now + max(0.0, self._asker.rates.wait(now))
        return max(until, self._deadline) if self._is_held_back() else until

    def begin(self, request: PendingFetch) -> None:
        asker = self._asker
        if request.resumed is not None:
            self._resuming += 1
            self._hold_back()

        def decided(result: Result) -> None:
            if isinstance(result, Refused):
                self._give_up(request)
                asker.answer_error(error_of(result, request.ref))
            elif isinstance(result, InboxFilled) and result.rest is not None:
                asker.rates.charge(result.looked * REQUESTS_FOR_AN_ENTRY, trio.current_time())
                asker.services.queue.submit(result.rest, decided, owner=asker.user)
            else:
                self._waiting.append(request)
                asker.wake()

        before = request.kind.prepare(asker.services.store, asker.user) or Barrier()
        asker.services.queue.submit(before, decided, owner=asker.user)

    def acknowledged(self, partition: str, upto: int, ranges: Ranges) -> None:
        """An ack of this device is on disk."""
        if not (self._unacknowledged or self._waiting):
            return
        for place in list(self._unacknowledged):
            if place[0] == partition and (place[1] <= upto or contains(ranges, place[1])):
                del self._unacknowledged[place]
        self._deadline = trio.current_time() + self._asker.services.limits.grace_seconds
        if self._resuming:
            self._hold_back()
        if not self._unacknowledged and (self._waiting or self._resumed_last):
            self._asker.wake()

    def _hold_back(self) -> None:
        self._held_until = trio.current_time() + HOLD_SECONDS

    def _give_up(self, request: PendingFetch) -> None:
        if request.resumed is not None:
            self._resuming -= 1
            self._asker.wake()

    def work(self, now: float) -> bool:
        """Look through one slice, if that is due. False: there is nothing to do now.

        One answer at a time is made: a device that asks much and reads nothing must not fill the server's memory.
        """
        if self._due(now) > now:
            return False
        if self._running is None:
            self._running = self._begin(self._waiting.popleft())
        request, looking = self._running
        try:
            looked = next(looking)
        except StopIteration as end:
            if self._asker.count_body_changes() != self._seen_changes and self._begun_anew < MOST_BEGUN_ANEW:
                self._begun_anew += 1  # what was read may be deleted by now, and be told so already
                self._running = request, self._look(request)
            else:
                self._running = None
                self._answer(request, *end.value)
        except WireError as error:
            self._running = None
            self._give_up(request)
            self._asker.fail(error, request.ref)
        except Exception as error:  # noqa: BLE001 - it is one request's trouble, and the device's only if it goes on
            self._running = None
            self._give_up(request)
            self._asker.services.report("fetch failed", error)
            self._asker.fail(failed(error), request.ref)
        else:
            self._asker.rates.charge(looked * REQUESTS_FOR_AN_ENTRY, now)
        return True

    def _is_held_back(self) -> bool:
        """Whether a page that is not acknowledged yet holds a Fetch back."""
        held = self._running is None and self._waiting and self._waiting[0].kind.waits
        return bool(held and self._unacknowledged)

    def _begin(self, request: PendingFetch) -> tuple[PendingFetch, FetchScan]:
        if request.kind.waits:
            self._unacknowledged.clear()
            self._resumed_last = False
        self._begun_anew = 0
        return request, self._look(request)

    def _look(self, request: PendingFetch) -> FetchScan:
        self._seen_changes = self._asker.count_body_changes()
        return self._scan(request)

    def _scan(self, request: PendingFetch) -> FetchScan:
        fetch, asker = request.fetch, self._asker
        store = asker.services.store
        viewer = Viewer(asker.user, asker.eid, asker.number, asker.name)
        limit = min(fetch.limit or DEFAULT_LIMIT, asker.services.limits.max_fetch)
        page = yield from request.kind.scan(store, viewer, fetch, self._start_of(request), limit)
        rows = [row for row in (*page.rows, *page.concerned) if row.part is not None]
        current = page.changes or (yield from scan_current(store, asker.user, rows))
        return page, current

    def _start_of(self, request: PendingFetch) -> PageStart:
        fetch = request.fetch
        if request.resumed is not None:  # what was sent in turn meanwhile is there
            sent_upto = self._asker.positions().get(fetch.partition, HIGHEST)  # of no other log it asks for anything
            return PageStart(max(request.place[0] if request.place else 0, sent_upto + 1))
        if fetch.HasField("offset"):
            return PageStart(fetch.offset)
        place = self._next.get(_question(fetch)) if request.place is None else request.place
        if request.kind.is_numbered:
            return PageStart(place[0] if place else None)
        return PageStart(None, place or None)

    def _answer(self, request: PendingFetch, page: Page, current: Sequence[Change]) -> None:
        fetch = request.fetch
        kind = request.kind
        if kind.waits and page.rows:
            self._unacknowledged = {(fetch.partition, row.offset): None for row in page.rows}
            self._deadline = trio.current_time() + self._asker.services.limits.grace_seconds
        if request.resumed is not None:
            self._answer_resumed(request, request.resumed, page, current)
            return
        place = (page.next_offset,) if kind.is_numbered else page.last
        if kind.is_remembered:
            self._remember(_question(fetch), place)
        tail = frames.fetch_part(
            next_offset=page.next_offset,
            next_cursor=b"" if place is None else pack_cursor(fetch, place),
            acknowledged=[row.acknowledged for row in page.rows],
            complete=page.complete,
            ref=request.ref,
        )
        parts = [row.part for row in page.rows if row.part is not None]
        rows = reversed(page.rows) if fetch.backwards else page.rows
        self._asker.note_received([row.place for row in rows if row.part is not None])
        if kind.of_log:
            parts += [frames.gap_part(fetch.partition, first, last, pb.DAMAGED) for first, last in page.gaps]
        parts += page.parts
        items = self._encoded(current)
        if items:
            parts.append(state.delta_part(0, 0, items))
        self._asker.answer_alone(frames.body(fetch.partition, 0, 0, pb.TURN_FETCH, parts, tail=tail))

    def _answer_resumed(self, request: PendingFetch, resumed: Resumed, page: Page, current: Sequence[Change]) -> None:
        """Sends a page, unless it is empty and not the last; what is damaged is told in its turn."""
        asker, partition = self._asker, request.fetch.partition
        following = _next_of(request, resumed, page)
        rows = [row for row in page.rows if row.part is not None]
        if rows or following is None:
            parts = [row.part for row in rows if row.part is not None]
            items = self._encoded(current)
            if items:
                parts.append(state.delta_part(0, 0, items))
            asker.note_received([row.place for row in rows])
            ref = request.ref
            if following is not None:
                asker.owed += 1  # the last one answers
                ref = 0
            tail = frames.resume_part(complete=following is None, ref=ref)
            asker.answer_alone(frames.body(partition, 0, 0, pb.TURN_RESUME, parts, tail=tail))
            self._hold_back()
        if following is not None:
            self._waiting.appendleft(following)
        else:
            self._resuming -= 1
            self._resumed_last = True
            asker.wake()

    def _encoded(self, current: Sequence[Change]) -> list[bytes]:
        eids, left = self._asker.services.eids, STATE_BYTES
        items: list[bytes] = []
        for version, key, value in current:
            try:
                item = ENCODE[key[0]](eids, version, key, value)
            except DamagedRecordError:
                continue
            left -= len(item)
            if left < 0:
                break
            items.append(item)
        return items

    def _remember(self, question: "_Question", place: tuple[int, ...] | None) -> None:
        self._next[question] = place or ()
        self._next.move_to_end(question)
        if len(self._next) > MAX_QUESTIONS:
            self._next.popitem(last=False)


def _next_of(request: PendingFetch, resumed: Resumed, page: Page) -> PendingFetch | None:
    """Returns the page behind one; None: it was the last."""
    if not page.complete:
        return request._replace(place=(page.next_offset,))
    left = resumed.partitions[1:]
    if not left:
        return None
    fetch = pb.Fetch(partition=left[0], conversation=resumed.conversation, limit=request.fetch.limit)
    return request._replace(fetch=fetch, place=None, resumed=resumed._replace(partitions=left))


class _Question(NamedTuple):
    """A Fetch's question, apart from where it begins: each has a place of its own where it goes on."""

    kind: int
    place: str
    author: str
    origin: str
    to: str
    backwards: bool
    within: tuple[str, str]


def _question(fetch: pb.Fetch) -> _Question:
    author = getattr(fetch, "from")
    to = f"{fetch.to.eid}/{fetch.to.connection_resource_id}"
    place = fetch.conversation if fetch.kind in _OF_A_CONVERSATION else fetch.partition
    within = (fetch.seq_from, fetch.seq_to)
    return _Question(fetch.kind, place, author.eid, author.connection_resource_id, to, fetch.backwards, within)


def check_fetch(fetch: pb.Fetch, limits: Limits) -> None:
    if fetch.kind not in _FETCH_KINDS:
        raise WireError(pb.INVALID, f"There is no kind {fetch.kind} of Fetch.", field="kind")
    if fetch.kind in _OF_A_LOG or fetch.partition:
        check_id(fetch.partition, "partition", limits)
    if fetch.kind in _OF_A_CONVERSATION or fetch.conversation:
        check_id(fetch.conversation, "conversation", limits)
    for what in ("seq_from", "seq_to") if fetch.kind == pb.BY_SEQ else ():
        if getattr(fetch, what):
            check_seq(getattr(fetch, what), what, limits)
    if fetch.kind == pb.THREAD:
        check_signal_id(fetch.reply_to, "reply_to")
    _check_identities(fetch, limits)
    if fetch.cursor and fetch.HasField("offset"):
        raise WireError(pb.INVALID, "cursor and offset both say where to begin: give one of them.", field="cursor")


def _check_identities(fetch: pb.Fetch, limits: Limits) -> None:
    if fetch.HasField("from"):
        check_identity(getattr(fetch, "from"), "from", limits)
    if fetch.to.eid:
        check_identity(fetch.to, "to", limits)
