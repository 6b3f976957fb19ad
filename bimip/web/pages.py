"""The pages that the server shows on its public port: the messenger, and in demonstration mode the page with four
devices.

They are files of ours in `static/`, without a build step, and need nothing but this server. The policy lets a page run
nothing else: no script or style but these files, none from a text that came as data, no other origin, and no frame
around it. A browser keeps them and asks each time whether they are still the same (`no-cache` with a tag), so that no
page is older than its server.
"""

from collections.abc import Iterator
from functools import cache, partial
from hashlib import sha256
from importlib.resources import files
from typing import Final, NamedTuple

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; worker-src 'self'; "
    "manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types worker"
)
"""`worker`: the one policy of a page, which lets it name its service worker."""
HEADERS: Final = {
    "cache-control": "no-cache",
    "content-security-policy": POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
PREFIX: Final = "/page"
DEMONSTRATION, MESSENGER, WORKER = "demo.html", "chat.html", "worker.mjs"
WORKER_PATH: Final = "/worker.mjs"
"""At the top: a service worker sees only what lies beside it, and below."""
TYPES: Final = {
    "css": "text/css",
    "html": "text/html",
    "mjs": "text/javascript",
    "png": "image/png",
    "svg": "image/svg+xml",
    "webmanifest": "application/manifest+json",
}


class _Asset(NamedTuple):
    content: bytes
    tag: str


def asset_names() -> list[str]:
    """Lists the files of the pages that are read at `PREFIX`."""
    return sorted(one.name for one in (files("bimip.web") / "static").iterdir() if one.name.rpartition(".")[2] in TYPES)


def page_routes(*, shows_demonstration: bool) -> Iterator[Route]:
    """Makes the routes of the pages and their files, which anybody may read. There is one for each file, so no path
    leads to another.
    """
    yield Route("/", partial(_answer, DEMONSTRATION) if shows_demonstration else _lead_to_messenger)
    yield Route("/chat", partial(_answer, MESSENGER))
    yield Route(WORKER_PATH, partial(_answer, WORKER))
    yield Route(f"{PREFIX}/server.json", partial(_tell_of_server, shows_demonstration))
    for name in asset_names():
        if name not in {DEMONSTRATION, MESSENGER, WORKER}:
            yield Route(f"{PREFIX}/{name}", partial(_answer, name))


async def _tell_of_server(shows_demonstration: bool, _request: Request) -> Response:  # noqa: FBT001 - bound by position
    """Answers with what a page asks of its server before it knows who looks at it."""
    return JSONResponse({"demonstration": shows_demonstration}, headers=HEADERS)


async def _lead_to_messenger(_request: Request) -> Response:
    return RedirectResponse("/chat", headers=HEADERS)


async def _answer(name: str, request: Request) -> Response:
    asset = _read(name)
    headers = {**HEADERS, "etag": asset.tag}
    known = {one.strip().removeprefix("W/") for one in request.headers.get("if-none-match", "").split(",")}
    if asset.tag in known:
        return Response(status_code=304, headers=headers)
    return Response(asset.content, media_type=TYPES[name.rpartition(".")[2]], headers=headers)


@cache
def _read(name: str) -> _Asset:
    content = (files("bimip.web") / "static" / name).read_bytes()
    return _Asset(content, f'"{sha256(content).hexdigest()[:32]}"')
