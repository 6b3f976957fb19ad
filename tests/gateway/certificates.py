"""Certificates for tests, signed by themselves."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class Pair(NamedTuple):
    certificate: bytes  # PEM
    key: bytes
    serial: int

    def write(self, folder: Path) -> tuple[str, str]:
        """The files' paths, which are the same each time."""
        certificate, key = folder / "server.crt", folder / "server.key"
        certificate.write_bytes(self.certificate)
        key.write_bytes(self.key)
        return str(certificate), str(key)


def make(password: bytes | None = None) -> Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    serial = x509.random_serial_number()
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), serial, now, now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    hiding: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if password is not None:
        hiding = serialization.BestAvailableEncryption(password)
    pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return Pair(certificate.public_bytes(pem), key.private_bytes(pem, form, hiding), serial)
