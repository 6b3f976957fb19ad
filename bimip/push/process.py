"""Push: a process that tells devices which are not connected what waits for them.

Theory of operation. What is owed is derived from the store, for one subscription at a time (`domain/push/outbox.py`),
and anew before each notification: so what was read, deleted or acknowledged meanwhile is not sent. Before it come calls
that ring, which stand in memory alone (`rings.py`), as calls do. Users at whom to look come from `subscribers.py`;
their subscriptions wait in lanes (`lanes.py`), each for its gateway. Whoever is next there is looked at, sent one
notification, and, when the gateway took it and that is on disk, waits again behind the others.

So all that is in memory may be lost at any moment. What a gateway took and was not noted is sent again under the same
id; nothing that is owed is forgotten, since the next process looks at everybody.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from math import inf
from random import Random
from typing import NamedTuple, Protocol

import trio

from bimip.domain.core.ids import DeviceId, Millis, Offset, Stamp, UserId
from bimip.domain.core.operations import Refused
from bimip.domain.core.records import Cursor, PushSubscription, Reader, Table
from bimip.domain.core.schema import behind
from bimip.domain.push.outbox import (
    WORTH_NOTING,
    Looking,
    NotePushed,
    Notice,
    NoticeKind,
    PassPushed,
    PushRules,
    next_clear,
    plan,
    shows_anything,
)
from bimip.domain.push.ringing import is_let_through
from bimip.domain.push.subscribing import SubscriptionKey, Unsubscribe, subscriptions_of
from bimip.journal.queue import OperationQueue
from bimip.push.breaker import AGAIN_SECONDS, Breaker, backoff
from bimip.push.gateways import Gateway
from bimip.push.lanes import Lane, LaneName, Lanes
from bimip.push.notifications import Notification, describe, describe_ring
from bimip.push.posting import PostError, Request, Response, Verdict, seconds_of, verdict_of
from bimip.push.rings import Ringing, Rings
from bimip.push.subscribers import Subscribers
from bimip.push.trial import Answer, send_test
from bimip.storage.errors import StorageError
from bimip.storage.interface import Store

SCAN = 200
"""Subscriptions read in one transaction, as the process begins."""
LEAST_SECONDS = 0.01
"""Until something is looked at that is due."""


class Presence(Protocol):
    """Knows of users what is so just now."""

    def is_away(self, user: UserId) -> bool:
        """Whether nobody sits before any device of a user."""
        ...

    def inactive(self, user: UserId) -> Mapping[DeviceId, Mapping[str, Cursor]]:
        """Those devices that are connected, and before which nobody sits; and, by partition, what each of them had
        acknowledged while somebody did.
        """
        ...

    def quiet_until(self, view: Reader, user: UserId, now: Millis) -> Millis | None:
        """Until when a user wants to be left alone; None: they do not."""
        ...


KINDS = tuple(map(str, NoticeKind))
OUTCOMES = ("again", "unreachable", "refused", "unsendable", "gone")
"""Of what was not taken: the gateway is to be asked again, or did not answer; it will never take it, or nothing can be
sent to this subscription; nobody is there any more."""
HELD = ("present", "quiet", "collapse", "rate", "gateway")
"""Why nothing is sent just then: somebody looks at a device, the user wants to be left alone, more is told together a
little later, somebody calls too often, or the gateway failed."""


@dataclass(slots=True)
class PushStatistics:
    """Outlive the process."""

    sent: int = 0
    cleared: int = 0
    refused: int = 0
    retried: int = 0
    gone: int = 0
    last_failure: str = ""
    kinds: Counter[str] = field(default_factory=Counter)
    """Of what gateways took, and was told to be taken away, by kind."""
    failures: Counter[str] = field(default_factory=Counter)
    """By what became of a request: see OUTCOMES."""
    held: Counter[str] = field(default_factory=Counter)
    """How often a subscription was looked at, and told nothing just then, by why: see HELD."""


TOLD_SINGLY = ("sent", "cleared", "refused", "retried", "gone", "last_failure")


class Item(NamedTuple):
    """A subscription that waits to be looked at."""

    key: SubscriptionKey
    number: Stamp


class _Step(NamedTuple):
    """A subscription is served by this next: something is sent, then something is noted."""

    notification: Notification | None = None
    subscription: PushSubscription | None = None
    operation: NotePushed | PassPushed | None = None
    ringing: Ringing | None = None  # of this call it is sent
    after: tuple[str, Offset] | None = None  # look on behind that entry of a partition
    due_at: Millis | None = None  # at the latest it is looked at again then


NOTHING = _Step()


def _tell_nobody(_stamp: Stamp, _user: UserId, _platform: str) -> None:
    """Nobody follows messages."""


class Push:
    def __init__(
        self,
        *,
        store: Store,
        queue: OperationQueue,
        subscribers: Subscribers,
        rings: Rings,
        gateways: Mapping[str, Gateway],
        post: Callable[[Request], Awaitable[Response]],
        presence: Presence,
        rules: PushRules,
        content: str,
        retry_seconds: float,
        max_sends: int,
        max_sends_per_host: int,
        wall_clock: Callable[[], Millis],
        random: Random,
        statistics: PushStatistics,
        report: Callable[[str, BaseException], None],
        taken: Callable[[Stamp, UserId, str], None] = _tell_nobody,
    ) -> None:
        """`taken` is told of a notification's newest message that a gateway took, for whom, and by what platform."""
        self._store = store
        self._queue = queue
        self._subscribers = subscribers
        self._rings = rings
        self._gateways = gateways
        self._post = post
        self._presence = presence
        self._rules = rules
        self._content = content
        self._retry_seconds = retry_seconds
        self._wall_clock = wall_clock
        self._random = random
        self._report = report
        self._taken = taken
        self._failed: dict[Item, tuple[int, float]] = {}
        """Of what was not taken: how often in a row, and when it may be tried again."""
        self._under_way: dict[Item, bool] = {}
        """Whether there is something more to do for whom something is done just now."""
        self.statistics = statistics
        self.lanes: Lanes[Item] = Lanes(
            most=max_sends,
            most_of_lane=max_sends_per_host,
            owner=lambda item: item.key.user,
            breaker=lambda: Breaker(retry_seconds, self._jitter),
        )

    def describe(self) -> dict[str, object]:
        subscribers = self._subscribers
        counts = {name: getattr(self.statistics, name) for name in TOLD_SINGLY}
        now = trio.current_time()
        return {"users": len(subscribers.users), "to_look_at": len(subscribers), **counts, **self.lanes.describe(now)}

    async def test(self, subscriptions: Sequence[PushSubscription]) -> list[Answer]:
        """Sends a notification to each of these, all at once, and tells what their gateways answered."""
        answers: dict[PushSubscription, Answer] = {}

        async def send(subscription: PushSubscription) -> None:
            name = f"{self._random.getrandbits(128):032x}"
            gateway = self._gateways.get(subscription.platform)
            answers[subscription] = await send_test(gateway, self._post, subscription, name, self._wall_clock())

        async with trio.open_nursery() as nursery:
            for subscription in subscriptions:
                nursery.start_soon(send, subscription)
        return [self._counted(answers[subscription]) for subscription in subscriptions]

    def _counted(self, answer: Answer) -> Answer:
        if answer.outcome == "taken":
            self.statistics.kinds[str(NoticeKind.TEST)] += 1
        else:
            self.statistics.failures[answer.outcome] += 1
        return answer

    async def run(self) -> None:
        """Look at users, and send, until cancelled."""
        self._subscribers.walk()
        async with trio.open_nursery() as nursery:
            while True:
                version = self._subscribers.changed.version
                if self._subscribers.is_to_walk:
                    await self._walk()
                now = trio.current_time()
                self._rings.forget_old()
                while (user := self._subscribers.take_due(now)) is not None:
                    self._line_up(user, now)
                    await trio.lowlevel.checkpoint()
                while (taken := self.lanes.take(trio.current_time())) is not None:
                    nursery.start_soon(self._serve, *taken)
                wake_at = min(self._subscribers.next_at(), self.lanes.next_at())
                await self._subscribers.changed.wait_changed_since(version, wake_at)

    async def _walk(self) -> None:
        """Finds all users with subscriptions, and has each be looked at."""
        low: tuple[object, ...] | None = ()
        subscribers = self._subscribers
        subscribers.is_to_walk = False
        while low is not None:
            try:
                with self._store.snapshot() as view:
                    found = view.scan(Table.PUSH_SUBSCRIPTIONS, low, Table.PUSH_SUBSCRIPTIONS.schema.end, limit=SCAN)
                    users = dict.fromkeys(UserId(key[0]) for key, _ in found)
                    subscribers.shown.update(user for user in users if shows_anything(view, user))
            except StorageError:
                await trio.sleep(AGAIN_SECONDS)
                continue
            for user in users:
                subscribers.subscribed(user)
            low = behind(found[-1][0]) if len(found) == SCAN else None
            await trio.lowlevel.checkpoint()

    def _line_up(self, user: UserId, now: float) -> None:
        """Has a user's subscriptions wait for their gateways."""
        is_shown = user in self._subscribers.shown or self._rings.is_to_clear(user)
        if not is_shown and not self._presence.is_away(user):
            return  # whoever leaves is looked at again
        try:
            with self._store.snapshot() as view:
                found = subscriptions_of(view, user)
        except StorageError:
            self._subscribers.look_at(user, now + AGAIN_SECONDS)
            return
        if not found:
            self._subscribers.forget(user)
        for key, subscription in found:
            gateway = self._gateways.get(subscription.platform)
            if gateway is not None:  # else its operator took it out of the configuration
                lane = LaneName(gateway.name, gateway.host_of(subscription))
                self.lanes.put(
                    lane, Item(key, subscription.number), now, is_urgent=self._rings.owes(user, subscription.number)
                )

    async def _serve(self, lane: Lane[Item], item: Item) -> None:
        """Does what is next for a subscription, and has it wait again if there may be more."""
        if item in self._under_way:  # it was looked at anew meanwhile: what is sent must not overtake itself
            self._under_way[item] = True
            self.lanes.done(lane, item, trio.current_time())
            self._subscribers.changed.notify()
            return
        self._under_way[item] = more = False
        try:
            more = await self._do_next(lane, item)
        finally:
            more |= self._under_way.pop(item)
            now = trio.current_time()
            self.lanes.done(lane, item, now)
            if more:
                self.lanes.put(lane.name, item, now, is_urgent=self._rings.owes(item.key.user, item.number))
            self._subscribers.changed.notify()

    async def _do_next(self, lane: Lane[Item], item: Item) -> bool:
        await trio.lowlevel.checkpoint()
        _, not_before = self._failed.get(item, (0, -inf))
        if trio.current_time() < not_before:
            self.statistics.held["gateway"] += 1
            self._subscribers.look_at(item.key.user, not_before)
            return False
        step = await self._find_next(item)
        if step.due_at is not None:
            self._look_again(item, (step.due_at - self._wall_clock()) / 1000)
        if step.notification is not None and not await self._send(lane, item, step):
            return False
        if step.ringing is not None:
            assert step.notification is not None
            self._rings.sent(step.ringing, item.number, was_over=step.notification.kind is NoticeKind.CLEAR)
            return True
        if step.operation is None:
            return False
        if isinstance(await self._queue.execute(step.operation, owner=item.key.user), Refused):
            self._look_again(item, AGAIN_SECONDS)
            return False
        return True

    async def _find_next(self, item: Item) -> _Step:
        """Looks through the logs, a slice at a time. A defect that one subscription meets costs the others nothing."""
        due_at: Millis | None = None
        if self._rings.owes(item.key.user, item.number):
            called = self._look(item, self._find_ring) or NOTHING
            if called.notification is not None:
                return called
            due_at = called.due_at
        step = self._look(item, self._find_clear)
        if step is not None:
            return step._replace(due_at=_earlier(due_at, step.due_at))
        for partition in self._rules.partitions:
            after: Offset | None = None
            while True:
                step = self._look(item, partial(self._find_owed, partition=partition, after=after)) or NOTHING
                if step.operation is not None:
                    return step
                due_at = _earlier(due_at, step.due_at)
                if step.after is None:
                    break
                after = step.after[1]
                await trio.lowlevel.checkpoint()
        return _Step(due_at=due_at)

    def _look(self, item: Item, find: Callable[[Reader, Looking], _Step | None]) -> _Step | None:
        """Finds something in a snapshot of the store. Where there is no such subscription any more, nothing."""
        try:
            with self._store.snapshot() as view:
                subscription: PushSubscription | None = view.get(Table.PUSH_SUBSCRIPTIONS, tuple(item.key))
                if subscription is None or subscription.number != item.number:
                    self._failed.pop(item, None)
                    return NOTHING
                inactive = self._presence.inactive(item.key.user)
                return find(view, Looking(item.key, subscription, self._wall_clock(), inactive))
        except StorageError:
            self._look_again(item, AGAIN_SECONDS)
        except Exception as error:  # noqa: BLE001 - it would end the process again and again, and with that the server
            self._report("a subscription to push cannot be served", error)
        return NOTHING

    def _find_ring(self, view: Reader, looking: Looking) -> _Step:
        """Finds a call of which a subscription is to be told that it rings, or that it does no more."""
        user, subscription = looking.key.user, looking.subscription
        over = self._rings.over(user, subscription.number)
        if over is not None:
            said = describe_ring(view, subscription, over.ring, self._rules, self._content, None)
            return _Step(said, subscription, ringing=over)
        is_quiet = self._presence.quiet_until(view, user, looking.now) is not None
        if is_quiet or not self._presence.is_away(user):
            return NOTHING  # it is looked at again when that ends, as for all that is owed
        wait = inf
        for ringing in self._rings.ringing(user, subscription.number):
            if not is_let_through(view, ringing.ring):
                continue
            wait = min(wait, self._rings.wait(ringing, trio.current_time()))
            if wait <= 0:
                said = describe_ring(view, subscription, ringing.ring, self._rules, self._content, looking.now)
                return _Step(said, subscription, ringing=ringing)
        self.statistics.held["rate"] += wait != inf
        return NOTHING if wait == inf else _Step(due_at=Millis(looking.now + int(wait * 1000) + 1))

    def _find_clear(self, view: Reader, looking: Looking) -> _Step | None:
        """Finds what is to be taken away; None: nothing, and something may be owed."""
        user = looking.key.user
        notice = next_clear(view, looking)
        if notice is not None:
            return self._told(view, looking, notice, Offset(0))
        if not shows_anything(view, user):
            self._subscribers.shown.discard(user)
        if not self._presence.is_away(user):
            self.statistics.held["present"] += 1
            return NOTHING
        quiet_until = self._presence.quiet_until(view, user, looking.now)
        self.statistics.held["quiet"] += quiet_until is not None
        return None if quiet_until is None else _Step(due_at=quiet_until)

    def _find_owed(self, view: Reader, looking: Looking, *, partition: str, after: Offset | None) -> _Step:
        """Finds what is owed in a slice of a log."""
        found = plan(view, looking, partition, self._rules, after)
        if found.notice is not None:
            return self._told(view, looking, found.notice, found.upto)
        if found.more:
            return _Step(after=(partition, found.upto))
        self.statistics.held["collapse"] += found.due_at is not None
        passed = PassPushed(looking.key, looking.subscription.number, partition, found.upto)
        return _Step(operation=passed if found.passed >= WORTH_NOTING else None, due_at=found.due_at)

    def _told(self, view: Reader, looking: Looking, notice: Notice, upto: Offset) -> _Step:
        """Says how a notice is told. Of a message that is gone, or where nothing is taken away, it is noted alone."""
        is_told = notice.kind is not NoticeKind.CLEAR or self._rules.clear_on_read
        return _Step(
            describe(view, looking, notice, self._rules, self._content) if is_told else None,
            looking.subscription,
            NotePushed(looking.key, looking.subscription.number, notice, upto),
        )

    async def _send(self, lane: Lane[Item], item: Item, step: _Step) -> bool:
        """Sends a notification. Whether it is to be noted: it was taken, or never will be."""
        assert step.subscription is not None
        assert step.notification is not None
        gateway = self._gateways[step.subscription.platform]
        kind, ringing = step.notification.kind, step.ringing
        is_clear = kind is NoticeKind.CLEAR
        if ringing is not None:
            self._rings.sending(ringing, item.number)
        elif not is_clear:
            self._subscribers.shown.add(item.key.user)
        try:
            request = gateway.request(step.subscription, step.notification, self._wall_clock())
        except ValueError as error:
            return self._refused("unsendable", str(error))
        try:
            response = await self._post(request)
        except PostError as error:
            self.statistics.failures["unreachable"] += 1
            self._failed_at(lane, item, request, str(error))
            return False
        verdict = verdict_of(response.status, gateway.gone)
        if verdict is Verdict.AGAIN:
            self.statistics.failures["again"] += 1
            wait = seconds_of(response.retry_after, self._wall_clock())
            self._failed_at(lane, item, request, str(response.status), wait)
            return False
        lane.breaker.succeeded()
        self._failed.pop(item, None)
        if verdict is Verdict.GONE:
            self.statistics.gone += 1
            self.statistics.failures["gone"] += 1
            await self._queue.execute(Unsubscribe(item.key, step.subscription.token), owner=item.key.user)
            self._look_again(item, 0.0)  # they may have none any more
            return False
        if verdict is Verdict.REFUSED:
            return self._refused("refused", str(response.status))
        self.statistics.sent += not is_clear
        self.statistics.cleared += is_clear
        self.statistics.kinds[str(kind)] += 1
        if kind is NoticeKind.MESSAGE and isinstance(step.operation, NotePushed):
            self._taken(step.operation.notice.stamp, item.key.user, step.subscription.platform)
        return True

    def _refused(self, outcome: str, why: str) -> bool:
        self.statistics.refused += 1
        self.statistics.failures[outcome] += 1
        self.statistics.last_failure = why
        return True

    def _failed_at(self, lane: Lane[Item], item: Item, request: Request, why: str, wait: float | None = None) -> None:
        """A gateway did not take something. What users chose as their gateway says of others' nothing by itself: there
        the breaker opens when it fails several of them, and who is told to wait waits alone.
        """
        now = trio.current_time()
        self.statistics.retried += 1
        self.statistics.last_failure = why
        lane.breaker.failed(now, object() if request.is_trusted else item.key.user)
        if request.is_trusted and wait is not None:
            lane.breaker.pause(now + wait)
        failures, _ = self._failed.get(item, (0, 0.0))
        seconds = backoff(failures, AGAIN_SECONDS, self._retry_seconds, self._jitter)
        when = now + max(seconds, wait or 0.0)
        self._failed[item] = (failures + 1, when)
        self._subscribers.look_at(item.key.user, when)

    def _look_again(self, item: Item, seconds: float) -> None:
        self._subscribers.look_at(item.key.user, trio.current_time() + max(seconds, LEAST_SECONDS))

    def _jitter(self) -> float:
        return self._random.uniform(0.5, 1.5)


def _earlier(one: Millis | None, other: Millis | None) -> Millis | None:
    return min((time for time in (one, other) if time is not None), default=None)
