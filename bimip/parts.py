"""What outlives the processes of the tree, made once: each holds handles to others, so that each restarts alone."""

import resource
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

import structlog
import trio
from starlette.routing import Route

from bimip import __version__, api, console, web
from bimip.concurrency import Slices, Timers, Watch
from bimip.config import ConsoleSettings, Settings
from bimip.domain.awareness.missed_calls import PARTITION as MISSED_CALLS
from bimip.domain.awareness.missed_calls import MissCall
from bimip.domain.conversations.groups import PARTITION, GroupEvent
from bimip.domain.conversations.membership import ROLE_NAMES
from bimip.domain.core.clock import signal_id
from bimip.domain.core.identity import Claims
from bimip.domain.core.ids import ConversationId, ConversationOffset, Millis, Stamp, UserId
from bimip.domain.core.operations import Barrier
from bimip.domain.core.records import DamagedRecordError
from bimip.domain.core.rules import Bodies, Rules
from bimip.domain.keeping.timekeeping import Known, Timekeeper, known_time
from bimip.domain.messages.expiring import last_stamp
from bimip.domain.push.subscribing import PushOffer
from bimip.environment import Surroundings, monotonic, report
from bimip.gateway.authentication import Verifier
from bimip.gateway.connection_log import ConnectionLog
from bimip.gateway.draining import Draining
from bimip.gateway.listener import Listener
from bimip.gateway.poller import Poller
from bimip.gateway.serving import Gateway
from bimip.gateway.settings import GatewaySettings
from bimip.gateway.tls import Certificate
from bimip.health import LoopWatch, loop_is_behind, short_of_room
from bimip.http.server import HttpServer
from bimip.journal.journal import Committed, JournalStatistics
from bimip.journal.queue import OperationQueue
from bimip.names import conversation_id
from bimip.push.gateways import gateways_of, public_key_of
from bimip.push.process import Push, PushStatistics
from bimip.push.rings import Rings
from bimip.push.subscribers import Subscribers
from bimip.reading.people import Eids
from bimip.reading.places import NOWHERE, locate
from bimip.requests.rates import RateLimiter
from bimip.storage.errors import StorageError
from bimip.storage.interface import Store
from bimip.supervision import (
    Children,
    ReportCounts,
    ReportHistory,
    Tree,
    TurnMeter,
    Turns,
    current_child,
)
from bimip.users.attention import Attention
from bimip.users.awareness.notes import PresenceNotes
from bimip.users.calls import Calls
from bimip.users.connection import Connection
from bimip.users.locations import Locations
from bimip.users.refused_tokens import RefusedTokens
from bimip.users.registry import Users
from bimip.users.sends import PendingSends
from bimip.users.services import Services
from bimip.users.tracing import MessageTraces
from bimip.webhooks.process import WebhookStatistics
from bimip.wire import bimip_pb2 as pb
from bimip.wire import stored

_log = structlog.get_logger("bimip")

RESERVED_FILES = 64
"""For the store, the console and the log, of those that the system allows: health checks answer all the same."""
LEAST_CONNECTIONS = 8
AGENT = f"bimip/{__version__}"
HTTP_UNAUTHORIZED = 401


