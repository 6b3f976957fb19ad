"""Bytes that nobody thought of, for the frame's decoder (upb): it accepts or refuses, and raises nothing else.

Two independent decoders are the oracles. Protobuf's own in pure Python, in a process of its own, must accept the same
bytes and read the same content. The SDK's (betterproto2) must read the same content in what the server would send on;
on the raw bytes it is none, since it raises on a field of another wire type, which protobuf takes for an unknown one.
"""

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st

from bimip.client.wire import bimip as sdk
from bimip.requests.message import check_message
from bimip.wire import bimip_pb2 as pb
from bimip.wire import codec, stored
from bimip.wire.errors import WireError
from bimip.wire.limits import Limits
from bimip.wire.varint import varint

LIMITS = Limits()
FRACTIONS = {"awareness", "location_stream"}
"""Of which betterproto2 drops a minus zero, and in which a NaN is not itself."""


def examples() -> list[bytes]:
    to = pb.Identity(eid="bob", connection_resource_id="phone")
    run = pb.OffsetRange(**{"from": 1, "to": 3})
    message = pb.Message(
        id="m-1", to=to, type=1, timestamp=1_730_000_000_000, payload=b"hello", mentions=["zoë"], audiences={"a": "k"}
    )
    addressed = pb.Message(id="m-2", to=to, devices=[pb.DeviceAddress(identity=to, payload=b"x")], seq="1:2:phone")
    signal = pb.Signal(status=2, partition="chat", upto=7, offsets=[run])
    payloads: list[Any] = [
        message,
        addressed,
        signal,
        pb.Body(messages=[message, addressed], signals=[signal]),
        pb.Hello(partitions=[pb.Position(partition="chat", offset=3, held=[run])], messages=[message], epoch=2**63),
        pb.Fetch(kind=pb.LOG, partition="chat", limit=5, offset=9, backwards=True),
        pb.PingPong(id="p", timestamp=-5),
        pb.TokenAuthority(action=pb.TokenAuthority.REVOKE, jti="t"),
        pb.Awareness(latitude=1.5, longitude=-0.0, last_seen=-1),
    ]
    return [codec.encode(payload, ref) for ref, payload in enumerate(payloads)]


EXAMPLES = examples()


def outcome(frame: bytes) -> pb.MessageScheme | WireError:
    try:
        return codec.decode(frame)
    except WireError as error:
        return error


def known(scheme: pb.MessageScheme) -> pb.MessageScheme:
    copy = pb.MessageScheme()
    copy.CopyFrom(scheme)
    copy.DiscardUnknownFields()
    return copy


def check(frame: bytes) -> str:
    """What came of it."""
    ours = outcome(frame)
    if isinstance(ours, WireError):
        assert ours.code == pb.MALFORMED
        assert ours.sentence
        return "refused"
    if ours.WhichOneof("payload") in FRACTIONS:
        return "accepted"
    theirs = sdk.MessageScheme.parse(known(ours).SerializeToString())
    again = known(pb.MessageScheme.FromString(bytes(theirs)))

    assert again.SerializeToString(deterministic=True) == known(ours).SerializeToString(deterministic=True)
    assert outcome(ours.SerializeToString()) == ours
    if ours.HasField("message"):
        check_stored(ours.message)
    return "accepted"


def check_stored(message: pb.Message) -> None:
    """What would be stored of it is what it says, and nothing that is the server's to say."""
    try:
        check_message(message, LIMITS, "mallory")
    except WireError:
        return
    payload = message.payload
    sent = pb.Message.FromString(stored.outgoing(message, stored.author_part("mallory", "phone")))

    assert getattr(sent, "from") == pb.Identity(eid="mallory", connection_resource_id="phone")
    assert (sent.signal_offset, sent.status, sent.conversation, sent.erased) == (0, 0, "", False)
    assert sent.payload == payload
    assert not sent.HasField("user_offset")


FIELD = st.builds(
    lambda number, kind, content: varint(number << 3 | kind) + content,
    st.one_of(st.integers(1, 31), st.integers(1, 2**29 - 1)),
    st.integers(0, 7),
    st.one_of(
        st.binary(max_size=8),
        st.integers(0, 2**64 - 1).map(varint),
        st.binary(max_size=30).map(lambda content: varint(len(content)) + content),
        st.sampled_from(EXAMPLES).map(lambda content: varint(len(content)) + content),
    ),
)


