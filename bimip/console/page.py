"""The live page of the tree: a document, a style and some modules, which anybody on this machine may read.

They are files of ours in `assets/`, without a build step, and need nothing but this server. The policy lets the page
run nothing else: no script or style but these files, none from a text that came as data, no other origin, and no frame
around it.
"""

from collections.abc import Iterator
from functools import cache, partial
from importlib.resources import files
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
HEADERS: Final = {
    "cache-control": "no-store",
    "content-security-policy": POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
DOCUMENT: Final = "index.html"
ASSETS: Final = (
    "style.css",
    "icon.svg",
    "main.mjs",
    "ask.mjs",
    "session.mjs",
    "stream.mjs",
    "tree.mjs",
    "timeline.mjs",
    "details.mjs",
    "words.mjs",
)
_TYPES: Final = {"css": "text/css", "html": "text/html", "mjs": "text/javascript", "svg": "image/svg+xml"}


def routes() -> Iterator[Route]:
    """Makes the routes of the page and its files. There is one for each file, so no path leads to another."""
    yield Route("/", partial(_answer, DOCUMENT))
    for name in ASSETS:
        yield Route(f"/page/{name}", partial(_answer, name))


async def _answer(name: str, _request: Request) -> Response:
    return Response(_read(name), media_type=_TYPES[name.rpartition(".")[2]], headers=HEADERS)


@cache
def _read(name: str) -> bytes:
    return (files("bimip.console") / "assets" / name).read_bytes()
