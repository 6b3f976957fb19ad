"""A back end that is told of events by a webhook: checks each signature, as the specification says."""

import hmac
import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any

import trio

from bimip.push.posting import Request, Response
from bimip.testing.push import MemoryGateway

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
URL = "https://crm.example.org/bimip"


def webhook(**fields: Any) -> str:
    """The setting webhooks.endpoints, of one back end."""
    return json.dumps({"crm": {"url": URL, "secret": SECRET} | fields})


def verify(headers: Mapping[str, str], body: bytes, secret: str = SECRET) -> Mapping[str, Any]:
    """Returns what was told. Written anew, after the specification."""
    found = {name.lower(): value for name, value in headers.items()}
    signed = f"{found['webhook-id']}.{found['webhook-timestamp']}.".encode() + body
    key = b64decode(secret.removeprefix("whsec_"))
    mac = "v1," + b64encode(hmac.new(key, signed, sha256).digest()).decode()
    assert any(hmac.compare_digest(mac, one) for one in found["webhook-signature"].split()), found
    told: Mapping[str, Any] = json.loads(body)
    return told


class MemoryBackEnd:
    """Takes events, in memory, or answers as a test says. What is not for its URL a gateway of push takes."""

    def __init__(self) -> None:
        self.gateway = MemoryGateway()
        self.requests: list[Request] = []
        self.events: dict[str, Mapping[str, Any]] = {}
        """What it took, by id, in the order in which it came first."""
        self.answer: Callable[[Request], Response] = lambda _request: Response(200)
        """May raise PostError."""
        self.seconds = 0.0
        """Until it answers."""

    async def post(self, request: Request) -> Response:
        if request.url != URL:
            return await self.gateway.post(request)
        assert request.is_trusted
        told = verify(request.headers, request.body)
        self.requests.append(request)
        await trio.sleep(self.seconds)
        response = self.answer(request)
        if 200 <= response.status < 300:
            name = request.headers["webhook-id"]
            assert self.events.setdefault(name, told) == told
        return response

    async def aclose(self) -> None:
        await trio.lowlevel.checkpoint()

    @property
    def told(self) -> list[tuple[str, Mapping[str, Any]]]:
        return [(one["type"], one["data"]) for one in self.events.values()]
