"""Groups: what a delivery costs where one message has many, against a conversation of two.

One sender in each of several groups, or one large one, keeps `window` messages unaccepted; each other member has one
device. What a message costs the server is divided by how many devices got it.
"""

from dataclasses import dataclass
from typing import Any

from scripts.benchmarks import server, throughput, wire
from scripts.benchmarks.device import Device, connect_all
from scripts.benchmarks.ledger import Ledger
from scripts.benchmarks.loop import Loop

CREATE_SECONDS = 30.0


@dataclass(frozen=True)
class Load:
    members: int = 50
    """Of each group; 2 is a conversation of two."""
    groups: int = 1
    window: int = 20
    together: bool = True
    warm_seconds: float = 3.0
    seconds: float = 10.0
    drain_seconds: float = 20.0
    users: str = ""
    """What the users' names begin with: loads that share a server need users of their own."""

    @property
    def copies(self) -> int:
        return self.members - 1


SIZES = (2, 5, 50, 500)
DEVICES = 500
"""About as many in each case, so that what the others cost is the same."""


def loads(window: int, seconds: float) -> list[Load]:
    return [Load(size, max(1, DEVICES // size), window, seconds=seconds) for size in SIZES]


def describe(load: Load) -> str:
    what = "conversations of two" if load.members == 2 else f"groups of {load.members}"
    return f"{load.groups} {what}, window {load.window}"


class World:
    """Everybody, connected, and in their groups. What `throughput` needs to measure it."""

    def __init__(self, running: server.Server, load: Load) -> None:
        self.loop = Loop()
        self.ledger = Ledger(load.groups, load.copies)
        names = [
            f"{load.users}g{group:04d}-{number:04d}" for group in range(load.groups) for number in range(load.members)
        ]

        def make(index: int) -> Device:
            return Device(self.loop, running.port, server.token(names[index], "phone"), self.ledger)

        devices = connect_all(self.loop, make, len(names))
        self.senders = devices[:: load.members]
        for group, sender in enumerate(self.senders):
            others = names[group * load.members + 1 : (group + 1) * load.members]
            to = others[0] if load.members == 2 else self._created(sender, group, others)
            sender.write_to(group, to)
        self.loop.rest(min(1.0, load.warm_seconds))

    def _created(self, sender: Device, group: int, others: list[str]) -> str:
        found: list[str] = []
        sender.on_other = lambda frame: found.append(wire.created(frame))
        sender.send(wire.create_group(f"group {group}", others))
        if not self.loop.run(lambda: bool(found), CREATE_SECONDS):
            raise RuntimeError(f"no group was created within {CREATE_SECONDS} s: {dict(self.loop.failures)}")
        return found[0]

    def close(self) -> None:
        self.loop.close()


def measure(running: server.Server, load: Load) -> dict[str, Any]:
    world = World(running, load)
    going_on = True

    def refill(sender: Device, count: int) -> None:
        if going_on:
            sender.post(count, together=load.together)

    throughput.quiet_collector()
    for sender in world.senders:
        sender.on_accepted = lambda count, sender=sender: refill(sender, count)  # type: ignore[misc]
        sender.post(load.window, together=load.together)
    world.loop.rest(load.warm_seconds)
    result = throughput.measured(world, running, load.seconds)
    going_on = False
    result |= throughput.drained(world, load.drain_seconds)
    result["server_us_per_delivery"] = result["server_us_per_message"] / load.copies
    world.close()
    return result
