"""The whole server in one thread and virtual time, with its real gateway: streams in memory or pairs of sockets, a
journal whose disk takes time, a store that can fail, and the fleet of devices that the chaos runs drive.
"""

from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from functools import partial
from random import Random
from typing import Any, cast

import trio

from bimip import app
from bimip.config import Settings
from bimip.console.server import open_loopback
from bimip.gateway.listener import open_tcp
from bimip.journal.worker import InlineWorker, ThreadWorker, Worker
from bimip.parts import Parts
from bimip.push.posting import Response
from bimip.supervision import Supervisor
from bimip.testing.push import MemoryGateway
from bimip.testing.virtual import Port, open_virtual_server, settings_for_tests, token
from tests.chaos import device
from tests.chaos.device import Device, SocketLink
from tests.chaos.fleet import PARTITIONS, Fleet
from tests.chaos.server import ServerProcess
from tests.kit.actor import AGAIN, FIRST
from tests.kit.faults import FaultyStore
from tests.kit.history import Name
from tests.kit.push import GATEWAY
from tests.kit.webhooks import webhook

REST_SECONDS = 90
"""Of virtual time, until everybody must have what is theirs."""
DAY_SECONDS = 86_400
ANSWER_SECONDS = 5
"""A stream in memory whose other end is dropped unread does not tell: patience is all that a device has then."""
HABITS = replace(device.HABITS, may_be_refused=True, pushes=True)


class VirtualThread:
    """A worker's thread that is a task; the disk takes a moment of virtual time. One job at a time, in their order,
    also where nobody waits for the first one any more.
    """

    def __init__(self, random: Random) -> None:
        self._random = random
        self._given: deque[Callable[[], None]] = deque()

    def give(self, call: Callable[[], None]) -> None:
        self._given.append(call)
        if len(self._given) == 1:
            trio.lowlevel.spawn_system_task(self._do_all)

    async def _do_all(self) -> None:
        while self._given:
            await trio.sleep(self._random.choice([0, 0.001, 0.005]))
            self._given[0]()
            self._given.popleft()

    def close(self) -> None:
        pass


class VirtualWorker(ThreadWorker):
    """The worker as it is, but for its thread and its clock."""

    clock = staticmethod(float)

    def __init__(self, random: Random) -> None:
        super().__init__(VirtualThread(random))
        self._random = random

    @property
    def may_run_inline(self) -> bool:
        return super().may_run_inline and self._random.random() < 0.5


class _LikeASocket:
    """A stream in memory for a device, which treats its own as a socket."""

    def __init__(self, stream: trio.abc.HalfCloseableStream) -> None:
        self._stream = cast("Any", stream)
        self.socket = self
        self.send_all = stream.send_all
        self.receive_some = stream.receive_some
        self.send_eof = stream.send_eof
        self.aclose = stream.aclose

    def setsockopt(self, *_option: object) -> None:
        pass

    def close(self) -> None:
        self._stream.send_stream.close()
        self._stream.receive_stream.close()


class VirtualDevice(Device):
    """A device that knocks at a port in memory, and notes the connections that it lost and did not end."""

    def __init__(self, *, dial: Callable[[], Any], **about: Any) -> None:
        super().__init__(**about)
        self.losses: list[str] = []
        self._ending = ""
        self._dial = dial
        self._own_end = False
        self._stays = True

    def cut(self) -> None:
        self._own_end = True
        super().cut()

    async def _converse(self, link: SocketLink, nursery: trio.Nursery) -> int:
        try:
            return await super()._converse(link, nursery)
        finally:
            self._own_end |= link.scope.cancel_called
            self._ending = str(link.websocket.closed)

    def _complain(self, invariant: str, kind: str, line: str) -> None:
        """An ack may meet a failing disk as well as a message: it has no id, and nobody sends it again."""
        if not (line.startswith("was told") and any(code in line for code in AGAIN)):
            super()._complain(invariant, kind, line)

    def leave(self) -> None:
        """For good."""
        self._stays = False
        self.cut()

    async def live(self, _up: Callable[[], trio.Event]) -> None:
        while self._stays:
            before = self.connections, self.counts["cuts"]
            self._own_end = False
            self._ending = ""
            await self._connect(self._dial())
            if self.connections > before[0] and self.counts["cuts"] == before[1] and not self._own_end:
                self.losses.append(self._ending)
            await trio.sleep(self._random.uniform(0.001, 0.03))


