"""The document that tells of the API (OpenAPI 3.1), made of the table of endpoints and of the schema of the wire."""

from collections.abc import Iterable
from typing import Any, Final

from google.protobuf.descriptor import FieldDescriptor

from bimip.api.endpoint import NUMBER, Endpoint, Json
from bimip.api.receipts import DELIVERY_STATE
from bimip.api.words import WORDS
from bimip.http.problems import MEDIA_TYPE, STATUS, TITLES
from bimip.wire import bimip_pb2 as pb
from bimip.wire.comments import COMMENTS
from bimip.wire.limits import Limits

PREFIX: Final = "/api/v1"
CLIENT_PREFIX: Final = f"{PREFIX}/"
CLIENT_PATH: Final = f"{CLIENT_PREFIX}bimip.mjs"
"""Where a page imports the client in JavaScript from: its other modules lie beside this one."""

DESCRIPTION: Final = """\
What a device does by WebSocket, by HTTP: the same rules, limits and durability, and what is done here reaches connected
devices at once. A token names its user and device. Messages are in ProtoJSON: fields have the names of bimip.proto, 64
bit numbers are texts of digits, bytes are base64, times are milliseconds since 1970. PROTOCOL.md says what each means,
and what begins with "server" is ignored from clients. Of a message there are {limits.max_message_bytes} bytes at most,
of an eid {limits.max_eid_bytes} and of any other id {limits.max_id_bytes}; of messages in a request {limits.max_batch}.
A slash in a name, as in an eid, is %2F in a path.
Who shows no valid token has one answer for each connection. Calls are for connections: they go by WebSocket alone."""

EVERYWHERE: Final = (
    pb.MALFORMED,
    pb.INVALID,
    pb.TOO_LARGE,
    pb.UNAUTHENTICATED,
    pb.FORBIDDEN,
    pb.RATE_LIMITED,
    pb.UNAVAILABLE,
    pb.INTERNAL,
)
"""What every endpoint may answer with."""
ALSO_EVERYWHERE: Final = {408: "The body did not arrive in time", 405: "There is no such method here"}

_PLAIN: Final[dict[int, Json]] = {
    FieldDescriptor.TYPE_STRING: {"type": "string"},
    FieldDescriptor.TYPE_BYTES: {"type": "string", "contentEncoding": "base64"},
    FieldDescriptor.TYPE_BOOL: {"type": "boolean"},
    FieldDescriptor.TYPE_DOUBLE: {"type": "number"},
    FieldDescriptor.TYPE_INT32: {"type": "integer", "minimum": -(2**31), "maximum": 2**31 - 1},
    FieldDescriptor.TYPE_UINT32: {"type": "integer", "minimum": 0, "maximum": 2**32 - 1},
    FieldDescriptor.TYPE_INT64: {"type": "string", "pattern": "^-?[0-9]{1,19}$"},
    FieldDescriptor.TYPE_UINT64: NUMBER,
    FieldDescriptor.TYPE_FIXED64: NUMBER,
}


def document(endpoints: Iterable[Endpoint], limits: Limits) -> Json:
    """Makes the document."""
    schemas: dict[str, Json] = {"Problem": _problem(), "DeliveryState": DELIVERY_STATE}
    for kind in (pb.Message, pb.Signal, pb.Command, pb.Conversation, pb.StateItem, pb.Gap):
        _add_message(schemas, kind.DESCRIPTOR)
    paths: dict[str, Json] = {}
    for endpoint in endpoints:
        operation = _operation(endpoint, schemas)
        paths.setdefault(f"{PREFIX}{endpoint.path}", {})[endpoint.method.lower()] = operation
    paths[f"{PREFIX}/openapi.json"] = {"get": _open_operation("openapi", "This document", "application/json", "object")}
    paths[CLIENT_PATH] = {"get": _client_operation()}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "BIMIP",
            "version": "1",
            "description": DESCRIPTION.format(limits=limits),
        },
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "The user's and device's token, as for the WebSocket.",
                }
            },
            "schemas": schemas,
        },
    }


def _operation(endpoint: Endpoint, schemas: dict[str, Json]) -> Json:
    operation: Json = {
        "summary": endpoint.summary,
        "operationId": _operation_id(endpoint),
        "tags": [endpoint.path.split("/")[1]],
        "responses": _responses(endpoint, schemas),
    }
    if endpoint.description:
        operation["description"] = endpoint.description
    if endpoint.parameters:
        operation["parameters"] = [
            {
                "name": one.name,
                "in": one.place,
                "required": one.place == "path",
                "description": one.description,
                "schema": one.schema,
                **({"example": one.example} if one.example is not None else {}),
            }
            for one in endpoint.parameters
        ]
    if endpoint.body is not None:
        operation["requestBody"] = {
            "required": not endpoint.body.is_optional,
            "content": {"application/json": _body(endpoint, schemas)},
        }
    return operation


def _operation_id(endpoint: Endpoint) -> str:
    """A name for programs that are made of the document: where one handler serves two methods, with the method."""
    _, _, resource = endpoint.handle.__module__.rpartition(".")
    name = endpoint.handle.__name__
    return f"{resource}_{name}_by_get" if endpoint.method == "GET" and name == "backfill" else f"{resource}_{name}"


