"""The pages that the server shows on its public port: the messenger, and in demonstration mode the page with four
devices.

They are files of ours in `static/`, without a build step, and need nothing but this server. The policy lets a page run
nothing else: no script or style but these files, none from a text that came as data, no other origin, and no frame
around it. A browser keeps them and asks each time whether they are still the same (`no-cache` with a tag), so that no
page is older than its server.
"""

from collections.abc import Iterator
from functools import cache, partial
from importlib.resources import files
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from bimip.console import PAGE_HEADERS
from bimip.http.assets import TYPES, Asset

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; worker-src 'self'; "
    "manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types worker"
)
"""`worker`: the one policy of a page, which lets it name its service worker."""
HEADERS: Final = {**PAGE_HEADERS, "cache-control": "no-cache", "content-security-policy": POLICY}
PREFIX: Final = "/page"
DEMONSTRATION, MESSENGER, WORKER = "demo.html", "chat.html", "worker.mjs"
WORKER_PATH: Final = "/worker.mjs"
"""At the top: a service worker sees only what lies beside it, and below."""


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
    return _read(name).answer(request, HEADERS)


@cache
def _read(name: str) -> Asset:
    return Asset.of(name, (files("bimip.web") / "static" / name).read_bytes())
