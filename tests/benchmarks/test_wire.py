import ast
import re
import sys
import time
from pathlib import Path
from random import Random

import pytest

from bimip.client.environment import Environment
from bimip.client.transport import websocket
from bimip.gateway.authentication import Verifier
from bimip.gateway.settings import TokenSettings
from bimip.settings import Secret
from bimip.wire import bimip_pb2 as pb
from bimip.wire import frames
from bimip.wire.state import delta_part
from scripts.benchmarks import server, wire

NOW_MS = 1_700_000_000_000
HOUR_MS = 3_600_000
ID = re.compile("[0-9a-f]{32}")


def sdk_id() -> str:
    return Environment(websocket(), time.monotonic, lambda: time.time_ns() // 1_000_000, Random(1)).new_id()


def parsed(frame: bytes) -> pb.MessageScheme:
    """What a client's frame says; the mask key is zero."""
    ((opcode, payload),) = unmasked(frame)
    assert opcode == wire.BINARY
    return pb.MessageScheme.FromString(payload)


def unmasked(frame: bytes) -> list[tuple[int, bytes]]:
    size, start = frame[1] & 0x7F, 2
    if size == 126:
        size, start = int.from_bytes(frame[2:4], "big"), 4
    elif size == 127:
        size, start = int.from_bytes(frame[2:10], "big"), 10
    assert frame[1] & 0x80
    assert frame[start : start + 4] == bytes(4)
    assert len(frame) == start + 4 + size
    return [(frame[0] & 0x0F, frame[start + 4 :])]


def test_a_message_is_one_that_the_server_decodes() -> None:
    scheme = parsed(wire.Author(7, "b0007").alone(12))

    assert scheme.route == 6
    assert ID.fullmatch(scheme.message.id)
    assert scheme.message.to.eid == "b0007"
    assert scheme.message.type == pb.CHAT
    assert len(scheme.message.payload) == wire.PAYLOAD_BYTES
    assert wire.MARK.findall(scheme.message.payload) == [(b"0007", b"00000012")]


@pytest.mark.parametrize("count", [1, 20, 1000])
def test_many_messages_fit_one_frame(count: int) -> None:
    scheme = parsed(wire.Author(0, "b").together(5, count))

    assert scheme.route == 10
    assert [wire.MARK.findall(message.payload) for message in scheme.body.messages] == [
        [(b"0000", b"%08d" % number)] for number in range(5, 5 + count)
    ]


def test_ids_are_as_the_sdk_draws_them() -> None:
    """Each begins with the milliseconds of its time, in which messages follow each other, and no two are alike."""
    drawn = [
        message.id for sender in (0, 7) for message in parsed(wire.Author(sender, "b").together(0, 500)).body.messages
    ]
    times = [int(one[:12], 16) for one in drawn[:500]]

    assert all(ID.fullmatch(one) for one in (*drawn, sdk_id()))
    assert len(set(drawn)) == len(drawn)
    assert times == list(range(times[0], times[0] + 500))
    assert abs(times[0] - int(sdk_id()[:12], 16)) < HOUR_MS


@pytest.mark.parametrize("offset", [None, 0, 300])
def test_hello_names_one_partition(offset: int | None) -> None:
    scheme = parsed(wire.hello(offset))

    (position,) = scheme.hello.partitions
    assert scheme.route == 13
    assert position.partition == "chat"
    assert (position.offset if position.HasField("offset") else None) == offset


def test_hello_says_what_the_device_has_of_the_state() -> None:
    hello = parsed(wire.hello(3, epoch=700, state_version=90)).hello

    assert (hello.epoch, hello.state_version) == (700, 90)


@pytest.mark.parametrize("inactive", [True, False])
def test_a_device_says_whether_somebody_looks_at_it(inactive: bool) -> None:  # noqa: FBT001 - a case
    scheme = parsed(wire.be_online(inactive=inactive))

    assert scheme.route == 2
    assert scheme.awareness == pb.Awareness(status=pb.ONLINE, inactive=inactive, keep_intent=not inactive)


def test_an_acknowledgement_is_cumulative() -> None:
    scheme = parsed(wire.acknowledgement(70_000))

    assert scheme.route == 7
    assert scheme.signal == pb.Signal(status=pb.DELIVERED, partition="chat", upto=70_000)


def test_a_batch_is_counted() -> None:
    message = b"\x2a" + wire.field(b"", wire.Author(1, "b").message(2))
    sent = [frames.signal_part(pb.Signal(id="m", status=pb.SENT)) for _ in range(2)]
    state = delta_part(0, 3, [pb.StateDelta(items=[pb.StateItem(version=3)]).SerializeToString()])
    error = frames.error_part(pb.ErrorMessage(code=pb.INVALID, message="no"))

    body = wire.body(frames.body("chat", 300, 301, pb.IN_TURN, [*sent, state, error, message]))

    assert body is not None
    assert (body.after, body.upto, body.in_turn, body.accepted) == (300, 301, True, 2)
    assert body.marks == [(b"0001", b"00000002")]
    assert len(body.errors) == 1


def test_statuses_are_read_and_what_somebody_types_is_passed_over() -> None:
    told = [("ann", pb.ONLINE), ("bob", pb.TYPING), ("c", pb.DND)]
    parts = [frames.AWARENESS_RESET]
    for eid, status in told:
        awareness = pb.Awareness(status=status, timestamp=NOW_MS)
        getattr(awareness, "from").eid = eid
        parts.append(frames.awareness_part(awareness))

    body = wire.body(frames.body("", 0, 0, pb.IN_TURN, parts))

    assert body is not None
    assert body.is_reset
    assert body.statuses == [("ann", wire.ONLINE), ("c", wire.DND)]


def test_what_is_no_batch_is_none() -> None:
    assert wire.body(pb.MessageScheme(route=13, hello=pb.Hello(epoch=1)).SerializeToString()) is None


@pytest.mark.parametrize("cut", [1, 2, 3, 7, 150, 70_000])
def test_frames_are_whole_wherever_the_stream_was_cut(cut: int) -> None:
    payloads = [b"", b"a", b"b" * 125, b"c" * 126, b"d" * 65_535, b"e" * 65_536]
    stream = b"".join(unmasked_frame(payload) for payload in payloads)
    reader = wire.Frames()

    found = [frame for at in range(0, len(stream), cut) for frame in reader.feed(stream[at : at + cut])]

    assert found == [(wire.BINARY, payload) for payload in payloads]


def unmasked_frame(payload: bytes) -> bytes:
    """As the server sends it."""
    frame = wire.masked(payload)
    head = frame[: len(frame) - len(payload) - 4]
    return bytes([head[0], head[1] & 0x7F]) + head[2:] + payload


def test_the_token_is_one_that_the_server_accepts() -> None:
    claims = Verifier(TokenSettings("HS256", Secret(server.KEY))).verify(server.token("alice", "phone"), NOW_MS)

    assert (claims.eid, claims.device) == ("alice", "phone")


@pytest.mark.parametrize("name", ["wire", "server", "posting"])
def test_what_the_harness_of_the_peers_imports_needs_nothing_installed(name: str) -> None:
    """It runs under whatever Python the harness runs under."""
    tree = ast.parse((Path(wire.__file__).parent / f"{name}.py").read_text())
    imported = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    imported |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    foreign = {module for module in imported if module.split(".")[0] not in {*sys.stdlib_module_names, "scripts"}}

    assert foreign == set()
