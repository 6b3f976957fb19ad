"""A world whose server loses its power at random steps, is started again on what was on disk, and has its clients back.

A scenario runs in it as in any other world. Its server ends from one instant to the next: what was not committed is
lost, all connections are cut, of the frames that were on their way some arrive. The clients do what PROTOCOL.md asks of
them: they say Hello with what they have, and ask again whatever got no answer. The scenario is told what an application
above such a client is told, so what it asserts holds all the same.
"""

from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from random import Random
from typing import Any, TypeVar

import trio

from bimip.client.wire import bimip as pb
from bimip.config import Settings
from bimip.domain.core.identity import Claims
from bimip.domain.core.ids import Millis
from bimip.journal.worker import InlineWorker, Point
from bimip.parts import Parts
from bimip.storage.interface import Store
from bimip.storage.memory import MemoryStore
from bimip.testing.push import MemoryGateway
from bimip.testing.virtual import open_virtual_server, virtual_millis
from bimip.users.connection import ConnectionClosedError
from tests.kit.calls_known import CallsLostError, KnownCall, KnownCalls
from tests.kit.codecs import SDK
from tests.kit.memory_connection import Peer
from tests.kit.memory_server import FOR_EVER, PATIENCE, Client, World, settle
from tests.kit.others import GONE_SECONDS
from tests.kit.received import Received
from tests.kit.requests import Requests, answers
from tests.kit.taken import Taken

T = TypeVar("T")

FIRST_GAP = 2
"""Frames of clients until the first crash, at most. Each gap may be twice as long as the one before."""
MOMENTS = ("before the frame", "soon after the frame", "before the commit", "after the commit")
SOON = 40
"""Steps of the scheduler, at most."""
AGAIN = 1 << 30
"""The `ref` of what a client says again by itself, whose answer its scenario is not told."""


class Crashes:
    """Draws when the server of one scenario crashes, from a seed, and counts how often it did."""

    def __init__(self, seed: str) -> None:
        self.random = Random(seed)
        self.count = 0
        self.known: set[tuple[str, str, str, str]] = set()
        """What was answered: eid, device, kind and id. Asked again by the scenario it is a duplicate."""
        self._longest = FIRST_GAP
        self._frames_left = self.random.randint(1, FIRST_GAP)

    def moment(self) -> str:
        """Counts a frame of a client, and says when the server crashes because of it; empty: it does not."""
        self._frames_left -= 1
        if self._frames_left:
            return ""
        self._longest *= 2
        self._frames_left = self.random.randint(1, self._longest)
        return self.random.choice(MOMENTS)


class Incarnation(MemoryStore):
    """What one life of the server sees of a store. After its crash nobody sees what it still does."""

    def __init__(self, kept: MemoryStore) -> None:
        super().__init__()
        self._kept: MemoryStore | None = kept
        self._state = kept._state
        self.put_back, self.newest_served = kept.put_back, kept.newest_served

    def commit(self) -> None:
        super().commit()
        if self._kept is not None:
            self._kept._state, self._kept.put_back = self._state, ""

    def crash(self) -> None:
        self._kept = None
        self._state = self._state.copy()


class TrappedWorker(InlineWorker):
    """Tells when a commit is about to happen, and when it is on disk and nobody knows of it yet."""

    def __init__(self, on_commit: Callable[[str], None]) -> None:
        self._on_commit = on_commit

    async def run(
        self,
        job: Callable[[], T],
        then: Callable[[], object] | None = None,
        *,
        inline: bool = False,
        point: Point = Point.OTHER,
    ) -> T:
        def watched() -> T:
            self._on_commit("before the commit")
            result = job()
            self._on_commit("after the commit")
            return result

        return await super().run(watched if point is Point.COMMIT else job, then, inline=inline, point=point)


