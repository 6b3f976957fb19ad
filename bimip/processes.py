"""The processes of the tree: a function each. It puts together what lives as long as the process, says what the
operator is shown of it, and runs until it is cancelled.
"""

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from functools import partial, wraps

import trio

from bimip import console as operators
from bimip import metrics
from bimip.environment import report
from bimip.journal.journal import Journal
from bimip.operations import Operations
from bimip.parts import AGENT, Parts, rules_of
from bimip.push.process import Push
from bimip.retention.erasing import Erasing
from bimip.retention.process import Retention
from bimip.storage.errors import is_passing
from bimip.supervision import Child
from bimip.users.awareness.presence import Presence
from bimip.webhooks.process import Webhooks

Process = Callable[[Parts, Child], Awaitable[None]]

OUTAGE_SECONDS = 1.0
"""Where the store cannot be read, it is asked again as often."""


def through_outages(process: Process) -> Process:
    """Makes a process that has started at once, and begins anew by itself where the store could not be read.

    That is no defect of whoever reads, and lasts for as long as a database is away: restarts, which are counted for
    all, would be spent by it.
    """

    @wraps(process)
    async def run(parts: Parts, child: Child) -> None:
        child.started()
        while True:
            try:
                return await process(parts, child)
            except Exception as error:  # raised again unless the store is all of it
                if not _is_outage(error):
                    raise
            await trio.sleep(OUTAGE_SECONDS)

    return run


def _is_outage(error: BaseException) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return all(map(_is_outage, error.exceptions))
    return is_passing(error)


async def timers(parts: Parts, child: Child) -> None:
    child.describe(lambda: {"set": len(parts.timers)})
    child.started()
    await parts.timers.run()


async def health(parts: Parts, child: Child) -> None:
    child.started()
    await parts.loop_watch.run()


async def journal(parts: Parts, child: Child) -> None:
    writing = Journal(
        store=parts.store,
        queue=parts.queue,
        worker=parts.worker,
        rules=rules_of(parts.settings),
        wall_clock=parts.timekeeper.now,
        known_time=parts.timekeeper.known,
        expiring=parts.expiring.notify,
        committed=parts.committed,
        report=report,
        ack_delay_seconds=parts.settings.journal.ack_delay_seconds,
        statistics=parts.journal_statistics,
    )
    child.describe(
        lambda: {
            "backlog": len(parts.queue),
            "damage": parts.store.damage.count,
            **{f"{what}_read": count for what, count in asdict(parts.store.read_counts).items()},
            **parts.journal_statistics.describe(),
            "clock": parts.timekeeper.held or "followed",
            **parts.journal_turns.describe(),
        }
    )
    await writing.run(child.started)


@through_outages
async def calls(parts: Parts, child: Child) -> None:
    child.describe(lambda: {"calls": len(parts.calls), **asdict(parts.calls.statistics)})
    await parts.calls.run()


@through_outages
async def locations(parts: Parts, child: Child) -> None:
    child.describe(lambda: {"positions": len(parts.locations), **asdict(parts.locations.statistics)})
    await parts.locations.run()


@through_outages
async def retention(parts: Parts, child: Child) -> None:
    expiring = Retention(
        store=parts.store,
        queue=parts.queue,
        partitions=parts.settings.partitions.names,
        passed=parts.timekeeper.passed,
        nearly_passed=parts.timekeeper.nearly_passed,
        note_time=parts.timekeeper.note,
        expiring=parts.expiring,
        connected=parts.users.list_connected,
        outage_ms=parts.timekeeper.gap_ms,
        settings=parts.settings.retention,
    )
    erasing = Erasing(store=parts.store, queue=parts.queue, begun=parts.erasing, forget_name=parts.services.eids.forget)
    child.describe(lambda: asdict(expiring.statistics) | asdict(erasing.statistics))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(expiring.run)
        nursery.start_soon(erasing.run)


