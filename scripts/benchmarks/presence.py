"""Presence: users who are each other's contacts come all at once, again and again, or change how they are all the time.

The store is filled with contacts first, so that nothing else is measured. Devices keep what they have of their users'
state, as clients do, and note whom they are told of: at the end of each stretch the view of each of them is compared
with what is so. What is told to devices that stayed is counted apart: whoever connects is told of all contacts, and
that grows with how often they do; what it costs everybody else must not.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import trio

from bimip.wire import bimip_pb2 as pb
from scripts.benchmarks import accounting, server, wire
from scripts.benchmarks.device import Device, connect_all
from scripts.benchmarks.ledger import now
from scripts.benchmarks.loop import Loop
from scripts.benchmarks.offline import eid_of, open_filling
from scripts.benchmarks.throughput import quiet_collector

REST_SECONDS = 60.0


@dataclass(frozen=True)
class Crowd:
    """Users with a device each, and how long some of them are restless."""

    users: int = 1_000
    contacts: int = 100
    """Of each of them, all of whom are there."""
    restless: int = 100
    seconds: float = 10.0
    slow: int = 1
    """How often each restless one comes and goes in that time, or looks away and back; and again, more often."""
    fast: int = 10
    quiet_seconds: float = 8.0
    """When nobody was told anything for so long, all that was to be told has been: more than the delay and the
    interval."""


@dataclass
class Known:
    """What one device keeps over its connections."""

    epoch: int = 0
    version: int = 0
    view: dict[str, int] = field(default_factory=dict)
    items: int = 0


class Watcher(Device):
    """A device that notes who is there."""

    def __init__(self, loop: Loop, port: int, token: str, known: Known) -> None:
        super().__init__(loop, port, token, offset=None)
        self._known = known
        known.view.clear()  # nobody is there until it is told so
        self._hello = wire.hello(None, known.epoch, known.version)

    def _check(self, body: wire.Body) -> None:
        super()._check(body)
        known = self._known
        if body.is_reset:
            known.view.clear()
        for eid, status in body.statuses:
            known.items += 1
            if status == wire.OFFLINE:
                known.view.pop(eid, None)
            else:
                known.view[eid] = status

    def _welcome(self, frame: bytes) -> None:
        hello = pb.MessageScheme.FromString(frame).hello
        self._known.epoch, self._known.version = hello.epoch, hello.state_version
        super()._welcome(frame)


class World:
    """A server, and the crowd's devices."""

    def __init__(self, running: server.Server, crowd: Crowd) -> None:
        self.loop = Loop()
        self.crowd = crowd
        self.running = running
        self.known = [Known() for _ in range(crowd.users)]
        self.devices: list[Device] = []
        self.changes = 0
        """Comings and goings, and changes of how somebody is, of all of them."""
        self._tokens = [server.token(eid_of(number), "phone") for number in range(crowd.users)]

    def connect(self, number: int) -> Device:
        return Watcher(self.loop, self.running.port, self._tokens[number], self.known[number])

    def come(self) -> None:
        """All of them, at once, whether they were there or not."""
        for device in self.devices:
            device.close()
        self.changes += len(self.devices) + self.crowd.users
        self.devices = connect_all(self.loop, self.connect, self.crowd.users)

    def come_and_go(self, times: int) -> None:
        """The restless ones lose their connections and come back, unless they are not in again yet."""

        def again(number: int) -> None:
            if self.devices[number].is_in:
                self.changes += 2
                self.devices[number].close()
                self.devices[number] = self.connect(number)

        self._be_restless(times, again)

    def look_away(self, times: int) -> None:
        """The restless ones say that nobody looks at their devices, and then that somebody does, so many times."""
        said = [0] * self.crowd.restless

        def say(number: int) -> None:
            said[number] += 1
            self.changes += 1
            self.devices[number].send(wire.be_online(inactive=said[number] % 2 == 1))

        self._be_restless(2 * times, say)

    def _be_restless(self, times: int, change: Callable[[int], None]) -> None:
        began, seconds = now(), self.crowd.seconds
        changes = times * self.crowd.restless
        for count in range(changes):
            self.loop.rest(began + count / changes * seconds - now())
            change(count % self.crowd.restless)
        self.loop.rest(began + seconds - now())

    def settle(self) -> None:
        """Waits until nobody has been told anything for a while."""
        deadline, told, since = now() + REST_SECONDS, -1, now()
        while now() < deadline and now() - since < self.crowd.quiet_seconds:
            self.loop.rest(0.2)
            items = sum(known.items for known in self.known)
            if items != told:
                told, since = items, now()


def wrong_views(crowd: Crowd, devices: Sequence[Known]) -> int:
    """Counts devices that know of somebody who is not there, or not of somebody who is; a user's only device is told
    nothing of the user.
    """
    reach, wrong = crowd.contacts // 2, 0
    for number, known in enumerate(devices):
        there = {eid_of((number + step) % crowd.users): wire.ONLINE for step in range(-reach, reach + 1) if step}
        wrong += known.view != there
    return wrong


def measure(folder: Path, crowd: Crowd) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields what each stretch came to, all on one server."""
    trio.run(_fill, folder, crowd)
    with server.running(folder) as running, _world(running, crowd) as world:
        quiet_collector()
        yield f"{crowd.users:,} users come, {crowd.contacts} contacts each", _measured(world, world.come)
        yield "all come again at once", _measured(world, world.come)
        for what, change in (("come and go", world.come_and_go), ("look away and back", world.look_away)):
            for times in (crowd.slow, crowd.fast):
                row = _measured(world, partial(change, times), crowd.restless)
                yield f"{crowd.restless} {what}, {times} times each", row


def measured(crowd: Crowd) -> Sequence[tuple[str, dict[str, Any]]]:
    with server.temporary_folder() as folder:
        return list(measure(folder, crowd))


async def _fill(folder: Path, crowd: Crowd) -> None:
    async with open_filling(folder) as filling:
        await filling.register(crowd.users)
        await filling.befriend(crowd.contacts)


@contextmanager
def _world(running: server.Server, crowd: Crowd) -> Iterator[World]:
    world = World(running, crowd)
    try:
        yield world
    finally:
        world.loop.close()


def _measured(world: World, stretch: Callable[[], None], restless: int | None = None) -> dict[str, Any]:
    """`restless`: the first so many are the ones who change; None: all are, and nobody stays."""
    stayed = world.known[restless or 0 :]
    before, told = world.running.details("presence"), sum(known.items for known in stayed)
    changes, meter = world.changes, accounting.Meter(world.running.pid)
    stretch()
    world.settle()
    used = meter.stop()
    after = world.running.details("presence")
    found = {
        "changes": world.changes - changes,
        "items": after["items"] - before["items"],
        "coalesced": after["coalesced"] - before["coalesced"],
        "wall_s": used.wall,
        "server_s": used.server,
        "limit": used.limit,
        "peak_mib": accounting.peak_memory_bytes(world.running.pid) / (1 << 20),
        "wrong_views": wrong_views(world.crowd, world.known),
        "failures": dict(world.loop.failures),
    }
    if restless is not None:
        found["items_to_who_stayed"] = sum(known.items for known in stayed) - told
    return found
