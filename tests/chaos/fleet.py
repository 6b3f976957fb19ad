"""The devices of a chaos run: who they are, how they are brought to rest, and what they saw."""

import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from random import Random

import trio

from tests.chaos.device import HABITS, Device
from tests.chaos.poster import Poster
from tests.chaos.server import ServerProcess, token
from tests.kit.actor import CALM, FIRST, Habits, Mood
from tests.kit.checker import Violation, check
from tests.kit.history import Answered, Erased, Event, Name, Opened, Refused, Wrote

PARTITIONS = ("chat", "notification", "feed", "sync")
DEVICES = tuple(
    Name(f"{user}@example.org", device)
    for user, devices in {
        "alice": ("phone", "laptop", "tablet"),
        "bob": ("phone", "laptop"),
        "carol": ("phone", "laptop"),
        "dave": ("phone", "laptop", "tablet"),
    }.items()
    for device in devices
)
BACK_ENDS = (Name("alice@example.org", "backend"), Name("shop@example.org", "backend"))
"""They post by HTTP: a device of a user who has others, and one of a user who has none."""
LATE = Name("dave@example.org", "tablet")
"""Connects when there is something to catch up with already, and begins at the head."""
REST_SECONDS = 60
PRESENCE_SECONDS = 20
PRESENCE = {"wrong view", "ghost"}
"""Violations that are none yet, while somebody is about to be told."""


class Fleet:
    def __init__(self, server: ServerProcess, seed: int, nursery: trio.Nursery, habits: Habits = HABITS) -> None:
        self.history: list[Event] = []
        self.devices: list[Device] = []
        self.posters: list[Poster] = []
        self._server = server
        self._nursery = nursery
        self._seed = seed
        self._habits = habits
        self._watched: tuple[Callable[[Event], bool], trio.Event] | None = None

    def launch(self, names: Iterable[Name], start: int = FIRST) -> None:
        for name in names:
            device = Device(
                name,
                token=token(name.eid, name.device),
                port=self._server.port,
                random=Random(f"{self._seed} {name}"),
                record=self._record,
                directory=[*(other.name for other in self.devices), *DEVICES[:9]][:9],
                partitions=PARTITIONS,
                start=start,
                habits=self._habits,
            )
            self.devices.append(device)
            self._nursery.start_soon(device.live, lambda: self._server.up)

    def launch_posters(self, names: Iterable[Name]) -> None:
        """Back ends that post by HTTP, while the others may write."""
        users = sorted({name.eid for name in DEVICES})
        for name in names:
            random = Random(f"{self._seed} {name}")
            poster = Poster(
                name,
                token=token(name.eid, name.device),
                port=self._server.port,
                users=users,
                random=random,
                record=self._record,
            )
            self.posters.append(poster)
            self._nursery.start_soon(poster.live, lambda: self._server.up)

    def _record(self, event: Event) -> None:
        self.history.append(event)
        if self._watched is not None and self._watched[0](event):
            self._watched[1].set()

    def retire(self, eid: str) -> None:
        """An operator is about to erase a user, whose tokens are withdrawn."""
        self._record(Erased(eid))
        for device in self.devices:
            device.is_retired = device.is_retired or device.name.eid == eid
        self.devices = [device for device in self.devices if not device.is_retired]

    def behave(self, mood: Mood) -> None:
        for device in self.devices:
            device.mood = mood
        for poster in self.posters:
            poster.writes = mood.writes

    async def wait_nth(self, kinds: tuple[type[Event], ...], count: int) -> None:
        """Return at the very event that is the n-th of these from now."""
        left = [count]

        def is_last(event: Event) -> bool:
            left[0] -= isinstance(event, kinds)
            return left[0] <= 0

        done = trio.Event()
        self._watched = is_last, done
        try:
            await done.wait()
        finally:
            self._watched = None

    async def come_to_rest(self) -> None:
        """Everybody is answered, has everything, has acknowledged it, and knows what the others acknowledged."""
        self.behave(CALM)
        await self.wait_all("answers to what was written", lambda device: "" if _answered(device) else device.lacks)
        await self.wait_all(
            "answers to what was posted", lambda _: " ".join(poster.waiting for poster in self.posters).strip()
        )
        await self._reconnect()
        asked = {device: (device.link, device.ask_for_barrier()) for device in self.devices if device.link is not None}

        def lacks(device: Device) -> str:
            if device not in asked or asked[device][1].is_set():
                return ""
            if device.link is not None and device.link is not asked[device][0]:  # the answer went with its connection
                asked[device] = device.link, device.ask_for_barrier()
            return "a barrier"

        await self.wait_all("acks on disk", lacks)
        await self._reconnect()
        await self._look_around()

    async def _look_around(self) -> None:
        """Who comes, goes or is another way is told when that is due: waits for it, as long as that may take."""
        for _ in range(2 * PRESENCE_SECONDS):
            if not any(one.kind in PRESENCE for one in self.violations()):
                break
            await trio.sleep(0.5)

    async def _reconnect(self) -> None:
        before = {device: device.connections for device in self.devices}
        for device in self.devices:
            device.cut()
        await self.wait_all(
            "all that there is",
            lambda device: "a new connection" if device.connections == before[device] else device.lacks,
        )

    async def wait_all(self, what: str, lacks: Callable[[Device], str]) -> None:
        """`lacks` says what a device waits for, or nothing."""
        deadline = time.monotonic() + REST_SECONDS
        while waiting := {str(device.name): lack for device in self.devices if (lack := lacks(device))}:
            if time.monotonic() > deadline:
                lines = "\n".join(f"  {name}: {lack}" for name, lack in waiting.items())
                raise AssertionError(
                    f"after {REST_SECONDS} s some still wait for {what}:\n{lines}\n{self._server.tail()}"
                )
            await trio.sleep(0.005)

    def violations(self) -> list[Violation]:
        return check(self.history)

    def counts(self) -> Counter[str]:
        of_devices = sum((device.counts for device in self.devices), Counter[str]())
        return sum((poster.counts for poster in self.posters), of_devices)

    def connections(self) -> int:
        return sum(isinstance(event, Opened) for event in self.history)

    def fates(self) -> Counter[str]:
        """Of the messages: acknowledged, refused, or unknown to their writer to the end."""
        return fates(self.history)


def fates(history: Sequence[Event]) -> Counter[str]:
    fate: dict[tuple[Name, str], str] = {}
    for event in history:
        if isinstance(event, Wrote):
            fate[event.device, event.id] = "unknown"
        elif isinstance(event, Answered):
            fate[event.device, event.id] = "acknowledged"
        elif isinstance(event, Refused) and not event.unknown:
            fate[event.device, event.id] = "refused"
    return Counter(fate.values())


def _answered(device: Device) -> bool:
    return device.link is not None and not device.outbox


@asynccontextmanager
async def open_fleet(server: ServerProcess, seed: int, habits: Habits = HABITS) -> AsyncIterator[Fleet]:
    """The devices but the late one, connected and at rest."""
    async with trio.open_nursery() as nursery:
        fleet = Fleet(server, seed, nursery, habits)
        await server.start_up()
        fleet.launch(name for name in DEVICES if name != LATE)
        await fleet.come_to_rest()
        yield fleet
        nursery.cancel_scope.cancel()