class Parts:
    """The server's parts, and what they share."""

    def __init__(self, settings: Settings, surroundings: Surroundings) -> None:
        self.settings = settings
        self.surroundings = surroundings
        self.store, self.worker = surroundings.open_store(settings), surroundings.open_worker()
        self.timers = Timers()
        self.queue = OperationQueue()
        self.timekeeper = _timekeeper(settings, surroundings, self.store)
        self.audit = surroundings.open_audit(settings, self.timekeeper.now)
        self.expiring = Watch(self.timers)
        """Rises when another message is to disappear, or none any more."""
        self.erasing = Watch(self.timers)
        """Rises when another user is to be erased."""
        self.journal_statistics = JournalStatistics()
        self.refused_tokens = RefusedTokens()
        self.verifier = Verifier(settings.tokens, self._note_refused)
        self.certificate = settings.gateway.read_certificate()
        self.gateways = gateways_of(settings.push, surroundings.random, AGENT)
        """By which devices are reached that are not connected."""
        sessions: dict[UserId, Any] = {}
        self.attention = Attention(sessions)
        self.subscribers = Subscribers(self.timers, self.attention.is_away, settings.push.delay_seconds)
        self.rings = Rings(self.subscribers)
        """What is pushed of calls."""
        self.push_statistics = PushStatistics()
        self.events = Watch(self.timers)
        """Rises when there may be something to tell back ends of."""
        self.webhook_statistics = WebhookStatistics()
        self.webhook_secrets = settings.webhooks.read_secrets()
        """Read once: what cannot be used ends the server now, and not each process again and again."""
        self.pushing: Push | None = None
        """The process's own, while there is one."""
        pending_sends, eids = PendingSends(), Eids(self.store)
        self.spans = surroundings.open_spans(settings.logging, self.timekeeper.now)
        says = [_log.debug] if self.spans is None else [_log.debug, self.spans.tell]
        self.traces = MessageTraces(self.store, eids, says, settings.logging.sample_messages)
        self.calls = self._calls(sessions, pending_sends)
        self.locations = self._locations(sessions, pending_sends, eids)
        self.services = self._services(sessions, pending_sends, eids)
        self.users = Users(self.services)
        self.connections = Connections()
        self.draining = self._draining()
        self.poller = Poller(served=self.services.slices.served)
        self.journal_turns = Turns(trio.current_time)
        self.connection_log = ConnectionLog(_log.info, monotonic)
        self.gateway = Gateway(
            _granted(settings.gateway, self.certificate),
            settings.limits,
            self.verifier,
            self._attach,
            self.timekeeper.now,
            self.poller,
            self.timers,
            HttpServer(
                api.make_application(
                    self.services,
                    self._attach,
                    origins=settings.gateway.origins,
                    names=settings.gateway.names,
                    more=self._pages(),
                ),
                settings.http,
                self.timekeeper.now,
                report,
            ),
            self.users.find_refusal,
            tell=self._tell_connection,
            grace=lambda: current_child().grace(),
        )
        self.listener = Listener(
            self.gateway.settings,
            self.gateway.serve_connection,
            self.connections,
            shuts_out=self.gateway.shuts_out,
            open_listeners=surroundings.open_listeners,
        )
        self._prepare_console(settings.console)
        self.processes: Tree | None = None
        self.reloads: Counter[str] = Counter()  # of settings, by what came of it
        self.loop_watch = LoopWatch(surroundings.service_manager, surroundings.loop_watch_seconds)
        self.process_counts = ReportCounts(kind_of_process)

    def _pages(self) -> Iterator[Route]:
        """Pages on the public port. Of the operator's there is something on them in the demonstration alone."""
        shown = self.surroundings.demonstration
        yield from web.page_routes(shows_demonstration=shown is not None)
        if shown is not None:
            yield from web.demonstration_routes(
                shown,
                tree=lambda: self.processes,
                now=self.seconds,
                history=lambda number: self.process_history.after(number),  # noqa: PLW0108 - it is made after the gateway
            )

    def _prepare_console(self, settings: ConsoleSettings) -> None:
        """Makes what the console has over its restarts."""
        self.console_port = settings.port
        self.operator_token = settings.read_operator_token()  # once, as webhooks' secrets
        self.metrics_token = settings.read_metrics_token()
        random = self.surroundings.random
        self.sessions = console.Sessions(lambda: random.randbytes(32).hex(), trio.current_time)
        """Operators' on the page."""
        self.process_history = ReportHistory(self.seconds)

    def readiness(self) -> list[str]:
        """Why the server should get no new work now; empty when it is ready."""
        reasons = self.draining.reasons()
        journal = self.journal_statistics
        if not journal.writable or journal.fault:
            reasons.append(f"the journal cannot write: {journal.fault or 'it is starting'}")
        self.timekeeper.now()
        if self.timekeeper.held:
            reasons.append(self.timekeeper.held)
        if self.processes is not None:
            # A user's own are theirs: what one of them makes crash must not take the server from all others.
            reasons += console.nearly_spent(self.processes.budgets(folded=True))
        reasons += loop_is_behind(self.loop_watch.lag_seconds, self.settings.health)
        with suppress(StorageError):  # then the journal says more
            reasons += short_of_room(self.store.statistics(), self.settings.health)
        return reasons

    def warnings(self) -> list[str]:
        """Lists what an operator should know, whether the server is ready or not."""
        lost = self.audit.lost
        return [f"{lost} records of the audit trail could not be written"] if lost else []

    def _tell_connection(self, what: str, connection: int, **more: object) -> None:
        self.connection_log.tell(what, connection, **more)
        if what == "token refused" or more.get("status") == HTTP_UNAUTHORIZED:
            source, reason = str(more.get("address") or ""), str(more.get("reason") or "")
            self.audit.note_sampled("token refused", who="a client", source=source, outcome=reason)

    def _note_refused(self, eid: str, device: str, reason: str) -> None:
        self.refused_tokens.note(eid, device, self.timekeeper.now(), reason)

    def refuse_operator(self, source: str, path: str) -> None:
        """Somebody showed the console a token that is not the operator's."""
        self.audit.note_sampled("operator's token refused", who="unknown", source=source, target=path)

    def committed(self, committed: Committed) -> None:
        """Tells what is on disk now."""
        if self.traces.every:
            self._trace(committed)
        self.users.committed(committed)
        self.subscribers.committed(committed.news, resync=committed.resync)
        if committed.has_events or committed.resync:
            self.events.notify()

    def _trace(self, committed: Committed) -> None:
        try:
            self.traces.committed(committed.news)
        except Exception as error:  # noqa: BLE001 - what is said of messages must not keep anybody from them
            report("following messages failed", error)

    def seconds(self) -> float:
        return self.timekeeper.now() / 1000

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
        """Accept nobody any more, answer what was asked, and close who is connected, over the time that the settings
        name. Cancelling it goes on with that; `self.draining.begin` shortens it.
        """
        gateway = self.settings.gateway
        self.draining.begin(gateway.drain_spread_seconds)
        with trio.move_on_after(gateway.longest_drain_seconds):
            await self.draining.wait_drained()

    def _draining(self) -> Draining:
        return Draining(
            self.surroundings.random,
            connected=self.users.list_connections,
            sockets=self.connections,
            answer=lambda: self.queue.execute(Barrier()),
            answer_seconds=lambda: self.settings.gateway.drain_seconds,
        )

    def _attach(self, claims: Claims, connection: Connection, frames: list[bytes]) -> Awaitable[object]:
        self.draining.check_open()
        return self.users.attach(claims, connection, frames)

    def close(self) -> None:
        self.worker.close()
        self.store.close()
        self.poller.close()
        if self.spans is not None:
            self.spans.close()

    def _calls(self, sessions: dict[UserId, Any], pending_sends: PendingSends) -> Calls:
        return Calls(
            store=self.store,
            queue=self.queue,
            sessions=sessions,
            pending_sends=pending_sends,
            timers=self.timers,
            wall_clock=self.timekeeper.now,
            settings=self.settings.calls,
            ringer=self.rings,
            accepts_unknown=self.settings.users.accept_unknown_recipients,
        )

    def _locations(self, sessions: dict[UserId, Any], pending_sends: PendingSends, eids: Eids) -> Locations:
        return Locations(
            store=self.store,
            queue=self.queue,
            eids=eids,
            sessions=sessions,
            pending_sends=pending_sends,
            timers=self.timers,
            wall_clock=self.timekeeper.now,
        )

    def _services(self, sessions: dict[UserId, Any], pending_sends: PendingSends, eids: Eids) -> Services:
        settings, surroundings = self.settings, self.surroundings
        services = Services(
            store=self.store,
            queue=self.queue,
            limits=settings.limits,
            partitions=settings.partitions.names,
            wall_clock=self.timekeeper.now,
            verify=lambda token: self.verifier.verify(token, self.timekeeper.now()),
            new_id=lambda: f"{self.timekeeper.now() % (1 << 48):012x}{surroundings.random.getrandbits(80):020x}",
            calls=self.calls,
            locations=self.locations,
            attendants=[self.calls, self.locations],
            sessions=sessions,
            pending_sends=pending_sends,
            slices=Slices(self.worker.clock),
            clock=self.worker.clock,
            report=report,
            timers=self.timers,
            presence=PresenceNotes(self.timers, settings.presence),
            eids=eids,
            agent=AGENT,
            handshake_seconds=settings.gateway.handshake_seconds,
            rates=RateLimiter.configured(settings.rates),
            offline_ms=settings.retention.offline_ms,
            device_names=settings.users.device_names,
            audit=self.audit.note_sampled,
            subscribed=self.subscribers.subscribed,
            left=self.subscribers.left,
            push=PushOffer(tuple(self.gateways), public_key_of(self.gateways), settings.push.allow_private_addresses),
            token_leeway_seconds=settings.tokens.leeway_seconds,
        )
        services.privacy_listeners.append(services.presence.note_privacy)
        return services


