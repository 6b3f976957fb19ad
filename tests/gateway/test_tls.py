"""The same over TLS, in memory."""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trio
import trio.testing
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from trio.testing import MockClock

from bimip.session.close import Close
from tests.gateway.harness import PING, Stream, World, close_of, open_world, opening


@pytest.fixture(scope="module")
def contexts(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """The server's and the client's."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    form = serialization.PrivateFormat.PKCS8
    file: Path = tmp_path_factory.mktemp("tls") / "server.pem"
    file.write_bytes(pem + key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()))
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(file)
    return server, ssl.create_default_context(cadata=pem.decode())


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
