"""The whole server and many clients in one thread and one seed: run, break, come to rest, and judge.

Everything that happens is drawn from the seed: what devices do, what the network does to their frames, how long the
disk takes, in which order trio runs what is ready, and what is killed when. So a seed that failed fails again, at the
same tick.
"""

import gc
import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cache, partial
from itertools import pairwise
from random import Random
from typing import Any

import structlog.testing
import trio
from trio.testing import MockClock

from bimip.config import Settings
from bimip.domain.core.clock import millis_of
from bimip.domain.core.identity import Claims
from bimip.domain.core.ids import ConversationId, Millis, UserId
from bimip.domain.core.records import Entry, LogTable, Table
from bimip.domain.keeping.timekeeping import DAY
from bimip.domain.messages.expiring import last_stamp
from bimip.domain.push.outbox import PushRules
from bimip.domain.push.subscribing import subscriptions_of
from bimip.domain.webhooks.feed import events_behind
from bimip.names import conversation_id
from bimip.operations import Operations
from bimip.parts import Parts
from bimip.supervision import NoSuchProcess, State, SupervisionError, Tree
from bimip.testing.virtual import BEGIN, Port, cut, open_virtual_server, seeded_scheduler, settings_for_tests
from bimip.users.connection import RefusedError
from bimip.wire import stored
from tests.kit.actor import CALM, FIRST, Mood
from tests.kit.checker import Violation, check
from tests.kit.gap_invariants import GapInvariants
from tests.kit.history import Batch, Erased, Event, GapReason, Name, Pushed, PutBack
from tests.kit.memory_connection import MemoryConnection
from tests.kit.memory_server import FOR_EVER
from tests.kit.push import GATEWAY
from tests.kit.webhooks import webhook
from tests.simulation.back_end import BackEnd
from tests.simulation.device import Device
from tests.simulation.disk import Disk, SlowWorker
from tests.simulation.event_queue import TICKS, EventQueue, sleep_ticks
from tests.simulation.held_pushes import GONE_SECONDS, SETTLED_SECONDS, HeldPushes
from tests.simulation.network_link import NetworkLink
from tests.simulation.plan import Fault, Moment, Plan, draw
from tests.simulation.push_gateway import PushGateway
from tests.simulation.shop import Shop

MESSAGES = 500
REST_SECONDS = 300
STUCK_SECONDS = 10
"""And once that was in vain: whatever comes to rest no more has been found by then."""
PUSHED_SECONDS = 100
"""Until a gateway that fails now and then has taken a few notifications."""
GRACE_SECONDS = 2.0
FAILED_STARTS = 0.25
SEEN_SECONDS = 6.0
"""Until all who may see it know how a user is: more than the delay, the interval and what an inactive device waits."""
EXPIRING = "notification"
"""The partition of which something goes after a day."""
UNTIL_ACKED = "sync"
"""The partition of which goes what all devices acknowledged."""
GONE_MS = 5000
"""How long after its time a message may still be on its way."""
STEP_MS = 5000
"""How far the wall clock is off, at most, when the server starts again."""
PARTS = (
    "timers",
    "health",
    "journal",
    "users",
    "push",
    "webhooks",
    "calls",
    "locations",
    "presence",
    "retention",
    "gateway",
    "console",
    "gateway/poller",
    "gateway/connections",
    "gateway/listener",
)
ANOTHER_EPOCH = "another epoch begins: what came after this copy is lost"
CLOCK = {"the machine's clock is not followed", "the machine's clock is followed again"}
BACK_ENDS = 10
"""One world of so many has a back end that is told of events, and one that writes and reads by HTTP: both cost time."""
ORDERS = 30
"""That it writes."""
SLEEPER = Name("sleeper@example.org", "phone")
"""Who subscribes to push, and is not connected until all comes to rest."""
EXPECTED_LOGS = {
    "an operator erases a user",
    "process ended",
    "supervisor gave up",
    "operation set aside",
    ANOTHER_EPOCH,
    *CLOCK,
}


