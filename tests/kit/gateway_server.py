"""The whole server with its gateway in one thread, under a virtual clock: peers knock with bytes, over streams in
memory.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import trio
import trio.abc
import trio.testing

from bimip.config import Settings
from bimip.domain.core.records import Table
from bimip.parts import Parts
from bimip.storage.memory import MemoryStore
from bimip.testing.virtual import Port, open_virtual_server, token
from bimip.wire import bimip_pb2 as pb
from bimip.wire import codec, json
from tests.gateway.harness import frame, opening

TEXT, BINARY, CLOSE = 1, 2, 8


class Heard:
    """What a server said over one connection."""

    def __init__(self, data: bytes) -> None:
        head, _, rest = data.partition(b"\r\n\r\n")
        self.status = int(head.split(b" ")[1]) if head else 0
        self.text = rest.decode() if self.status != 101 else ""
        self.headers = head.decode()
        self.frames: list[pb.MessageScheme] = []
        self.close: tuple[int, str] | None = None
        if self.status == 101:
            self._read(rest)

    def _read(self, data: bytes) -> None:
        at = 0
        while at + 2 <= len(data):
            opcode, size, at = data[at] & 0x0F, data[at + 1], at + 2
            if size >= 126:
                wide = 2 if size == 126 else 8
                size, at = int.from_bytes(data[at : at + wide]), at + wide
            payload, at = data[at : at + size], at + size
            if opcode == BINARY:
                self.frames.append(codec.decode(payload))
            elif opcode == TEXT:
                self.frames.append(codec.decode(json.from_json(payload.decode())))
            elif opcode == CLOSE:
                self.close = (int.from_bytes(payload[:2]), payload[2:].decode())

    @property
    def errors(self) -> list[pb.ErrorMessage]:
        alone = [one.error for one in self.frames if one.HasField("error")]
        batched = [error for one in self.frames for error in one.body.errors]
        return alone + batched + [result.error for one in self.frames for result in one.hello.results]


class Caller:
    """One connection."""

    def __init__(self, stream: trio.abc.Stream, *, is_json: bool = False) -> None:
        self.stream = stream
        self.is_json = is_json
        self.data = b""

    async def open(self, eid: str = "mallory", device: str = "phone", **changes: str | None) -> None:
        name = "bimip.v1.json" if self.is_json else "bimip.v1"
        shown = changes.pop("shown", None) or token(eid, device)
        await self.stream.send_all(opening(shown=shown, **{"Sec_WebSocket_Protocol": name, **changes}))

    async def say(self, *payloads: bytes) -> None:
        """Frames of MessageScheme, in this connection's subprotocol."""
        for payload in payloads:
            if self.is_json:
                await self.stream.send_all(frame(TEXT, json.to_json(payload).encode()))
            else:
                await self.stream.send_all(frame(BINARY, payload))

    async def heard(self, seconds: float = 0.2) -> Heard:
        """All that came until it is quiet, from the beginning on."""
        with trio.move_on_after(seconds):
            try:
                while more := bytes(await self.stream.receive_some(1 << 20)):
                    self.data += more
            except trio.BrokenResourceError:
                pass
        return Heard(self.data)


class GatewayServer:
    def __init__(self, server: Parts, port: Port, store: MemoryStore) -> None:
        self.server = server
        self.store = store
        self._port = port

    def connect_raw(self) -> trio.abc.HalfCloseableStream:
        """A connection that has said nothing yet."""
        return self._port.connect()

    def knock(self, *, is_json: bool = False) -> Caller:
        return Caller(self._port.connect(), is_json=is_json)

    async def connect(self, eid: str, device: str = "phone", *, is_json: bool = False, **hello: Any) -> Caller:
        """Open, say Hello, and wait for the answer."""
        caller = self.knock(is_json=is_json)
        await caller.open(eid, device)
        await caller.say(codec.encode(pb.Hello(**({"partitions": [pb.Position(partition="chat")]} | hello)), ref=1))
        heard = await caller.heard()
        assert heard.frames, (heard.status, heard.text, heard.close)
        assert heard.frames[0].HasField("hello"), heard.frames
        return caller

    def stored(self) -> object:
        """All that the store holds, but for its counters and clock, and when a device was seen."""
        state = self.store._state
        records = {table: dict(records) for table, records in state.records.items() if table is not Table.META}
        records[Table.DEVICES] = {key: found.number for key, found in records[Table.DEVICES].items()}
        return records, {place: (first, list(run)) for place, (first, run) in state.runs.items()}


@asynccontextmanager
async def open_gateway_server(settings: Settings | None = None) -> AsyncIterator[GatewayServer]:
    port, store = Port(), MemoryStore()
    async with open_virtual_server(lambda: store, settings=settings, listen=port.open) as server:
        yield GatewayServer(server, port, store)
