"""Who may ask."""

import hmac
from collections.abc import Awaitable, Callable, Collection

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from bimip.console.answers import AnswerError, refusal
from bimip.console.sessions import Session, Sessions

Handler = Callable[[Request], Awaitable[Response]]

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
CSRF_HEADER = "x-csrf-token"
LOOKS = frozenset({"GET", "HEAD"})
"""Methods that change nothing."""


class LocalNames:
    """Answers only to requests that call this machine by a loopback name.

    A page of evil.example whose name suddenly resolves to 127.0.0.1 is, to the browser, still that page's own origin;
    the Host header is what gives it away.
    """

    def __init__(self, app: ASGIApp, names: Collection[str]) -> None:
        self._app = app
        self._names = names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if name_of(Headers(scope=scope).get("host", "")) in self._names:
            await self._app(scope, receive, send)
        else:
            hint = "ask for http://127.0.0.1 or http://localhost"
            await refusal(403, "this Host is not a name of the console", hint)(scope, receive, send)


def name_of(host: str) -> str:
    """The name in a Host header, without its port."""
    name, colon, port = host.lower().rpartition(":")
    return name if colon and port.isdecimal() else host.lower()


def for_operators(
    token: str,
    handler: Handler,
    *,
    or_token: str = "",
    sessions: Sessions | None = None,
    refused: Callable[[Request], None] = lambda _request: None,
) -> Handler:
    """`handler` for those who send `Authorization: Bearer <token>`, or `or_token`. An empty token is nobody's. A page
    of the console's own whose operator logged in needs none: it sends the cookie of one of `sessions`.

    `refused` is told of whoever shows another one.
    """
    tokens = [one.encode() for one in (token, or_token) if one]

    async def guarded(request: Request) -> Response:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if not tokens:
            raise AnswerError(403, "there is no operator's token", "set console.operator_token_file and start again")
        if not scheme and sessions is not None and (session := sessions.find(session_id_of(request))):
            _check_session(request, session)
            request.scope["bimip.operator"] = session.name
            return await handler(request)
        if scheme.lower() != "bearer" or not given.strip():
            raise AnswerError(401, "this is for operators", "send the header Authorization: Bearer <operator's token>")
        if not any(hmac.compare_digest(given.strip().encode(), one) for one in tokens):
            refused(request)
            raise AnswerError(403, "this is not the operator's token", "use the one in console.operator_token_file")
        return await handler(request)

    return guarded


def cookie_name(request: Request) -> str:
    """The cookie's name on this port: cookies know no ports, and two servers of one machine would share it."""
    port = request.headers.get("host", "").rpartition(":")[2]
    return f"bimip-console-{port if port.isascii() and port.isdecimal() else 80}"


def session_id_of(request: Request) -> str:
    return request.cookies.get(cookie_name(request), "")


def check_own_page(request: Request) -> None:
    """Raises AnswerError where a browser says that a page of another origin asks, another port of this machine's too:
    to the cookie that is the same site.
    """
    headers = request.headers
    host, origin = headers.get("host", "").lower(), headers.get("origin")
    is_own = origin is None or origin.lower() in {f"http://{host}", f"https://{host}"}
    if not is_own or headers.get("sec-fetch-site", "none").lower() not in {"same-origin", "none"}:
        raise AnswerError(403, "this is for the console's own page", "open http://127.0.0.1 with the console's port")


def _check_session(request: Request, session: Session) -> None:
    check_own_page(request)
    given = request.headers.get(CSRF_HEADER, "").encode()
    if request.method not in LOOKS and not hmac.compare_digest(given, session.csrf.encode()):
        raise AnswerError(403, f"the header {CSRF_HEADER} is missing or wrong", "GET /session says it; or log in again")
