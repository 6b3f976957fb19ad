"""What reaches devices that are not connected: a browser's subscription, and keys."""

from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

SECRET = "a secret of the gateway"
GATEWAY = '{"fcm": {"url": "https://push.example.org", "secret": "a secret of the gateway"}}'
"""The setting push.gateways."""

BROWSER_KEY = ec.derive_private_key(0xB0B, ec.SECP256R1())
BROWSER: dict[str, Any] = {
    "platform": "webpush",
    "token": "https://push.example.org/send/abc",
    "p256dh": BROWSER_KEY.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint),
    "auth": b"a browser's auth",
}
"""Fields of a PushNotification."""

VAPID_KEY = (
    ec.derive_private_key(0x5E7E7, ec.SECP256R1())
    .private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    .decode()
)

PRIVATE_URLS = (
    "",
    "http://push.example.org/",
    "ftp://push.example.org/",
    "https:///x",
    "https://user@push.example.org/",
    "https://user:secret@push.example.org/",
    "https://push.example.org:8443/",
    "https://push.example.org:x/",
    "https://push.example.org/#x",
    "https://push.example.org/ x",
    "https://push.example.org\\@localhost/",
    "https://p\N{LATIN SMALL LETTER U WITH DIAERESIS}sh.example.org/",
    "https://localhost/",
    "https://console./",
    "https://127.0.0.1/",
    "https://127.1/",
    "https://2130706433/",
    "https://0x7f.0.0.1/",
    "https://0.0.0.0/",
    "https://10.0.0.1/",
    "https://172.16.0.1/",
    "https://192.168.1.1/",
    "https://100.64.0.1/",
    "https://169.254.169.254/latest/meta-data/",
    "https://224.0.0.1/",
    "https://255.255.255.255/",
    "https://[::1]/",
    "https://[::]/",
    "https://[fe80::1]/",
    "https://[fe80::1%25eth0]/",
    "https://[fd00::1]/",
    "https://[ff02::1]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[64:ff9b::7f00:1]/",
    "https://[2002:7f00:1::]/",
)
"""Endpoints that no server pushes to unless it is told so."""
