"""What answers that are pages have in common, and what asks for the next one."""

from collections.abc import Mapping

from bimip.api.endpoint import Json, Parameter

CONVERSATION = Parameter("id", "The conversation, as its messages name it.", place="path", example="c1")
CURSOR = Parameter("cursor", "Where to go on: the next_cursor of the answer before, in base64.")
LIMIT = Parameter(
    "limit",
    "At most so many in the answer; 0: 100. An answer has 256 at most.",
    schema={"type": "integer", "minimum": 0, "maximum": 2**32 - 1},
)
NAMES_LIMIT = Parameter("limit", "At most so many in the answer; 0: 256, which are the most.", schema=LIMIT.schema)
"""Of what is paged through by name."""
BACKWARDS = Parameter("backwards", "From the newest towards the oldest.", schema={"type": "boolean"})


def page_schema(of: Mapping[str, Json], states: str) -> Json:
    """The schema of a page. `of`: what it has itself; `states`: what is told of that beside it."""
    properties: Json = {
        **of,
        "states": {
            "type": "array",
            "items": {"$ref": "#/components/schemas/StateItem"},
            "description": states,
        },
        "complete": {"type": "boolean", "description": "Nothing is left behind this page."},
        "nextCursor": {"type": "string", "description": "Where the next page begins: its cursor, in base64."},
    }
    return {"type": "object", "properties": properties, "required": list(properties)}
