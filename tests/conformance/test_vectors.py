"""The vectors are what both codecs say, and leave no field out."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bimip.client.wire.bimip import MessageScheme
from bimip.wire import bimip_pb2 as pb
from bimip.wire.codec import ROUTES, decode
from bimip.wire.json import from_json, to_json

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "bimip" / "conformance" / "vectors"
VECTORS = {path.stem: json.loads(path.read_text("utf-8")) for path in sorted(FOLDER.glob("*.json"))}
ROWS = [pytest.param(payload, row, id=f"{payload}, {row['name']}") for payload, rows in VECTORS.items() for row in rows]


@pytest.mark.parametrize(("payload", "row"), ROWS)
def test_a_vector_is_what_both_codecs_say(payload: str, row: dict[str, Any]) -> None:
    frame = bytes.fromhex(row["hex"])

    assert decode(frame).route == ROUTES[payload]
    assert decode(frame).SerializeToString(deterministic=True) == frame
    assert json.loads(to_json(frame)) == row["json"]
    assert pb.MessageScheme.FromString(from_json(json.dumps(row["json"]))) == pb.MessageScheme.FromString(frame)
    assert pb.MessageScheme.FromString(bytes(MessageScheme.parse(frame))) == pb.MessageScheme.FromString(frame)


def test_each_route_has_vectors_and_each_list_of_a_body_one_of_its_own() -> None:
    lists = {field.name for field in pb.Body.DESCRIPTOR.fields if field.is_repeated}

    assert set(VECTORS) == set(ROUTES)
    assert lists <= {row["name"] for row in VECTORS["body"]}
    assert all(len({row["name"] for row in rows}) == len(rows) for rows in VECTORS.values())


def reachable(kind: Any, found: set[str]) -> set[str]:
    """The fields of a message and of all that it may hold."""
    for field in kind.fields:
        if field.full_name not in found:
            found.add(field.full_name)
            if field.message_type is not None and not field.message_type.GetOptions().map_entry:
                reachable(field.message_type, found)
    return found


def set_in(message: Any) -> Iterator[str]:
    for field, value in message.ListFields():
        yield field.full_name
        if field.message_type is not None and not field.message_type.GetOptions().map_entry:
            for inner in value if field.is_repeated else [value]:
                yield from set_in(inner)


def test_every_field_of_every_message_stands_in_a_vector() -> None:
    frames = [bytes.fromhex(row["hex"]) for rows in VECTORS.values() for row in rows]
    found = {name for frame in frames for name in set_in(pb.MessageScheme.FromString(frame))}

    assert reachable(pb.MessageScheme.DESCRIPTOR, set()) - found == set()


def test_the_vectors_are_what_the_generator_writes(tmp_path: Path) -> None:
    made, alone = tmp_path / "made", tmp_path / "alone"
    alone.mkdir()
    shutil.copy(ROOT / "bimip/wire/bimip_pb2.py", alone)  # beside it lies a json.py
    program = ROOT / "scripts" / "record_vectors.py"
    subprocess.run([sys.executable, program, made], check=True, env={"PYTHONPATH": str(alone)})
    written = {path.name: path.read_text("utf-8") for path in made.iterdir()}

    assert written == {path.name: path.read_text("utf-8") for path in FOLDER.iterdir()}, "run scripts/generate"
