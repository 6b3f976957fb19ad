"""Webhooks: a process that tells back ends what happened.

Theory of operation. What happened stands in the feed (`domain/webhooks/feed.py`), in the store; each webhook has a
position there. Behind it the process reads a window of events and sends some of them at once. What was taken moves the
position, as far as everything up to there was taken; that is noted on disk now and then, and what all have is cut off.

So all that is in memory may be lost at any moment. What was taken and not noted is sent again under the same id, which
is at most the window's events; nothing is forgotten. A back end that does not answer holds up itself alone: its events
wait in the feed, at most `max_waiting` of them and none for longer than `max_age_seconds`; what is given up is counted.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from heapq import heappop, heappush
from math import inf
from random import Random
from typing import NamedTuple

import trio

from bimip.concurrency import Watch
from bimip.domain.core.ids import Millis
from bimip.domain.core.operations import Refused
from bimip.domain.core.records import Event
from bimip.domain.webhooks.feed import NoteTold, OpenWebhooks, event_id, events_behind, head_of, positions_of
from bimip.journal.queue import OperationQueue
from bimip.push.breaker import Breaker
from bimip.push.lanes import Lane, LaneName, Lanes
from bimip.push.posting import PostError, Request, Response, Verdict, seconds_of, verdict_of
from bimip.storage.errors import StorageError
from bimip.storage.interface import Store
from bimip.webhooks.settings import EndpointSettings
from bimip.webhooks.signing import sign
from bimip.webhooks.telling import describe

WINDOW = 64
"""Events of a webhook that are in memory: being sent, or waiting to be tried again."""
SPAN = 1024
"""Events behind one that is not taken that may have been: what a crash has sent again."""
AGAIN_SECONDS = 1.0
"""Until something is tried again that the store could not take or tell; and the first time, that a back end did not."""
MOST_DOUBLINGS = 16
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
class _Webhook:
    """A webhook, as it stands."""

    name: str
    settings: EndpointSettings
    secrets: list[bytes]
    read: int = 0
    """The events up to here were looked at."""
    noted: int = 0
    """It is on disk that it was told up to here."""
    note_at: float = -inf
    """When that may be noted next: inf while it is under way, later where it was refused."""
    untold: dict[int, Event] = field(default_factory=dict)
    """What it was not told yet of those, ascending."""
    failures: dict[int, int] = field(default_factory=dict)
    """How often in a row each of them was not taken."""

    @property
    def position(self) -> int:
        """Everything up to here was told."""
        return next(iter(self.untold)) - 1 if self.untold else self.read


class Webhooks:
    def __init__(
        self,
        *,
        store: Store,
        queue: OperationQueue,
        changed: Watch,
        endpoints: Mapping[str, EndpointSettings],
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
        """`changed` rises when something was committed. Raises ConfigError for secrets that are none."""
        self._store = store
        self._queue = queue
        self._changed = changed
        self._webhooks = {
            name: _Webhook(name, settings, settings.read_secrets(name)) for name, settings in endpoints.items()
        }
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
            limit = WINDOW - len(webhook.untold) if webhook.read - webhook.position < SPAN else 0
            try:
                with self._store.snapshot() as view:
                    head = head_of(view)
                    self._skip(webhook, head - self._max_waiting)
                    found = events_behind(view, webhook.read, limit) if limit > 0 else []
            except StorageError:
                return False
            for number, event in found:
                webhook.read = number
                if event.kind in webhook.settings.kinds:
                    webhook.untold[number] = event
                    self._line_up(Item(webhook.name, number), now)
            if len(found) < limit:
                webhook.read = head
            self.statistics.waiting[webhook.name] = head - webhook.position
            if len(found) < limit or limit <= 0:
                return True
            await trio.lowlevel.checkpoint()

    def _skip(self, webhook: _Webhook, upto: int) -> None:
        """Gives up events up to a number: more wait than may. What is being sent may be taken all the same."""
        skipped = [number for number in webhook.untold if number <= upto]
        for number in skipped:
            del webhook.untold[number]
            webhook.failures.pop(number, None)
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
                webhook.untold.pop(item.number, None)
                webhook.failures.pop(item.number, None)
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
        lane.breaker.failed(now, object())
        if wait is not None:
            lane.breaker.pause(now + wait)
        self._try_again(webhook, item, why, wait or 0.0)

    def _try_again(self, webhook: _Webhook, item: Item, why: str, wait: float = 0.0) -> None:
        self.statistics.retried += 1
        self.statistics.last_failure = f"{webhook.name}: {why}"
        failures = webhook.failures.get(item.number, 0)
        webhook.failures[item.number] = failures + 1
        seconds = min(self._retry_seconds, AGAIN_SECONDS * 2.0 ** min(failures, MOST_DOUBLINGS)) * self._jitter()
        heappush(self._due, (trio.current_time() + max(seconds, wait), item))

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
