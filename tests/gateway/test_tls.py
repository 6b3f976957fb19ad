"""The same over TLS, in memory; and certificates that are renewed under a running server."""

import signal
import ssl
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import trio
import trio.testing
from trio.testing import MockClock
from trio_websocket import open_websocket

from bimip.gateway.tls import Certificate, TlsError
from bimip.session.close import Close
from tests.chaos.process_driver import served
from tests.gateway.certificates import Pair, make
from tests.gateway.harness import PING, SETTINGS, Stream, World, bearer, close_of, open_port, open_world, opening


@pytest.fixture(scope="module")
def contexts(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """The server's and the client's."""
    pair = make()
    certificate = Certificate(*pair.write(tmp_path_factory.mktemp("tls")))
    return certificate.context, trusting(pair)


def trusting(pair: Pair) -> ssl.SSLContext:
    return ssl.create_default_context(cadata=pair.certificate.decode())


def dial(world: World, context: ssl.SSLContext) -> Stream:
    ours, theirs = trio.testing.memory_stream_pair()
    served = trio.SSLStream(theirs, context, server_side=True, https_compatible=True)
    world.nursery.start_soon(world.serve, served)
    return ours


Contexts = tuple[ssl.SSLContext, ssl.SSLContext]


async def test_frames_and_closes_are_the_same_over_tls(contexts: Contexts, autojump_clock: MockClock) -> None:
    async with open_world() as world:
        stream = trio.SSLStream(
            dial(world, contexts[0]), contexts[1], server_hostname="localhost", https_compatible=True
        )
        websocket = await world.connect(stream)
        await websocket.send_message(PING)
        assert await websocket.get_message() == PING
        world.stop()

        assert (await close_of(websocket))[0] == Close.GOING_AWAY


@pytest.mark.parametrize("said", [b"", opening(), b"\x16\x03\x01\x00\x05nonsense", bytes(100_000)])
async def test_who_speaks_no_tls_is_gone_in_time(said: bytes, contexts: Contexts, autojump_clock: MockClock) -> None:
    async with open_world() as world:
        stream = dial(world, contexts[0])
        if said:
            await stream.send_all(said)
        await world.first_end.wait()

        assert trio.current_time() <= 5


OTHER = make()
BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "gone": (lambda folder: (folder / "server.crt").unlink(), "server.crt cannot be read: No such file"),
    "without its key": (lambda folder: (folder / "server.key").unlink(), "server.key cannot be read"),
    "with another key": (lambda folder: (folder / "server.key").write_bytes(OTHER.key), "no certificate and its key"),
    "of noise": (lambda folder: (folder / "server.crt").write_bytes(b"noise"), "no certificate and its key"),
    "of a key": (lambda folder: (folder / "server.crt").write_bytes(OTHER.key), "no certificate and its key"),
    "with a passphrase": (lambda folder: make(b"passphrase").write(folder), "encrypted"),
    "that is empty": (lambda folder: (folder / "server.crt").write_bytes(b""), "no certificate and its key"),
}


@pytest.mark.parametrize(("spoil", "words"), BROKEN.values(), ids=BROKEN)
def test_a_new_certificate_that_is_broken_leaves_the_old_one(
    spoil: Callable[[Path], object], words: str, tmp_path: Path
) -> None:
    certificate = Certificate(*make().write(tmp_path))
    context = certificate.context
    spoil(tmp_path)

    with pytest.raises(TlsError, match=words):
        certificate.reload()
    assert certificate.context is context


def test_the_key_may_stand_in_the_certificates_file(tmp_path: Path) -> None:
    pair = make()
    (tmp_path / "both.pem").write_bytes(pair.certificate + pair.key)

    Certificate(str(tmp_path / "both.pem"))
    (tmp_path / "both.pem").write_bytes(pair.certificate)
    with pytest.raises(TlsError, match=r"both\.pem"):
        Certificate(str(tmp_path / "both.pem"))


async def test_a_renewed_certificate_is_for_new_connections_and_disturbs_no_other(tmp_path: Path) -> None:
    first, second = make(), make()
    certificate = Certificate(*first.write(tmp_path))
    async with open_world(replace(SETTINGS, tls=certificate)) as world, open_port(world) as port:

        async def answer(websocket: object) -> object:
            await websocket.send_message(PING)  # type: ignore[attr-defined]
            return await websocket.get_message()  # type: ignore[attr-defined]

        with trio.fail_after(20):
            async with open_websocket(
                "localhost", port, "/", use_ssl=trusting(first), subprotocols=["bimip.v1"], extra_headers=bearer()
            ) as older:
                second.write(tmp_path)
                certificate.reload()
                async with open_websocket(
                    "localhost", port, "/", use_ssl=trusting(second), subprotocols=["bimip.v1"], extra_headers=bearer()
                ) as newer:
                    assert await answer(newer) == await answer(older) == PING


def shown_by(port: int) -> bytes:
    return ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate(("localhost", port), timeout=10))


def der(pair: Pair) -> bytes:
    return ssl.PEM_cert_to_DER_cert(pair.certificate.decode())


def test_a_server_takes_a_new_certificate_on_sighup_and_keeps_it_when_the_next_is_broken(tmp_path: Path) -> None:
    first, second = make(), make()
    certificate, key = first.write(tmp_path)
    with served(tmp_path, BIMIP_GATEWAY_TLS_CERTIFICATE=certificate, BIMIP_GATEWAY_TLS_KEY=key) as server:
        before = shown_by(server.port)
        second.write(tmp_path)
        server.process.send_signal(signal.SIGHUP)
        server.wait_for("no setting was reloaded; files that settings name were read again")
        renewed = shown_by(server.port)
        Path(key).write_bytes(b"noise")
        server.process.send_signal(signal.SIGHUP)
        complaint = server.wait_for("the settings were not reloaded; the old ones stay")
        after = shown_by(server.port)

    assert (before, renewed, after) == (der(first), der(second), der(second))
    assert complaint["level"] == "error"
    assert "no certificate and its key" in complaint["problem"]


def test_sighup_without_a_certificate_ends_nothing(tmp_path: Path) -> None:
    with served(tmp_path) as server:
        server.process.send_signal(signal.SIGHUP)
        server.wait_for("no setting was reloaded; files that settings name were read again")

        assert server.process.poll() is None
