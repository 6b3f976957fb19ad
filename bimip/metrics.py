"""What the server counts, as Prometheus has it: `GET /metrics` of the console, `bimip metrics`, `bimip top`.

Nothing here is counted: each part counts what it does in plain numbers of its own (`*Statistics`, `Histogram`), and
`Metrics` makes families of them when somebody asks. No label has more values than the server has kinds of things: none
grows with users, devices, addresses or conversations.

To add one: a line in `Metrics`, of a number that a part keeps anyway. A process that is not known here by name
(`TOLD_BY_NAME`) is told all the same: each number of what it describes itself by is a `bimip_process_value`.
"""

from collections.abc import Iterable, Iterator, Mapping

import trio
from prometheus_client import CollectorRegistry, GCCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from bimip import __version__
from bimip.histograms import Histogram
from bimip.parts import Parts
from bimip.push.process import HELD, KINDS, OUTCOMES
from bimip.storage.errors import StorageError
from bimip.supervision import Snapshot
from bimip.users.statistics import Lag
from bimip.wire import bimip_pb2 as pb

RECEIPTS = (pb.READ, pb.FORWARDED, pb.PLAYED)
TOLD_BY_NAME = frozenset(
    {"bimip/timers", "bimip/journal", "bimip/push", "bimip/webhooks", "bimip/gateway/poller", "bimip/gateway/listener"}
)


