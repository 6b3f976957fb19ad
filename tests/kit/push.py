"""What reaches devices that are not connected: a browser's subscription, and keys."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import trio
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from bimip.push.posting import Request, Response

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


class MemoryGateway:
    """Takes what is pushed, in memory, or answers as a test says."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.answer: Callable[[Request], Response] = lambda _request: Response(201)
        """May raise PostError."""
        self.seconds = 0.0
        """Until it answers."""
        self._taken: set[str] = set()

    async def post(self, request: Request) -> Response:
        self.requests.append(request)
        await trio.sleep(self.seconds)
        return self.answer(request)  # nobody may be there any more who would hear it

    async def aclose(self) -> None:
        await trio.lowlevel.checkpoint()

    @property
    def said(self) -> list[Mapping[str, Any]]:
        """What operators' gateways were told."""
        return [json.loads(request.body) for request in self.requests if request.is_trusted]

    def take(self) -> list[Mapping[str, Any]]:
        """What was told since it was last asked, without what it knows already by its id."""
        said = {one["id"]: one for one in self.said}
        self.requests.clear()
        new = [one for name, one in said.items() if name not in self._taken]
        self._taken |= said.keys()
        return new
