"""What every request passes before it is answered: may a page of its origin ask, and what is a browser told."""

from collections.abc import Mapping, Sequence
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bimip.http.origins import may_come_from
from bimip.http.problems import ProblemError, problem_response
from bimip.wire import bimip_pb2 as pb
from bimip.wire.errors import WireError

PREFLIGHT_SECONDS: Final = 600
"""How long a browser may go by what it was told of an origin."""
ALLOWED_HEADERS: Final = "authorization, content-type, idempotency-key, last-event-id"
EXPOSED_HEADERS: Final = "location, retry-after, www-authenticate"
ALLOWED_METHODS: Final = "GET, HEAD, POST, PUT, PATCH, DELETE"
_SAFE: Final[Mapping[str, str]] = {"x-content-type-options": "nosniff"}


class Origins:
    """Lets pages ask whose origin may connect by WebSocket too (CORS), and no others."""

    def __init__(self, app: ASGIApp, origins: Sequence[str], names: Sequence[str]) -> None:
        self._app = app
        self._origins = origins
        self._names = names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        origin = headers.get("origin")
        if origin is not None and not may_come_from(origin, headers.get("host", ""), self._origins, self._names):
            error = WireError(pb.FORBIDDEN, "Pages of this origin may not ask here.")
            await problem_response(ProblemError(error))(scope, receive, send)
            return

        async def send_on(message: Message) -> None:
            if message["type"] == "http.response.start":
                told = MutableHeaders(scope=message)
                told.update(_SAFE)
                told.add_vary_header("Origin")
                if origin is not None:
                    told["access-control-allow-origin"] = origin
                    told["access-control-expose-headers"] = EXPOSED_HEADERS
            await send(message)

        if scope["method"] == "OPTIONS" and "access-control-request-method" in headers:
            allowed = {
                "access-control-allow-methods": ALLOWED_METHODS,
                "access-control-allow-headers": ALLOWED_HEADERS,
                "access-control-max-age": str(PREFLIGHT_SECONDS),
            }
            await Response(status_code=204, headers=allowed)(scope, receive, send_on)
        else:
            await self._app(scope, receive, send_on)
