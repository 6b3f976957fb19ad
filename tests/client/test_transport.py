"""Against trio-websocket, which is an independent implementation of the server's side. It runs in a thread of its own,
so that the client's side can run on either backend."""

import datetime as dt
import ipaddress
import ssl
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
import pytest
import trio
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from trio_websocket import ConnectionClosed as PeerClosed
from trio_websocket import WebSocketConnection, WebSocketRequest, serve_websocket

from bimip.client.errors import ConnectFailed, ConnectionClosed
from bimip.client.transport import MAX_FRAME_BYTES, websocket
from tests.client.support import both_backends_in_real_time as both_backends
from tests.client.support import run

DATE = b"Wed, 21 Oct 2015 07:27:00 GMT"
Handler = Callable[[WebSocketRequest], Awaitable[None]]


@contextmanager
def serving(handler: Handler, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """The address of a server that lives as long as the block."""
    started = threading.Event()
    found: dict[str, object] = {}

    async def serve() -> None:
        found["token"] = trio.lowlevel.current_trio_token()
        found["scope"] = scope = trio.CancelScope()
        with scope:
            async with trio.open_nursery() as nursery:
                server = await nursery.start(serve_websocket, handler, "127.0.0.1", 0, tls)
                found["port"] = server.port
                started.set()

    thread = threading.Thread(target=trio.run, args=[serve], daemon=True)
    thread.start()
    assert started.wait(5)
    try:
        yield f"{'wss' if tls else 'ws'}://127.0.0.1:{found['port']}/"
    finally:
        scope, token = found["scope"], found["token"]
        assert isinstance(scope, trio.CancelScope)
        assert isinstance(token, trio.lowlevel.TrioToken)
        token.run_sync_soon(scope.cancel)
        thread.join(5)


@contextmanager
def serving_bytes(answer: bytes) -> Iterator[str]:
    """A server that says this to whoever comes, whatever was asked."""
    with socketserver(answer) as port:
        yield f"ws://127.0.0.1:{port}/"


@contextmanager
def socketserver(answer: bytes) -> Iterator[int]:
    import socket  # noqa: PLC0415 - a server of ten lines

    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with listener:
            peer, _ = listener.accept()
            with peer:
                peer.recv(65536)
                peer.sendall(answer)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield listener.getsockname()[1]
    thread.join(5)


async def echo(request: WebSocketRequest) -> None:
    connection = await request.accept(subprotocol="bimip.v1")
    headers = {name.lower(): value for name, value in request.headers}
    try:
        await connection.send_message(headers.get(b"authorization", b"none"))
        while True:
            await connection.send_message(await connection.get_message())
    except PeerClosed:
        pass


@both_backends
async def test_frames_go_there_and_back_whole_and_in_order() -> None:
    with serving(echo) as url:
        connection = await websocket()(url, "the-token")
        frames = [b"", b"x", b"y" * 70_000, b"z" * 900_000]
        greeting = await connection.receive()
        returned = []
        for frame in frames:
            await connection.send(frame)
            returned.append(await connection.receive())
        await connection.aclose(1000, "bye")

        assert greeting == b"Bearer the-token"
        assert frames == returned
        with pytest.raises(ConnectionClosed):
            await connection.send(b"late")


@both_backends
async def test_without_a_token_there_is_no_header() -> None:
    with serving(echo) as url:
        connection = await websocket()(url, "")
        assert await connection.receive() == b"none"
        await connection.aclose(1000, "")


@both_backends
async def test_pings_are_answered_while_it_receives() -> None:
    answered = threading.Event()

    async def ping(request: WebSocketRequest) -> None:
        connection = await request.accept(subprotocol="bimip.v1")
        await connection.ping(b"?")
        answered.set()
        await connection.send_message(b"pong came")
        await connection.aclose()

    with serving(ping) as url:
        connection = await websocket()(url, "")
        assert await connection.receive() == b"pong came"
        assert answered.is_set()
        await connection.aclose(1000, "")


@both_backends
async def test_a_close_code_and_its_reason_arrive_behind_the_last_frame() -> None:
    async def close(request: WebSocketRequest) -> None:
        connection = await request.accept(subprotocol="bimip.v1")
        await connection.send_message(b"last")
        await connection.aclose(4103, "replaced")

    with serving(close) as url:
        connection = await websocket()(url, "")
        assert await connection.receive() == b"last"
        with pytest.raises(ConnectionClosed) as closed:
            await connection.receive()
        assert (closed.value.code, closed.value.reason) == (4103, "replaced")
        await connection.aclose(1000, "")


@both_backends
async def test_the_server_learns_the_code_that_the_client_closed_with() -> None:
    codes: list[int] = []
    done = threading.Event()

    async def wait(request: WebSocketRequest) -> None:
        connection = await request.accept(subprotocol="bimip.v1")
        try:
            await connection.get_message()
        except PeerClosed as closed:
            codes.append(closed.reason.code if closed.reason else 0)
        done.set()

    with serving(wait) as url:
        connection = await websocket()(url, "")
        await connection.aclose(4001, "silent")
        assert done.wait(5)
        assert codes == [4001]


async def send_text(connection: WebSocketConnection) -> None:
    await connection.send_message("text")


async def send_too_much(connection: WebSocketConnection) -> None:
    await connection.send_message(b"x" * (MAX_FRAME_BYTES + 1))


async def cut(connection: WebSocketConnection) -> None:
    await connection._stream.aclose()


@pytest.mark.parametrize(
    ("misdeed", "reason"), [(send_text, "no text frames"), (send_too_much, "longer than"), (cut, "was cut")]
)
def test_what_a_server_must_not_do_ends_the_connection_as_a_cut(
    misdeed: Callable[[WebSocketConnection], Awaitable[None]], reason: str
) -> None:
    async def handler(request: WebSocketRequest) -> None:
        with suppress(PeerClosed, trio.BrokenResourceError):
            await misdeed(await request.accept(subprotocol="bimip.v1"))

    async def scenario(url: str) -> None:
        connection = await websocket()(url, "")
        with pytest.raises(ConnectionClosed, match=reason) as closed:
            await connection.receive()
        await connection.aclose(1000, "")
        assert closed.value.code == 1006

    with serving(handler) as url:
        anyio.run(scenario, url, backend="trio")


@both_backends
async def test_garbage_after_the_handshake_is_a_cut() -> None:
    async def garbage(request: WebSocketRequest) -> None:
        connection = await request.accept(subprotocol="bimip.v1")
        await connection._stream.send_all(b"\xff\xff\xff\xff\xff")

    with serving(garbage) as url:
        connection = await websocket()(url, "")
        with pytest.raises(ConnectionClosed) as closed:
            await connection.receive()
        await connection.aclose(1000, "")
        assert closed.value.code == 1006


@both_backends
async def test_a_refused_handshake_tells_status_code_and_sentence() -> None:
    async def refuse(request: WebSocketRequest) -> None:
        await request.reject(401, body=b"4101 The token has expired: get a new one.")

    with serving(refuse) as url:
        with pytest.raises(ConnectFailed) as failed:
            await websocket()(url, "old")
        assert (failed.value.status, failed.value.code) == (401, 4101)
        assert failed.value.reason == "The token has expired: get a new one."


ANSWERS = [
    (401, "4101 The token has expired.", (4101, "The token has expired.")),
    (401, "4999 what no page says", (0, "4999 what no page says")),
    (401, "1234 apples", (0, "1234 apples")),
    (401, "Unauthorized", (0, "Unauthorized")),
    (403, "4103 apples", (0, "4103 apples")),
    (404, "4100 apples", (0, "4100 apples")),
    (503, "4100 apples", (0, "4100 apples")),
]


@pytest.mark.parametrize(("status", "body", "read"), ANSWERS)
def test_only_a_401_names_a_close_code_and_only_one_that_asks_somebody_to_act(
    status: int, body: str, read: tuple[int, str]
) -> None:
    async def refuse(request: WebSocketRequest) -> None:
        await request.reject(status, body=body.encode())

    async def scenario() -> None:
        with serving(refuse) as url:
            with pytest.raises(ConnectFailed) as failed:
                await websocket()(url, "t")
            assert (failed.value.code, failed.value.reason) == read

    run(scenario, virtual=False)


@pytest.mark.parametrize(
    ("said", "least", "most"),
    [
        ("7", 7, 7),
        ("999999999999", 3600, 3600),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 60, 60),
        ("Wed, 21 Oct 2015 07:26:00 GMT", 0, 0),
        ("Wed, 21 Oct 2015 07:28:00", 0, 0),
        ("soon", 0, 0),
        ("-5", 0, 0),
        ("", 0, 0),
    ],
)
def test_it_reads_when_to_come_again(said: str, least: float, most: float) -> None:
    async def refuse(request: WebSocketRequest) -> None:
        await request.reject(429, extra_headers=[(b"Date", DATE), (b"Retry-After", said.encode())], body=b"busy")

    async def scenario() -> None:
        with serving(refuse) as url:
            with pytest.raises(ConnectFailed) as failed:
                await websocket()(url, "t")
            assert least <= failed.value.retry_after <= most

    run(scenario, virtual=False)


