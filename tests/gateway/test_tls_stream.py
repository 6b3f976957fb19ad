"""TLS under a WebSocket: its record layer by itself, and connections over real sockets."""

import _ssl
import ctypes
import random
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

import pytest
import trio

from bimip.gateway.tls import Certificate
from bimip.gateway.tls_stream import RECORDS_AT_ONCE, TlsRecords
from bimip.users.connection import Connection, ConnectionClosedError
from tests.gateway.certificates import make
from tests.gateway.harness import (
    PING,
    World,
    bearer,
    frame,
    open_port,
    open_world,
    opening,
    read_all,
)
from tests.gateway.test_faults import (
    FAULTS,
    QUICK,
    a_handshake_and_frames_before_the_answer,
    leaves_without_a_close,
    never_answers_a_close,
    never_reads_what_comes_back,
    open_files,
    pings_and_never_reads,
    pings_while_closing,
)

BINARY, CLOSE_FRAME = 2, frame(8, b"\x03\xe8")
ECHO = bytes((0x82, len(PING))) + PING
"""What a server sends back for a PING."""
MIB = 1 << 20


@pytest.fixture(scope="module")
def contexts(tmp_path_factory: pytest.TempPathFactory) -> tuple[Certificate, ssl.SSLContext]:
    """The server's and the client's."""
    pair = make()
    certificate = Certificate(*pair.write(tmp_path_factory.mktemp("tls")))
    return certificate, ssl.create_default_context(cadata=pair.certificate.decode())


Contexts = tuple[Certificate, ssl.SSLContext]


class Peer:
    """A client's side of TLS, without I/O, and what only a strange one does."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname="localhost")

    def encrypt(self, data: bytes) -> bytes:
        self.tls.write(data)
        return self.outgoing.read()

    def decrypt(self, data: bytes) -> bytes:
        self.incoming.write(data)
        found = b""
        with suppress(ssl.SSLWantReadError):
            while more := self.tls.read(1 << 14):
                found += more
        return found

    def change_keys(self, *, asking: bool = True) -> bytes:
        """A KeyUpdate, which Python cannot ask OpenSSL for: the second pointer behind an object's head is its SSL."""
        library = ctypes.CDLL(_ssl.__file__)
        raw = id(self.tls._sslobj)  # type: ignore[attr-defined]
        pointer = ctypes.c_void_p.from_address(raw + object.__basicsize__ + ctypes.sizeof(ctypes.c_void_p))
        assert library.SSL_key_update(pointer, int(asking)) == 1
        assert library.SSL_do_handshake(pointer) == 1
        return self.outgoing.read()


def connected(contexts: Contexts) -> tuple[Peer, TlsRecords]:
    peer = Peer(contexts[1])
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    served = contexts[0].context.wrap_bio(incoming, outgoing, server_side=True)
    for _ in range(2):
        for tls in (peer.tls, served):
            with suppress(ssl.SSLWantReadError):
                tls.do_handshake()
            incoming.write(peer.outgoing.read())
            peer.incoming.write(outgoing.read())
    peer.decrypt(b"")
    return peer, TlsRecords(served, incoming, outgoing)


def decrypted(records: TlsRecords, data: bytes) -> bytes:
    found = records.decrypt(data)
    while records.pending and not records.ended:
        found += records.decrypt(b"")
    return found


def test_records_that_are_cut_at_every_byte_are_decrypted(contexts: Contexts) -> None:
    peer, records = connected(contexts)
    sent = b"one", b"and another", bytes(300)
    length = len(b"".join([peer.encrypt(data) for data in sent]))
    peer, records = connected(contexts)
    for cut in range(length + 1):
        data = b"".join([peer.encrypt(data) for data in sent])

        assert decrypted(records, data[:cut]) + decrypted(records, data[cut:]) == b"".join(sent)


def test_records_that_come_byte_by_byte_are_decrypted(contexts: Contexts) -> None:
    peer, records = connected(contexts)
    data = peer.encrypt(b"one") + peer.encrypt(bytes(20_000)) + peer.encrypt(b"last")
    found = b"".join([decrypted(records, data[at : at + 1]) for at in range(len(data))])

    assert found == b"one" + bytes(20_000) + b"last"


