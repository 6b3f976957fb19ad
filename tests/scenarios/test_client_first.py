"""Devices that all write first and ask later: any number of them away at once, in whatever order they come back."""

from random import Random

import pytest
from trio.testing import MockClock

from bimip.client.wire import bimip as pb
from bimip.session.position import Position
from tests.kit.memory_server import Client, World, at, message, open_world, ranges
from tests.kit.received import Received
from tests.scenarios.conftest import OpenStore

WINDOW = 256


class Notebook:
    """A device of Alice's that keeps her notes, and writes them whether it is connected or not."""

    def __init__(self, world: World, name: str, random: Random) -> None:
        self.name = name
        self.log: dict[int, str] = {}
        """By offset, the seq of the note there."""
        self._world = world
        self._random = random
        self._client: Client | None = None
        self._position = Position()
        self._had: set[int] = set()  # when it said Hello
        self._waiting: list[pb.Message] = []
        self._written = 0

    async def write(self) -> None:
        self._written += 1
        seq = f"{self._random.randint(1, 50)}:{self._written}:{self.name}"
        note = message("alice", seq.encode(), f"m{self._written}", seq=seq, audiences={"me": f"key of {seq}"})
        self._waiting.append(note)
        if self._client is not None:
            self._client.send(message=note)
            if self._random.random() < 0.2:
                self.cut()  # whether it was stored, the next Hello tells
            await self.listen()

    async def connect(self) -> None:
        """Says where it stands, by offset or by the seq of what stands there, and what it wrote meanwhile."""
        if self._client is not None:
            return
        self._had = set(self.log)
        offset, held = self._position.offset, self._position.announced(WINDOW)
        position = at(offset, *held)
        if offset and self._random.random() < 0.5:
            position = pb.Position(partition="chat", seq=self.log[offset], held=ranges(*held))
        written = self._waiting if self._random.random() < 0.7 else self._waiting[:1]
        self._client = await self._world.join("alice", self.name, position, messages=written)
        for result in self._client.welcome.results:
            assert result.sent is not None, result.error
            self._sent(result.sent)
        if self._waiting:
            self._client.send(body=pb.Body(messages=list(self._waiting)))
        await self.listen()

    async def listen(self) -> None:
        if self._client is not None:
            self._take(await self._client.heard())
            if self._random.random() < 0.5 and self._position.offset:
                self._client.acknowledge(self._position.offset)

    def cut(self) -> None:
        """Ends the connection; what was under way may be lost."""
        if self._client is not None:
            self._client.cut()
        self._client = None

    def _take(self, heard: Received) -> None:
        for body in heard.bodies:
            assert not body.errors, body.errors
            assert not body.gaps, body.gaps
            for sent in body.signals:
                self._sent(sent)
            for one in body.messages:
                self._received(one)
            if body.turn == pb.Turn.IN_TURN and body.partition:
                offsets = [one.user_offset or 0 for one in body.messages]
                self._position, _ = self._position.join(body.after, body.upto, offsets)

    def _sent(self, sent: pb.Signal) -> None:
        [note] = [one for one in self._waiting if one.id == sent.id]
        self._waiting.remove(note)
        self._keep(sent.user_offset, note.seq)
        self._position, _ = self._position.hold([sent.user_offset])

    def _received(self, one: pb.Message) -> None:
        offset = one.user_offset or 0
        assert one.from_ is not None
        if one.from_.connection_resource_id == self.name:
            assert offset not in self._had, "its own entry was echoed"
        assert one.audiences == {"me": f"key of {one.seq}"}
        self._keep(offset, one.seq)

    def _keep(self, offset: int, seq: str) -> None:
        assert self.log.setdefault(offset, seq) == seq


@pytest.mark.parametrize("seed", range(12))
async def test_devices_that_were_away_in_any_mixture_end_with_one_log(seed: int, autojump_clock: MockClock) -> None:
    """In half of the seeds the part of the server that serves devices is killed now and then as well."""
    random, kills = Random(seed), 0.05 * (seed % 2)
    async with open_world(seed=seed) as world:
        names = [f"device {number}" for number in range(random.randint(3, 6))]
        await world.register("alice", *names)
        notebooks = [Notebook(world, name, random) for name in names]
        for _ in range(60):
            if random.random() < kills:
                await world.kill("users")
                for notebook in notebooks:
                    notebook.cut()
            notebook = random.choice(notebooks)
            act = random.choice([notebook.write, notebook.write, notebook.connect, notebook.listen, notebook.cut])
            if (going := act()) is not None:
                await going
        for _ in range(2):
            for notebook in notebooks:
                await notebook.connect()
                await notebook.listen()
        logs = [notebook.log for notebook in notebooks]

        assert all(log == logs[0] for log in logs)
        assert sorted(logs[0]) == list(range(1, len(logs[0]) + 1))
        assert len(set(logs[0].values())) == len(logs[0]) > 10


async def test_three_devices_come_back_at_once_each_with_what_it_wrote(
    autojump_clock: MockClock, open_store: OpenStore
) -> None:
    """Each gets what the two others wrote, in one order, and none of its own."""
    async with open_world(open_store=open_store) as world:
        names = ("phone", "laptop", "tablet")
        await world.register("alice", *names)
        waiting = [world.connect("alice", name) for name in names]
        for name, client in zip(names, waiting, strict=True):
            written = [message("alice", f"{name} {number}".encode(), f"m{number}") for number in (1, 2)]
            client.send(hello=pb.Hello(partitions=[at(0)], messages=written))
        heard = [[await client.heard() for client in waiting] for _ in range(2)]
        logs = []
        for number, first in enumerate(heard[0]):
            assert first.frames[0].hello is not None
            own = [result.sent.user_offset for result in first.frames[0].hello.results if result.sent is not None]
            came = [(one.user_offset or 0, one.payload) for one in (*first.messages, *heard[1][number].messages)]
            assert not {offset for offset, _ in came} & set(own)
            logs.append(dict(came) | {at: f"{names[number]} {n}".encode() for n, at in enumerate(own, 1)})

        assert logs[0] == logs[1] == logs[2]
        assert sorted(logs[0]) == [1, 2, 3, 4, 5, 6]


async def test_wrapped_keys_travel_as_they_are_and_are_there_for_who_comes_later(
    autojump_clock: MockClock, open_store: OpenStore
) -> None:
    keys = {"friends": "a2V5", "me@example.org": "b3RoZXI="}
    async with open_world(open_store=open_store) as world:
        laptop = await world.join("alice", "laptop", at(0))
        written = [message("alice", b"sealed", "m1", seq="1:1:phone", scope="private", audiences=keys)]
        await world.join("alice", "phone", at(0), messages=written)
        [live] = (await laptop.heard()).messages
        tablet = await world.join("alice", "tablet", pb.Position(partition="chat", start=pb.Start.FIRST))
        [later] = (await tablet.heard()).messages
        tablet.send(fetch=pb.Fetch(kind=pb.FetchKind.BY_SEQ, partition="chat"), ref=1)
        [fetched] = (await tablet.heard()).messages

        assert [(one.payload, one.audiences, one.scope) for one in (live, later, fetched)] == [
            (b"sealed", keys, "private")
        ] * 3