class CrashingWorld(World):
    def __init__(self, crashes: Crashes, serve: Callable[..., Any], kept: MemoryStore, nursery: trio.Nursery) -> None:
        self.crashes = crashes
        self._serve = serve
        self._kept = kept
        self._all = nursery
        self._clients: list[ReturningClient] = []
        self._wires: list[CountedPeer] = []
        self._armed = ""
        """The moment at which the server is to crash, when it comes."""
        self.scenario = trio.CancelScope()
        self._has_lost_calls = False
        self._begin()

    def _begin(self) -> None:
        """The next life of the server."""
        self._up = trio.Event()
        self._store = Incarnation(self._kept)
        self._life = trio.CancelScope()
        self._all.start_soon(self._live, self._store, self._life, self._up)

    async def _live(self, store: Incarnation, life: trio.CancelScope, up: trio.Event) -> None:
        worker = TrappedWorker(lambda moment: self.reach(moment) if store is self._store else None)
        with life:
            async with (
                self._serve(lambda: store, open_worker=lambda: worker) as server,
                trio.open_nursery() as self._nursery,
            ):
                self.server: Parts = server
                for client in self._clients:
                    client.come_back()
                up.set()
                await trio.sleep_forever()

    def crash(self) -> None:
        """The power fails, now. The server's tasks end a little later, as ghosts."""
        self.crashes.count += 1
        self._armed = ""
        self._store.crash()
        self._clients = [client for client in self._clients if client.is_connected]
        for client in self._clients:
            client.lose_connection(self.crashes.random)
        for wire in self._wires:
            wire.cut()
        self._wires.clear()
        if any(client.calls.had_any for client in self._clients):
            self._lose_calls()
        self._life.cancel()
        beginning = self._up
        self._begin()
        beginning.set()

    def _lose_calls(self) -> None:
        self._has_lost_calls = True
        self.scenario.cancel()
        for client in self._clients:
            client.requests.forget()

    def is_over(self) -> bool:
        """Whether the scenario has ended with the calls that it was about."""
        return self._has_lost_calls

    def on_frame(self) -> None:
        """A client is about to send a frame."""
        if self._armed:
            self.crash()  # no commit came
        moment = self.crashes.moment()
        if moment == "before the frame":
            self.crash()
        elif moment == "soon after the frame":
            self._all.start_soon(self._crash_soon, self._store, self.crashes.random.randint(0, SOON))
        else:
            self._armed = moment

    def reach(self, moment: str) -> None:
        if self._armed == moment:
            self.crash()

    async def _crash_soon(self, store: Incarnation, steps: int) -> None:
        for _ in range(steps):
            await trio.lowlevel.checkpoint()
        if store is self._store:
            self.crash()

    async def settle(self) -> None:
        """Everything that was asked is done, by a server that did not crash meanwhile."""
        is_done = False
        while not is_done:
            await self.up()
            store = self._store
            await settle()
            if any(client.is_unsure_of_others for client in self._clients):
                await trio.sleep(GONE_SECONDS)
            if self._armed and store is self._store:
                self.crash()
            said_again = [client.say_again() for client in self._clients]
            is_done = store is self._store and not any(said_again)
        for client in self._clients:
            client.requests.settled()

    async def check_calls(self) -> None:
        """Of a scenario that the server ended, since it forgot its calls, the end as PROTOCOL.md has it."""
        if not self._has_lost_calls:
            return
        await self.settle()
        for client in self._clients:
            await client.heard()
        known = [(client, call) for client in self._clients for call in client.calls.open]
        for client, call in known:
            client.say_ringing(call)
        await self.settle()
        for client, call in known:
            ends = [one for one in (await client.heard()).call_signals if one.call == call.name]
            assert [(one.step, one.end, one.sequence, one.to) for one in ends] == [
                (pb.CallStep.CALL_ENDED, pb.CallEnd.CALL_LOST, 0, pb.Identity(eid=call.peer))
            ], "who names a call that the server forgot is told that it is lost"
        raise CallsLostError

    @property
    def is_up(self) -> bool:
        return self._up.is_set()

    async def up(self) -> None:
        """Until a server is there, which is another one where one crashes while it starts."""
        while not self.is_up:
            await self._up.wait()

    def connect(
        self, eid: str, device: str, *, room: int = 1_000_000, expires_at: Millis = FOR_EVER, jti: str = ""
    ) -> "ReturningClient":
        claims = Claims(eid, device, expires_at, jti or f"{eid}/{device}")
        client = ReturningClient(self, claims, room)
        self._clients.append(client)
        if self.is_up:
            self.attach(claims, client.peer)
        return client

    def dial(self, eid: str, device: str) -> Peer:
        peer = CountedPeer(self.on_frame)
        if self.is_up:
            self._wires.append(peer)
            self.attach(Claims(eid, device, FOR_EVER, f"{eid}/{device}"), peer)
        else:
            peer.cut()
        return peer

    def attach(self, claims: Claims, peer: Peer) -> None:
        self._nursery.start_soon(self._attach, claims, peer)

    async def kill(self, path: str) -> None:
        await self.settle()
        await super().kill(path)


