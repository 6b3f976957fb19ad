"""The application that answers by HTTP what is no WebSocket: a route for each path of ENDPOINTS, the document that
tells of them, its page, the client for pages, and what else the server shows (`more`).

Whoever asks is found by their token before anything of a body is read; then the body is, and the endpoint answers.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from bimip.api import (
    commands,
    contacts,
    conversations,
    devices,
    docs,
    events,
    feeds,
    history,
    javascript,
    messages,
    presence,
    receipts,
)
from bimip.api.caller import Callers, unauthorized
from bimip.api.endpoint import WEIGHT_FOR_A_REQUEST, Endpoint, Visit
from bimip.api.events import Attach
from bimip.api.openapi import PREFIX, document
from bimip.http.guards import Origins
from bimip.http.problems import ProblemError, problem_response
from bimip.http.server import VISITOR, Visitor, crash
from bimip.users.services import Services
from bimip.wire import bimip_pb2 as pb
from bimip.wire import json as protojson
from bimip.wire.errors import WireError

ENDPOINTS: Final[tuple[Endpoint, ...]] = (
    *messages.ENDPOINTS,
    *receipts.ENDPOINTS,
    *history.ENDPOINTS,
    *commands.ENDPOINTS,
    *conversations.ENDPOINTS,
    *feeds.ENDPOINTS,
    *contacts.ENDPOINTS,
    *presence.ENDPOINTS,
    *devices.ENDPOINTS,
)
"""All that is asked for with a token, below PREFIX, but for what is streamed."""


def all_endpoints(attach: Attach) -> tuple[Endpoint, ...]:
    """All that is asked for with a token."""
    return (*ENDPOINTS, *events.endpoints(events.Streams(attach)))


def make_application(
    services: Services,
    attach: Attach,
    *,
    origins: Sequence[str],
    names: Sequence[str],
    more: Iterable[Route] = (),
) -> ASGIApp:
    """Makes the application. `attach` makes a stream a device's connection. `origins`, `names`: see `http.origins`.
    `more`: routes of pages, which stand beside those of the API.
    """
    callers = Callers(services)
    endpoints = all_endpoints(attach)
    by_path: dict[str, dict[str, Endpoint]] = {}
    for endpoint in endpoints:
        by_path.setdefault(endpoint.path, {})[endpoint.method] = endpoint
    routes = [
        Route(f"{PREFIX}{path}", _Answering(callers, rows).answer, methods=list(rows)) for path, rows in by_path.items()
    ]
    routes.append(Route(f"{PREFIX}/openapi.json", _Document(document(endpoints, services.limits)).answer))
    routes += [*docs.routes(), javascript.route(), *more]
    application = Starlette(
        routes=routes,
        middleware=[Middleware(Origins, origins=origins, names=names)],
        exception_handlers={
            ProblemError: _answer_problem,
            HTTPException: _answer_http_error,
            Exception: _answer_crash,
        },
    )
    # Else a slash at the end is answered with a way to http://, which is not where TLS ends: a token would follow it.
    application.router.redirect_slashes = False
    return application


class _Document:
    """The document, which anybody may read."""

    def __init__(self, content: object) -> None:
        self._content = content

    async def answer(self, _request: Request) -> Response:
        return JSONResponse(self._content)


class _Answering:
    """The endpoints of one path."""

    def __init__(self, callers: Callers, rows: dict[str, Endpoint]) -> None:
        self._callers = callers
        self._rows = rows

    async def answer(self, request: Request) -> Response:
        visitor: Visitor = request.scope[VISITOR]
        try:
            caller = await self._callers.find(_token(request.headers.getlist("authorization")))
        except ProblemError as refused:
            if refused.error.code == pb.UNAUTHENTICATED:
                visitor.refuse_visitor(refused.error.message)
            raise
        visitor.admit_visitor()
        endpoint = self._rows["GET" if request.method == "HEAD" else request.method]
        visit = Visit(request, caller)
        with caller.paying():
            _check_parameters(endpoint, request)
            await _read_body(endpoint, visit)
            answer = await endpoint.handle(visit)
        return answer if isinstance(answer, Response) else answer.response()


def _token(authorizations: list[str]) -> str:
    scheme, _, token = (authorizations or [""])[0].partition(" ")
    if len(authorizations) != 1 or scheme.lower() != "bearer" or not token.strip():
        raise unauthorized("Show a token: one header Authorization, Bearer and the token.")
    return token.strip()


def _check_parameters(endpoint: Endpoint, request: Request) -> None:
    """Refuses a parameter that is none, and one that is given twice: mistakes that would pass in silence."""
    known = {one.name for one in endpoint.parameters if one.place == "query"}
    for name in request.query_params:
        if name not in known:
            sentence = f"There is no parameter {name!r} here; there are: {', '.join(sorted(known)) or 'none'}."
            raise ProblemError(WireError(pb.INVALID, sentence, field=name))
    for one in endpoint.parameters:
        given = request.headers if one.place == "header" else request.query_params
        if one.place != "path" and len(given.getlist(one.name)) > 1:
            raise ProblemError(WireError(pb.INVALID, f"{one.name} is given more than once.", field=one.name))


async def _read_body(endpoint: Endpoint, visit: Visit) -> None:
    """Reads a body as one JSON object, and charges for what that costs. Raises ProblemError."""
    data = await visit.request.body()
    if not data and (endpoint.body is None or endpoint.body.is_optional):
        return
    if endpoint.body is None:
        raise ProblemError(WireError(pb.INVALID, "A body says nothing here: leave it away."))
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise ProblemError(WireError(pb.MALFORMED, "The body is no UTF-8: send one JSON object.")) from None
    visit.caller.rates.charge(protojson.weight_of(text) // WEIGHT_FOR_A_REQUEST, visit.caller.heard_at)
    try:
        visit.said = protojson.load(text)
    except WireError as error:
        raise ProblemError(error) from None
    visit.size = len(data)
    for name in endpoint.body.required:
        if name not in visit.said:
            raise ProblemError(WireError(pb.INVALID, f"{name} is missing.", field=name))
    if endpoint.body.kind is None:
        for name in visit.said:
            if name not in endpoint.body.beside:
                raise ProblemError(WireError(pb.INVALID, f"There is no field {name!r} here.", field=name))


async def _answer_problem(_request: Request, error: Exception) -> Response:
    """Answers an error. Not plain: Starlette would do that in a thread."""
    assert isinstance(error, ProblemError)
    return problem_response(error)


async def _answer_crash(_request: Request, _error: Exception) -> Response:
    """Answers a defect. Starlette raises it on, so that it is reported."""
    return problem_response(ProblemError(crash()))


async def _answer_http_error(request: Request, error: Exception) -> Response:
    """Answers what there is no route for."""
    assert isinstance(error, HTTPException)
    if error.status_code == 405:
        allowed = (error.headers or {}).get("Allow", "")
        refused = WireError(pb.UNSUPPORTED, f"There is no {request.method} here: allowed is {allowed}.")
        return problem_response(ProblemError(refused, status=405, headers={"allow": allowed}))
    sentence = (
        f"There is nothing at this path: a WebSocket opens at any, {PREFIX}/openapi.json names those of the API, "
        f"{docs.PATH} shows them, and /chat is the messenger."
    )
    return problem_response(ProblemError(WireError(pb.NOT_FOUND, sentence)))
