"""The server in a process of its own: until a signal says otherwise."""

import gc
import os
import resource
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import suppress

import structlog
import trio

from bimip.app import open_server
from bimip.config import Settings
from bimip.environment import Surroundings, open_audit, open_store
from bimip.parts import Parts
from bimip.reloading import reload
from bimip.systemd import ServiceManager
from bimip.web import Demonstration

_log = structlog.get_logger("bimip")

SWITCH_SECONDS = 0.0002
"""After which a thread that waits for the interpreter's lock gets it."""
STOP_SECONDS = 60.0
"""For the processes, once the server is drained."""
SERVER = "the server"
"""Who does what a signal asks for: nobody knows who sent it."""
GC_THRESHOLD = 2_000
"""New objects until the collector looks at the youngest."""


def settle_garbage_collector() -> None:
    """Tells the collector that what was made until now lives as long as the server: it need not look at it again.

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


def ignore_level(_level: str) -> None:
    """Nobody keeps a log whose level could change."""


async def serve(
    settings: Settings,
    *,
    load: Callable[[], Settings],
    lost_log_lines: Callable[[], int] = int,
    set_log_level: Callable[[str], None] = ignore_level,
    demonstration: Demonstration | None = None,
) -> None:
    """Run until SIGTERM or SIGINT: then drain, and stop in order. A second one drains at once.

    SIGHUP reads the settings again by `load`, which raises ConfigError: see `reloading.py`.
    """

    async def read() -> Settings:
        return await trio.to_thread.run_sync(load)  # a disk may take its time

    allow_many_files()
    hand_over_quickly()
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
        manager = ServiceManager.of(os.environ)
        surroundings = Surroundings(
            open_store,
            service_manager=manager,
            open_audit=open_audit,
            lost_log_lines=lost_log_lines,
            demonstration=demonstration,
        )
        async with open_server(settings, surroundings) as server:
            settle_garbage_collector()
            if settings.gateway.is_open_in_plaintext and not settings.gateway.allow_plaintext:
                _log.warning(
                    "plain WebSocket beyond this machine: tokens and messages can be read on the way, unless a proxy "
                    "in front speaks TLS and nobody else can reach this address: gateway.allow_plaintext says so",
                    host=settings.gateway.host,
                )
            _log.info("serving", port=server.listener.port, console=server.console_port, store=settings.store.path)
            status = f"serving on port {server.listener.port}"
            manager.tell_ready(status)
            server.audit.note("start", who=SERVER, outcome=status)
            with server.turns_metered():
                async for number in signals:
                    if number != signal.SIGHUP:
                        manager.tell_stopping(server.settings.gateway.longest_drain_seconds + STOP_SECONDS)
                        server.audit.note("stop", who=SERVER, outcome=signal.Signals(number).name)
                        _log.info("stopping", signal=signal.Signals(number).name)
                        break
                    manager.tell_reloading()
                    server.audit.note("reload", who=SERVER, outcome=await reload(server, read, set_log_level))
                    manager.tell_ready(status)
                await drain(server, signals)
        _log.info("stopped")


async def drain(server: Parts, signals: AsyncIterator[int]) -> None:
    """Drains over the time that the settings name; another signal says that there is none."""

    async def hurry() -> None:
        async for number in signals:
            if number != signal.SIGHUP:
                _log.info("stopping at once", signal=signal.Signals(number).name)
                server.draining.begin(0)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(hurry)
        await server.drain()
        nursery.cancel_scope.cancel()
