"""Errors as RFC 9457 has them: one object, whose `code`, `detail` and `field` are the socket's ErrorMessage.

A status is the code's. Where a peer may come back, `Retry-After` says when, in whole seconds; `retry_after_ms` in ms.
"""

import json
from collections.abc import Mapping
from math import ceil
from typing import Any, Final

from starlette.responses import Response

from bimip.wire import bimip_pb2 as pb
from bimip.wire.errors import WireError

MEDIA_TYPE: Final = "application/problem+json"
TYPE: Final = "urn:bimip:error:"
"""What stands before a code in `type`: a name, which leads nowhere."""

STATUS: Final[dict[int, int]] = {
    pb.MALFORMED: 400,
    pb.INVALID: 422,
    pb.TOO_LARGE: 413,
    pb.UNSUPPORTED: 422,
    pb.UNAUTHENTICATED: 401,
    pb.FORBIDDEN: 403,
    pb.NOT_FOUND: 404,
    pb.CONFLICT: 409,
    pb.OFFSET_BEYOND_HEAD: 422,
    pb.RATE_LIMITED: 429,
    pb.STORAGE_FULL: 507,
    pb.UNAVAILABLE: 503,
    pb.UNKNOWN_OUTCOME: 503,
    pb.INTERNAL: 500,
    pb.OUT_OF_ORDER: 409,
}
"""Of each ErrorCode."""
TITLES: Final[dict[int, str]] = {
    pb.MALFORMED: "The request cannot be read",
    pb.INVALID: "A field is not allowed to be so",
    pb.TOO_LARGE: "This is too large",
    pb.UNSUPPORTED: "This server does not serve that",
    pb.UNAUTHENTICATED: "No valid token",
    pb.FORBIDDEN: "This is not yours to do",
    pb.NOT_FOUND: "There is no such thing for you",
    pb.CONFLICT: "The id is in use for something else",
    pb.OFFSET_BEYOND_HEAD: "This was never given",
    pb.RATE_LIMITED: "Too much at once",
    pb.STORAGE_FULL: "There is no room; nothing was stored",
    pb.UNAVAILABLE: "Not now; nothing was stored",
    pb.UNKNOWN_OUTCOME: "Whether it was stored is not known",
    pb.INTERNAL: "The server failed",
    pb.OUT_OF_ORDER: "Not at this point",
}
RETRY_SECONDS: Final = 1
"""What `Retry-After` says where nothing more is known of a request that may be sent again."""
_MAY_COME_BACK: Final = frozenset({429, 503})


class ProblemError(Exception):
    """Raise it to answer a request with an error."""

    def __init__(
        self, error: WireError | pb.ErrorMessage, *, status: int = 0, headers: Mapping[str, str] | None = None
    ) -> None:
        """`status`: where another one is meant than that of the code."""
        self.error = error.to_proto() if isinstance(error, WireError) else error
        super().__init__(f"{pb.ErrorCode.Name(self.error.code)}: {self.error.message}")
        self.status = status or status_of(self.error)
        self.headers = dict(headers or {})


def status_of(error: pb.ErrorMessage) -> int:
    """The status of an error. A token in the body that does not do says nothing against the one in the header."""
    if error.code == pb.UNAUTHENTICATED and error.field:
        return 422
    return STATUS[error.code]


def problem_of(error: pb.ErrorMessage, status: int = 0) -> dict[str, Any]:
    """The object that tells an error, as JSON has it."""
    code = pb.ErrorCode.Name(error.code)
    problem: dict[str, Any] = {
        "type": TYPE + code,
        "title": TITLES[error.code],
        "status": status or status_of(error),
        "code": code,
        "detail": error.message,
    }
    for name in ("field", "id", "retry_after_ms"):
        if value := getattr(error, name):
            problem[name] = value
    for name in ("missing", "extra"):
        if devices := getattr(error, name):
            problem[name] = [{"eid": one.eid, "connection_resource_id": one.connection_resource_id} for one in devices]
    return problem


def problem_response(problem: ProblemError) -> Response:
    """The whole answer."""
    headers = {"cache-control": "no-store", **problem.headers}
    if problem.status in _MAY_COME_BACK and "retry-after" not in headers:
        headers["retry-after"] = str(ceil(problem.error.retry_after_ms / 1000) or RETRY_SECONDS)
    body = json.dumps(problem_of(problem.error, problem.status), ensure_ascii=False).encode()
    return Response(body, problem.status, headers=headers, media_type=MEDIA_TYPE)
