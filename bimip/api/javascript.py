"""The client in JavaScript, as a page imports it: of the same version as the server that it speaks to.

Its modules lie beside each other, so those that import each other find each other. A page of another origin may import
them where it may connect (`http.guards`). A browser keeps them and asks each time whether they are still the same, so
that no page speaks by an older one behind an upgrade.
"""

from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bimip.api.openapi import CLIENT_PATH, CLIENT_PREFIX

MEDIA_TYPE: Final = "text/javascript"
SUFFIX: Final = CLIENT_PATH[CLIENT_PATH.rindex(".") :]


def module_names() -> list[str]:
    """Lists the modules of the client."""
    return sorted(one.name for one in (files("bimip") / "web").iterdir() if one.name.endswith(SUFFIX))


@cache
def _modules() -> dict[str, tuple[bytes, str]]:
    """Reads the modules, when the first of them is asked for: by name its content and tag."""
    found = {name: (files("bimip") / "web" / name).read_bytes() for name in module_names()}
    return {name: (content, f'"{sha256(content).hexdigest()[:32]}"') for name, content in found.items()}


async def _answer(request: Request) -> Response:
    module = _modules().get(f"{request.path_params['name']}{SUFFIX}")
    if module is None:
        raise HTTPException(404)
    content, tag = module
    headers = {"cache-control": "no-cache", "etag": tag}
    known = {one.strip().removeprefix("W/") for one in request.headers.get("if-none-match", "").split(",")}
    if tag in known:
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=MEDIA_TYPE, headers=headers)


def route() -> Route:
    """Makes the route of the modules, which anybody may read."""
    return Route(f"{CLIENT_PREFIX}{{name}}{SUFFIX}", _answer)