@settings(max_examples=1500, deadline=None)
@given(st.lists(FIELD, max_size=6).map(b"".join), st.sampled_from([b"", *EXAMPLES]), st.booleans())
def test_any_fields(fields: bytes, frame: bytes, before: bool) -> None:  # noqa: FBT001 - drawn
    check(fields + frame if before else frame + fields)


@settings(max_examples=1500, deadline=None)
@given(st.sampled_from(EXAMPLES), st.data())
def test_good_frames_with_some_bytes_changed(frame: bytes, data: st.DataObject) -> None:
    changed = bytearray(frame)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(changed) - 1))
        changed[at : at + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=2))
        if not changed:
            break
    check(bytes(changed))


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=200))
def test_noise(frame: bytes) -> None:
    check(frame)


def mutants(count: int) -> list[bytes]:
    """Good frames with bytes changed, dropped, doubled and put into each other."""
    draw = random.Random(7)
    found: list[bytes] = []
    while len(found) < count:
        changed = bytearray(draw.choice(EXAMPLES))
        for _ in range(draw.randint(1, 3)):
            at = draw.randrange(len(changed) + 1)
            match draw.randrange(5):
                case 0:
                    changed[at : at + 1] = bytes((draw.randrange(256),))
                case 1:
                    del changed[at : at + draw.randint(1, 3)]
                case 2:
                    changed[at:at] = changed[at : at + draw.randint(1, 20)]
                case 3:
                    changed[at:at] = draw.choice(EXAMPLES)[: draw.randint(1, 30)]
                case _:
                    changed[at : at + 1] = bytes((changed[at] ^ 1 << draw.randrange(8),)) if at < len(changed) else b""
        found.append(bytes(changed))
    return found


ORACLE = """
import json, sys
from google.protobuf.internal import api_implementation
from google.protobuf.message import DecodeError
from bimip.wire import bimip_pb2 as pb
assert api_implementation.Type() == "python"
verdicts = []
for line in sys.stdin:
    try:
        scheme = pb.MessageScheme.FromString(bytes.fromhex(line))
    except (DecodeError, ValueError):  # the latter is how it refuses a text that is not UTF-8
        verdicts.append(None)
    else:
        scheme.DiscardUnknownFields()
        verdicts.append(scheme.SerializeToString(deterministic=True).hex())
json.dump(verdicts, sys.stdout)
"""
FRAMES = 5000


def test_protobufs_other_decoder_accepts_the_same_and_reads_the_same() -> None:
    """The content is compared in what ours makes of a frame: on the raw bytes the two mean to differ in an entry of a
    map with an unknown field (upb keeps all of it as unknown) and in a tag of too many bytes (which upb takes).
    """
    frames = [*EXAMPLES, *mutants(FRAMES)]
    ours = [read(frame) for frame in frames]
    accepted = [one for one in ours if one is not None]
    theirs = asked([one.hex() for one in frames])

    assert [one is None for one in ours] == [one is None for one in theirs]
    assert asked(accepted) == accepted
    assert FRAMES / 10 < len(accepted) < FRAMES * 9 / 10


def asked(lines: list[str]) -> list[str | None]:
    """What the other decoder finds in each frame; None where it refuses."""
    told = subprocess.run(
        [sys.executable, "-c", ORACLE],
        input="\n".join(lines),
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION": "python"},
    )
    verdicts: list[str | None] = json.loads(told.stdout)
    return verdicts


def read(frame: bytes) -> str | None:
    """The content that the server's decoder finds, whatever it says of the route; None where it refuses."""
    try:
        scheme = pb.MessageScheme.FromString(frame)
    except DecodeError:
        return None
    return known(scheme).SerializeToString(deterministic=True).hex()


@pytest.mark.parametrize("seed", range(4))
def test_every_byte_of_every_example_changed(seed: int) -> None:
    """Each byte once, to something drawn: thousands of frames, of which some are accepted and some refused."""
    draw = random.Random(seed)
    outcomes = []
    for frame in EXAMPLES:
        for at in range(len(frame)):
            changed = bytearray(frame)
            changed[at] = draw.choice([changed[at] ^ 1 << draw.randrange(8), draw.randrange(256), 0, 255])
            outcomes.append(check(bytes(changed)))

    assert len(outcomes) > 400
    assert {"accepted", "refused"} == set(outcomes)