@dataclass
class Outcome:
    """What a seed came to."""

    seed: int
    violations: list[Violation]
    counts: Counter[str]
    moments: Counter[Moment]
    """When faults happened: those for which a commit never came happened at any moment."""
    transcript: str
    """A digest of every frame and every fault, each with its tick."""
    seconds: float  # of virtual time
    history: list[Event]
    trace: list[tuple[int, str]]

    @property
    def replay(self) -> str:
        return f"scripts/simulate --seed {self.seed} --verbose"


@dataclass
class Options:
    messages: int = MESSAGES
    disk: type[Disk] = Disk
    trace: bool = False


def simulate(seed: int, options: Options | None = None) -> Outcome:
    """Run one seed. What the server lets escape is a violation like any other."""
    simulation = Simulation(seed, options or Options())
    with seeded_scheduler(seed), rare_garbage_collection(), structlog.testing.capture_logs() as logs:
        simulation.logs = logs
        trio.run(simulation.run, clock=MockClock(autojump_threshold=0))
    return simulation.judge()


@contextmanager
def rare_garbage_collection() -> Iterator[None]:
    before = gc.get_threshold()
    gc.set_threshold(50_000, 50, 1000)
    try:
        yield
    finally:
        gc.set_threshold(*before)


@cache
def _settings(window: int, *, has_back_ends: bool) -> Settings:
    return settings_for_tests(
        BIMIP_LIMITS_WINDOW_ENTRIES=str(window),
        BIMIP_LIMITS_GRACE_SECONDS=str(GRACE_SECONDS),
        BIMIP_PUSH_GATEWAYS=GATEWAY,
        BIMIP_PUSH_DELAY_SECONDS="0.2",
        BIMIP_PUSH_COLLAPSE_SECONDS="2",
        BIMIP_PUSH_RETRY_SECONDS="4",
        BIMIP_WEBHOOKS_ENDPOINTS=webhook() if has_back_ends else "{}",
        BIMIP_WEBHOOKS_RETRY_SECONDS="4",
        BIMIP_WEBHOOKS_MAX_AGE_SECONDS="31536000",  # days pass in some worlds
        BIMIP_PRESENCE_OFFLINE_DELAY_SECONDS="1",
        BIMIP_PRESENCE_INTERVAL_SECONDS="0.5",
        BIMIP_PRESENCE_INACTIVE_SECONDS="3",
        BIMIP_RETENTION_EVERY_SECONDS="0.7",
        BIMIP_RETENTION_POLICIES=f"{UNTIL_ACKED}=until-acked",
        BIMIP_RETENTION_HISTORY_DAYS=f"chat=0,{EXPIRING}=1,feed=0,sync=0",
    )