class Metrics:
    """All families of one scrape."""

    def __init__(self, parts: Parts, lag: Lag) -> None:
        self._parts = parts
        self._lag = lag

    def collect(self) -> Iterator[Metric]:
        yield _gauge("info", "The server that answers.", {"version": {__version__: 1}})
        yield from self._messages()
        yield from self._delivery()
        yield from self._journal()
        yield from self._store()
        yield from self._gateway()
        yield from self._webhooks()
        yield from self._push()
        yield from self._processes()

    def _messages(self) -> Iterator[Metric]:
        told = self._parts.services.statistics
        yield _counter("messages_accepted", "Messages that were stored, each once.", told.accepted)
        yield _counter("messages_duplicate", "Messages that were stored already when they came again.", told.duplicates)
        yield _histogram(
            "message_accept_seconds",
            "From a message's arrival until its SENT was ready to go (a sample).",
            told.accept_seconds,
        )
        given = {"one_time": told.one_time_keys, "fallback": told.fallback_keys}
        yield _counter("keys_claimed", "Keys of devices that were given to who encrypts for them.", {"kind": given})
        by_status = {pb.MessageStatus.Name(status): told.receipts[status] for status in RECEIPTS}
        yield _counter("receipts", "Receipts that devices gave.", {"status": by_status})
        refused = {pb.ErrorCode.Name(code): told.refused[code] for code in pb.ErrorCode.values() if code}
        yield _counter("refusals", "Errors that were answered.", {"code": refused})

    def _delivery(self) -> Iterator[Metric]:
        told, lag = self._parts.services.delivery, self._lag
        yield _counter("deliveries", "Messages that devices' connections took, for each device once.", told.sent)
        yield _counter("redeliveries", "Messages sent again, since nothing was acknowledged in time.", told.redelivered)
        yield _histogram(
            "message_deliver_seconds",
            "From a message's acceptance until a device that was connected had acknowledged it (a sample).",
            told.deliver_seconds,
        )
        gaps = {pb.GapReason.Name(reason): told.gaps[reason] for reason in pb.GapReason.values() if reason}
        yield _counter("gaps", "Gaps that were told instead of messages.", {"reason": gaps})
        yield _counter("ephemeral_dropped", "What nobody stores and was not told in time.", told.ephemeral_dropped)
        outcomes = ("current", "behind", "gap", "another_epoch", "refused")
        hellos = {outcome: told.hellos[outcome] for outcome in outcomes}
        yield _counter("hellos", "Hellos that were answered, by where the device stood.", {"outcome": hellos})
        yield _gauge("users_connected", "Users of whom a device is connected.", lag.users)
        yield _gauge("devices_connected", "Devices that are connected.", lag.devices)
        yield _gauge("devices_behind", "Connected devices that were not sent all of their logs yet.", lag.behind)
        yield _gauge("lag_messages", "Log entries that connected devices were not sent yet.", lag.entries)
        yield _gauge("lag_messages_max", "The most of them of one device.", lag.most)
        yield _gauge("in_flight_messages", "Sent and not acknowledged.", lag.in_flight)
        yield _gauge("in_flight_bytes", "The bytes of them.", lag.in_flight_bytes)
        yield _gauge("requests_unanswered", "Requests of connected devices whose answers wait.", lag.unanswered)

    def _journal(self) -> Iterator[Metric]:
        told = self._parts.journal_statistics
        yield _gauge("journal_queue_operations", "Operations that wait for the journal.", len(self._parts.queue))
        yield _gauge("journal_writable", "1 while the store can be written.", told.writable and not told.fault)
        yield _counter("journal_operations", "Operations that were decided.", told.operations)
        yield _counter("journal_set_aside", "Operations that ended the journal twice.", told.set_aside)
        yield _counter("journal_reopened", "Times that the store was opened again.", told.reopened)
        yield _histogram("journal_batch_operations", "Operations decided together.", told.batch_operations)
        yield _histogram("journal_commit_seconds", "To put a batch and to sync it.", told.commit_seconds)
        clock = self._parts.timekeeper.describe()
        yield _gauge("clock_held", "1 while the machine's clock is not followed.", bool(clock["held"]))

    def _store(self) -> Iterator[Metric]:
        store = self._parts.store
        reads = {"records": store.read_counts.records, "entries": store.read_counts.entries}
        reads["rows"] = store.read_counts.rows
        yield _counter("store_reads", "What was read of the store.", {"what": reads})
        yield _counter("store_damage", "Places that were found damaged.", store.damage.count)
        try:
            told = store.statistics()
        except StorageError:
            return  # it is closed just now: better none than numbers that mean something else
        yield _gauge("store_used_bytes", "What the store's content takes.", told.used_bytes)
        yield _gauge("store_file_bytes", "What its file takes.", told.file_bytes)
        yield _gauge("store_map_bytes", "The most that it can take; 0: no bound.", told.map_bytes)
        yield _gauge("store_quota_bytes", "Where writes are refused; 0: no quota.", told.quota_bytes)
        if told.free_bytes is not None:
            yield _gauge("store_disk_free_bytes", "What its disk has left.", told.free_bytes)
        yield _gauge("store_readers", "Who reads the store.", told.readers)
        yield _counter(
            "store_stale_readers", "Readers that ended without a word, and were forgotten.", told.stale_readers
        )

    def _gateway(self) -> Iterator[Metric]:
        parts = self._parts
        told, admitted = parts.connection_log.statistics, parts.gateway.admission.statistics()
        yield _gauge("sockets", "Connections that are read.", len(parts.poller))
        yield _gauge("connections_unauthenticated", "Peers that showed no token yet.", admitted.unauthenticated)
        yield _counter("logins", "Devices that connected with a valid token.", told.logins)
        refused = {str(status): count for status, count in told.refused.items()}
        yield _counter("connections_refused", "Openings answered by an error of HTTP.", {"status": refused})
        yield _counter("connections_closed", "WebSockets that ended, by close code.", {"code": told.closed})
        turned_away = {
            "no_place": admitted.no_place,
            "given_up": admitted.given_up,
            "shut_out": parts.listener.turned_away,
        }
        yield _counter("connections_turned_away", "Peers for whom there was no place.", {"reason": turned_away})

    def _webhooks(self) -> Iterator[Metric]:
        told = self._parts.webhook_statistics
        outcomes = ("taken", "retried", "given_up", "left_out")
        events = {outcome: getattr(told, outcome) for outcome in outcomes}
        yield _counter("webhook_events", "Events that back ends were told of, or were not.", {"outcome": events})
        yield _gauge("webhook_waiting", "Events that a back end was not told of yet.", {"webhook": dict(told.waiting)})

    def _push(self) -> Iterator[Metric]:
        parts, told = self._parts, self._parts.push_statistics
        sent = {kind: told.kinds[kind] for kind in KINDS}
        yield _counter("push_sent", "Notifications that gateways took.", {"kind": sent})
        failed = {outcome: told.failures[outcome] for outcome in OUTCOMES}
        yield _counter("push_failed", "Notifications that gateways did not take.", {"outcome": failed})
        held = {reason: told.held[reason] for reason in HELD}
        yield _counter("push_held", "Times that a subscription was looked at, and told nothing then.", {"reason": held})
        yield _gauge("push_users", "Users who have subscriptions.", len(parts.subscribers.users))
        yield _gauge("push_users_to_look_at", "Of these, who may be owed something.", len(parts.subscribers))
        yield _gauge("push_calls", "Calls that ring, or are to be told to ring no more.", len(parts.rings))
        lanes = None if parts.pushing is None else parts.pushing.lanes
        states: Mapping[str, int] = {} if lanes is None else lanes.states(trio.current_time())
        yield _gauge("push_waiting", "Subscriptions that wait for a gateway.", 0 if lanes is None else len(lanes))
        yield _gauge("push_sending", "Requests under way.", 0 if lanes is None else lanes.sending)
        by_state = {state.replace(" ", "_"): states.get(state, 0) for state in ("open", "half open")}
        yield _gauge("push_breakers", "Gateways and hosts that are left alone, or tried again.", {"state": by_state})

    def _processes(self) -> Iterator[Metric]:
        parts, counts = self._parts, self._parts.process_counts
        yield _counter("process_crashes", "Crashes.", {"process": counts.crashes})
        yield _counter("process_restarts", "Starts after the first.", {"process": counts.restarts})
        yield _counter("supervisor_gave_up", "Supervisors that had spent their restarts.", {"process": counts.gave_up})
        turns = {"journal": parts.journal_turns, "all": parts.poller.turns}
        yield _histogram("loop_lag_seconds", "How late the event loop was, each second.", parts.loop_watch.late_seconds)
        longest = {whose: one.longest_of_late()[0] for whose, one in turns.items()}
        yield _gauge("longest_turn_seconds", "The longest that one task held up all others of late.", {"of": longest})
        yield _gauge("timers", "Timers that are set.", len(parts.timers))
        yield _counter(
            "log_lines_lost", "Lines of the log that could not be written.", parts.surroundings.lost_log_lines()
        )
        yield _counter("audit_records", "Records of the audit trail.", parts.audit.records)
        yield _counter("audit_lost", "Records of it that could not be written.", parts.audit.lost)
        yield _counter(
            "reloads",
            "Reloads of the settings (SIGHUP).",
            {"outcome": {outcome: parts.reloads[outcome] for outcome in ("taken", "refused")}},
        )
        yield _gauge("draining", "1 while the server drains, or is drained.", parts.draining.is_on)
        yield _gauge("ready", "1 while /readyz answers 200.", not parts.readiness())
        if parts.processes is not None:
            yield from _told_by_processes(list(parts.processes.snapshot(folded=True).walk()))


