"""The server, put together: read this first.

`tree` is the supervision tree as one literal, in the order in which its processes start; they stop in reverse. Parts
hold handles to each other that outlive a restart, so each restarts alone. Everything from outside (time, randomness,
threads, sockets, the disk) comes through `Surroundings`, so that the whole server also runs in one thread under a
virtual clock.
"""

import gc
import resource
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from functools import partial
from importlib.metadata import version
from random import Random, SystemRandom
from typing import Any

import structlog
import trio
import trio.abc

from bimip import console
from bimip.config import ConfigError, Settings
from bimip.domain.clock import signal_id
from bimip.domain.expiring import last_stamp
from bimip.domain.ids import ConversationId, ConversationOffset, Millis, Stamp
from bimip.domain.operations import Barrier, NoteTime, Refused
from bimip.domain.records import DamagedRecordError
from bimip.domain.rules import Rules
from bimip.domain.timekeeping import DAY, SECOND, Known, Timekeeper, Tolerance, known_time
from bimip.gateway.authentication import TokenSettings, Verifier
from bimip.gateway.connection_log import ConnectionLog
from bimip.gateway.listener import Listener, OpenListeners, open_tcp
from bimip.gateway.poller import Poller
from bimip.gateway.serving import Gateway
from bimip.gateway.settings import GatewaySettings
from bimip.gateway.tls import Certificate, TlsError
from bimip.names import NameRefusedError, conversation_id, normal_eid
from bimip.storage.errors import StorageError
from bimip.storage.interface import Store
from bimip.storage.journal import Journal, JournalStatistics
from bimip.storage.lmdb import LmdbStore
from bimip.storage.memory import MemoryStore
from bimip.storage.queue import OperationQueue
from bimip.storage.retention import Retention, RetentionSettings
from bimip.storage.worker import ThreadWorker, Worker
from bimip.supervision import (
    INFINITY,
    Alarms,
    Child,
    Children,
    ChildSpec,
    Crashed,
    DynamicSupervisor,
    Factory,
    GaveUp,
    Report,
    SupervisionError,
    Supervisor,
    Tree,
    TurnMeter,
    Turns,
    current_child,
    open_tree,
)
from bimip.users.rates import Rate, RateBook
from bimip.users.registry import Users
from bimip.users.services import Services
from bimip.wire import stored
from bimip.wire.limits import Limits

_log = structlog.get_logger("bimip")

LOGIN_BURST_SECONDS = 20.0
"""All devices of a user come back at once, and some of them twice."""
SWITCH_SECONDS = 0.0002
"""After which a thread that waits for the interpreter's lock gets it."""
RESERVED_FILES = 64
"""For the store, the console and the log, of those that the system allows: health checks answer all the same."""
LEAST_CONNECTIONS = 8
GC_THRESHOLD = 2_000
"""New objects until the collector looks at the youngest."""