USERS, CONNECTIONS = "bimip/users/", "bimip/gateway/connections/"
BELOW_USERS = ("user", "device", "reader or fetcher")
"""The processes below `users`, by how deep they are."""


def kind_of_process(path: str) -> str:
    """Names a process by something of which there are few: of the fixed tree by its path, others by what they are."""
    if path.startswith(USERS):
        return BELOW_USERS[min(path.count("/") - USERS.count("/"), len(BELOW_USERS) - 1)]
    return "connection" if path.startswith(CONNECTIONS) else path


class Connections:
    """The supervisor of connections, for those who hold on to it over its restarts."""

    def __init__(self) -> None:
        self._children: Children | None = None

    def adopt(self, children: Children) -> None:
        self._children = children

    def start_soon(self, async_fn: Callable[..., Awaitable[object]], *args: object) -> None:
        assert self._children is not None
        self._children.start_soon(async_fn, *args)

    def __len__(self) -> int:
        return 0 if self._children is None else len(self._children)

    def numbers(self) -> Sequence[str]:
        return [] if self._children is None else [child.id for child in self._children.which_children()]

    def hang_up(self, number: str) -> None:
        assert self._children is not None
        self._children.terminate_child_nowait(number)

    def wait_gone(self, number: str) -> Awaitable[None]:
        assert self._children is not None
        return self._children.terminate_child(number)