def _body(endpoint: Endpoint, schemas: dict[str, Json]) -> Json:
    body = endpoint.body
    assert body is not None
    own: Json = {"type": "object", "properties": dict(body.beside)}
    if body.required:
        own["required"] = list(body.required)
    schema = own
    if body.kind is not None:
        _add_message(schemas, body.kind.DESCRIPTOR)
        schema = {"allOf": [{"$ref": _ref(body.kind.DESCRIPTOR)}, own]}
    return {"schema": schema, **({"example": body.example} if body.example else {})}


def _responses(endpoint: Endpoint, schemas: dict[str, Json]) -> Json:
    content: Json = {}
    if endpoint.answer is not None:
        schema = endpoint.answer
        if not isinstance(schema, dict):
            _add_message(schemas, schema.DESCRIPTOR)
            schema = {"$ref": _ref(schema.DESCRIPTOR)}
        content = {"content": {endpoint.media_type: {"schema": schema}}}
    responses: Json = {
        str(status): {"description": "Done" if status != 200 or not endpoint.also else "Done before", **content}
        for status in (endpoint.status, *endpoint.also)
    }
    told = dict(ALSO_EVERYWHERE)
    for code in (*EVERYWHERE, *endpoint.errors):
        name = f"{TITLES[code]} ({pb.ErrorCode.Name(code)})"
        status = STATUS[code]
        told[status] = f"{told[status]}; {name}" if status in told else name
    if endpoint.body is not None and "token" in endpoint.body.beside:  # it says nothing against the one in the header
        told[422] += f"; The token in the body is not valid ({pb.ErrorCode.Name(pb.UNAUTHENTICATED)})"
    for status in sorted(told):
        response: Json = {
            "description": told[status],
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        if status in {429, 503}:
            response["headers"] = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}}
        responses[str(status)] = response
    return responses


def _open_operation(name: str, summary: str, media_type: str, kind: str) -> Json:
    """Describes a path that anybody may read."""
    return {
        "summary": summary,
        "operationId": name,
        "tags": ["for anybody"],
        "security": [],
        "responses": {"200": {"description": "Done", "content": {media_type: {"schema": {"type": kind}}}}},
    }


def _client_operation() -> Json:
    summary = "The client for pages and Node, which speaks by WebSocket: a module, and others lie beside it"
    operation = _open_operation("client", summary, "text/javascript", "string")
    operation["responses"]["304"] = {"description": "It is still the one whose ETag If-None-Match names"}
    return operation


def _problem() -> Json:
    names = [pb.ErrorCode.Name(code) for code in sorted(STATUS)]
    device = {
        "type": "object",
        "properties": {"eid": {"type": "string"}, "connection_resource_id": {"type": "string"}},
    }
    return {
        "type": "object",
        "description": "An error (RFC 9457).",
        "properties": {
            "type": {"type": "string", "description": "urn:bimip:error: and the code."},
            "title": {"type": "string", "description": "What a code means."},
            "status": {"type": "integer", "description": "The answer's status."},
            "code": {"type": "string", "enum": names, "description": "The same code as on the socket."},
            "detail": {"type": "string", "description": "What is wrong, and what to do."},
            "field": {"type": "string", "description": "The field at fault, where there is one."},
            "id": {"type": "string", "description": "The message's or request's own id, where one is concerned."},
            "retry_after_ms": {"type": "integer", "description": "Milliseconds until it may be asked again."},
            "missing": {"type": "array", "items": device, "description": "Devices that a list lacks."},
            "extra": {"type": "array", "items": device, "description": "Devices that it names and are not there."},
        },
        "required": ["type", "title", "status", "code", "detail"],
    }


def _ref(kind: Any) -> str:  # noqa: ANN401 - a Descriptor; upb's own is none
    return f"#/components/schemas/{_name(kind)}"


def _name(kind: Any) -> str:  # noqa: ANN401 - as above
    return str(kind.full_name).removeprefix("bimip.")


def _add_message(schemas: dict[str, Json], kind: Any) -> None:  # noqa: ANN401 - as above
    """Adds the schema of a message, and those of all that it holds."""
    name = _name(kind)
    if name in schemas:
        return
    properties: Json = {}
    schemas[name] = {"type": "object", "properties": properties}
    if name in COMMENTS:
        schemas[name]["description"] = COMMENTS[name]
    for field in kind.fields:
        schema = _field(schemas, field)
        own = f"{name}.{field.name}"
        comment = COMMENTS.get(own) or WORDS.get(own) or WORDS.get(field.name)
        if comment is not None:
            schema = (
                {**schema, "description": comment}
                if "$ref" not in schema
                else {"allOf": [schema], "description": comment}
            )
        properties[field.name] = schema


def _field(schemas: dict[str, Json], field: Any) -> Json:  # noqa: ANN401 - a Descriptor; upb's own is none
    kind = field.message_type
    if kind is not None and kind.GetOptions().map_entry:
        return {"type": "object", "additionalProperties": _one(schemas, kind.fields_by_name["value"])}
    one = _one(schemas, field)
    return {"type": "array", "items": one} if field.is_repeated else one


def _one(schemas: dict[str, Json], field: Any) -> Json:  # noqa: ANN401 - as above
    if field.message_type is not None:
        _add_message(schemas, field.message_type)
        return {"$ref": _ref(field.message_type)}
    if field.enum_type is not None:
        return {"type": "string", "enum": [value.name for value in field.enum_type.values]}
    return _PLAIN[field.type]
