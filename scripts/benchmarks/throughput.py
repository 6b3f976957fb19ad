"""W1: as many messages as go. Pairs of users, two devices each; a phone writes, three devices receive."""

import gc
from dataclasses import dataclass
from typing import Any, Protocol

from scripts.benchmarks import accounting, server
from scripts.benchmarks.device import Device, connect_all
from scripts.benchmarks.ledger import Ledger, percentiles
from scripts.benchmarks.loop import Loop


@dataclass(frozen=True)
class Load:
    pairs: int = 50
    window: int = 20
    """Messages that a sender has unaccepted at most. With 1 there is nothing to batch within one sender."""
    together: bool = True
    """Many messages in a frame, where many can be sent at once; else each in its own."""
    siblings: int = 1
    """Further devices of the sender."""
    receivers: int = 2
    """Devices of the receiver."""
    warm_seconds: float = 3.0
    seconds: float = 10.0
    drain_seconds: float = 20.0
    users: str = ""
    """What the users' names begin with: loads that share a server need users of their own."""

    @property
    def copies(self) -> int:
        return self.siblings + self.receivers


class World:
    """Everybody, connected."""

    writes_by: type[Device] = Device
    """By what senders write."""

    def __init__(self, running: server.Server, load: Load) -> None:
        self.loop = Loop()
        self.ledger = Ledger(load.pairs, load.copies)

        def writer(pair: int) -> str:
            return f"{load.users}a{pair:04d}"

        def reader(pair: int) -> str:
            return f"{load.users}b{pair:04d}"

        who = [
            (eid, f"{kind}{number}")
            for pair in range(load.pairs)
            for eid, kind, count in ((writer(pair), "laptop", load.siblings), (reader(pair), "device", load.receivers))
            for number in range(count)
        ]
        who += [(writer(pair), "phone") for pair in range(load.pairs)]

        def make(index: int) -> Device:
            kind = Device if index < len(who) - load.pairs else self.writes_by
            return kind(self.loop, running.port, server.token(*who[index]), self.ledger)

        self.senders = connect_all(self.loop, make, len(who))[-load.pairs :]
        for pair, sender in enumerate(self.senders):
            sender.write_to(pair, reader(pair))
        self.loop.rest(min(1.0, load.warm_seconds))

    def close(self) -> None:
        self.loop.close()


def measure(running: server.Server, load: Load, kind: type[World] = World) -> dict[str, Any]:
    world = kind(running, load)
    loop, ledger = world.loop, world.ledger
    disk = accounting.disk_bytes(running.folder)
    going_on = True

    def refill(sender: Device, count: int) -> None:
        if going_on:
            sender.post(count, together=load.together)

    quiet_collector()
    for sender in world.senders:
        sender.on_accepted = lambda count, sender=sender: refill(sender, count)  # type: ignore[misc]
        sender.post(load.window, together=load.together)
    loop.rest(load.warm_seconds)
    result = measured(world, running, load.seconds)
    going_on = False
    result |= drained(world, load.drain_seconds)
    result["disk_bytes_per_message"] = (accounting.disk_bytes(running.folder) - disk) / max(ledger.accepted, 1)
    world.close()
    return result


class Loaded(Protocol):
    """Devices that are connected, and what they count."""

    loop: Loop
    ledger: Ledger


def measured(world: Loaded, running: server.Server, seconds: float, tick: Any = None) -> dict[str, Any]:  # noqa: ANN401
    """Let the load run and say what became of it."""
    ledger = world.ledger
    accepted, delivered = ledger.accepted, ledger.delivered
    ledger.recording = True
    meter = accounting.Meter(running.pid)
    world.loop.run(lambda: False, seconds, tick)
    usage = meter.stop()
    ledger.recording = False
    accepted, delivered = ledger.accepted - accepted, ledger.delivered - delivered
    rss, pss = accounting.memory_bytes(running.pid)
    return {
        "accepted_per_s": accepted / usage.wall,
        "delivered_per_s": delivered / usage.wall,
        "server_us_per_message": 1e6 * usage.server / max(accepted, 1),
        "client_us_per_message": 1e6 * usage.client / max(accepted, 1),
        "accepted_ms": percentiles(ledger.until_accepted),
        "last_device_ms": percentiles(ledger.until_last),
        "limit": usage.limit,
        "idle": usage.idle,
        "rss_mib": rss / (1 << 20),
        "pss_mib": pss / (1 << 20),
    }


def drained(world: Loaded, seconds: float) -> dict[str, Any]:
    """Wait for what is on its way, and say what never came."""
    ledger = world.ledger
    world.loop.run(lambda: ledger.is_settled, seconds)
    return {
        "sent": ledger.sent,
        "unaccepted": ledger.sent - ledger.accepted,
        "undelivered": ledger.sent - ledger.whole,
        "duplicates": ledger.duplicates,
        "failures": dict(world.loop.failures),
    }


def quiet_collector() -> None:
    """The client makes no cycles: its collector would only add to what is measured."""
    gc.collect()
    gc.freeze()
    gc.disable()