class Simulation:
    def __init__(self, seed: int, options: Options) -> None:
        self.seed = seed
        self.options = options
        self.random = Random(seed)
        self.plan: Plan = draw(self.random, options.messages)
        self.has_back_ends = seed % BACK_ENDS == 1
        self.settings = _settings(self.plan.window, has_back_ends=self.has_back_ends)
        self.partitions: Sequence[str] = self.settings.partitions.names
        self.told = self.plan.window
        self.blocks = self.plan.blocks
        self.counts: Counter[str] = Counter()
        self.moments: Counter[Moment] = Counter()
        self.history: list[Event] = []
        self.trace: list[tuple[int, str]] = []
        self.logs: list[Any] = []
        self.devices: list[Device] = []
        self.disk = options.disk()
        self.held = HeldPushes(self._report)
        self.gateway = PushGateway(Random(f"{seed} gateway"), self.record, self.counts)
        self.back_end = BackEnd(self.gateway, Random(f"{seed} back end"), self._report, self.counts)
        self.server: Parts | None = None
        self.port = Port()
        self.shop: Shop | None = None
        self._seen_upto: dict[str, int] = {}
        """By partition how far the device that slept has what came while somebody looked at it."""
        self.event_queue: EventQueue
        self._transcript = hashlib.sha256()
        self._violations: list[Violation] = []
        self._written = 0
        self.erased = ""
        self.departed = ""
        """Whose devices do not come back at the end."""
        self._faults = list(self.plan.faults)
        self._under_way = 0  # faults that are armed and have not happened
        self._life = trio.CancelScope()
        self._streams: list[trio.abc.HalfCloseableStream] = []
        """Of those who come by HTTP, in the life of the server that goes on."""
        self._lines: list[NetworkLink] = []
        self._lost_lines: list[NetworkLink] = []
        self._jumped_ms = 0  # ahead of the time
        self._copy: tuple[int, Disk] | None = None
        """The last backup, and how many events had happened by then."""
        self._is_stuck = False
        self._nursery: trio.Nursery
        self._seconds = 0.0

    # What devices ask for.

    def record(self, event: Event) -> None:
        self.history.append(event)
        self.held.note(event)
        if isinstance(event, Pushed) and event.kind != "clear" and self.server is not None:
            with self.disk.snapshot() as view:
                self.held.judge(event, view, self.server.timekeeper.now())
            there = self.held.active(event.device.eid, self.devices)
            self.event_queue.after(GONE_SECONDS, self.held.still_there, event, there)
        if isinstance(event, Batch) and self.server is not None:
            self._look_for_gone(event, self.server.timekeeper.now())
        if self.options.trace:
            self.trace.append((self.event_queue.tick, str(event)))

    def _look_for_gone(self, batch: Batch, now: int) -> None:
        """No content is seen when its time has passed, but for what was on its way."""
        for delivery in batch.deliveries:
            if not delivery.expires_at:
                continue
            self.counts["disappearing: " + ("gone" if delivery.erased else "seen")] += 1
            late = now - delivery.expires_at
            if not delivery.erased and late > GONE_MS * self.plan.hurry + 2 * STEP_MS:  # what a restart may be off
                line = f"{batch.device} was shown {delivery.id} of {delivery.author} {late} ms after its time"
                self._report("I10", "seen after its time", line)

    def may_write(self) -> bool:
        if self._written >= self.plan.messages:
            return False
        self._written += 1
        if self._faults and self._faults[0].at <= self._written:
            seconds = self.random.uniform(0.0, 0.1)
            while self._faults and self._faults[0].at <= self._written:
                self._under_way += 1
                self.event_queue.after(seconds, self._strike, self._faults.pop(0))
        return True

    def dial(
        self, name: Name, random: Random, on_frame: Callable[[bytes], None], on_end: Callable[[int], None]
    ) -> NetworkLink | None:
        server = self.server
        if server is None or server.processes is None:
            return None
        line = NetworkLink(self.event_queue, random, on_frame=self._overhear(name, on_frame), on_end=on_end)
        claims = Claims(name.eid, name.device, FOR_EVER, str(name))
        try:
            server.connections.start_soon(_serve, server, claims, line.connection)
        except (SupervisionError, AssertionError):
            return None
        self._lines.append(line)
        self.counts["connections"] += 1
        return line

    def _overhear(self, name: Name, on_frame: Callable[[bytes], None]) -> Callable[[bytes], None]:
        label = str(name).encode()

        def arrived(frame: bytes) -> None:
            self._transcript.update(b"%d %s %d " % (self.event_queue.tick, label, len(frame)))
            self._transcript.update(frame)
            on_frame(frame)

        return arrived

    # What goes wrong.

    def _strike(self, fault: Fault) -> None:
        if self.server is None or (fault.moment != "now" and self._worker.trap is not None):
            self.event_queue.after(0.1, self._strike, fault)  # one at a time
        elif fault.moment == "now":
            self._happen(fault)
        else:
            trap = self._worker.trap = fault.moment, lambda: self.event_queue.after(0, self._happen, fault)
            self.event_queue.after(1.0, self._lose_patience, fault, self._worker, trap)

    def _lose_patience(self, fault: Fault, worker: SlowWorker, trap: object) -> None:
        """No commit came, or the process is another one by now."""
        if worker.trap is trap:
            worker.trap = None
            self._strike(replace(fault, moment="now"))

    def _happen(self, fault: Fault) -> None:
        if self.server is None or (fault.what == "restore" and self._copy is None):
            self.event_queue.after(0.1, self._strike, fault)
            return
        self._note(f"{fault.what} {fault.kind} {fault.moment}")
        self._under_way -= 1
        self.moments[fault.moment] += 1
        if fault.what == "task kill":
            self._kill_a(fault.kind)
        elif fault.what == "backup":
            self._copy = len(self.history), self.disk.copy()
            self.counts["backups"] += 1
        elif fault.what == "restore":
            self._put_back()
        elif fault.what == "erase":
            self._under_way += 1
            self._nursery.start_soon(self._erase, fault.kind)
        elif fault.what == "clock jump":
            self._jumped_ms = int(fault.kind) * DAY
            self.counts["clock jumps"] += 1
        else:
            self.counts[f"{fault.what} {_WORDS[fault.moment]}"] += 1
            self._end_process(with_power=fault.what == "process kill")

    async def _erase(self, eid: str) -> None:
        """An operator withdraws the tokens of a user, and has them erased: asked again until they are not there."""
        self.record(Erased(eid))
        self.erased = eid
        for device in self.devices:
            if device.name.eid == eid:
                device.retire()
        await trio.sleep(2)  # who is knocking comes in, or does not
        is_there = True
        while is_there:
            server = self.server
            if server is not None and server.processes is not None:
                with trio.move_on_after(1), suppress(ValueError):
                    is_there = await Operations(server).erase_user(eid) is not None
            await trio.sleep(0.1)
        self.counts["erased users"] += 1
        self._under_way -= 1

    @property
    def _left(self) -> list[Device]:
        """The devices of users who are there still."""
        return [device for device in self.devices if device.name.eid not in {self.erased, self.departed}]

    def _connect(self) -> trio.abc.HalfCloseableStream:
        """A client by HTTP knocks."""
        stream = self.port.connect()
        self._streams.append(stream)
        return stream

    def _note(self, what: str) -> None:
        line = f"*** {what}"
        self._transcript.update(b"%d %s" % (self.event_queue.tick, line.encode()))
        self.trace.append((self.event_queue.tick, line))

    def _end_process(self, *, with_power: bool) -> None:
        """The server is no more, from one instant to the next.

        Its tasks end a little later, as tasks do, but as ghosts: with the connections that they hold and with the
        disk that they write nobody has to do any more.
        """
        self.counts["process kills" if with_power else "power losses"] += 1
        self.disk = self.disk.after_kill(self.random) if with_power else self.disk.after_power_loss(self.random)
        self.server = None
        lines, self._lines = self._lines, []
        for line in lines:
            self.counts["frames that met no room"] += line.busy
            line.lose()
        self._lost_lines += lines
        streams, self._streams = self._streams, []
        for stream in streams:
            cut(stream)  # else a ghost would answer, and what it answers is on no disk
        self._life.cancel()

    def _put_back(self) -> None:
        """The server ends, and an older copy takes the place of its store."""
        assert self._copy is not None
        made, copy = self._copy
        with self.disk.snapshot() as view:
            newest = max(last_stamp(view), self.disk.newest_served)
            given = view.get(Table.META, ("conversations",)) or 0
        self._end_process(with_power=True)
        for line in self._lost_lines:
            line.lose_everything()
        self.disk = copy.put_in_place(newest, ConversationId(max(given, self.disk.newest_conversation)))
        self.record(PutBack(made))
        self.counts["restores"] += 1

    def _kill_a(self, kind: str) -> None:
        server = self.server
        if server is None:
            self.event_queue.after(0.1, self._kill_a, kind)
            return
        assert server.processes is not None
        paths = [path for path in _paths(server.processes, "bimip") if _kind(path) == kind]
        if not paths:
            self.event_queue.after(0.1, self._kill_a, kind)
            return
        path = self.random.choice(paths)
        self._note(f"kill {path}")
        self.counts["task kills"] += 1
        self._nursery.start_soon(self._kill, server.processes, path)

    async def _kill(self, processes: Tree, path: str) -> None:
        try:
            await processes.kill(path)
        except NoSuchProcess:
            self.counts[f"kill {_kind(path)}: gone meanwhile"] += 1

    def _end_at_start(self, disk: Disk) -> None:
        if self.server is None and self.disk is disk:
            with_power = self.random.random() < 0.5
            self._note(f"ended while it starts, {'with' if with_power else 'without'} power")
            self.counts["ended while it starts"] += 1
            self._end_process(with_power=with_power)

    # The run.

    async def run(self) -> None:
        self.event_queue = EventQueue()
        async with trio.open_nursery() as self._nursery:
            self._nursery.start_soon(self.event_queue.run)
            self._nursery.start_soon(self._serve_on)
            await self._load()
            await self._come_to_rest()
            self._inspect()
            self._seconds = trio.current_time()
            self._nursery.cancel_scope.cancel()

    async def _serve_on(self) -> None:
        """One incarnation of the server after the other."""
        while True:
            self._life = trio.CancelScope()
            with self._life:
                await self._serve_once()
            await trio.sleep(self.random.uniform(0.01, 0.5))

    async def _serve_once(self) -> None:
        disk = self.disk
        self._worker = SlowWorker(disk, self.random)
        serving = open_virtual_server(
            lambda: disk,
            settings=self.settings,
            open_worker=lambda: self._worker,
            wall_clock=partial(self._wall_clock, self.random.randint(-STEP_MS, STEP_MS)),
            monotonic=self._monotonic,
            seed=self.random.getrandbits(64),
            gateway=self.back_end,
            listen=self.port.open,
        )
        try:
            if self.counts["starts"] and self.random.random() < FAILED_STARTS:
                self.event_queue.after(self.random.uniform(0.0, 0.02), self._end_at_start, disk)
            async with serving as server:
                if disk is self.disk:
                    self.server = server
                    self.counts["starts"] += 1
                await trio.sleep_forever()
        except Exception as error:  # noqa: BLE001 - whatever it is, it must not be
            self._report("I7", "escaped", f"{type(error).__name__}: {error}")
            if disk is self.disk:
                self.server = None
                for line in self._lines:
                    line.lose()

    def _wall_clock(self, step_ms: int) -> Millis:
        return Millis(BEGIN + int(trio.current_time() * 1000 * self.plan.hurry) + step_ms + self._jumped_ms)

    def _monotonic(self) -> float:
        return trio.current_time() * self.plan.hurry

    async def _load(self) -> None:
        late_user, late_device = self.plan.late
        names = [Name(eid, device) for eid, devices in self.plan.users.items() for device in devices]
        late = Name(late_user, late_device)
        sleeper = await self._fall_asleep([*names, SLEEPER])
        names.append(SLEEPER)
        self._launch(names[:-1], names)  # nobody addresses the late one: first that is refused, and resent it is not
        await self._until(
            "a first connection", lambda: all(device.is_connected for device in self.devices if device is not sleeper)
        )
        self._befriend()
        self._open_shop()
        mood = Mood(writes=True, cuts=True, dawdles=True, forgets=True, pause_seconds=self.plan.pause_seconds)
        self._behave(mood)
        await self._until("half of the load", lambda: self._written >= self.plan.messages // 2)
        self._launch([late], names, start=0)
        self._behave(mood)
        self._sleeper = sleeper
        await self._until(
            "the end of the load",
            lambda: self._written >= self.plan.messages and not self._faults and not self._under_way,
        )

    def _launch(self, names: Sequence[Name], directory: Sequence[Name], start: int = FIRST) -> None:
        for name in names:
            device = Device(name, self, Random(f"{self.seed} {name}"), directory, start)
            self.devices.append(device)
            device.begin()

    async def _fall_asleep(self, directory: Sequence[Name]) -> Device:
        """A device subscribes to push and is not connected any more, until all comes to rest."""
        self._launch([SLEEPER], directory)
        (sleeper,) = self.devices
        while not sleeper.is_subscribed:
            sleeper.subscribe()
            await sleep_ticks(TICKS)
        sleeper.retire()
        sleeper.cut()
        return sleeper

    def _not_pushed(self) -> Iterator[str]:
        """What came for the device that sleeps, and its gateway was not told of. Where days pass, it may be too old."""
        with self.disk.snapshot() as view:
            user = view.get(Table.USERS, (SLEEPER.eid,))
            subscriptions = [] if user is None else subscriptions_of(view, user.number)
            for key, subscription in subscriptions if self.plan.hurry == 1 else ():
                for partition in PushRules().partitions:
                    after = self._seen_upto.get(partition, 0)
                    for _, entry in view.read(LogTable.ENTRIES, (user.number, partition), after, limit=100_000):
                        told = self.gateway.newest.get((subscription.token, conversation_id(entry.conversation)), 0)
                        if told < entry.stamp and self._is_to_be_pushed(view, key.user, entry, subscription.created):
                            yield f"{entry.conversation_offset} of {conversation_id(entry.conversation)}, {partition}"

    def _is_to_be_pushed(self, view: Any, user: UserId, entry: Entry, since: Millis) -> bool:
        """Whether there is no reason why a message is not pushed, such as that it is gone by now."""
        place = (entry.conversation, entry.conversation_offset)
        state, body = view.get(Table.MESSAGE_STATES, place), view.get(Table.BODIES, (entry.stamp,))
        is_there = body is not None and not stored.parse(body).expires_at and not stored.parse(body).erased
        is_new = millis_of(entry.stamp) > since + 2 * STEP_MS
        is_theirs = entry.author != user and entry.origin and not entry.addressed
        return is_there and is_new and bool(is_theirs) and not (state is not None and state.deleted)

    def _befriend(self) -> None:
        """Each user and the next one ask each other."""
        devices = {device.name.eid: device for device in self._left if device is not self.devices[0]}
        for one, other in pairwise(devices.values()):
            one.befriend(other.name.eid)
            other.befriend(one.name.eid)

    def _behave(self, mood: Mood) -> None:
        for device in self.devices:
            device.mood = mood

    async def _come_to_rest(self) -> None:
        """Everybody is answered, has everything and has acknowledged it; then everybody looks once more."""
        self._behave(CALM)
        self._befriend()
        self._jumped_ms = 0  # the way back may have come before the way there
        await self._until("what is pushed", lambda: self.server is not None and not any(self._not_pushed()))
        for line in self._not_pushed():
            self._report("I4", "not pushed", line)
        self._sleeper.wake()
        await self._until("everything", self._is_complete)
        await self._doze()
        for device in self.devices:
            device.acknowledge_all()
        await trio.sleep(2)
        await self._until("everything", self._is_complete)
        for device in self.devices:
            device.cut()
        await self._until("everything once more", self._is_complete)
        await trio.sleep(2)
        await self._close_shop()
        if self.has_back_ends:
            await self._until("what back ends are told", self._is_told)
            for line in self._not_told():
                self._report("I4", "not told", line)
        await self._until("everything to the end", self._is_complete)
        await self._show_themselves()

    async def _doze(self) -> None:
        """All write to the device that slept, which is connected, and nobody looks at it: what it acknowledges is
        pushed all the same.
        """
        if self.plan.hurry > 1:
            return
        self._sleeper.look_away()
        await trio.sleep(SETTLED_SECONDS)
        with self.disk.snapshot() as view:  # what came to a group while somebody looked is pushed to nobody
            number = view.get(Table.USERS, (SLEEPER.eid,)).number
            logs = view.scan(Table.LOGS, (number,), (number + 1,), limit=8)
            self._seen_upto = {partition: log.head for (_, partition), log in logs}
        writers = {device.name.eid: device for device in self._left if device is not self._sleeper}
        for device in writers.values():
            device.write_to(SLEEPER.eid)
        await self._until("what is written to who looks away", self._is_complete)
        await self._until("what is pushed to who looks away", lambda: not any(self._not_pushed()), PUSHED_SECONDS)
        for line in self._not_pushed():
            self._report("I4", "not pushed", f"{line}, and nobody looks at {SLEEPER}")

    def _is_told(self) -> bool:
        """Whether back ends were told of everything, and it is on disk that they were."""
        with self.disk.snapshot() as view:
            return self.server is not None and not events_behind(view, 0, 1) and not any(self._not_told())

    def _open_shop(self) -> None:
        if self.has_back_ends:
            self.shop = Shop(
                self._connect,
                random=Random(f"{self.seed} shop"),
                record=self.record,
                report=self._report,
                counts=self.counts,
                customers=list(self.plan.users),
                orders=ORDERS,
            )
            self.shop.forgets = self.plan.hurry > 1
            self._nursery.start_soon(self.shop.run)

    async def _close_shop(self) -> None:
        """It has written all, and its reader has all that is there."""
        shop = self.shop
        if shop is not None:
            await self._until("a shop's orders", lambda: shop.is_done and not any(shop.lacks()))
            for line in shop.lacks():
                self._report("I4", "not streamed", line)
            shop.close()
            await trio.sleep(1)

    def _not_told(self) -> Iterator[str]:
        with self.disk.snapshot() as view:
            yield from self.back_end.not_told(view)

    async def _show_themselves(self) -> None:
        """Everybody says how they are and what they do, and all see it; then one user goes, and all see that."""
        for device in self._left:
            device.say_of_user(3)
        await trio.sleep(SEEN_SECONDS)
        await self._until("what was said", self._is_complete)
        self.departed = self.random.choice(sorted({device.name.eid for device in self._left}))
        for device in self.devices:
            if device.name.eid == self.departed:
                device.retire()
                device.cut()
        await trio.sleep(SEEN_SECONDS)
        await self._until("what they leave", self._is_complete)

    def _is_complete(self) -> bool:
        return not any(self._lacks())

    def _lacks(self) -> Iterator[str]:
        """What is on disk and not yet where it belongs."""
        server = self.server
        if server is None:
            yield "a server"
            return
        if len(server.queue):
            yield f"{len(server.queue)} operations"
        with self.disk.snapshot() as view:
            if view.scan(Table.ERASING, (), Table.ERASING.schema.end, limit=1):
                yield "the end of an erasure"
            for device in self._left:
                user = view.get(Table.USERS, (device.name.eid,))
                if not device.is_connected or user is None:
                    yield f"{device.name}: a connection"
                    continue
                if device.calls:
                    yield f"{device.name}: the end of {device.calls}"
                if device.outbox:
                    yield f"{device.name}: answers for {list(device.outbox)}"
                for partition, position in device.positions.items():
                    log = view.get(Table.LOGS, (user.number, partition))
                    if log is not None and position.offset < log.head:
                        yield f"{device.name}: {partition} up to {log.head}, it has {position.place()}"
                state = view.get(Table.STATES, (user.number,))
                if state is not None and device.version < state.head:
                    yield f"{device.name}: state up to {state.head}, it has {device.version}"

    async def _until(self, what: str, done: Callable[[], bool], seconds: int = REST_SECONDS) -> None:
        seconds = min(seconds, STUCK_SECONDS) if self._is_stuck else seconds
        for _ in range(seconds * 8):
            if done():
                return
            await sleep_ticks(TICKS // 8)
        lacks = "; ".join(list(self._lacks())[:5])
        self._is_stuck = True
        self._report("I4", "stuck", f"after {seconds} s all wait for {what}: {lacks}")

    # The verdict.

    def _report(self, invariant: str, kind: str, line: str) -> None:
        self._violations.append(Violation(invariant, kind, line))

    def _inspect(self) -> None:
        """The tree has its shape again, and nothing waits in it."""
        server = self.server
        if server is None or server.processes is None:
            self._report("I7", "gone", "there is no server at the end")
            return
        tree = server.processes.snapshot()
        found = {process.path.removeprefix("bimip/"): process for process in tree.walk()}
        expected = {"bimip", *PARTS}
        for device in self._left:
            eid, name = f"users/{device.name.eid}", f"users/{device.name}"
            expected |= {eid, name, f"{name}/reader", f"{name}/fetcher"}
        shape = {path for path in found if not path.startswith("gateway/connections/")}
        if shape != expected:
            self._report("I7", "out of shape", f"missing {expected - shape}, too many {shape - expected}")
        for path, process in found.items():
            if process.state is not State.RUNNING:
                self._report("I7", "out of shape", f"{path} is {process.state.name}")
        if len(found) - len(shape) != len(self._left):
            self._report("I7", "out of shape", f"{len(found) - len(shape)} connections of {len(self._left)} devices")
        if len(server.queue):
            self._report("I7", "left over", f"{len(server.queue)} operations in the queue")
        off = server.timekeeper.now() - BEGIN - int(trio.current_time() * 1000 * self.plan.hurry)
        if abs(off) > 2 * STEP_MS or server.timekeeper.held:
            self._report("I4", "wrong time", f"the server is {off} ms ahead of the time: {server.timekeeper.held}")
        with self.disk.snapshot() as view:
            logs = view.scan(Table.LOGS, (0, ""), (1 << 32, ""), limit=1000)
            self._look_for_erased(view)
        self.counts["expired"] = sum(log.first - 1 for _, log in logs)

    def _look_for_erased(self, view: Any) -> None:
        """Nothing in the store names who was erased, or holds what they wrote: each payload begins with its author. But
        the titles that they gave to groups with members stay.
        """
        deserted = [record for record in view.records[Table.GROUPS].values() if not record.members]
        if self.erased and any(self.erased in record.title for record in deserted):
            self._report("I10", "found", f"a group has a title of {self.erased}, and no members")
        for table in Table if self.erased else ():
            for key, record in view.records[table].items():
                if self.erased in re.sub(f"(group of|renamed by) {self.erased}", "", f"{key} {record}"):
                    self._report("I10", "found", f"{self.erased} is in {table.value} {key}: {str(record)[:200]}")

    def judge(self) -> Outcome:
        self.counts["users"] = len(self.plan.users)
        self.counts["devices"] = len(self.devices)
        for device in self.devices:
            self.counts.update(device.counts)
        self._judge_logs()
        self._judge_gaps()
        violations = [*self._violations, *check(self.history, excused=(GapReason.EXPIRED,))]
        return Outcome(
            self.seed,
            violations,
            self.counts,
            self.moments,
            self._transcript.hexdigest(),
            self._seconds,
            self.history,
            self.trace,
        )

    def _judge_gaps(self) -> None:
        """Only what is meant to go is gone."""
        days_pass = self.plan.hurry > 1
        gaps = GapInvariants(
            self._report,
            expiring=frozenset({EXPIRING} if days_pass else ()),
            until_acked=frozenset({UNTIL_ACKED}),
            may_be_stale=days_pass,
        )
        gaps.check(self.history)
        self.counts["told as expired"] += gaps.told

    def _judge_logs(self) -> None:
        """What the server complained about, apart from what was done to it."""
        for entry in self.logs:
            event, reason = str(entry.get("event")), str(entry.get("reason", ""))
            if event == "process ended" and reason == "killed":
                self.counts[f"kill {_kind(entry['path'])}: {_WILL[entry['will']]}"] += 1
            elif event in CLOCK:
                self.counts["clock changes"] += 1
            elif event != "process ended":
                self.counts[event] += 1
            if event not in EXPECTED_LOGS or reason.startswith("crashed"):
                self._report("I7", "escaped", str({key: entry[key] for key in entry if key != "exc_info"})[:500])


_WORDS = {"now": "at any moment", "before": "before a commit is on disk", "after": "between commit and answer"}
_WILL = {"RESTART": "restarted", "IGNORE": "ended", "GIVE_UP": "given up"}


async def _serve(server: Parts, claims: Claims, connection: MemoryConnection) -> None:
    """What the gateway does for a socket, for its whole life."""
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_admit, server, claims, connection)
            await connection.wait_closed()
            nursery.cancel_scope.cancel()
    finally:
        connection.cut(1001, "the server stops; please connect again")


async def _admit(server: Parts, claims: Claims, connection: MemoryConnection) -> None:
    try:
        await server.users.attach(claims, connection, [])
    except RefusedError as error:
        connection.close(error.code, error.reason)


def _paths(tree: Tree, path: str) -> Iterator[str]:
    """Of a process and all below it, as they are now."""
    yield path
    with suppress(NoSuchProcess):
        for child in tree.which_children(path):
            yield from _paths(tree, child.path)


def _kind(path: str) -> str:
    match path.split("/")[1:]:
        case [part]:
            return part
        case ["gateway", part]:
            return part
        case ["gateway", "connections", _]:
            return "connection"
        case ["users", _]:
            return "session"
        case ["users", _, _]:
            return "device"
        case ["users", _, _, part]:
            return part
    return ""