def test_no_turn_decrypts_more_than_so_many_records(contexts: Contexts) -> None:
    peer, records = connected(contexts)
    data = b"".join([peer.encrypt(b"x") for _ in range(3 * RECORDS_AT_ONCE + 1)])
    turns = [records.decrypt(data)]
    while records.pending:
        turns.append(records.decrypt(b""))

    assert [len(turn) for turn in turns] == [RECORDS_AT_ONCE] * 3 + [1]


def test_no_turn_goes_through_more_than_so_many_changes_of_a_key(contexts: Contexts) -> None:
    """OpenSSL would take all of them in one call, for 30 µs each."""
    peer, records = connected(contexts)
    data = b"".join([peer.change_keys() for _ in range(600)])
    records.decrypt(data[:40])  # one, and half of the next
    grown: list[int] = []
    before = records.unsent_bytes
    while not grown or records.pending:
        records.decrypt(b"" if grown else data[40:])
        grown.append(records.unsent_bytes - before)
        before = records.unsent_bytes

    assert max(grown) <= RECORDS_AT_ONCE * (before / 599)
    assert peer.decrypt(records.encrypt(b"still here")) == b"still here"


def test_what_reading_has_to_say_goes_before_the_next_frame(contexts: Contexts) -> None:
    peer, records = connected(contexts)
    for _ in range(3):
        assert decrypted(records, peer.change_keys() + peer.encrypt(b"a question")) == b"a question"
        assert peer.decrypt(records.encrypt(b"an answer")) == b"an answer"


def test_what_was_whole_before_a_broken_record_is_decrypted(contexts: Contexts) -> None:
    peer, records = connected(contexts)
    data = bytearray(peer.encrypt(b"whole") + peer.encrypt(b"broken"))
    data[-1] ^= 1

    assert records.decrypt(bytes(data)) == b"whole"
    assert records.pending
    with pytest.raises(ssl.SSLError, match="BAD_RECORD_MAC"):
        records.decrypt(b"")
    with pytest.raises(ssl.SSLError, match="BAD_RECORD_MAC"):
        records.decrypt(b"")


def test_the_peers_end_comes_behind_what_it_sent(contexts: Contexts) -> None:
    peer, records = connected(contexts)
    data = peer.encrypt(b"the last")
    with suppress(ssl.SSLWantReadError):
        peer.tls.unwrap()
    records.close()  # whichever side says it first

    assert records.decrypt(data + peer.outgoing.read()) == b"the last"
    assert records.ended


def test_a_long_frame_is_encrypted_in_whole_records(contexts: Contexts) -> None:
    peer, records = connected(contexts)
    data = random.Random(1).randbytes(100_000)

    assert peer.decrypt(records.encrypt(data)) == data


class TlsClient:
    """A client over a real socket, as `trio.SSLStream` is, whose bytes can be looked at and damaged."""

    def __init__(self, stream: trio.SocketStream, context: ssl.SSLContext) -> None:
        self.stream = stream
        self.peer = Peer(context)
        self.was_cut_off = False
        """Its stream ended without the end of TLS."""

    async def shake_hands(self) -> None:
        while True:
            try:
                self.peer.tls.do_handshake()
            except ssl.SSLWantReadError:
                await self.stream.send_all(self.peer.outgoing.read())
                self.peer.incoming.write(await self.stream.receive_some())
            else:
                await self.stream.send_all(self.peer.outgoing.read())
                return

    async def send_all(self, data: bytes) -> None:
        await self.stream.send_all(self.peer.encrypt(data))

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        while True:
            try:
                return self.peer.tls.read(max_bytes or MIB)
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLEOFError:
                self.was_cut_off = True
                return b""
            except ssl.SSLError as error:
                raise trio.BrokenResourceError from error
            if data := await self.stream.receive_some():
                self.peer.incoming.write(data)
            else:
                self.peer.incoming.write_eof()

    async def send_eof(self) -> None:
        await self.stream.send_eof()

    def setsockopt(self, level: int, option: int, value: int) -> None:
        self.stream.setsockopt(level, option, value)

    async def upgrade(self) -> None:
        await self.send_all(opening())
        await self.read_until(b"\r\n\r\n")

    async def read_until(self, end: bytes, each: int = 1) -> bytes:
        found = b""
        while not found.endswith(end):
            more = await self.receive_some(each)
            assert more, f"the server closed after {found!r}"
            found += more
        return found


Open = Callable[[], Awaitable[TlsClient]]