class CountedPeer(Peer):
    """A wire whose frames count for when the server crashes."""

    def __init__(self, on_frame: Callable[[], None]) -> None:
        super().__init__()
        self._on_frame = on_frame

    def send(self, frame: bytes) -> None:
        self._on_frame()
        super().send(frame)


class SaidOfItself:
    """What a device says of itself, which the server has in memory alone: it is said again on each connection."""

    def __init__(self) -> None:
        self._status: pb.Awareness | None = None
        self._position: pb.LocationStream | None = None

    def said(self, payload: dict[str, Any]) -> None:
        status, place = payload.get("awareness"), payload.get("location_stream")
        if status is not None and status.status in {pb.AwarenessStatus.ONLINE, pb.AwarenessStatus.OFFLINE}:
            is_looked_at = status.status == pb.AwarenessStatus.ONLINE and not status.inactive
            self._status = None if is_looked_at else pb.Awareness(status=status.status, inactive=status.inactive)
        if place is not None and place.has_position:
            self._position = replace(place, to=None, conversation="", enabled=False, expires_at=0)

    def again(self) -> Iterator[dict[str, Any]]:
        if self._status is not None:
            yield {"awareness": self._status}
        if self._position is not None:
            yield {"location_stream": self._position}


class ReturningClient(Client):
    """A device with a memory for as long as the world lasts."""

    peer: Peer

    def __init__(self, world: CrashingWorld, claims: Claims, room: int) -> None:
        super().__init__(Peer(room=room), claims.eid, claims.device)
        self.requests = Requests(claims.eid, claims.device, world.crashes.known)
        self._world = world
        self._claims = claims
        self._room = room
        self._shown: deque[pb.MessageScheme] = deque()
        self._taken = Taken(claims.eid)
        self._said_of_itself = SaidOfItself()
        self.calls = KnownCalls()
        self._hello_ref: int | None = None
        self._is_away = not world.is_up
        self._is_to_say_again = False

    # What the world does.

    def lose_connection(self, random: Random) -> None:
        """Of what was on its way to the client the first few frames arrive, or none."""
        arriving = self.peer.waiting()
        for frame in arriving[: random.randint(0, len(arriving))]:
            self._take(frame)
        self._taken.others.interrupt()
        self._is_away = True
        self.peer.cut()

    def come_back(self) -> None:
        """Connect, say Hello with what is there, and ask again what got no answer."""
        self.peer = Peer(room=self._room)
        self._is_away = False
        self._world.attach(self._claims, self.peer)
        if self._hello_ref is not None:
            self._send(self._hello_ref, hello=self._taken.hello_again())
        self._taken.others.come_back(trio.current_time())
        for payload in self._said_of_itself.again():
            self._send(AGAIN, **payload)
        for ref, payload in self.requests.again():
            self._send(ref, **payload)
        self._is_to_say_again = True

    @property
    def is_unsure_of_others(self) -> bool:
        return self.is_connected and self._taken.others.is_unsure(trio.current_time())

    def say_again(self) -> bool:
        """Says again what was read, now that it is there, and what its user does, now that the others are."""
        if not self.is_connected or not self._is_to_say_again:
            return False
        self._is_to_say_again = False
        if not self.requests.has_later:
            return False
        self._take_waiting()
        for ref, payload in self.requests.later_again():
            self._send(ref, **payload)
        return True

    def say_ringing(self, call: KnownCall) -> None:
        self._send(1, signal=call.signal(pb.CallStep.CALL_RINGING))

    # What the scenario does.

    def send(self, *, ref: int = 0, **payload: Any) -> None:
        if not self.is_connected or self._world.is_over():
            return
        self._take_waiting()  # what it says is said by one who has read what is there
        self._world.on_frame()
        if self._world.is_over():
            return
        self._taken.said(payload)
        self._said_of_itself.said(payload)
        self.requests.name(payload)
        if "hello" in payload:
            self._hello_ref = ref
        else:
            self.requests.ask(ref, payload)
        if not self._is_away:
            self._send(ref, **payload)

    def _send(self, ref: int, **payload: Any) -> None:
        self.calls.said(payload)
        self.peer.send(SDK.encode(ref, **payload))

    async def receive(self) -> pb.MessageScheme:
        with trio.fail_after(PATIENCE):
            while not self._shown:
                await self._world.up()
                peer = self.peer
                try:
                    frame = await peer.receive()
                except ConnectionClosedError:
                    if self._shown or self._is_away or peer is not self.peer:
                        continue
                    raise
                self._take(frame)
        return self._shown.popleft()

    async def heard(self) -> Received:
        await self._world.settle()
        self._take_waiting()
        shown = list(self._shown)
        self._shown.clear()
        if (gone := self._taken.others.gone(trio.current_time())) is not None:
            shown.append(pb.MessageScheme(body=gone))
        return Received(shown)

    async def closed(self) -> int:
        while True:
            await self._world.up()
            peer = self.peer
            with trio.fail_after(PATIENCE):
                await peer.connection.wait_closed()
            if not self._is_away and peer is self.peer:
                return await super().closed()

    @property
    def is_connected(self) -> bool:
        return self._is_away or super().is_connected

    def cut(self) -> None:
        self._is_away = False
        super().cut()

    def _take_waiting(self) -> None:
        for frame in self.peer.waiting():
            self._take(frame)

    def _take(self, frame: bytes) -> None:
        scheme = pb.MessageScheme.parse(frame)
        if scheme.ref == AGAIN:
            return
        for answer in answers(scheme):
            self.requests.take(answer)
        self.calls.take(scheme)
        if self._taken.take(scheme):
            self._shown.append(scheme)


@asynccontextmanager
async def open_crashing_world(
    crashes: Crashes,
    *,
    seed: int = 0,
    store: Store | None = None,
    settings: Settings | None = None,
    open_store: Callable[[], Store] | None = None,
    wall_clock: Callable[[], Millis] = virtual_millis,
    gateway: MemoryGateway | None = None,
) -> AsyncIterator[World]:
    """Run the server, as `open_world` does, and let it crash."""
    kept = open_store() if open_store is not None else store if store is not None else MemoryStore()
    assert type(kept) is MemoryStore, "only a store in memory can lose its power"
    serve = partial(open_virtual_server, settings=settings, seed=seed, wall_clock=wall_clock, gateway=gateway)
    async with trio.open_nursery() as nursery:
        world = CrashingWorld(crashes, serve, kept, nursery)
        await world.up()
        with world.scenario:
            yield world
        await world.check_calls()
        nursery.cancel_scope.cancel()
