"""Writes vectors for implementers in other languages, a file for each payload, into a folder (the argument).

A vector is one frame, as bytes (hex) and as ProtoJSON. Every field of every message that a frame can hold stands in one
of them: of each payload one vector has all fields, of each choice one more has each of its members, and of Body one has
each of its lists alone.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bimip_pb2 as pb
from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

LARGE = 2**60
"""Beyond what a double holds with each digit."""
MOST_NESTED = 4
PAYLOADS = pb.MessageScheme.DESCRIPTOR.oneofs_by_name["payload"].fields


def vectors() -> dict[str, list[dict[str, Any]]]:
    """Makes all vectors, by payload."""
    found: dict[str, list[dict[str, Any]]] = {}
    for payload in PAYLOADS:
        made = found[payload.name] = [vector(payload, "empty", GetMessageClass(payload.message_type)())]
        made.append(vector(payload, "every field", filled(payload.message_type), ref=LARGE + 30))
        if payload.name == "body":
            made += [vector(payload, field.name, only(payload.message_type, field)) for field in lists_of(payload)]
            made += [vector(payload, f"states, {name}", body) for name, body in states()]
        elif payload.name == "hello":
            made += [vector(payload, f"results, {name}", hello) for name, hello in results()]
    return found


def vector(payload: FieldDescriptor, name: str, message: Message, ref: int = 0) -> dict[str, Any]:
    scheme = pb.MessageScheme(route=payload.number, ref=ref)
    getattr(scheme, payload.name).CopyFrom(message)
    getattr(scheme, payload.name).SetInParent()
    return {
        "name": name,
        "hex": scheme.SerializeToString(deterministic=True).hex(),
        "json": json_format.MessageToDict(scheme, preserving_proto_field_name=True),
    }


def lists_of(payload: FieldDescriptor) -> list[FieldDescriptor]:
    assert payload.message_type is not None
    return [field for field in payload.message_type.fields if field.is_repeated]


def only(kind: Descriptor, field: FieldDescriptor) -> Message:
    """Returns a message with one list, of two elements; the second one is empty."""
    message = GetMessageClass(kind)()
    fill(message, field, 0)
    if field.message_type is not None:
        getattr(message, field.name).add()
    return message


def states() -> Iterator[tuple[str, Message]]:
    for field in pb.StateItem.DESCRIPTOR.oneofs_by_name["value"].fields:
        item = pb.StateItem(version=LARGE + 1)
        fill(item, field, 2)
        yield field.name, pb.Body(states=[pb.StateDelta(after=LARGE, upto=LARGE + 1, items=[item])])


def results() -> Iterator[tuple[str, Message]]:
    for field in pb.HelloResult.DESCRIPTOR.oneofs_by_name["result"].fields:
        result = pb.HelloResult()
        fill(result, field, 2)
        yield field.name, pb.Hello(results=[result])


def filled(kind: Descriptor, depth: int = 0) -> Message:
    """Returns a message with all of its fields; of a choice it has the first member."""
    message = GetMessageClass(kind)()
    for field in kind.fields:
        choice = field.containing_oneof
        is_chosen = choice is None or len(choice.fields) == 1 or choice.fields[0].name == field.name
        if is_chosen and not (depth >= MOST_NESTED and field.message_type is not None):
            fill(message, field, depth)
    return message


def fill(message: Message, field: FieldDescriptor, depth: int) -> None:
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        getattr(message, field.name)["an id"] = value_of(field.message_type.fields_by_name["value"])
    elif field.message_type is not None:
        inner = (
            GetMessageClass(field.message_type)()
            if is_within_itself(message, field)
            else filled(field.message_type, depth + 1)
        )
        if field.is_repeated:
            getattr(message, field.name).append(inner)
        else:
            getattr(message, field.name).CopyFrom(inner)
            getattr(message, field.name).SetInParent()
    elif field.is_repeated:
        getattr(message, field.name).extend([value_of(field), value_of(field)])
    else:
        setattr(message, field.name, value_of(field))


def is_within_itself(message: Message, field: FieldDescriptor) -> bool:
    """Whether a field holds messages of the kind that it stands in, which would have no end."""
    return field.message_type is not None and field.message_type.full_name == message.DESCRIPTOR.full_name


def value_of(field: FieldDescriptor) -> object:
    """Returns a value that differs from field to field; of 64 bits one that a double does not hold."""
    if field.enum_type is not None:
        return field.enum_type.values[-1].number
    number, name = field.number, f"{field.name} ü 👋"
    values: dict[int, object] = {
        FieldDescriptor.TYPE_UINT64: LARGE + number,
        FieldDescriptor.TYPE_FIXED64: LARGE + number,
        FieldDescriptor.TYPE_INT64: 1_700_000_000_000 + number,
        FieldDescriptor.TYPE_UINT32: 300 + number,
        FieldDescriptor.TYPE_INT32: 300 + number,
        FieldDescriptor.TYPE_DOUBLE: -number - 0.25,
        FieldDescriptor.TYPE_BOOL: True,
        FieldDescriptor.TYPE_BYTES: b"\x00\xff" + field.name.encode(),
        FieldDescriptor.TYPE_STRING: name,
    }
    return values[field.type]


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, made in vectors().items():
        rows = ",\n".join(json.dumps(one, ensure_ascii=False) for one in made)
        (folder / f"{name}.json").write_text(f"[\n{rows}\n]\n", "utf-8")


main()
