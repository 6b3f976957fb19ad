"""Adds to the record of released numbers (its path is the argument) those of proto/bimip.proto that it lacks.

It never removes or changes a line: a number that changed leaves its old line behind, and a test finds it.
"""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import bimip_pb2
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor


def numbers(kinds: Mapping[str, Descriptor], enums: Mapping[str, EnumDescriptor]) -> Iterator[str]:
    for enum in enums.values():
        for value in enum.values:
            yield f"{enum.full_name}.{value.name} = {value.number}"
    for kind in kinds.values():
        for field in kind.fields:
            yield f"{kind.full_name}.{field.name} = {field.number} {shape(field)}"
        yield from numbers(kind.nested_types_by_name, kind.enum_types_by_name)


def shape(field: FieldDescriptor) -> str:
    """What else of a field is on the wire: its type and whether there may be many, or an explicit none."""
    kind = field.message_type or field.enum_type
    names = {number: name for name, number in vars(FieldDescriptor).items() if name.startswith("TYPE_")}
    name = kind.full_name if kind else names[field.type].removeprefix("TYPE_").lower()
    return f"repeated {name}" if field.is_repeated else f"optional {name}" if field.has_presence else name


def main() -> None:
    record = Path(sys.argv[1])
    recorded = record.read_text("utf-8").splitlines()
    schema = bimip_pb2.DESCRIPTOR
    missing = sorted(set(numbers(schema.message_types_by_name, schema.enum_types_by_name)) - set(recorded))
    record.write_text("".join(line + "\n" for line in [*recorded, *missing]), "utf-8")


main()
