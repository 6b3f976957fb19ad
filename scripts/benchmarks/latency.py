"""W2: messages at a fixed rate, whatever the server does: how long until SENT, and until the last device has it."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from scripts.benchmarks import server
from scripts.benchmarks.ledger import now
from scripts.benchmarks.loop import oversleep_never
from scripts.benchmarks.throughput import Load, World, drained, measured, quiet_collector

RATES = (100, 200, 500, 1_000, 2_000, 5_000, 10_000, 15_000, 20_000, 30_000, 40_000, 50_000, 75_000, 100_000)
SATURATED = 0.9
"""A server that accepts less than that part of what is sent to it is saturated."""


def measure(running: server.Server, load: Load, rate: float) -> dict[str, Any]:
    """Times count from when a message was due to leave, so that a stall is paid by all that it held up."""
    world = World(running, load)
    quiet_collector()
    oversleep_never()
    begin = now()
    pace = paced(world, rate, begin)
    world.loop.run(lambda: False, min(load.warm_seconds, 2.0), pace)
    result = {"rate": rate} | measured(world, running, load.seconds, pace)
    result |= drained(world, load.drain_seconds)
    world.close()
    return result


def paced(world: World, rate: float, begin: float) -> Callable[[float], float]:
    senders, gap, sent = world.senders, 1 / rate, 0

    def tick(at: float) -> float:
        """One message for each gap that has passed, from one sender after the other."""
        nonlocal sent
        while (due := begin + sent * gap) <= at:
            senders[sent % len(senders)].post(1, due)
            sent += 1
        return due - now()

    return tick


def to_saturation(load: Load, *, rates: tuple[int, ...] = RATES) -> list[dict[str, Any]]:
    """A server of its own for each rate; ends with the first that is too much."""
    found = []
    for rate in rates:
        with server.running() as running:
            result = measure(running, replace(load, drain_seconds=max(load.drain_seconds, 60.0)), rate)
        found.append(result)
        if result["accepted_per_s"] < SATURATED * rate:
            break
    return found