@through_outages
async def push(parts: Parts, child: Child) -> None:
    settings = parts.settings.push
    poster = parts.surroundings.open_poster(settings)
    pushing = Push(
        store=parts.store,
        queue=parts.queue,
        subscribers=parts.subscribers,
        rings=parts.rings,
        gateways=parts.gateways,
        post=poster.post,
        presence=parts.attention,
        rules=settings.rules(),
        content=settings.content,
        retry_seconds=settings.retry_seconds,
        max_sends=settings.max_sends,
        max_sends_per_host=settings.max_sends_per_host,
        wall_clock=parts.timekeeper.now,
        random=parts.surroundings.random,
        statistics=parts.push_statistics,
        report=report,
        taken=parts.traces.pushed,
    )
    child.describe(pushing.describe)
    parts.pushing = pushing
    try:
        await pushing.run()
    finally:
        parts.pushing = None
        with child.grace():
            await poster.aclose()


@through_outages
async def webhooks(parts: Parts, child: Child) -> None:
    settings = parts.settings.webhooks
    poster = parts.surroundings.open_poster(settings)
    telling = Webhooks(
        store=parts.store,
        queue=parts.queue,
        changed=parts.events,
        endpoints=settings.endpoints,
        secrets=parts.webhook_secrets,
        post=poster.post,
        retry_seconds=settings.retry_seconds,
        max_age_seconds=settings.max_age_seconds,
        max_sends=settings.max_sends,
        max_waiting=settings.max_waiting,
        wall_clock=parts.timekeeper.now,
        random=parts.surroundings.random,
        agent=AGENT,
        statistics=parts.webhook_statistics,
        report=report,
    )
    child.describe(telling.describe)
    try:
        await telling.run()
    finally:
        with child.grace():
            await poster.aclose()


@through_outages
async def presence(parts: Parts, child: Child) -> None:
    telling = Presence(parts.services)
    child.describe(telling.describe)
    await telling.run()


async def poller(parts: Parts, child: Child) -> None:
    child.describe(lambda: {"sockets": len(parts.poller), **parts.poller.turns.describe()})
    child.started()
    await parts.poller.run()


async def listener(parts: Parts, child: Child) -> None:
    child.describe(
        lambda: {
            "port": parts.listener.port,
            "turned_away": parts.listener.turned_away,
            "state": parts.draining.state,
            **asdict(parts.gateway.admission.statistics()),
        }
    )
    is_told = False

    def started(port: object) -> None:
        nonlocal is_told
        if not is_told:  # once, also where it accepts again
            is_told = True
            child.started(port)

    if parts.draining.is_on:
        started(parts.listener.port)
    await parts.draining.run(partial(parts.listener.run, started))


async def console(parts: Parts, child: Child) -> None:
    async def scrape(accept: str) -> tuple[bytes, str]:
        return metrics.exposed(parts, await parts.users.measure_lag(), accept)

    operations = Operations(parts)
    seen = operators.Parts(
        tree=lambda: parts.processes,
        readiness=parts.readiness,
        operator_token=parts.operator_token.reveal(),
        now=parts.seconds,
        user=operations.describe_user,
        sight=operations.describe_sight,
        explain_message=operations.explain_message,
        diagnose=operations.diagnose,
        conflicts=operations.describe_conflicts,
        export_user=operations.export_user,
        create_user=operations.create_user,
        erase_user=operations.erase_user,
        erasures=operations.describe_erasures,
        users=operations.list_users,
        disable_user=operations.disable_user,
        kick=operations.kick,
        enable_user=operations.enable_user,
        revoke_tokens=operations.revoke_tokens,
        pins=operations.describe_pins,
        foresee_eviction=operations.foresee_eviction,
        evict_device=operations.evict_device,
        try_push=operations.try_push,
        clock=parts.timekeeper.describe,
        accept_clock=operations.accept_clock,
        draining=operations.describe_draining,
        drain=operations.drain,
        cancel_drain=operations.cancel_drain,
        metrics=scrape,
        busiest=operations.describe_busiest,
        sessions=parts.sessions,
        history=parts.process_history.after,
        warnings=parts.warnings,
        audit=parts.audit.note,
        token_refused=parts.refuse_operator,
        metrics_token=parts.metrics_token.reveal(),
    )
    listen = parts.settings.console

    def started(port: object) -> None:
        assert isinstance(port, int)
        parts.console_port = port  # a free one that the system chose stays, over restarts
        child.started(port)

    child.describe(lambda: {"lost_log_lines": parts.surroundings.lost_log_lines()})
    serve_console = operators.make_console(
        operators.make_application(seen), lambda: parts.surroundings.open_console(listen.host, parts.console_port)
    )
    await serve_console(started)