@asynccontextmanager
async def open_server(contexts: Contexts, **changes: object) -> AsyncIterator[tuple[World, Open]]:
    """A gateway on a port, and what connects to it."""
    settings = replace(QUICK, tls=contexts[0], handshake_seconds=10.0, **changes)  # type: ignore[arg-type]
    async with open_world(settings) as world, open_port(world) as port:
        clients = []

        async def connect() -> TlsClient:
            client = TlsClient(await trio.open_tcp_stream("127.0.0.1", port), contexts[1])
            clients.append(client)
            await client.shake_hands()
            return client

        try:
            with trio.fail_after(30):
                yield world, connect
        finally:
            for client in clients:
                client.stream.socket.close()


async def read_on(client: TlsClient) -> None:
    while await client.receive_some():
        pass


async def all_ended(world: World, count: int) -> None:
    while world.ended < count:  # noqa: ASYNC110 -- real sockets end when they end
        await trio.sleep(0.005)


def endings(world: World) -> list[object]:
    return [more["reason"] for what, _, more in world.told if what == "closed"]


async def test_a_connection_is_closed_in_order_and_so_is_tls(contexts: Contexts) -> None:
    async with open_server(contexts) as (world, connect):
        client = await connect()
        await client.upgrade()
        await client.send_all(frame(BINARY, PING))
        await client.read_until(ECHO)
        await client.send_all(CLOSE_FRAME)
        data = await read_all(client)  # type: ignore[arg-type]
        await all_ended(world, 1)

        assert data == b"\x88\x02\x03\xe8"
        assert not client.was_cut_off


async def test_no_task_of_tls_is_behind_the_handshake(contexts: Contexts) -> None:
    async with open_server(contexts) as (world, connect):
        client = await connect()
        await client.upgrade()
        await client.send_all(frame(BINARY, PING))
        await client.read_until(ECHO)

        assert type(world.echo.connection._stream) is trio.SocketStream  # type: ignore[attr-defined]
        assert world.echo.connection._pumps is None  # type: ignore[attr-defined]


async def test_frames_that_came_with_the_opening_in_records_of_their_own_are_served(contexts: Contexts) -> None:
    async with open_server(contexts) as (_, connect):
        client = await connect()
        said = (opening(), *[frame(BINARY, PING)] * 200)
        await client.stream.send_all(b"".join([client.peer.encrypt(data) for data in said]))
        await client.read_until(b"\r\n\r\n")

        assert await client.read_until(ECHO * 200) == ECHO * 200


async def test_a_websocket_may_follow_on_http(contexts: Contexts) -> None:
    async with open_server(contexts) as (_, connect):
        client = await connect()
        for _ in range(2):
            [(name, value)] = bearer()
            length = b"Content-Length: 5\r\n" + name + b": " + value
            await client.send_all(b"POST / HTTP/1.1\r\nHost: localhost\r\n" + length + b"\r\n\r\nthere")
            await client.read_until(b"\r\n\r\nthere")
        await client.upgrade()
        await client.send_all(frame(BINARY, PING))

        assert await client.read_until(ECHO) == ECHO


async def test_who_changes_keys_is_answered(contexts: Contexts) -> None:
    async with open_server(contexts) as (_, connect):
        client = await connect()
        await client.upgrade()
        for _ in range(3):
            await client.stream.send_all(client.peer.change_keys())
            await client.send_all(frame(BINARY, PING))

            assert await client.read_until(ECHO) == ECHO


async def attached(world: World) -> Connection:
    """The one connection, which its device has just after the opening was answered."""
    while not world.echo.attached:  # noqa: ASYNC110 -- real sockets open when they open
        await trio.sleep(0.005)
    return world.echo.connection


async def takes_all(connection: Connection) -> None:
    with suppress(ConnectionClosedError):
        await connection.hand_to(lambda _frames, _now: True)


async def test_who_asks_for_new_keys_and_never_reads_is_closed(contexts: Contexts) -> None:
    async with open_server(contexts, send_seconds=20.0) as (world, connect):
        world.echo.serve = False
        client = await connect()
        await client.upgrade()
        connection = await attached(world)
        connection.send_nowait(bytes(16 * MIB))
        world.nursery.start_soon(takes_all, connection)
        assert not connection.sendable
        with suppress(trio.BrokenResourceError):
            await client.stream.send_all(b"".join([client.peer.change_keys() for _ in range(800)]))
        await all_ended(world, 1)

        assert endings(world) == ["it asked for new keys, and read no answer"]


