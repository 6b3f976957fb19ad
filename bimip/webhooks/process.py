"""Webhooks: a process that tells back ends what happened.

Theory of operation. What happened stands in the feed (`domain/webhooks/feed.py`), in the store; each webhook has a
position there. Behind it the process reads a window of events and sends some of them at once. What was taken moves the
position, as far as everything up to there was taken; that is noted on disk now and then, and what all have is cut off.

So all that is in memory may be lost at any moment. What was taken and not noted is sent again under the same id, which
is at most a span of events; nothing is forgotten. A back end that does not answer holds up itself alone: its events
wait in the feed, at most `max_waiting` of them and none for longer than `max_age_seconds`; what is given up is counted.

An event that a back end never takes, while it takes others, is refused: that says nothing of the back end, so the
breaker does not hear of it. It holds up nobody until a whole span of what that back end wants was read behind it. Then
it is given up, once it was refused `MOST_REFUSALS` times: a back end that is away takes none, and loses none.
"""

import json
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from math import inf
from random import Random
from typing import NamedTuple

import trio

from bimip.concurrency import Watch
from bimip.domain.core.ids import Millis
from bimip.domain.core.operations import Refused
from bimip.domain.core.records import DamagedRecordError, Event
from bimip.domain.webhooks.feed import NoteTold, OpenWebhooks, event_id, events_behind, head_of, positions_of
from bimip.journal.queue import OperationQueue
from bimip.push.breaker import AGAIN_SECONDS, Breaker, backoff
from bimip.push.lanes import Lane, LaneName, Lanes
from bimip.push.posting import PostError, Request, Response, Verdict, seconds_of, verdict_of
from bimip.storage.errors import StorageError
from bimip.storage.interface import Store
from bimip.webhooks.settings import EndpointSettings
from bimip.webhooks.signing import sign
from bimip.webhooks.telling import describe

WINDOW = 64
"""Events of a webhook that are sent, or wait to be sent for the first time."""
SPAN = 1024
"""Events that a webhook wants, from the first that it did not take to the last that was read: what a crash may have
sent again.
"""
MORE = 64
"""Read behind a full span, one each time that the first is not taken: whether they are says whether the back end is
there.
"""
MOST_REFUSALS = 8
"""How often an event is refused while others are taken, until it is given up where it holds up those behind a span."""
LOOK_SECONDS = 60.0
"""Until it looks again whether there is something to tell, or something too old: nobody may have told."""


@dataclass(slots=True)
class WebhookStatistics:
    """Outlive the process."""

    taken: int = 0
    retried: int = 0
    given_up: int = 0
    """Too old, or beyond what may wait: never told."""
    left_out: int = 0
    """Events of users who were erased before they were told."""
    waiting: dict[str, int] = field(default_factory=dict)
    """By webhook how many events of the feed it was not told of, those included that it is not to be told of."""
    last_failure: str = ""


class Item(NamedTuple):
    """An event that a webhook is to be told of."""

    webhook: str
    number: int


@dataclass(slots=True)
class _Failures:
    """Counts how often an event was not taken."""

    taken: int
    """How many others its webhook had taken when that was so last."""
    count: int = 0
    refused: int = 0
    """Those before which others were taken, since the one before."""
    why: str = ""


@dataclass(slots=True)
class _Webhook:
    """A webhook, as it stands."""

    name: str
    settings: EndpointSettings
    secrets: Sequence[bytes]
    read: int = 0
    """The events up to here were looked at."""
    noted: int = 0
    """It is on disk that it was told up to here."""
    note_at: float = -inf
    """When that may be noted next: inf while it is under way, later where it was refused."""
    untold: dict[int, Event] = field(default_factory=dict)
    """What it was not told yet of those, ascending."""
    failures: dict[int, _Failures] = field(default_factory=dict)
    """What became of those of them that were not taken when they were sent."""
    span: deque[int] = field(default_factory=deque)
    """What it wants of those, from the first that it was not told of; some of it was told."""
    taken: int = 0
    """How many events it took: whether others were since a time."""

    @property
    def position(self) -> int:
        """Everything up to here was told."""
        return next(iter(self.untold)) - 1 if self.untold else self.read

    def room(self) -> int:
        """Counts the events that may be read now."""
        first = self.failures.get(self.span[0]) if self.span else None
        more = 0 if first is None else min(first.count, MORE)
        return min(WINDOW - (len(self.untold) - len(self.failures)), SPAN + more - len(self.span))

    def read_one(self, number: int, event: Event) -> bool:
        """Passes over the next event of the feed. Whether it is to be told."""
        self.read = number
        if event.kind not in self.settings.kinds:
            return False
        self.untold[number] = event
        self.span.append(number)
        return True

    def done(self, number: int) -> None:
        """An event was taken, or never will be."""
        self.untold.pop(number, None)
        self.failures.pop(number, None)
        while self.span and self.span[0] not in self.untold:
            self.span.popleft()

    def failed(self, number: int) -> _Failures:
        """An event was not taken. Returns how often that is so by now."""
        failures = self.failures.setdefault(number, _Failures(taken=self.taken))
        failures.count += 1
        failures.refused += failures.taken != self.taken
        failures.taken = self.taken
        return failures

    def holds_up(self, number: int) -> bool:
        """Whether an event alone is to blame that others wait: it is refused while they are taken."""
        failures = self.failures.get(number)
        is_refused = failures is not None and failures.refused >= MOST_REFUSALS
        return is_refused and len(self.span) >= SPAN and self.span[0] == number


