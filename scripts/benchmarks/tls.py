"""The certificate that a benchmark's server shows, and what its clients need to trust it."""

import ssl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

NAME = "localhost"

certificate: Path | None = None
"""What servers that are started show: a PEM file, its key in it. None: they speak plain WebSocket."""
context: ssl.SSLContext | None = None
"""What clients trust."""


@contextmanager
def spoken() -> Iterator[None]:
    """Servers and clients that begin in here speak TLS with each other."""
    global certificate, context  # noqa: PLW0603 - all that begins looks here, however deep in a workload
    with tempfile.TemporaryDirectory() as folder:
        certificate, context = make_certificate(Path(folder))
        try:
            yield
        finally:
            certificate = context = None


def make_certificate(folder: Path) -> tuple[Path, ssl.SSLContext]:
    """A PEM file with a new certificate, signed by itself, and its key; and a client's context."""
    from cryptography import x509  # noqa: PLC0415 - the rest runs without the server's libraries
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, NAME)])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    shown = signed.public_bytes(serialization.Encoding.PEM)
    hidden = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file = folder / "server.pem"
    file.write_bytes(shown + hidden)
    return file, ssl.create_default_context(cadata=shown.decode())


class Secured:
    """A client's side of TLS over a socket that it neither reads nor writes."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._object = context.wrap_bio(self._incoming, self._outgoing, server_hostname=NAME)
        self.is_open = False
        """The handshake is over."""

    def shake_hands(self, came: bytes) -> bytes:
        """Takes what came, and returns what is to be sent."""
        self._incoming.write(came)
        try:
            self._object.do_handshake()
            self.is_open = True
        except ssl.SSLWantReadError:
            pass
        return self._outgoing.read()

    def encrypt(self, data: bytes) -> bytes:
        self._object.write(data)
        return self._outgoing.read()

    def decrypt(self, data: bytes) -> bytes:
        """What came, as far as it is whole."""
        self._incoming.write(data)
        found = []
        while self._incoming.pending:
            try:
                found.append(self._object.read(1 << 14))
            except ssl.SSLWantReadError:
                break
        return found[0] if len(found) == 1 else b"".join(found)