def encode(
    sent: Sequence[bytes],
    stamps: Sequence[Stamp],
    time: Millis,
    conversation: ConversationId,
    first: ConversationOffset,
) -> list[bytes]:
    """The stored forms of messages."""
    return stored.store(
        sent,
        stamps=[(stamp, signal_id(stamp), time) for stamp in stamps],
        conversation=conversation_id(conversation),
        conversation_offset=first,
    )


def encode_event(message_id: str, author: str, conversation: ConversationId, event: GroupEvent, digest: bytes) -> bytes:
    """The stored form of an event in a group, before its stamp."""
    what = pb.GroupEvent(
        members=event.members,
        title=event.title,
        role=ROLE_NAMES[event.role],
        owner=event.owner,
    )
    what.kind = int(event.kind)  # type: ignore[assignment]  # the stub knows names of enums, not their numbers
    return stored.event(message_id, author, conversation_id(conversation), PARTITION, what, digest)


def encode_call(call: MissCall, author: str, digest: bytes) -> bytes:
    """The stored form of a call that nobody answered, before its stamp."""
    what = pb.CallEvent(call=call.call, started=call.started)
    what.end = int(call.end)  # type: ignore[assignment]  # the stub knows names of enums, not their numbers
    return stored.call_event(call.id, author, call.to, MISSED_CALLS, what, digest)


BODIES = Bodies(
    encode,
    encode_event,
    encode_call,
    locate,
    NOWHERE,
    stored.edited,
    stored.erased,
    stored.expiring,
    stored.orphaned,
    stored.unnamed,
)
"""The rules' one need of the wire."""


def rules_of(settings: Settings) -> Rules:
    limits = settings.limits
    return Rules.configured(
        BODIES,
        settings.partitions,
        settings.users,
        window_entries=limits.window_entries,
        max_group_members=limits.max_group_members,
        edit_seconds=limits.edit_seconds,
        delete_seconds=limits.delete_seconds,
        max_reactions=limits.max_reactions,
        until_acked=settings.retention.until_acked,
        longest_ms=settings.retention.longest_ms,
        events=settings.webhooks.kinds,
    )


def _timekeeper(settings: Settings, surroundings: Surroundings, store: Store) -> Timekeeper:
    known = Known()
    with suppress(StorageError, DamagedRecordError), store.snapshot() as view:
        known = known_time(view, max(last_stamp(view), store.newest_served))
    tolerance = settings.time.tolerance(settings.retention.longest_days)
    return Timekeeper(surroundings.wall_clock, surroundings.monotonic, known, tolerance, report_clock)


def report_clock(held: str) -> None:
    if held:
        _log.error("the machine's clock is not followed", reason=held)
    else:
        _log.warning("the machine's clock is followed again")


def _granted(settings: GatewaySettings, certificate: Certificate | None) -> GatewaySettings:
    """Adds what the machine grants: as many connections as it grants files, less those that others need."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    turning_away = min(256, max(1, files // 8))
    return replace(
        settings,
        tls=certificate,
        max_turning_away=turning_away,
        max_connections=max(LEAST_CONNECTIONS, files - RESERVED_FILES - turning_away),
    )
