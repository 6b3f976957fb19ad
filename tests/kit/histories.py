"""Random histories of everything that clients can do, played to the whole server, and what each device was told."""

from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, suppress
from random import Random
from typing import NamedTuple

import httpx
import trio
from trio.testing import MockClock

from bimip.api.endpoint import Endpoint
from bimip.api.openapi import PREFIX
from bimip.client.wire import bimip as pb
from bimip.storage.interface import Store
from bimip.supervision import NoSuchProcess
from bimip.testing.virtual import Port, seeded_scheduler, settings_for_tests, token
from tests.http.kit import Wire
from tests.kit.memory_server import Client, World, open_world
from tests.kit.push import GATEWAY
from tests.kit.rest_requests import Requests
from tests.kit.speaker import DEVICES, USERS, Speaker, pick
from tests.kit.taken import Taken

PATHS = (
    "journal",
    "calls",
    "locations",
    "presence",
    "retention",
    "users",
    "users/ann",
    "users/bob/phone/fetcher",
    "users/cid/phone/reader",
    "timers",
)
PAUSES = (0.5, 2, 40, 4000, 90_000)
"""Seconds: until an ack is written, something disappears, all is sent again, the clock is believed, retention acts."""
LOST = pb.Position(partition="chat", start=pb.Start.FIRST)


class Step(NamedTuple):
    what: str
    device: int
    numbers: tuple[int, ...]
    """From these follows all that it says."""


def draw_steps(random: Random, count: int) -> list[Step]:
    names = random.choices([*WEIGHTS], [*WEIGHTS.values()], k=count)
    return [Step(name, random.randrange(len(DEVICES)), tuple(random.choices(range(1 << 16), k=6))) for name in names]


class Told(NamedTuple):
    """What a device was told by the end of a step."""

    step: int
    device: str
    frames: tuple[str, ...]


