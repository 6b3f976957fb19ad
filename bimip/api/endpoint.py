"""What a row of the table of endpoints says: where, what may be said, what is answered, and what it does."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import trio
from google.protobuf.message import Message
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from bimip.api.caller import Caller
from bimip.http.problems import ProblemError
from bimip.http.server import SLASH_IN_A_NAME
from bimip.wire import bimip_pb2 as pb
from bimip.wire import json as protojson
from bimip.wire.errors import WireError

Json = dict[str, Any]
NUMBER: Final[Json] = {"type": "string", "pattern": "^[0-9]{1,20}$"}
"""A 64 bit number, as ProtoJSON has it."""
WEIGHT_FOR_A_REQUEST: Final = 32
"""What converting JSON costs, in its objects, that is charged as one request more."""
VALUES_AT_ONCE: Final = 128
"""Of JSON, that are converted until others have their turn."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """Something that is said in the path, the query or a header."""

    name: str
    description: str
    schema: Json = field(default_factory=lambda: {"type": "string"})
    place: str = "query"
    example: Any = None


@dataclass(frozen=True, slots=True)
class Body:
    """Describes a body: a message's fields in ProtoJSON, and others beside them."""

    kind: type[Message] | None
    beside: Mapping[str, Json] = field(default_factory=dict)
    required: Sequence[str] = ()
    example: Json = field(default_factory=dict)
    is_optional: bool = False


@dataclass(frozen=True, slots=True)
class Reply:
    """Holds the answer of an endpoint."""

    value: Json | None
    status: int = 200

    def response(self) -> Response:
        headers = {"cache-control": "no-store"}
        if self.value is None:
            return Response(status_code=204, headers=headers)
        return JSONResponse(self.value, self.status, headers=headers)


@dataclass(slots=True)
class Visit:
    """One request, of whom it is, and what it says."""

    request: Request
    caller: Caller
    said: Json = field(default_factory=dict)
    """Its body."""
    size: int = 0
    """Of that, in bytes."""

    def path(self, name: str) -> str:
        value: str = self.request.path_params[name]
        return value.replace(SLASH_IN_A_NAME, "/")

    def query(self, name: str, default: str = "") -> str:
        return self.request.query_params.get(name, default)

    def number(self, name: str, most: int = 2**64 - 1) -> int:
        """A number of the query; 0 where it is not given. Raises ProblemError."""
        text = self.query(name) or "0"
        if not (text.isascii() and text.isdecimal() and len(text) <= 20):
            raise _no_number(name, most)
        return _bounded(name, int(text), most)

    def flag(self, name: str) -> bool:
        text = self.query(name, "false")
        if text not in {"true", "false"}:
            raise invalid(f"{name} is true or false.", name)
        return text == "true"

    async def cursor(self) -> bytes:
        """The cursor of the query, or of the body; nothing where neither has one. Raises ProblemError."""
        value = self.query("cursor") or self.take("cursor", str, "")
        return bytes((await self.filled(pb.Fetch(), {"cursor": value})).cursor) if value else b""

    def take(self, name: str, kind: type, default: Any = None) -> Any:  # noqa: ANN401 - of that kind
        """Takes what stands beside the message's fields out of the body. Raises ProblemError."""
        value = self.said.pop(name, None)
        if value is None:
            return default
        if not isinstance(value, kind) or isinstance(value, bool) != (kind is bool):
            raise invalid(f"{name} is no {JSON_NAMES[kind]}.", name)
        if isinstance(value, str):
            encoded(value, name)
        return value

    def take_number(self, name: str, most: int) -> int:
        """Takes a number out of the body, as `number` does out of the query. Raises ProblemError."""
        return _bounded(name, self.take(name, int, 0), most)

    async def fill(self, message: Any, value: Json | None = None) -> Any:  # noqa: ANN401 - the message that is given
        """Fills a message from the body, or an object in it. Raises ProblemError."""
        given = self.said if value is None else value
        text = given.pop("text", None) if "payload" in message.DESCRIPTOR.fields_by_name else None
        await self.filled(message, given)
        if text is not None:
            if not isinstance(text, str) or message.payload:
                raise invalid("text is a text, in place of payload.", "text")
            message.payload = encoded(text, "text")
        return message

    @staticmethod
    async def filled(message: Any, value: Json) -> Any:  # noqa: ANN401 - as above
        """Fills a message; others have their turn where there is much. Raises ProblemError."""
        done = 0
        try:
            for values in protojson.fill(message, value):
                done += values
                if done >= VALUES_AT_ONCE:
                    done = 0
                    await trio.lowlevel.checkpoint()
        except WireError as error:
            raise ProblemError(error) from None
        return message

    def key(self, *names: str) -> str:
        """The id that a request is known by when it comes again: `Idempotency-Key`, or one of these fields of the body.
        Raises ProblemError where they are two.
        """
        header = self.request.headers.get("idempotency-key", "").strip()
        if len(header) > 1 and header[0] == header[-1] == '"':  # as the draft of that header has it
            header = header[1:-1]
        given = [one for one in (header, *(self.take(name, str, "") for name in names)) if one]
        if len(set(given)) > 1:
            raise invalid(f"Idempotency-Key, {' and '.join(names)} are one id: give one.", names[0])
        return given[0] if given else ""


JSON_NAMES: Final = {str: "text", int: "number", bool: "true or false", list: "list", dict: "object"}

Handler = Callable[[Visit], Awaitable[Reply | Response]]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Describes what is asked for at one path by one method."""

    method: str
    path: str
    handle: Handler
    summary: str
    description: str = ""
    body: Body | None = None
    parameters: Sequence[Parameter] = ()
    answer: Json | type[Message] | None = None
    """The answer's schema; None: it has no body."""
    status: int = 200
    also: Sequence[int] = ()
    """Other statuses of the same answer."""
    errors: Sequence[int] = ()
    """Codes, beside those that every endpoint may answer with."""
    media_type: str = "application/json"


def _bounded(name: str, value: int, most: int) -> int:
    if not 0 <= value <= most:
        raise _no_number(name, most)
    return value


def _no_number(name: str, most: int) -> ProblemError:
    return invalid(f"{name} is a whole number from 0 to {most}.", name)


def encoded(text: str, name: str) -> bytes:
    """A text of a body in UTF-8. Raises ProblemError: JSON can say half of a character."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise invalid(f"{name} holds half of a character: send whole ones.", name) from None


def invalid(sentence: str, field: str) -> ProblemError:
    return ProblemError(WireError(pb.INVALID, sentence, field=field))


def shown(message: Message) -> Json:
    """A message as JSON has it. What request it answers is plain here."""
    value = protojson.message_of(message)
    value.pop("ref", None)
    return value
