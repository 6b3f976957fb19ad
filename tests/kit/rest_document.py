"""The API's document, and what of an answer it does not say."""

import re
from collections.abc import Iterator
from typing import Any

import httpx

from bimip.api.application import all_endpoints
from bimip.api.openapi import PREFIX, document
from bimip.http.problems import MEDIA_TYPE
from bimip.wire.limits import Limits


async def attach_nowhere(*_given: object) -> None:
    """What the table is made with where it is only looked at."""


DOCUMENT: Any = document(all_endpoints(attach_nowhere), Limits())
SCHEMAS = DOCUMENT["components"]["schemas"]

TYPES: dict[str, Any] = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "integer": int,
    "number": (int, float),
}


def fields_of(schema: Any) -> tuple[dict[str, Any], set[str]]:
    """What an object may have, and what it must have."""
    if "$ref" in schema:
        return fields_of(SCHEMAS[schema["$ref"].rsplit("/", 1)[1]])
    properties, required = dict(schema.get("properties", {})), set(schema.get("required", ()))
    for one in schema.get("allOf", ()):
        more, needed = fields_of(one)
        properties |= more
        required |= needed
    return properties, required


def unlike(value: Any, schema: Any, where: str = "") -> Iterator[str]:
    """What of an answer the document does not say."""
    if "$ref" in schema or "allOf" in schema or schema.get("properties"):
        properties, required = fields_of(schema)
        if "enum" in SCHEMAS.get(schema.get("$ref", "").rsplit("/", 1)[-1], schema):
            return
        if not isinstance(value, dict):
            yield f"{where} is no object"
            return
        yield from (f"{where}.{name} is missing" for name in required - value.keys())
        for name, one in value.items():
            if name not in properties:
                yield f"{where}.{name} is not named"
            else:
                yield from unlike(one, properties[name], f"{where}.{name}")
        return
    if "type" in schema and not isinstance(value, TYPES[schema["type"]]):
        yield f"{where} is no {schema['type']}: {value!r}"
    elif schema.get("type") == "array":
        for number, one in enumerate(value):
            yield from unlike(one, schema["items"], f"{where}[{number}]")
    elif "pattern" in schema and not re.fullmatch(schema["pattern"], value):
        yield f"{where} is {value!r}"


def unsaid(method: str, path: str, answer: httpx.Response) -> list[str]:
    """What the document does not say of an answer; `path` is as the document has it."""
    responses = DOCUMENT["paths"][f"{PREFIX}{path}"][method.lower()]["responses"]
    response = responses.get(str(answer.status_code))
    if response is None:
        return [f"status {answer.status_code}"]
    if method == "HEAD" or not answer.content:
        return [] if "content" not in response or method == "HEAD" else ["it has no body"]
    media_type = answer.headers.get("content-type", "").partition(";")[0]
    if media_type not in response.get("content", {}):
        return [f"a body of type {media_type!r}"]
    if media_type not in {"application/json", MEDIA_TYPE}:
        return []
    said = answer.json()
    found = list(unlike(said, response["content"][media_type]["schema"]))
    if answer.status_code >= 400 and f"({said['code']})" not in response["description"]:
        found.append(f"code {said['code']} with status {answer.status_code}")
    return found
