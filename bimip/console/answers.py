"""Every answer but that of /metrics is JSON; an error is {error, hint}: what happened, and what to do about it."""

import json
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence

import structlog
import trio
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.types import ASGIApp, Receive, Scope, Send

HEADERS = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
_HINTS = {404: "the README lists what there is", 405: "GET looks, POST acts"}

_log = structlog.get_logger("bimip.console")


class AnswerError(Exception):
    """Raise it in a handler to answer with an error."""

    def __init__(self, status: int, error: str, hint: str) -> None:
        super().__init__(error)
        self.status = status
        self.error = error
        self.hint = hint


def answer(content: object, status: int = 200) -> JSONResponse:
    return JSONResponse(content, status, headers=HEADERS)


def answer_text(content: bytes, content_type: str) -> Response:
    return Response(content, headers=HEADERS | {"content-type": content_type})


def answer_lines(slices: Iterator[Sequence[Mapping[str, object]]]) -> StreamingResponse:
    """JSON lines, made while they are taken. The last one tells how many came before it, so that an answer that was cut
    off is noticed.
    """
    return StreamingResponse(_lines(slices), headers=HEADERS, media_type="application/x-ndjson")


async def _lines(slices: Iterator[Sequence[Mapping[str, object]]]) -> AsyncIterator[bytes]:
    count = 0
    for some in slices:
        if some:
            yield b"".join(json.dumps(line).encode() + b"\n" for line in some)
            count += len(some)
        await trio.lowlevel.checkpoint()  # others have their turn, also where nothing was found
    yield json.dumps({"kind": "end", "lines": count}).encode() + b"\n"


def refusal(status: int, error: str, hint: str) -> JSONResponse:
    response = answer({"error": error, "hint": hint}, status)
    if status == 401:
        response.headers["www-authenticate"] = "Bearer"
    return response


def answer_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, AnswerError)
    return refusal(error.status, error.error, error.hint)


def http_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return refusal(error.status_code, error.detail, _HINTS.get(error.status_code, ""))


def crash(_request: Request, _error: Exception) -> Response:
    """Starlette raises the error again after this answer: `Contained` logs it."""
    return refusal(500, "the console failed to answer", "the server's log says why")


class Contained:
    """A crash of a handler is logged and ends here."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._app(scope, receive, send)
        except Exception:  # noqa: BLE001 - the one place where a handler's failure ends; it is logged whole
            _log.exception("a request failed", method=scope.get("method"), path=scope.get("path"))