class Player:
    """Plays one history. What the server answers is what later steps are about."""

    def __init__(self, open_store: Callable[[], Store], seed: int) -> None:
        self.told: list[Told] = []
        self.answers: list[tuple[Endpoint, httpx.Response]] = []
        """By HTTP: what was asked, and what was answered."""
        self._open_store = open_store
        self._seed = seed
        self._settings = settings_for_tests(
            BIMIP_PUSH_GATEWAYS=GATEWAY,
            BIMIP_RETENTION_POLICIES="sync=until-acked",
            BIMIP_RETENTION_HISTORY_DAYS="notification=1",
            BIMIP_RETENTION_OFFLINE_DAYS="2",
            BIMIP_RETENTION_EVERY_SECONDS="3600",
            BIMIP_LIMITS_WINDOW_ENTRIES="8",
        )
        self._clients: dict[tuple[str, str], Client] = {}
        self._taken = {name: Taken(name[0]) for name in DEVICES}
        self._speaker = Speaker()
        self._requests = Requests(self._speaker)
        self._tokens = 0
        self._port = Port()
        self._world: World
        self._running: AsyncExitStack

    async def play(self, steps: Sequence[Step]) -> None:
        await self._start()
        for name in DEVICES:
            await self._connect(name, None)
        for number, step in enumerate(steps):
            await self._step(number, step)
            await self._listen(number)
        await self._restart()
        for eid in USERS:
            await self._connect((eid, "watch"), LOST)
        await self._listen(len(steps))
        await self._running.aclose()

    async def _step(self, number: int, step: Step) -> None:
        name = DEVICES[step.device]
        numbers = list(step.numbers)
        if step.what == "pause":
            await trio.sleep(pick(PAUSES, numbers))
        elif step.what == "restart":
            await self._restart()
        elif step.what == "kill":
            await self._kill(pick(PATHS, numbers))
        elif step.what.startswith("rest"):
            await self._ask(number, name, step.what, numbers)
        elif step.what == "away" or name not in self._clients or not self._clients[name].is_connected:
            await self._come_or_go(name, numbers, is_away=step.what == "away")
        else:
            client = self._clients[name]
            payload = getattr(self._speaker, step.what)(numbers)
            self._taken[name].said(payload)
            client.send(ref=self._speaker.ref, **payload)

    async def _ask(self, number: int, name: tuple[str, str], what: str, numbers: list[int]) -> None:
        """Asks by HTTP, as the device itself or as a back end of its user."""
        eid, device = name
        device = pick([device, "backend"], numbers)
        self._tokens += 1
        shown, newer = (token(eid, device, jti=f"{which} {self._tokens}") for which in ("token", "newer token"))
        asked = self._requests.drawn(what, eid, numbers, newer)
        headers = {"authorization": f"Bearer {shown}", **asked.headers}
        transport = Wire(self._port.connect)
        async with httpx.AsyncClient(transport=transport, base_url=f"http://localhost{PREFIX}") as client:
            answer = await client.request(asked.method, asked.path, headers=headers, json=asked.body)
        retry = f"again in {answer.headers['retry-after']} s" if "retry-after" in answer.headers else ""
        words = (f"{asked.method} {asked.path} {asked.body}", f"{answer.status_code} {retry}", answer.text)
        self.told.append(Told(number, f"{eid}/{device} by HTTP", words))
        self.answers.append((asked.endpoint, answer))
        self._requests.learn(asked, answer)

    async def _start(self) -> None:
        self._running = AsyncExitStack()
        opened = open_world(
            open_store=self._open_store, seed=self._seed, settings=self._settings, listen=self._port.open
        )
        self._world = await self._running.enter_async_context(opened)

    async def _restart(self) -> None:
        await self._running.aclose()
        self._clients = {}
        await self._start()

    async def _kill(self, path: str) -> None:
        with suppress(NoSuchProcess):
            await self._world.kill(path)
        await trio.sleep(2)  # not more often than supervisors forgive

    async def _come_or_go(self, name: tuple[str, str], numbers: list[int], *, is_away: bool) -> None:
        if is_away and name in self._clients:
            self._clients.pop(name).cut()
        elif not is_away:
            start = pick([None, None, None, pb.Start.HEAD, pb.Start.LAST], numbers)
            position = None if start is None else pb.Position(partition="chat", start=start, last=numbers.pop() % 9)
            await self._connect(name, position)

    async def _connect(self, name: tuple[str, str], position: pb.Position | None) -> None:
        """With what the device has, or from another place and without any state."""
        taken = self._taken.get(name, Taken(name[0]))
        hello = taken.hello_again() if position is None else pb.Hello(partitions=[position])
        if not hello.partitions:
            hello.partitions = [pb.Position(partition=one) for one in ("chat", "notification", "sync", "feed")]
        self._taken[name] = Taken(name[0])
        self._taken[name].said({"hello": hello})
        client = self._clients[name] = self._world.connect(*name)
        client.send(ref=1, hello=hello)

    async def _listen(self, number: int) -> None:
        for (eid, device), client in sorted(self._clients.items()):
            heard = await client.heard()
            frames = tuple(str(frame) for frame in heard.frames)
            self.told.append(Told(number, f"{eid}/{device}", frames))
            for frame in heard.frames:
                self._speaker.learn(frame)
                self._taken[eid, device].take(frame)


WEIGHTS = {
    "write": 10,
    "command": 9,
    "fetch": 6,
    "group": 4,
    "ack": 4,
    "read": 4,
    "away": 4,
    "batch": 3,
    "pause": 3,
    "settings_change": 2,
    "contact": 3,
    "visibility": 1,
    "devices": 2,
    "push": 2,
    "keys": 2,
    "call": 3,
    "location": 2,
    "snapshot": 1,
    "restart": 1,
    "kill": 1,
    "rest_message": 3,
    "rest_batch": 2,
    "rest": 12,
}
"""How often each step is drawn."""


def play(open_store: Callable[[], Store], steps: Sequence[Step], seed: int) -> list[Told]:
    """Everything that devices were told, in a server of its own over this store."""
    return played(open_store, steps, seed).told


def played(open_store: Callable[[], Store], steps: Sequence[Step], seed: int) -> Player:
    """Who played a history to its end."""
    player = Player(open_store, seed)
    with seeded_scheduler(seed):
        trio.run(player.play, steps, clock=MockClock(autojump_threshold=0))
    return player
