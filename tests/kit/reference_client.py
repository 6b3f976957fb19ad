"""A device with a memory: what PROTOCOL.md asks of a client, in its plainest form, for tests that check what it saw."""

from contextlib import suppress
from random import Random

import trio

from bimip.client.wire import bimip as pb
from bimip.session.close import Close, may_reconnect
from bimip.session.position import Position
from bimip.users.connection import ConnectionClosedError
from tests.kit.memory_server import Client, World, message, ranges

Key = tuple[str, str, int]  # conversation, member, kind


class ReferenceClient:
    """Fails with an assertion where the server contradicts itself: a hole, an entry with two contents."""

    def __init__(self, eid: str, device: str, random: Random) -> None:
        self.eid = eid
        self.device = device
        self.position = Position()
        self.log: dict[int, tuple[str, bytes]] = {}
        """By offset: who wrote it, and what."""
        self.outbox: dict[str, pb.Message] = {}
        self.receipts: dict[Key, dict[int, int]] = {}
        self.version = 0
        self._fresh: dict[Key, dict[int, int]] | None = None  # a whole state that is arriving
        self._random = random
        self.written = range(1, 1)
        self._client: Client | None = None
        self._upto = 0
        self._window = 0  # as the server told it

    async def live(self, world: World) -> None:
        """Connect, take in what comes, and connect again when that ends."""
        while True:
            room = self._random.choice([1, 3, 1_000_000])
            self._client = client = world.connect(self.eid, self.device, room=room)
            self._say_hello(client)
            with suppress(ConnectionClosedError):
                while True:
                    self._take(pb.MessageScheme.parse(await client.peer.receive()))
            code = await client.closed()
            assert may_reconnect(code) or code == Close.REPLACED, code
            await trio.sleep(self._random.uniform(0, 2))

    def write(self, to: str) -> None:
        number = self.written.stop
        self.written = range(1, number + 1)
        new = message(to, self.payload(number), f"m{number}")
        self.outbox[new.id] = new
        if self._client is not None and self._client.is_connected:
            self._client.send(message=new)

    def payload(self, number: int) -> bytes:
        return f"{self.eid}/{self.device} {number}".encode()

    def acknowledge(self) -> None:
        if self.position.offset and self._client is not None and self._client.is_connected:
            self._client.acknowledge(self.position.offset)

    def cut(self) -> None:
        if self._client is not None:
            self._client.cut()

    def _say_hello(self, client: Client) -> None:
        held = ranges(*self.position.announced(self._window))
        position = pb.Position(partition="chat", offset=self.position.offset, held=held)
        written = list(self.outbox.values())
        client.send(hello=pb.Hello(partitions=[position], state_version=self.version, messages=written))
        self._upto = -1
        self._fresh = None

    def _take(self, scheme: pb.MessageScheme) -> None:
        if scheme.hello is not None:
            [log] = scheme.hello.logs
            assert scheme.hello.limits is not None
            self._window = scheme.hello.limits.window_entries
            assert log.position == self.position.offset
            self._upto = log.position
            for result in scheme.hello.results:
                assert result.sent is not None, result.error
                self._sent(result.sent)
        elif scheme.body is not None:
            self._take_body(scheme.body)

    def _take_body(self, body: pb.Body) -> None:
        assert not body.errors, body.errors
        assert not body.gaps, body.gaps
        for signal in body.signals:
            self._sent(signal)
        offsets = [one.user_offset or 0 for one in body.messages]
        assert offsets == sorted(set(offsets))
        if body.turn == pb.Turn.IN_TURN and body.partition:
            assert body.after == self._upto, (body.after, self._upto)
            self._upto = body.upto
            self.position, _ = self.position.join(body.after, body.upto, offsets)
        for one in body.messages:
            assert one.from_ is not None
            self._keep(one.user_offset or 0, f"{one.from_.eid}/{one.from_.connection_resource_id}", one.payload)
            if (one.from_.eid, one.from_.connection_resource_id) == (self.eid, self.device):
                self.outbox.pop(one.id, None)
        for state in body.states:
            self._take_state(state)
        if self._random.random() < 0.5:
            self.acknowledge()

    def _sent(self, signal: pb.Signal) -> None:
        written = self.outbox.pop(signal.id, None)
        if written is not None:
            self._keep(signal.user_offset, f"{self.eid}/{self.device}", written.payload)
        self.position, _ = self.position.hold([signal.user_offset])

    def _keep(self, offset: int, author: str, payload: bytes) -> None:
        assert self.log.setdefault(offset, (author, payload)) == (author, payload)

    def _take_state(self, state: pb.StateDelta) -> None:
        if state.reset:
            self._fresh = {}
        else:
            assert state.after == self.version or self._fresh is not None
        receipts = self.receipts if self._fresh is None else self._fresh
        for item in state.items:
            if item.receipts is None:
                continue
            key = (item.receipts.conversation, item.receipts.member, int(item.receipts.kind))
            times = receipts.setdefault(key, {})
            for run in item.receipts.runs:
                for offset in range(run.from_, run.to + 1):
                    times[offset] = min(run.time, times.get(offset, run.time))
        if self._fresh is None:
            self.version = state.upto
        elif state.complete:
            self.receipts, self._fresh, self.version = self._fresh, None, state.upto