class VirtualFleet(Fleet):
    def __init__(self, port: Port, seed: int, nursery: trio.Nursery) -> None:
        super().__init__(cast("ServerProcess", None), seed, nursery)
        self._gate = port
        self.members: list[VirtualDevice] = []

    def launch(self, names: Iterable[Name], start: int = FIRST) -> None:
        everybody = tuple(names)
        for number, name in enumerate(everybody):
            member = VirtualDevice(
                dial=self._gate.connect_by_socket if number % 2 else lambda: _LikeASocket(self._gate.connect()),
                name=name,
                token=token(name.eid, name.device, seconds=DAY_SECONDS),
                port=0,
                random=Random(f"{self._seed} {name}"),
                record=self._record,
                directory=everybody,
                partitions=PARTITIONS,
                start=start,
                habits=HABITS,
            )
            self.devices.append(member)
            self.members.append(member)
            self._nursery.start_soon(member.live, trio.Event)

    async def wait_all(self, what: str, lacks: Callable[[Device], str]) -> None:
        deadline = trio.current_time() + REST_SECONDS
        while waiting := {str(device.name): lack for device in self.devices if (lack := lacks(device))}:
            if trio.current_time() > deadline:
                lines = "\n".join(f"  {name}: {lack}" for name, lack in waiting.items())
                raise AssertionError(f"after {REST_SECONDS} s some still wait for {what}:\n{lines}")
            await trio.sleep(0.05)


class UnsteadyGateway(MemoryGateway):
    """Takes most of what is pushed, or told to a back end; else it is not there, or says that somebody is gone."""

    def __init__(self, random: Random) -> None:
        super().__init__()
        self.answer = lambda _request: Response(random.choice([201] * 7 + [410, 410, 503]))
        self.seconds = 0.05


class VirtualWorld:
    def __init__(self, server: Parts, store: FaultyStore, gate: Port, desk: Port) -> None:
        self.server = server
        self.store = store
        self.gate = gate
        self.desk = desk


def settings() -> Settings:
    """Everything often, and nothing that ends a connection of itself."""
    return settings_for_tests(
        BIMIP_LIMITS_MAX_UNAUTHENTICATED="20",
        BIMIP_GATEWAY_HEARTBEAT_SECONDS="4",
        BIMIP_PUSH_GATEWAYS=GATEWAY,
        BIMIP_PUSH_DELAY_SECONDS="0.1",
        BIMIP_WEBHOOKS_ENDPOINTS=webhook(),
        BIMIP_WEBHOOKS_RETRY_SECONDS="1",
        BIMIP_RETENTION_EVERY_SECONDS="1",
        BIMIP_RETENTION_HISTORY_DAYS="chat=9,notification=9,feed=9,sync=9",
        BIMIP_LIMITS_GRACE_SECONDS="4",
        BIMIP_LIMITS_REDELIVERY_ROUNDS="100",
        BIMIP_LIMITS_UNANSWERED_REQUESTS="16",
        BIMIP_TOKENS_LEEWAY_SECONDS="600",
    )


@contextmanager
def patient_root(intensity: int | None) -> Iterator[None]:
    """A server whose root allows so many restarts; None: as it is."""

    tree = app.tree

    def patient_tree(parts: Parts) -> Supervisor:
        whole = tree(parts)
        return whole if intensity is None else replace(whole, intensity=intensity)

    vars(app)["tree"] = patient_tree
    try:
        yield
    finally:
        vars(app)["tree"] = tree


@asynccontextmanager
async def open_virtual_world(seed: int, *, intensity: int | None = None) -> AsyncIterator[VirtualWorld]:
    """The server, and where to knock. The disk of an odd seed takes time."""
    vars(device).update(ANSWER_SECONDS=ANSWER_SECONDS)
    store, gate, desk = FaultyStore(), Port(open_tcp), Port(open_loopback)
    random = Random(f"disk {seed}")
    worker: Callable[[], Worker] = partial(VirtualWorker, random) if seed % 2 else InlineWorker
    serving = open_virtual_server(
        lambda: store,
        settings=settings(),
        seed=seed,
        open_worker=worker,
        listen=gate.open,
        listen_console=desk.open,
        gateway=UnsteadyGateway(Random(f"gateway {seed}")),
    )
    with patient_root(intensity):
        async with serving as server:
            yield VirtualWorld(server, store, gate, desk)
