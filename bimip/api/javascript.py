"""The client in JavaScript, as a page imports it: of the same version as the server that it speaks to.

Its modules lie beside each other, so those that import each other find each other. A page of another origin may import
them where it may connect (`http.guards`). A browser keeps them and asks each time whether they are still the same, so
that no page speaks by an older one behind an upgrade.
"""

from functools import cache
from importlib.resources import files
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bimip.api.openapi import CLIENT_PREFIX
from bimip.http.assets import Asset

SUFFIX: Final = ".mjs"


def module_names() -> list[str]:
    """Lists the modules of the client."""
    return sorted(one.name for one in (files("bimip") / "web").iterdir() if one.name.endswith(SUFFIX))


@cache
def _modules() -> dict[str, Asset]:
    """Reads the modules, when the first of them is asked for."""
    return {name: Asset.of(name, (files("bimip") / "web" / name).read_bytes()) for name in module_names()}


async def _answer(request: Request) -> Response:
    module = _modules().get(f"{request.path_params['name']}{SUFFIX}")
    if module is None:
        raise HTTPException(404)
    return module.answer(request, {})


def route() -> Route:
    """Makes the route of the modules, which anybody may read."""
    return Route(f"{CLIENT_PREFIX}{{name}}{SUFFIX}", _answer)