def wall_clock() -> Millis:
    return Millis(time.time_ns() // 1_000_000)


monotonic: Callable[[], float] = partial(time.clock_gettime, getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
"""Seconds that pass while the machine sleeps too: its waking is no jump of the wall clock."""


@dataclass(frozen=True)
class Surroundings:
    """What the server gets from the machine."""

    open_store: Callable[[Settings], Store]
    open_worker: Callable[[], Worker] = ThreadWorker
    wall_clock: Callable[[], Millis] = wall_clock
    monotonic: Callable[[], float] = monotonic
    random: Random = field(default_factory=SystemRandom)
    open_listeners: OpenListeners = open_tcp
    lost_log_lines: Callable[[], int] = int
    """How many could not be written; by default none."""
    open_console: Callable[[str, int], Awaitable[Sequence[trio.abc.Listener[Any]]]] = console.open_loopback


class Server:
    """The parts, and what they share. What outlives a process of the tree is made here, once."""

    def __init__(self, settings: Settings, surroundings: Surroundings) -> None:
        self.settings = settings
        self.surroundings = surroundings
        self.store = surroundings.open_store(settings)
        self.worker = surroundings.open_worker()
        self.alarms = Alarms()
        self.queue = OperationQueue()
        self.timekeeper = _timekeeper(settings, surroundings, self.store)
        self.journal_statistics = JournalStatistics()
        self.verifier = Verifier(_token_settings(settings))
        self.certificate = _certificate(settings)
        self.services = self._services()
        self.users = Users(self.services)
        self.connections = Connections()
        self.poller = Poller()
        self.journal_turns = Turns(trio.current_time)
        self.gateway = Gateway(
            _gateway_settings(settings, self.certificate),
            self.verifier,
            self.users.attach,
            self.timekeeper.now,
            self.poller,
            self.alarms,
            self.users.is_revoked,
            tell=ConnectionLog(_log.info, monotonic).tell,
            grace=lambda: current_child().grace(),
        )
        self.listener = Listener(
            self.gateway.settings,
            self.gateway.serve_connection,
            self.connections,
            shuts_out=self.gateway.shuts_out,
            open_listeners=surroundings.open_listeners,
        )
        self.console_port = settings.console.port
        self.processes: Tree | None = None

    def tree(self) -> Supervisor:
        return Supervisor(
            [
                ChildSpec("alarms", self._alarms),
                ChildSpec("journal", self._journal, shutdown=INFINITY),
                ChildSpec("users", Factory(self.users.supervisor)),
                ChildSpec("retention", self._retention),
                ChildSpec(
                    "gateway",
                    Supervisor(
                        [
                            ChildSpec("poller", self._poller),
                            ChildSpec("connections", DynamicSupervisor(on_ready=self.connections.adopt)),
                            ChildSpec("listener", self._listener),
                        ]
                    ),
                ),
                ChildSpec("console", self._console),
            ],
            intensity=10,
            period=60.0,
        )

    async def _alarms(self, child: Child) -> None:
        child.describe(lambda: {"set": len(self.alarms)})
        child.started()
        await self.alarms.run()

    async def _journal(self, child: Child) -> None:
        journal = Journal(
            store=self.store,
            queue=self.queue,
            worker=self.worker,
            rules=Rules(
                encode=encode,
                partitions=frozenset(self.settings.partitions.names),
                accept_unknown_recipients=self.settings.users.accept_unknown_recipients,
                window_entries=self.settings.limits.window_entries,
                max_stored_bytes=self.settings.limits.max_stored_bytes_per_user,
            ),
            wall_clock=self.timekeeper.now,
            known_time=self.timekeeper.known,
            committed=self.users.committed,
            report=report,
            ack_delay_seconds=self.settings.limits.ack_delay_seconds,
            statistics=self.journal_statistics,
        )
        child.describe(
            lambda: {
                "backlog": len(self.queue),
                "damage": self.store.damage.count,
                **asdict(self.journal_statistics),
                "clock": self.timekeeper.held or "followed",
                **self.journal_turns.describe(),
            }
        )
        await journal.run(child.started)

    async def _retention(self, child: Child) -> None:
        retention = Retention(
            store=self.store,
            queue=self.queue,
            partitions=self.settings.partitions.names,
            passed=self.timekeeper.passed,
            note_time=self.timekeeper.note,
            settings=RetentionSettings(
                self.settings.retention.history_days,
                self.settings.retention.dedup_days,
                self.settings.retention.every_seconds,
            ),
        )
        child.describe(lambda: asdict(retention.statistics))
        child.started()
        await retention.run()

    async def _poller(self, child: Child) -> None:
        child.describe(lambda: {"sockets": len(self.poller), **self.poller.turns.describe()})
        child.started()
        await self.poller.run()

    async def _listener(self, child: Child) -> None:
        child.describe(
            lambda: {
                "port": self.listener.port,
                "turned_away": self.listener.turned_away,
                **asdict(self.gateway.admission.statistics()),
            }
        )
        await self.listener.run(child.started)

    async def _console(self, child: Child) -> None:
        parts = console.Parts(
            tree=lambda: self.processes,
            readiness=self.readiness,
            operator_token=self.settings.console.read_operator_token().reveal(),
            now=self._seconds,
            user=self.describe_user,
            clock=self.timekeeper.describe,
            accept_clock=self.accept_clock,
        )
        listen = self.settings.console

        def started(port: object) -> None:
            assert isinstance(port, int)
            self.console_port = port  # a free one that the system chose stays, over restarts
            child.started(port)

        child.describe(lambda: {"lost_log_lines": self.surroundings.lost_log_lines()})
        serve_console = console.make_console(
            console.make_application(parts), lambda: self.surroundings.open_console(listen.host, self.console_port)
        )
        await serve_console(started)

    def readiness(self) -> list[str]:
        """Why the server should get no new work now; empty when it is ready."""
        reasons = []
        journal = self.journal_statistics
        if not journal.writable or journal.fault:
            reasons.append(f"the journal cannot write: {journal.fault or 'it is starting'}")
        self.timekeeper.now()
        if self.timekeeper.held:
            reasons.append(self.timekeeper.held)
        if self.processes is not None:
            reasons += console.nearly_spent(self.processes.budgets())
        return reasons

    async def describe_user(self, eid: str) -> Mapping[str, object] | None:
        with suppress(NameRefusedError):
            return self.users.describe(normal_eid(eid))
        return None

    async def accept_clock(self) -> bool:
        """An operator says that the machine's clock is right. Whether the store knows of it too. Raises ValueError."""
        accepted = self.timekeeper.accept()
        _log.warning("an operator took the machine's clock over", time=accepted)
        return not isinstance(await self.queue.execute(NoteTime(self.timekeeper.known())), Refused)

    def _seconds(self) -> float:
        return self.timekeeper.now() / 1000

    def reload(self) -> None:
        """Read again what may change while the server runs: the certificate. What cannot be used changes nothing."""
        if self.certificate is None:
            _log.info("nothing to reload")
            return
        try:
            self.certificate.reload()
        except TlsError as error:
            _log.error("the certificate was not reloaded; the old one stays", error=str(error))
        else:
            _log.info("the certificate was reloaded")

    @contextmanager
    def turns_metered(self) -> Iterator[None]:
        """Every task's turns in here, once all has started, are timed; of its own the poller knows better whose."""
        apart = {"bimip/journal": self.journal_turns, "bimip/gateway/poller": None}
        meter = TurnMeter(self.poller.turns, apart, time.perf_counter)
        trio.lowlevel.add_instrument(meter)
        try:
            yield
        finally:
            trio.lowlevel.remove_instrument(meter)

    async def drain(self) -> None:
        """Accept nobody any more, and answer what was asked."""
        assert self.processes is not None
        with trio.move_on_after(self.settings.gateway.drain_seconds):
            with suppress(SupervisionError):
                await self.processes.terminate("bimip/gateway/listener")
            await self.queue.execute(Barrier())

    def close(self) -> None:
        self.worker.close()
        self.store.close()
        self.poller.close()

    def _services(self) -> Services:
        settings, surroundings = self.settings, self.surroundings
        return Services(
            store=self.store,
            queue=self.queue,
            limits=_limits(settings),
            partitions=settings.partitions.names,
            wall_clock=self.timekeeper.now,
            verify=lambda token: self.verifier.verify(token, self.timekeeper.now()),
            new_id=lambda: f"{surroundings.random.getrandbits(128):032x}",
            report=report,
            alarms=self.alarms,
            agent=f"bimip/{version('bimip')}",
            hello_seconds=settings.gateway.handshake_seconds,
            redelivery_rounds=settings.limits.redelivery_rounds,
            rates=_rates(settings),
            token_leeway_seconds=settings.tokens.leeway_seconds,
        )


class Connections:
    """The supervisor of connections, for those who hold on to it over its restarts."""

    def __init__(self) -> None:
        self._children: Children | None = None

    def adopt(self, children: Children) -> None:
        self._children = children

    def start_soon(self, async_fn: Callable[..., Awaitable[object]], *args: object) -> None:
        assert self._children is not None
        self._children.start_soon(async_fn, *args)


def encode(
    sent: Sequence[bytes],
    stamps: Sequence[Stamp],
    time: Millis,
    conversation: ConversationId,
    first: ConversationOffset,
) -> list[bytes]:
    """The stored forms of messages: the rules' one need of the wire."""
    return stored.store(
        sent,
        stamps=[(stamp, signal_id(stamp), time) for stamp in stamps],
        conversation=conversation_id(conversation),
        conversation_offset=first,
    )


def report(what: str, error: BaseException) -> None:
    """Something failed that was answered and goes no further."""
    _log.error(what, error=f"{type(error).__name__}: {error}", exc_info=error)


def report_process(event: Report) -> None:
    if isinstance(event, Crashed):
        _log.warning("process ended", path=event.path, reason=str(event.reason), will=event.will.name)
    elif isinstance(event, GaveUp):
        _log.error("supervisor gave up", path=event.path)


def open_store(settings: Settings) -> Store:
    store = settings.store
    if store.engine == "memory":
        return MemoryStore(quota_bytes=store.quota_bytes)
    opened = LmdbStore(
        store.path,
        map_bytes=store.map_size_bytes,
        quota_bytes=store.quota_bytes,
        serves=True,
        report_damage=lambda place: _log.error("the store is damaged", place=place, advice="run `bimip store check`"),
    )
    if opened.narrowed:
        narrowed = [str(path) for path in opened.narrowed]
        _log.warning("other accounts of this machine could read the store until now", narrowed=narrowed)
    if not opened.mark_is_beside:
        advice = "let the server write in the folder above, so that a whole folder that is put back is noticed too"
        _log.warning("the mark of what was served is not beside the store", mark=str(opened.mark_path), advice=advice)
    return opened


@asynccontextmanager
async def open_server(settings: Settings, surroundings: Surroundings) -> AsyncIterator[Server]:
    """The whole server, running. Leaving stops it in order; what is acknowledged is on disk all the time."""
    server = Server(settings, surroundings)
    try:
        async with open_tree(
            server.tree(),
            name="bimip",
            now=lambda: server.timekeeper.now() / 1000,
            report=report_process,
        ) as processes:
            server.processes = processes
            yield server
    finally:
        server.close()


def settle_garbage_collector() -> None:
    """What was made until now lives as long as the server: the collector need not look at it again.

    And it looks less often: every message makes objects that are gone a moment later without its help. With Python's
    own thresholds it took a quarter of the processor's time; a cycle costs a little memory until its turn comes.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD, 10, 1000)


def hand_over_quickly() -> None:
    """The journal's thread waits for the interpreter's lock several times for each commit. Beside a busy loop it gets
    it after 5 ms each, unless told otherwise: under attack that was most of what others waited for.
    """
    sys.setswitchinterval(SWITCH_SECONDS)


def allow_many_files() -> None:
    """A connection is a file, and systems allow a process 1024 unless it asks for what it may have."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


async def serve(settings: Settings, lost_log_lines: Callable[[], int] = int) -> None:
    """Run until SIGTERM or SIGINT: then stop accepting, close connections with 1001, and stop in order.

    SIGHUP reloads the certificate.
    """
    allow_many_files()
    hand_over_quickly()
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
        surroundings = Surroundings(open_store, lost_log_lines=lost_log_lines)
        async with open_server(settings, surroundings) as server:
            settle_garbage_collector()
            if settings.gateway.is_open_in_plaintext and not settings.gateway.allow_plaintext:
                _log.warning(
                    "plain WebSocket beyond this machine: tokens and messages can be read on the way, unless a proxy "
                    "in front speaks TLS and nobody else can reach this address: gateway.allow_plaintext says so",
                    host=settings.gateway.host,
                )
            _log.info("serving", port=server.listener.port, console=server.console_port, store=settings.store.path)
            with server.turns_metered():
                async for number in signals:
                    if number != signal.SIGHUP:
                        _log.info("stopping", signal=signal.Signals(number).name)
                        break
                    server.reload()
                await server.drain()
        _log.info("stopped")


def _timekeeper(settings: Settings, surroundings: Surroundings, store: Store) -> Timekeeper:
    known = Known()
    with suppress(StorageError, DamagedRecordError), store.snapshot() as view:
        known = known_time(view, max(last_stamp(view), store.newest_served))
    periods = (*settings.retention.history_days.values(), settings.retention.dedup_days)
    tolerance = Tolerance(
        int(settings.time.max_step_seconds * SECOND), settings.time.max_gap_days * DAY, max(periods) * DAY
    )
    return Timekeeper(surroundings.wall_clock, surroundings.monotonic, known, tolerance, report_clock)


def report_clock(held: str) -> None:
    if held:
        _log.error("the machine's clock is not followed", reason=held)
    else:
        _log.warning("the machine's clock is followed again")


def _limits(settings: Settings) -> Limits:
    limits = settings.limits
    return Limits(
        max_message_bytes=limits.max_message_bytes,
        max_frame_bytes=limits.max_frame_bytes,
        window_entries=limits.window_entries,
        window_bytes=limits.window_bytes,
        grace_period_ms=int(limits.grace_seconds * 1000),
        heartbeat_ms=int(settings.gateway.heartbeat_seconds * 1000),
        max_unanswered=limits.unanswered_requests,
        max_batch=limits.max_batch,
    )


def _rates(settings: Settings) -> RateBook:
    limits = settings.limits
    burst = limits.rate_burst_seconds
    return RateBook(
        Rate(limits.device_requests_per_second, limits.device_bytes_per_second, burst),
        Rate(limits.user_requests_per_second, limits.user_bytes_per_second, burst),
        Rate(limits.user_logins_per_second, 0, LOGIN_BURST_SECONDS),
    )


def _certificate(settings: Settings) -> Certificate | None:
    if not settings.gateway.tls_certificate:
        return None
    try:
        return Certificate(settings.gateway.tls_certificate, settings.gateway.tls_key)
    except TlsError as error:
        raise ConfigError(f"gateway.tls_certificate cannot be used: {error}") from None


def _gateway_settings(settings: Settings, certificate: Certificate | None) -> GatewaySettings:
    given, limits = settings.gateway, settings.limits
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    turning_away = min(256, max(1, files // 8))
    return GatewaySettings(
        host=given.host,
        port=given.port,
        tls=certificate,
        origins=given.origins,
        names=given.names,
        handshake_seconds=given.handshake_seconds,
        heartbeat_seconds=given.heartbeat_seconds,
        send_seconds=given.send_seconds,
        message_seconds=given.message_seconds,
        max_frame_bytes=limits.max_frame_bytes,
        max_first_frame_bytes=limits.max_first_frame_bytes,
        max_fragments=limits.max_fragments,
        extra_frames_per_second=limits.extra_frames_per_second,
        json_objects_per_second=limits.json_objects_per_second,
        address_openings_per_second=limits.address_openings_per_second,
        max_devices_per_user=limits.max_devices_per_user,
        max_connections_per_address=limits.max_connections_per_address,
        max_unauthenticated=limits.max_unauthenticated,
        max_unauthenticated_per_address=limits.max_unauthenticated_per_address,
        uncounted_addresses=limits.uncounted_addresses,
        max_turning_away=turning_away,
        max_connections=max(LEAST_CONNECTIONS, files - RESERVED_FILES - turning_away),
    )


def _token_settings(settings: Settings) -> TokenSettings:
    tokens = settings.tokens
    return TokenSettings(
        tokens.algorithm,
        tokens.read_key().reveal(),
        tokens.audience or None,
        tokens.issuer or None,
        tokens.leeway_seconds,
    )