class Webhooks:
    def __init__(
        self,
        *,
        store: Store,
        queue: OperationQueue,
        changed: Watch,
        endpoints: Mapping[str, EndpointSettings],
        secrets: Mapping[str, Sequence[bytes]],
        post: Callable[[Request], Awaitable[Response]],
        retry_seconds: float,
        max_age_seconds: float,
        max_sends: int,
        max_waiting: int,
        wall_clock: Callable[[], Millis],
        random: Random,
        agent: str,
        statistics: WebhookStatistics,
        report: Callable[[str, BaseException], None],
    ) -> None:
        """`changed` rises when events were committed. `secrets`: by endpoint, what its requests are signed with."""
        self._store = store
        self._queue = queue
        self._changed = changed
        self._webhooks = {name: _Webhook(name, settings, secrets[name]) for name, settings in endpoints.items()}
        self._post = post
        self._retry_seconds = retry_seconds
        self._max_age_ms = int(max_age_seconds * 1000)
        self._max_waiting = max_waiting
        self._wall_clock = wall_clock
        self._random = random
        self._agent = agent
        self._report = report
        self._due: list[tuple[float, Item]] = []
        """What was not taken, by when it is tried again."""
        self.statistics = statistics
        self.lanes: Lanes[Item] = Lanes(
            most=max_sends,
            most_of_lane=max_sends,
            owner=lambda item: item,
            breaker=lambda: Breaker(retry_seconds, self._jitter),
        )

    def describe(self) -> dict[str, object]:
        told = self.statistics
        counts = {name: getattr(told, name) for name in ("taken", "retried", "given_up", "left_out", "last_failure")}
        waiting = {"events": sum(told.waiting.values()), "behind": dict(told.waiting)}
        return {"webhooks": len(self._webhooks), **waiting, **counts, **self.lanes.describe(trio.current_time())}

    async def run(self) -> None:
        """Tells what happens, until cancelled."""
        await self._open()
        async with trio.open_nursery() as nursery:
            while True:
                version = self._changed.version
                now = trio.current_time()
                while self._due and self._due[0][0] <= now:
                    self._line_up(heappop(self._due)[1], now)
                is_read = [await self._read(webhook, now) for webhook in self._webhooks.values()]
                while (taken := self.lanes.take(trio.current_time())) is not None:
                    nursery.start_soon(self._serve, *taken)
                for webhook in self._webhooks.values():
                    if webhook.position > webhook.noted and now >= webhook.note_at:
                        webhook.note_at = inf
                        nursery.start_soon(self._note, webhook, webhook.position)
                again = LOOK_SECONDS if all(is_read) else AGAIN_SECONDS
                note_at = min((one.note_at for one in self._webhooks.values() if one.note_at > now), default=inf)
                due_at = self._due[0][0] if self._due else inf
                wake_at = min(now + again, self.lanes.next_at(), due_at, note_at)
                await self._changed.wait_changed_since(version, wake_at)

    async def _open(self) -> None:
        """Sees to it that each webhook has a position, and that none is kept for one that is there no more."""
        names = tuple(self._webhooks)
        while True:
            try:
                with self._store.snapshot() as view:
                    positions = positions_of(view)
                    is_to_open = set(positions) != set(names) or (not names and bool(events_behind(view, 0, 1)))
            except StorageError:
                is_to_open = True
            if not is_to_open:
                break
            if isinstance(await self._queue.execute(OpenWebhooks(names)), Refused):
                await trio.sleep(AGAIN_SECONDS)
        self.statistics.waiting = {}
        for name, webhook in self._webhooks.items():
            webhook.read = webhook.noted = positions[name]

    async def _read(self, webhook: _Webhook, now: float) -> bool:
        """Reads what a webhook is to be told next, a slice at a time. Whether the store could tell."""
        while True:
            self._give_up_what_holds_up(webhook)
            limit = webhook.room()
            try:
                with self._store.snapshot() as view:
                    head = head_of(view)
                    self._skip(webhook, head - self._max_waiting)
                    found = events_behind(view, webhook.read, limit) if limit > 0 else []
            except StorageError:
                return False
            for number, event in found:
                if webhook.read_one(number, event):
                    self._line_up(Item(webhook.name, number), now)
            if len(found) < limit:
                webhook.read = head
            self.statistics.waiting[webhook.name] = head - webhook.position
            if len(found) < limit or limit <= 0:
                return True
            await trio.lowlevel.checkpoint()

    def _give_up_what_holds_up(self, webhook: _Webhook) -> None:
        while webhook.span and webhook.holds_up(webhook.span[0]):
            failures = webhook.failures[webhook.span[0]]
            times = f"{failures.count} times while others were taken"
            self._give_up(1, f"{webhook.name}: an event was refused {times}: {failures.why}")
            webhook.done(webhook.span[0])

    def _skip(self, webhook: _Webhook, upto: int) -> None:
        """Gives up events up to a number: more wait than may. What is being sent may be taken all the same."""
        skipped = [number for number in webhook.untold if number <= upto]
        for number in skipped:
            webhook.done(number)
        count = len(skipped) + max(0, upto - webhook.read)
        webhook.read = max(webhook.read, upto)
        if count:
            self._give_up(count, f"{webhook.name}: too many events wait")

    def _line_up(self, item: Item, now: float) -> None:
        self.lanes.put(LaneName(item.webhook, item.webhook), item, now)

    async def _serve(self, lane: Lane[Item], item: Item) -> None:
        """Tells of one event; where that fails, it is tried again later."""
        webhook = self._webhooks[item.webhook]
        is_done = False
        try:
            is_done = await self._tell(lane, webhook, item)
        finally:
            self.lanes.done(lane, item, trio.current_time())
            if is_done:
                webhook.done(item.number)
            self._changed.notify()

    async def _tell(self, lane: Lane[Item], webhook: _Webhook, item: Item) -> bool:
        """Sends an event. Whether it is done with: it was taken, or never will be."""
        await trio.lowlevel.checkpoint()
        event = webhook.untold.get(item.number)
        if event is None:  # it was given up meanwhile
            return True
        try:
            request = self._request(webhook, event)
        except StorageError as error:
            self._try_again(webhook, item, f"the store: {error}")
            return False
        return request is None or await self._send(lane, webhook, item, request)

    async def _send(self, lane: Lane[Item], webhook: _Webhook, item: Item, request: Request) -> bool:
        try:
            response = await self._post(request)
        except PostError as error:
            self._failed(lane, webhook, item, str(error))
            return False
        if verdict_of(response.status, frozenset()) is not Verdict.TAKEN:
            wait = seconds_of(response.retry_after, self._wall_clock())
            self._failed(lane, webhook, item, str(response.status), wait)
            return False
        lane.breaker.succeeded()
        webhook.taken += 1
        self.statistics.taken += 1
        return True

    def _request(self, webhook: _Webhook, event: Event) -> Request | None:
        """Makes the request that tells of an event; None: it is not told. Raises StorageError."""
        if self._wall_clock() - event.time > self._max_age_ms:
            self._give_up(1, f"{webhook.name}: an event is too old")
            return None
        try:
            with self._store.snapshot() as view:
                told = describe(view, event, content=webhook.settings.content)
        except DamagedRecordError as error:
            self._give_up(1, f"{webhook.name}: the store: {error}")
            return None
        except StorageError:
            raise
        except Exception as error:  # noqa: BLE001 - it would end the process again and again, and with that the server
            self._report("an event cannot be told", error)
            self._give_up(1, f"{webhook.name}: {type(error).__name__}")
            return None
        if told is None:
            self.statistics.left_out += 1
            return None
        body = json.dumps(told, separators=(",", ":")).encode()
        signed = sign(webhook.secrets, event_id(event), self._wall_clock() // 1000, body)
        headers = {"Content-Type": "application/json", "User-Agent": self._agent, **signed}
        return Request(webhook.settings.url, headers, body, is_trusted=True)

    def _failed(self, lane: Lane[Item], webhook: _Webhook, item: Item, why: str, wait: float | None = None) -> None:
        """A back end did not take an event: after several of them it is left alone for a while."""
        now = trio.current_time()
        if not self._try_again(webhook, item, why, wait or 0.0):
            lane.breaker.failed(now, object())
        if wait is not None:
            lane.breaker.pause(now + wait)

    def _try_again(self, webhook: _Webhook, item: Item, why: str, wait: float = 0.0) -> bool:
        """Has an event be sent again later. Whether it is to blame itself: others were taken since it failed before."""
        self.statistics.retried += 1
        self.statistics.last_failure = f"{webhook.name}: {why}"
        if item.number not in webhook.untold:
            return True  # it was given up meanwhile
        failures = webhook.failed(item.number)
        failures.why = why
        seconds = backoff(failures.count - 1, AGAIN_SECONDS, self._retry_seconds, self._jitter)
        heappush(self._due, (trio.current_time() + max(seconds, wait), item))
        return failures.refused > 0

    def _give_up(self, count: int, why: str) -> None:
        self.statistics.given_up += count
        self.statistics.last_failure = why

    async def _note(self, webhook: _Webhook, upto: int) -> None:
        """Notes on disk what a webhook was told."""
        if isinstance(await self._queue.execute(NoteTold(webhook.name, upto)), Refused):
            webhook.note_at = trio.current_time() + AGAIN_SECONDS
        else:
            webhook.noted, webhook.note_at = upto, -inf
        self._changed.notify()

    def _jitter(self) -> float:
        return self._random.uniform(0.5, 1.5)
