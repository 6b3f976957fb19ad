"""The server's key of Web Push: it says who sends (VAPID, RFC 8292), and browsers subscribe with its public half."""

from base64 import urlsafe_b64encode

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from bimip.settings import ConfigError, Secret


def base64url(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


class VapidKey:
    """A private key of P-256."""

    def __init__(self, pem: Secret) -> None:
        """Raises ConfigError for what is no such key."""
        try:
            key = load_pem_private_key(pem.reveal().encode(), password=None)
        except (ValueError, TypeError) as error:
            raise ConfigError("push.vapid_key is no private key in PEM") from error
        if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
            raise ConfigError("push.vapid_key is no key of P-256: `openssl ecparam -genkey -name prime256v1` makes one")
        self.private = key
        point = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        self.public = base64url(point)
        """As browsers subscribe with it."""
