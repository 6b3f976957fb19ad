"""The server, put together: read this first.

`tree` is the supervision tree as one literal, in the order in which its processes start; they stop in reverse.

    processes.py     what each process runs
    parts.py         what outlives them, made once: handles, which stay valid when one of them restarts
    operations.py    what an operator asks of them, and does to them
    reloading.py     what a running server takes over of other settings
    spans.py         messages that are followed, for a collector of OpenTelemetry
    environment.py   what comes from outside: time, randomness, threads, sockets, the disk
    run.py           all of it in a process of its own, until a signal comes
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import structlog

from bimip import processes
from bimip.config import Settings
from bimip.environment import Surroundings
from bimip.parts import Parts
from bimip.supervision import (
    INFINITY,
    ChildSpec,
    Crashed,
    DynamicSupervisor,
    Factory,
    GaveUp,
    Report,
    Supervisor,
    open_tree,
)

_log = structlog.get_logger("bimip")


def tree(parts: Parts) -> Supervisor:
    return Supervisor(
        [
            ChildSpec("timers", partial(processes.timers, parts)),
            ChildSpec("health", partial(processes.health, parts)),
            ChildSpec("journal", partial(processes.journal, parts), shutdown=INFINITY),
            ChildSpec("users", Factory(parts.users.supervisor)),
            ChildSpec("push", partial(processes.push, parts)),
            ChildSpec("webhooks", partial(processes.webhooks, parts)),
            ChildSpec("calls", partial(processes.calls, parts)),
            ChildSpec("locations", partial(processes.locations, parts)),
            ChildSpec("presence", partial(processes.presence, parts)),
            ChildSpec("retention", partial(processes.retention, parts)),
            ChildSpec(
                "gateway",
                Supervisor(
                    [
                        ChildSpec("poller", partial(processes.poller, parts)),
                        ChildSpec("connections", DynamicSupervisor(on_ready=parts.connections.adopt)),
                        ChildSpec("listener", partial(processes.listener, parts)),
                    ]
                ),
            ),
            ChildSpec("console", partial(processes.console, parts)),
        ],
        intensity=10,
        period=60.0,
    )


@asynccontextmanager
async def open_server(settings: Settings, surroundings: Surroundings) -> AsyncIterator[Parts]:
    """The whole server, running. Leaving stops it in order; what is acknowledged is on disk all the time."""
    parts = Parts(settings, surroundings)

    def report(event: Report) -> None:
        parts.process_counts.note(event)
        parts.process_history.note(event)
        report_process(event)

    try:
        async with open_tree(
            tree(parts),
            name="bimip",
            now=lambda: parts.timekeeper.now() / 1000,
            report=report,
        ) as running:
            parts.processes = running
            yield parts
    finally:
        parts.close()


def report_process(event: Report) -> None:
    if isinstance(event, Crashed):
        _log.warning("process ended", path=event.path, reason=str(event.reason), will=event.will.name)
    elif isinstance(event, GaveUp):
        _log.error("supervisor gave up", path=event.path)
