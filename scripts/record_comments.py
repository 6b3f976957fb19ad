"""Writes what proto/bimip.proto says of its messages and fields as a Python module, for the document of the REST API.

Arguments: a descriptor set with source info, and the module's path.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from pprint import pformat

from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorSet

HEAD = '"""What proto/bimip.proto says of its messages and fields, by their names. Made by scripts/generate."""\n\n'
MESSAGES, FIELDS, NESTED = 4, 2, 3
"""The numbers by which paths of the source info lead there."""


def names(kind: DescriptorProto, path: tuple[int, ...], prefix: str) -> Iterator[tuple[tuple[int, ...], str]]:
    name = f"{prefix}{kind.name}"
    yield path, name
    for number, field in enumerate(kind.field):
        yield (*path, FIELDS, number), f"{name}.{field.name}"
    for number, nested in enumerate(kind.nested_type):
        yield from names(nested, (*path, NESTED, number), f"{name}.")


def main() -> None:
    (file,) = FileDescriptorSet.FromString(Path(sys.argv[1]).read_bytes()).file
    known = dict(pair for number, kind in enumerate(file.message_type) for pair in names(kind, (MESSAGES, number), ""))
    comments = {}
    for place in file.source_code_info.location:
        name = known.get(tuple(place.path))
        said = " ".join(f"{place.leading_comments} {place.trailing_comments}".split())
        if name is not None and said:
            comments[name] = said
    text = pformat(dict(sorted(comments.items())), width=118, sort_dicts=True)
    Path(sys.argv[2]).write_text(f"{HEAD}COMMENTS: dict[str, str] = {text}\n", "utf-8")


main()