def _told_by_processes(processes: Iterable[Snapshot]) -> Iterator[Metric]:
    left = {one.path: one.budget.left for one in processes if one.budget is not None and one.budget.intensity}
    yield _gauge("restart_budget_left", "Restarts that a supervisor may do until it gives up.", {"process": left})
    family = GaugeMetricFamily(
        "bimip_process_value", "What else a process tells of itself.", labels=("process", "value")
    )
    for one in processes:
        for name, value in (one.details or {}).items():
            if isinstance(value, int | float) and one.path not in TOLD_BY_NAME:
                family.add_metric((one.path, name), value)
    yield family


def exposed(parts: Parts, lag: Lag, accept: str) -> tuple[bytes, str]:
    """The metrics in the format that an Accept header asks for (OpenMetrics, else Prometheus' own), and its type."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    GCCollector(registry=registry)
    registry.register(_Once(Metrics(parts, lag)))
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type


class _Once(Collector):
    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        return self._metrics.collect()

    def describe(self) -> Iterable[Metric]:
        """Says nothing: asked at registration, which would collect."""
        return ()


Told = float | Mapping[str, Mapping[str, float]]
"""A number, or, by the name of a label, the number of each of its values."""


def _counter(name: str, about: str, told: Told) -> Metric:
    return _filled(CounterMetricFamily(f"bimip_{name}", about, labels=_labels(told)), told)


def _gauge(name: str, about: str, told: Told) -> Metric:
    return _filled(GaugeMetricFamily(f"bimip_{name}", about, labels=_labels(told)), told)


def _labels(told: Told) -> tuple[str, ...]:
    return tuple(told) if isinstance(told, Mapping) else ()


def _filled(family: CounterMetricFamily | GaugeMetricFamily, told: Told) -> Metric:
    if isinstance(told, Mapping):
        for values in told.values():
            for value, number in sorted(values.items()):
                family.add_metric((value,), number)
    else:
        family.add_metric((), told)
    return family


def _histogram(name: str, about: str, told: Histogram) -> Metric:
    family = HistogramMetricFamily(f"bimip_{name}", about)
    family.add_metric((), told.cumulative(), told.total)
    return family