@both_backends
async def test_a_server_without_our_subprotocol_is_refused() -> None:
    async def accept(request: WebSocketRequest) -> None:
        await request.accept()

    with serving(accept) as url, pytest.raises(ConnectFailed, match=r"does not speak bimip\.v1"):
        await websocket()(url, "")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"SSH-2.0-OpenSSH\r\n\r\n", "no WebSocket server"),
        (b"", "handshake"),
        (b"HTTP/1.1 503 Busy\r\n\r\nlater", "later"),
    ],
)
def test_a_peer_that_is_no_websocket_server(answer: bytes, reason: str) -> None:
    async def scenario(url: str) -> None:
        with pytest.raises(ConnectFailed, match=reason):
            await websocket()(url, "")

    with serving_bytes(answer) as url:
        anyio.run(scenario, url, backend="asyncio")


@both_backends
async def test_nobody_there() -> None:
    with pytest.raises(ConnectFailed, match=r"127\.0\.0\.1:1"):
        await websocket()("ws://127.0.0.1:1/", "")


@pytest.mark.parametrize(
    "url",
    [
        "http://server/",
        "server:8400",
        "ws://",
        "ws://server:99999/",
        "ws://server:port/",
        "ws://[::1",
        "ws://[zz]/",
        "ws://a..b/",
        f"ws://{'a' * 64}/",
        "",
        5,
        None,
    ],
)
def test_an_address_that_is_none(url: Any) -> None:
    async def scenario() -> None:
        with pytest.raises(ConnectFailed, match="no address of a server") as failed:
            await websocket()(url, "")
        assert failed.value.status == 400

    anyio.run(scenario, backend="trio")


@both_backends
async def test_a_handshake_that_takes_too_long() -> None:
    async def stall(request: WebSocketRequest) -> None:
        await trio.sleep(3)

    with serving(stall) as url, pytest.raises(ConnectFailed, match=r"within 0\.2 s"):
        await websocket(timeout=0.2)(url, "")


@both_backends
async def test_over_tls_the_certificate_counts(tmp_path: Path) -> None:
    certificate = a_certificate(tmp_path)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate)
    trusting = ssl.create_default_context(cafile=certificate)

    with serving(echo, server) as url:
        connection = await websocket(ssl_context=trusting)(url, "t")
        assert await connection.receive() == b"Bearer t"
        await connection.aclose(1000, "")
        with pytest.raises(ConnectFailed, match="certificate"):
            await websocket()(url, "t")


def a_certificate(folder: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "server.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return path


@pytest.mark.parametrize("token", ["one\nline", "a b", "tok\r\nen", "é"])
async def test_what_no_token_holds_is_told_without_quoting_it(token: str) -> None:
    with pytest.raises(ConnectFailed, match=r"^the token holds a character that no token has$") as caught:
        await websocket()("ws://127.0.0.1:1", token)

    assert caught.value.code == 4100
