"""Logging in on the page: the operator's token once, then a cookie that scripts cannot read and no other site can send.

The cookie is this port's: browsers send cookies to every port of a machine, so each server has a name of its own for
it, and its id is no token. What a page may do with it, and which pages, `guards.py` says.
"""

import hmac
import json
from collections.abc import Callable
from contextlib import aclosing
from typing import Final

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from bimip.console.answers import AnswerError, answer
from bimip.console.guards import Handler, check_own_page, cookie_name, session_id_of
from bimip.console.sessions import LONGEST_SECONDS, MAX_NAME, Session, Sessions

MAX_BODY: Final = 4096
"""Bytes of a login: nothing else that is asked of the console has a body."""


class Login:
    """The requests that begin and end a session."""

    def __init__(
        self,
        token: str,
        sessions: Sessions,
        *,
        acts: Callable[[str, Handler], Handler],
        refused: Callable[[Request], None],
    ) -> None:
        """`acts` records what is done; `refused` is told of whoever shows a token that is not the operator's: so many
        records a minute at most.
        """
        self._token = token.encode()
        self._sessions = sessions
        self._begin = acts("log in", self._open)
        self._refused = refused

    async def log_in(self, request: Request) -> Response:
        if not self._token:
            raise AnswerError(403, "there is no operator's token", "set console.operator_token_file and start again")
        check_own_page(request)
        given, name = _words(request, await _read(request))
        if not hmac.compare_digest(given.encode("utf-8", "replace"), self._token):
            self._refused(request)
            raise AnswerError(403, "this is not the operator's token", "use the one in console.operator_token_file")
        request.scope["bimip.operator"] = name[:MAX_NAME]
        return await self._begin(request)

    async def _open(self, request: Request) -> Response:
        session_id, session = self._sessions.open(request.scope["bimip.operator"])
        response = answer(_told(session))
        response.set_cookie(
            cookie_name(request), session_id, max_age=int(LONGEST_SECONDS), path="/", httponly=True, samesite="strict"
        )
        return response

    async def log_out(self, request: Request) -> Response:
        """Ends the session; whoever asks by the token has none."""
        self._sessions.close(session_id_of(request))
        response = answer({"logged_out": True})
        response.delete_cookie(cookie_name(request), path="/", httponly=True, samesite="strict")
        return response

    async def session(self, request: Request) -> Response:
        """Tells a page that was loaded anew the secret of its session."""
        session = self._sessions.find(session_id_of(request))
        if session is None:
            raise AnswerError(404, "there is no session", "POST /login begins one; a token needs none")
        return answer(_told(session))


def _told(session: Session) -> dict[str, object]:
    return {"csrf": session.csrf, "name": session.name}


async def _read(request: Request) -> bytes:
    content = b""
    try:
        async with aclosing(request.stream()) as parts:
            async for part in parts:
                content += part
                if len(content) > MAX_BODY:
                    raise AnswerError(413, f"the body is larger than {MAX_BODY} bytes", "say the token, and a name")
    except ClientDisconnect as error:
        raise AnswerError(400, "the body is not whole", "send it again") from error
    return content


def _words(request: Request, content: bytes) -> tuple[str, str]:
    """The token and the name in a login. A form, which any site may have a browser send, is none."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise AnswerError(415, "a login is JSON", "send Content-Type: application/json")
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        found = None
    given = found.get("token") if isinstance(found, dict) else None
    name = found.get("name", "") if isinstance(found, dict) else None
    if not isinstance(given, str) or not isinstance(name, str):
        raise AnswerError(400, "this is no login", 'send {"token": "…"}, and a "name" for the audit trail if you like')
    return given.strip(), name
