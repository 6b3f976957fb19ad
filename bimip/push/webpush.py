"""Web Push: browsers are reached by the push service of their maker (RFC 8030), which knows who sends (VAPID, RFC 8292)
and not what: that is encrypted for the browser alone (RFC 8291, in the form aes128gcm of RFC 8188).

The encryption is that of `cryptography`, put together here as RFC 8291, 3.4, says, and tested against its example: of
the libraries that do all of it, pywebpush brings two HTTP clients that wait for nobody else, http-ece is only to be had
as source, which cannot be installed with pinned hashes alone, and webpush reads a clock of its own.
"""

import json
from random import Random
from struct import Struct
from urllib.parse import urlsplit

import jwt
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from bimip.domain.core.ids import Millis
from bimip.domain.core.records import PushSubscription
from bimip.domain.push.subscribing import WEB_PUSH
from bimip.push.notifications import Notification
from bimip.push.posting import Request
from bimip.push.vapid import VapidKey

RECORD_BYTES = 4096
"""What a push service takes at least (RFC 8030, 7.2), and one record."""
_HEADER = Struct(">16sIB")  # salt, size of a record, length of the key
MAX_PLAIN_BYTES = RECORD_BYTES - _HEADER.size - 65 - 1 - 16
"""Of it the key, the padding's delimiter and the tag take the rest."""
SALT_BYTES = 16
VAPID_SECONDS = 12 * 3600
"""For which a signature says who sends: at most a day (RFC 8292, 2)."""
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Of P-256: private keys are below it."""


class WebPush:
    name = WEB_PUSH
    gone = frozenset({404, 410})

    def __init__(self, key: VapidKey, subject: str, random: Random, agent: str) -> None:
        self._key = key
        self._subject = subject
        self._random = random
        self._agent = agent
        self.public_key = key.public

    def host_of(self, subscription: PushSubscription) -> str:
        return urlsplit(subscription.token).netloc.lower()

    def request(self, subscription: PushSubscription, notification: Notification, now: Millis) -> Request:
        """Makes the request that tells of a notification. What is too long for one says nothing of its content.

        Raises ValueError for a key that is none.
        """
        plain = _json(notification.fields)
        if len(plain) > MAX_PLAIN_BYTES:
            short = {name: value for name, value in notification.fields.items() if name not in {"message", "title"}}
            plain = _json(short | {"truncated": True})
        headers = {
            "Authorization": self._authorization(subscription.token, now),
            "Content-Encoding": "aes128gcm",
            "Content-Type": "application/octet-stream",
            "TTL": str(notification.ttl_seconds),
            "Urgency": "high" if notification.is_urgent else "normal",
            "User-Agent": self._agent,
        }
        if notification.is_alone:
            headers["Topic"] = notification.collapse_key
        body = encrypt(
            plain,
            subscription.p256dh,
            subscription.auth,
            private=ec.derive_private_key(self._random.randrange(1, ORDER), ec.SECP256R1()),
            salt=self._random.getrandbits(8 * SALT_BYTES).to_bytes(SALT_BYTES, "big"),
        )
        return Request(subscription.token, headers, body, is_trusted=False)

    def _authorization(self, url: str, now: Millis) -> str:
        parts = urlsplit(url)
        claims = {
            "aud": f"{parts.scheme}://{parts.netloc}",
            "exp": now // 1000 + VAPID_SECONDS,
            "sub": self._subject,
        }
        token = jwt.encode(claims, self._key.private, algorithm="ES256")
        return f"vapid t={token}, k={self._key.public}"


def _json(fields: object) -> bytes:
    return json.dumps(fields, separators=(",", ":")).encode()


def encrypt(plain: bytes, p256dh: bytes, auth: bytes, *, private: ec.EllipticCurvePrivateKey, salt: bytes) -> bytes:
    """Encrypts for a subscription, in one record. Each message needs a private key and a salt of its own.

    Raises ValueError for a public key that is none.
    """
    theirs = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), p256dh)
    ours = private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    shared = private.exchange(ec.ECDH(), theirs)
    secret = _derive(shared, auth, b"WebPush: info\0" + p256dh + ours, 32)
    key = _derive(secret, salt, b"Content-Encoding: aes128gcm\0", 16)
    nonce = _derive(secret, salt, b"Content-Encoding: nonce\0", 12)
    sealed = AESGCM(key).encrypt(nonce, plain + b"\x02", None)  # 2: the last record
    return _HEADER.pack(salt, RECORD_BYTES, len(ours)) + ours + sealed


def _derive(secret: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    return HKDF(hashes.SHA256(), length, salt, info).derive(secret)
