"""The client in JavaScript, as a page imports it: of the same version as the server that it speaks to.

A page of another origin may import it where it may connect (`http.guards`). A browser keeps it and asks each time
whether it is still the same, so that no page speaks by an older one behind an upgrade.
"""

from hashlib import sha256
from importlib.resources import files
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bimip.api.openapi import CLIENT_PATH

MEDIA_TYPE: Final = "text/javascript"


class _Module:
    """The module, read when it is asked for first."""

    def __init__(self) -> None:
        self._content = b""
        self._tag = ""

    async def answer(self, request: Request) -> Response:
        if not self._content:
            self._content = (files("bimip") / "web" / "bimip.mjs").read_bytes()
            self._tag = f'"{sha256(self._content).hexdigest()[:32]}"'
        headers = {"cache-control": "no-cache", "etag": self._tag}
        known = {one.strip().removeprefix("W/") for one in request.headers.get("if-none-match", "").split(",")}
        if self._tag in known:
            return Response(status_code=304, headers=headers)
        return Response(self._content, media_type=MEDIA_TYPE, headers=headers)


def route() -> Route:
    """Makes the route of the module, which anybody may read."""
    return Route(CLIENT_PATH, _Module().answer)
