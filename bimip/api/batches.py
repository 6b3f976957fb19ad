"""Requests that say many things in one, and the answers to them: each stands for itself."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from bimip.api.endpoint import Json, Parameter, Visit, invalid, shown
from bimip.http.problems import ProblemError, problem_of
from bimip.wire import bimip_pb2 as pb
from bimip.wire.errors import WireError

KEY = Parameter(
    "Idempotency-Key",
    "The message's or the request's id: the same again is answered as the first time, and happens once. At most "
    "64 bytes; quotes around it are no part of it.",
    place="header",
)

TEXT: Final[Json] = {"type": "string", "description": "In place of payload: a text, which is sent as UTF-8."}
TEMP_ID: Final[Json] = {
    "type": "string",
    "maxLength": 64,
    "description": "The message's own id, as the field id and the header Idempotency-Key.",
}


def objects_of(visit: Visit, name: str) -> list[Json]:
    """Takes the list that the body is. Raises ProblemError."""
    said: list[Any] = visit.take(name, list, [])
    most = visit.caller.services.limits.max_batch
    if visit.said:
        raise invalid(f"There is nothing beside {name} here.", next(iter(visit.said)))
    if not said or not all(isinstance(one, dict) for one in said):
        raise invalid(f"{name} is a list of one object or more.", name)
    if len(said) > most:
        error = WireError(pb.TOO_LARGE, f"{name} holds more than {most}: send several requests.", field=name)
        raise ProblemError(error)
    return said


def results(outcomes: Iterable[Any]) -> list[Json]:
    """Tells what became of each of many requests: its answer, or its problem."""
    return [
        {"error": problem_of(one)} if isinstance(one, pb.ErrorMessage) else {"sent": {} if one is None else shown(one)}
        for one in outcomes
    ]


def results_schema(kind: str) -> Json:
    """The schema of `results`."""
    return {
        "type": "object",
        "properties": {
            "results": {
                "type": "array",
                "description": "One for each, in their order: each stands for itself.",
                "items": {
                    "type": "object",
                    "properties": {
                        "sent": {"$ref": f"#/components/schemas/{kind}"},
                        "error": {"$ref": "#/components/schemas/Problem"},
                    },
                },
            }
        },
        "required": ["results"],
    }


def listed(kind: str, beside: Sequence[str], description: str) -> Json:
    """The schema of a list of messages of the schema, with fields beside theirs."""
    extra = {"tempId": TEMP_ID, "text": TEXT}
    item: Json = {"allOf": [{"$ref": f"#/components/schemas/{kind}"}]}
    if beside:
        item["allOf"].append({"type": "object", "properties": {name: extra[name] for name in beside}})
    return {"type": "array", "items": item, "minItems": 1, "maxItems": 1024, "description": description}
