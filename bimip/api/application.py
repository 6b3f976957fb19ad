"""The application that answers by HTTP what is no WebSocket."""

from collections.abc import Sequence

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from bimip.http.guards import Origins
from bimip.http.problems import ProblemError, problem_response
from bimip.wire import bimip_pb2 as pb
from bimip.wire.errors import WireError

PREFIX = "/api/v1"


def make_application(*, origins: Sequence[str], names: Sequence[str]) -> ASGIApp:
    """Makes the application. `origins` and `names`: see `http.origins`."""
    return Starlette(
        routes=[],
        middleware=[Middleware(Origins, origins=origins, names=names)],
        exception_handlers={ProblemError: _answer_problem, HTTPException: _answer_http_error},
    )


def _answer_problem(_request: Request, error: Exception) -> Response:
    assert isinstance(error, ProblemError)
    return problem_response(error)


def _answer_http_error(request: Request, error: Exception) -> Response:
    """Answers what there is no route for."""
    assert isinstance(error, HTTPException)
    if error.status_code == 405:
        allowed = (error.headers or {}).get("Allow", "")
        refused = WireError(pb.UNSUPPORTED, f"There is no {request.method} here: allowed is {allowed}.")
        return problem_response(ProblemError(refused, status=405, headers={"allow": allowed}))
    sentence = f"There is nothing at this path: a WebSocket opens at any, and {PREFIX}/openapi.json names all others."
    return problem_response(ProblemError(WireError(pb.NOT_FOUND, sentence)))
