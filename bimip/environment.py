"""What the server gets from the machine: time, randomness, threads, sockets, the disk. All of it comes through
`Surroundings`, so that the whole server also runs in one thread under a virtual clock.
"""

import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random, SystemRandom
from typing import TYPE_CHECKING, Any

import structlog
import trio
import trio.abc

from bimip import console
from bimip.audit import AuditTrail
from bimip.config import ConfigError, LoggingSettings, Settings
from bimip.domain.core.ids import Millis
from bimip.gateway.listener import OpenListeners, open_tcp
from bimip.health import LOOK_SECONDS
from bimip.journal.worker import ThreadWorker, Worker
from bimip.push.gateways import gateways_of
from bimip.push.http import HttpPoster
from bimip.push.posting import Poster
from bimip.push.settings import PushSettings
from bimip.spans import Spans, check_spans, open_spans
from bimip.storage.errors import StoreUnreachableError
from bimip.storage.format import FORMAT
from bimip.storage.interface import Store
from bimip.storage.lmdb.store import LmdbStore
from bimip.storage.memory import MemoryStore
from bimip.storage.settings import StoreSettings
from bimip.systemd import ServiceManager
from bimip.web import Demonstration
from bimip.webhooks.settings import WebhookSettings

if TYPE_CHECKING:
    from bimip.storage.postgres.store import PostgresStore

_log = structlog.get_logger("bimip")


def wall_clock() -> Millis:
    return Millis(time.time_ns() // 1_000_000)


monotonic: Callable[[], float] = partial(time.clock_gettime, getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
"""Seconds that pass while the machine sleeps too: its waking is no jump of the wall clock."""


def open_poster(settings: PushSettings | WebhookSettings) -> HttpPoster:
    return HttpPoster(timeout_seconds=settings.timeout_seconds, allow_private=settings.allow_private_addresses)


def unwritten_audit(_settings: Settings, clock: Callable[[], Millis]) -> AuditTrail:
    return AuditTrail(wall_clock=clock)


def open_audit(settings: Settings, clock: Callable[[], Millis]) -> AuditTrail:
    """The trail where the settings say, or beside the store."""
    audit, store = settings.audit, settings.store
    path = audit.path or ("" if store.engine == "memory" else f"{store.path}.audit.log")
    return AuditTrail(
        Path(path) if path else None, wall_clock=clock, max_bytes=audit.max_bytes, kept_files=audit.kept_files
    )


@dataclass(frozen=True)
class Surroundings:
    """The machine, as the server sees it."""

    open_store: Callable[[Settings], Store]
    open_worker: Callable[[], Worker] = ThreadWorker
    wall_clock: Callable[[], Millis] = wall_clock
    monotonic: Callable[[], float] = monotonic
    random: Random = field(default_factory=SystemRandom)
    open_listeners: OpenListeners = open_tcp
    service_manager: ServiceManager = field(default_factory=ServiceManager)
    """By default there is none."""
    loop_watch_seconds: float = LOOK_SECONDS
    """How often it is looked whether the event loop keeps up."""
    open_audit: Callable[[Settings, Callable[[], Millis]], AuditTrail] = unwritten_audit
    """Given the clock. By default there is no disk."""
    lost_log_lines: Callable[[], int] = int
    """How many could not be written; by default none."""
    open_poster: Callable[[PushSettings | WebhookSettings], Poster] = open_poster
    """What sends requests to gateways of push, and to back ends."""
    open_spans: Callable[[LoggingSettings, Callable[[], Millis]], Spans | None] = open_spans
    """What takes spans of messages to a collector, if the settings name one."""
    open_console: Callable[[str, int], Awaitable[Sequence[trio.abc.Listener[Any]]]] = console.open_loopback
    demonstration: Demonstration | None = None
    """What the page of the demonstration is given; None: it is no demonstration."""


def open_store(settings: Settings) -> Store:
    store = settings.store
    if store.engine == "memory":
        return MemoryStore(quota_bytes=store.quota_bytes)
    if store.engine == "postgres":
        return _open_postgres(store)
    opened = LmdbStore(
        store.path,
        map_bytes=store.map_size_bytes,
        quota_bytes=store.quota_bytes,
        serves=True,
        report_damage=_report_damage,
    )
    if opened.narrowed:
        narrowed = [str(path) for path in opened.narrowed]
        _log.warning("other accounts of this machine could read the store until now", narrowed=narrowed)
    if opened.format != FORMAT:
        advice = "its first write raises it, and an earlier bimip refuses it then: keep a backup that was made before"
        _log.warning("the store is of an earlier format", format=opened.format, now=FORMAT, advice=advice)
    if not opened.mark_is_beside:
        advice = "let the server write in the folder above, so that a whole folder that is put back is noticed too"
        _log.warning("the mark of what was served is not beside the store", mark=str(opened.mark_path), advice=advice)
    return opened


def _open_postgres(settings: StoreSettings) -> Store:
    make = postgres_store()
    path = Path(settings.path)
    path.parent.mkdir(parents=True, exist_ok=True)
    opened = make(
        settings.read_dsn().reveal(),
        mark_beside=path,
        quota_bytes=settings.quota_bytes,
        report_damage=_report_damage,
    )
    if not opened.is_durable:
        advice = "set fsync and full_page_writes to on, or what is acknowledged is lost when the machine fails"
        _log.warning("the database does not sync its disk", advice=advice)
    return opened


def postgres_store() -> "type[PostgresStore]":
    """The store on PostgreSQL, whose library is an extra. Raises ConfigError."""
    try:
        from bimip.storage.postgres.store import PostgresStore  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise ConfigError(
            f'store.engine is "postgres", and psycopg is not installed: pip install "bimip[postgres]" ({error})'
        ) from error
    return PostgresStore


def _report_damage(place: str) -> None:
    _log.error("the store is damaged", place=place, advice="run `bimip store check`")


def report(what: str, error: BaseException) -> None:
    """Something failed that was answered and goes no further."""
    where = {"where": "; ".join(notes)} if (notes := getattr(error, "__notes__", ())) else {}
    trace = None if isinstance(error, StoreUnreachableError) else error  # it would be said for each who asks meanwhile
    _log.error(what, error=f"{type(error).__name__}: {error}", exc_info=trace, **where)


def readings_of(settings: Settings) -> Iterator[Callable[[], object]]:
    """Lists what reads the files that settings name, as a start does: each raises ConfigError."""
    yield settings.console.read_operator_token
    yield settings.store.read_dsn
    yield settings.console.read_metrics_token
    yield settings.gateway.read_certificate
    yield partial(check_spans, settings.logging)
    yield partial(gateways_of, settings.push, SystemRandom(), "bimip")
    for name, endpoint in settings.webhooks.endpoints.items():
        yield partial(endpoint.read_secrets, name)