@pytest.mark.parametrize("seed", range(12))
async def test_random_bytes_in_the_middle_end_one_connection_and_no_other(seed: int, contexts: Contexts) -> None:
    chance = random.Random(seed)
    async with open_server(contexts) as (world, connect):
        healthy, client = await connect(), await connect()
        await healthy.upgrade()
        await client.upgrade()
        data = b"".join([client.peer.encrypt(frame(BINARY, PING)) for _ in range(4)])
        at = chance.randrange(len(data))
        noise = chance.randbytes(chance.randrange(1, 40_000))
        with suppress(trio.BrokenResourceError):
            await client.stream.send_all(data[:at] + noise + data[at:])
            await client.stream.send_eof()
        await all_ended(world, 1)
        await healthy.send_all(frame(BINARY, PING))

        assert await healthy.read_until(ECHO) == ECHO
        assert len(endings(world)) == 1
        client.stream.socket.close()


async def test_a_record_that_is_forged_is_answered_by_an_alert_and_told(contexts: Contexts) -> None:
    async with open_server(contexts) as (world, connect):
        client = await connect()
        await client.upgrade()
        forged = bytearray(client.peer.encrypt(frame(BINARY, PING)))
        forged[-1] ^= 1
        await client.send_all(frame(BINARY, PING))
        await client.stream.send_all(bytes(forged))
        with pytest.raises(trio.BrokenResourceError) as raised:
            await read_on(client)
        await all_ended(world, 1)

        assert "BAD_RECORD_MAC" in str(raised.value.__cause__)
        assert endings(world) == ["what came over TLS was broken: DECRYPTION_FAILED_OR_BAD_RECORD_MAC"]


@pytest.mark.parametrize("end", ["eof", "reset"])
async def test_a_cut_at_every_byte_of_a_small_exchange(end: str, contexts: Contexts) -> None:
    async with open_server(contexts, close_seconds=3.0) as (world, connect):
        files = open_files()
        place, length = 0, 1
        while place <= length:
            client = await connect()
            await client.upgrade()
            data = client.peer.encrypt(frame(BINARY, PING)) + client.peer.encrypt(CLOSE_FRAME)
            length = len(data)
            await client.stream.send_all(data[:place])
            if end == "reset":
                client.stream.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            client.stream.socket.close()
            place += 1
        await all_ended(world, place)

        assert len(endings(world)) == place
        assert open_files() == files


async def test_a_slow_reader_gets_all_in_order(contexts: Contexts) -> None:
    async with open_server(contexts, send_seconds=20.0) as (world, connect):
        client = await connect()
        client.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_RCVBUF, 1 << 16)
        await client.upgrade()
        chance = random.Random(2)
        payloads = [chance.randbytes(900_000) for _ in range(6)]
        expected = b"".join([b"\x82\x7f" + len(payload).to_bytes(8) + payload for payload in payloads])
        found = bytearray()

        async def read() -> None:
            connection = await attached(world)
            while connection.sendable:  # noqa: ASYNC110 -- a socket is full when it is full
                await trio.sleep(0.005)
            while len(found) < len(expected):
                found.extend(await client.receive_some())
                await trio.lowlevel.checkpoint()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(read)
            for payload in payloads:
                await client.send_all(frame(BINARY, payload))

        assert bytes(found) == expected


OVER_TLS = {
    name: FAULTS[name]
    for name in ("a_message_that_is_much_too_big", "garbage_frames", "broken_utf8", "pings_in_a_message")
} | {
    fault.__name__: fault
    for fault in (
        a_handshake_and_frames_before_the_answer,
        leaves_without_a_close,
        never_answers_a_close,
        never_reads_what_comes_back,
        pings_and_never_reads,
        pings_while_closing,
    )
}


@pytest.mark.parametrize("fault", OVER_TLS.values(), ids=OVER_TLS)
async def test_one_peers_fault_is_nobody_elses(fault: Callable[..., Awaitable[None]], contexts: Contexts) -> None:
    async with open_server(contexts) as (world, connect):
        healthy = await connect()
        await healthy.upgrade()
        await healthy.send_all(frame(BINARY, PING))
        await healthy.read_until(ECHO)
        client = await connect()
        try:
            await fault(client)
            await all_ended(world, 1)
        finally:
            client.stream.socket.close()
        await healthy.send_all(frame(BINARY, PING))

        assert await healthy.read_until(ECHO) == ECHO
