"""The page that shows the document to people: Swagger UI, which may also ask, with a token that is typed in.

Its assets are files of ours (`scripts/vendor-swagger-ui` fetches them): the page needs no network but this server, and
its policy lets it have no other. They lie compressed and are sent so, as every browser takes them; none is unpacked for
anybody who asks. They are read when the first one asks for them, and kept from then on.
"""

from collections.abc import Callable, Iterator
from functools import cache, partial
from importlib.resources import files
from typing import Final, NamedTuple

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bimip.api.openapi import PREFIX

PATH: Final = f"{PREFIX}/docs"
DIGESTS: Final = {
    "swagger-ui-bundle.js": "3f6abf70480db7e07914df4c98a77385f22ea585eaf457a3e6415ba0eae2d167",
    "swagger-ui.css": "c3cfe8248c4b0b89673600fb829924eafbac6de4bc4b2b06f5f5243483074d0a",
}
"""The assets, with their SHA-256: what is served is what was looked at."""
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Swagger UI writes styles into its elements."""

_PAGE: Final = f"""\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>BIMIP: the REST API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="{PATH}/swagger-ui.css">
<div id="document"></div>
<noscript>This page needs JavaScript. The document itself: <a href="{PREFIX}/openapi.json">openapi.json</a></noscript>
<script src="{PATH}/swagger-ui-bundle.js"></script>
<script src="{PATH}/page.js"></script>
</html>
"""
_SCRIPT: Final = f"""\
SwaggerUIBundle({{
  url: "{PREFIX}/openapi.json",
  dom_id: "#document",
  deepLinking: true,
  validatorUrl: null,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
}});
"""


class _File(NamedTuple):
    """A file of the page."""

    read: Callable[[], bytes]
    media_type: str
    is_compressed: bool = False

    async def answer(self, _request: Request) -> Response:
        headers = {
            "cache-control": "public, max-age=3600",
            "content-security-policy": POLICY,
            "referrer-policy": "no-referrer",
            "x-content-type-options": "nosniff",
        }
        if self.is_compressed:
            headers["content-encoding"] = "gzip"
        return Response(self.read(), media_type=self.media_type, headers=headers)


def routes() -> Iterator[Route]:
    """Makes the routes of the page and its files, which anybody may read."""
    yield Route(PATH, _File(_PAGE.encode, "text/html").answer)
    yield Route(f"{PATH}/page.js", _File(_SCRIPT.encode, "text/javascript").answer)
    for name in DIGESTS:
        media_type = "text/css" if name.endswith(".css") else "text/javascript"
        yield Route(f"{PATH}/{name}", _File(cache(partial(_read_asset, name)), media_type, is_compressed=True).answer)


def _read_asset(name: str) -> bytes:
    """Reads an asset, compressed as it lies there."""
    return (files("bimip.api") / f"swagger_ui/{name}.gz").read_bytes()
