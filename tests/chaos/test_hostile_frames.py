"""Malformed, oversized, out-of-order, unauthenticated and forged frames, each with the answer that it gets.

Whatever it is: nothing is stored, nobody else's connection notices, and the server goes on.
"""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from bimip.gateway.authentication import issue
from bimip.testing.tokens import KEY
from bimip.testing.virtual import token, virtual_millis
from bimip.wire import bimip_pb2 as pb
from bimip.wire import codec
from bimip.wire.varint import varint
from tests.gateway.harness import frame
from tests.kit.gateway_server import BINARY, CLOSE, TEXT, Caller, GatewayServer, Heard, open_gateway_server

CONTINUATION, PING, PONG = 0, 9, 10
MIB = 1 << 20


@dataclass(frozen=True)
class Answer:
    code: str | int
    """The name of an ErrorCode, a close code, or an HTTP status."""
    words: str = ""

    def is_in(self, heard: Heard) -> bool:
        if isinstance(self.code, str):
            return any(pb.ErrorCode.Name(one.code) == self.code and self.words in one.message for one in heard.errors)
        if self.code < 1000:
            return heard.status == self.code and self.words in heard.text
        return heard.close is not None and heard.close[0] == self.code and self.words in heard.close[1]


def me(**fields: Any) -> pb.Message:
    given: dict[str, Any] = {"id": "m", "to": pb.Identity(eid="bob"), "payload": b"hidden"}
    return pb.Message(**(given | fields))


def signal(**fields: Any) -> pb.Signal:
    return pb.Signal(**fields)


def mark_read(conversation: str, upto: int) -> pb.Command:
    return pb.Command(kind=pb.Command.MARK_READ, conversation=conversation, conversation_offset=upto)


def fetch(**fields: Any) -> pb.Fetch:
    return pb.Fetch(**fields)


def ranges(*pairs: tuple[int, int]) -> list[pb.OffsetRange]:
    return [pb.OffsetRange(**{"from": first, "to": last}) for first, last in pairs]


def forged(**changes: Any) -> pb.Message:
    message = me()
    getattr(message, "from").MergeFrom(pb.Identity(**changes))
    return message


def position(**fields: Any) -> pb.Position:
    given: dict[str, Any] = {"partition": "chat"}
    return pb.Position(**(given | fields))


def device(eid: str = "bob", name: str = "phone") -> pb.DeviceAddress:
    return pb.DeviceAddress(identity=pb.Identity(eid=eid, connection_resource_id=name))


def envelope(route: int, number: int, payload: bytes, ref: int = 9) -> bytes:
    """A MessageScheme by hand."""
    return (
        b"\x08" + varint(route) + varint(number << 3 | 2) + varint(len(payload)) + payload + b"\xf0\x01" + varint(ref)
    )


def token_of(action: int, **fields: Any) -> pb.TokenAuthority:
    return pb.TokenAuthority(action=action, **fields)  # type: ignore[arg-type]


REFRESH, REVOKE = pb.TokenAuthority.REFRESH, pb.TokenAuthority.REVOKE
Payload = Any
Deferred = Callable[[], Payload]

REQUESTS: dict[str, tuple[Payload | Deferred, Answer]] = {
    # Forged.
    "from another user": (forged(eid="alice"), Answer("FORBIDDEN", "leave from away")),
    "from another user, as a signal": (
        signal(**{"from": pb.Identity(eid="alice"), "status": 2, "partition": "chat", "upto": 1}),
        Answer("FORBIDDEN", "leave from away"),
    ),
    "from oneself with another case": (forged(eid="Mallory"), Answer("FORBIDDEN")),
    "a token of another user": (lambda: token_of(REFRESH, token=token("bob", "phone")), Answer("FORBIDDEN", "another")),
    "a token of another device": (
        lambda: token_of(REFRESH, token=token("mallory", "other")),
        Answer("FORBIDDEN", "another user or device"),
    ),
    "a token of no device": (token_of(REFRESH, token="x.y.z"), Answer("UNAUTHENTICATED", "not a valid token")),
    "no token": (token_of(REFRESH), Answer("UNAUTHENTICATED")),
    "an endless token": (token_of(REFRESH, token="x" * 100_000), Answer("UNAUTHENTICATED", "8192")),
    "revoking another user's token": (
        lambda: token_of(REVOKE, token=token("bob", "phone")),
        Answer("FORBIDDEN", "another user's"),
    ),
    "revoking a token by its name": (token_of(REVOKE, jti="bob/phone"), Answer("FORBIDDEN", "show the token")),
    "no action": (token_of(0), Answer("INVALID", "name an action")),
    "an unknown action": (envelope(5, 5, b"\x08\x63"), Answer("INVALID", "name an action")),
    # Messages.
    "no recipient": (me(to=None), Answer("INVALID", "to.eid is empty")),
    "an unknown recipient": (me(to=pb.Identity(eid="nobody")), Answer("NOT_FOUND", "no user 'nobody'")),
    "a recipient of control characters": (me(to=pb.Identity(eid="bob\0")), Answer("INVALID", "not printable")),
    "a recipient that is too long": (me(to=pb.Identity(eid="b" * 256)), Answer("TOO_LARGE", "255 bytes")),
    "a message that is too large": (me(payload=bytes(64 << 10)), Answer("TOO_LARGE", "65536 bytes")),
    "a message that is far too large": (me(payload=bytes(900_000)), Answer("TOO_LARGE", "65536 bytes")),
    "an id that is too long": (me(id="m" * 65), Answer("TOO_LARGE", "64 bytes")),
    "an id of control characters": (me(id="m\n"), Answer("INVALID", "unprintable")),
    "an unknown partition": (me(partition="secrets"), Answer("NOT_FOUND", "no partition")),
    "a partition that is too long": (me(partition="p" * 65), Answer("TOO_LARGE", "partition")),
    "a time before time": (me(timestamp=-1), Answer("INVALID", "milliseconds")),
    "a time in microseconds": (me(timestamp=1 << 60), Answer("INVALID", "mind the unit")),
    "a negative type": (me(type=-1), Answer("INVALID", "type is negative")),
    "an unknown scope": (me(scope="everybody"), Answer("INVALID", "scope")),
    "a seq of another form": (me(seq="1:2"), Answer("INVALID", "timestamp:localSeq:device")),
    "a seq of huge numbers": (me(seq=f"{'9' * 5000}:1:d"), Answer("INVALID", "seq")),
    "reply_to that is too long": (me(reply_to="r" * 65), Answer("TOO_LARGE", "reply_to")),
    "257 devices": (me(devices=[device(name=str(n)) for n in range(257)]), Answer("TOO_LARGE", "256 devices")),
    "a device twice": (me(devices=[device(), device()]), Answer("INVALID", "twice")),
    "a device of no user": (me(devices=[pb.DeviceAddress()]), Answer("INVALID", "empty")),
    "a device of a bystander": (me(devices=[device("alice")]), Answer("INVALID", "neither a recipient")),
    "a device of one's own that does not exist": (
        me(devices=[device("mallory", "fridge")]),
        Answer("NOT_FOUND", "no device"),
    ),
    "257 mentions": (me(mentions=["bob"] * 257), Answer("TOO_LARGE", "256 users")),
    "an empty mention": (me(mentions=[""]), Answer("INVALID", "mentions is empty")),
    "257 audiences": (me(audiences={str(n): "" for n in range(257)}), Answer("TOO_LARGE", "256 audiences")),
    # Batches.
    "1025 messages in a Body": (pb.Body(messages=[me()] * 1025), Answer("TOO_LARGE", "1025 messages")),
    "half a million empty messages": (envelope(10, 10, b"\x2a\x00" * 500_000), Answer("TOO_LARGE", "fields")),
    "half a million empty signals": (envelope(10, 10, b"\x3a\x00" * 500_000), Answer("TOO_LARGE", "fields")),
    "commands in a Body": (pb.Body(commands=[pb.Command()]), Answer("UNSUPPORTED", "command")),
    "half a million empty commands": (envelope(10, 10, b"\x4a\x00" * 500_000), Answer("TOO_LARGE", "fields")),
    "a forged message among others": (pb.Body(messages=[forged(eid="bob")]), Answer("FORBIDDEN")),
    # Acks and receipts.
    "an ack beyond the head": (signal(status=2, partition="chat", upto=99), Answer("OFFSET_BEYOND_HEAD", "99")),
    "an ack of the last offset there can be": (
        signal(status=2, partition="chat", upto=2**64 - 1),
        Answer("OFFSET_BEYOND_HEAD"),
    ),
    "an ack of one offset beyond the head": (
        signal(status=2, partition="chat", user_offset=7),
        Answer("OFFSET_BEYOND_HEAD"),
    ),
    "an ack of nothing": (signal(status=2, partition="chat"), Answer("INVALID", "Nothing is acknowledged")),
    "an ack of no partition": (signal(status=2, upto=1), Answer("INVALID", "partition is empty")),
    "an ack of an unknown partition": (signal(status=2, partition="x", upto=1), Answer("NOT_FOUND", "no partition")),
    "an ack that runs backwards": (
        signal(status=2, partition="chat", offsets=ranges((5, 1))),
        Answer("INVALID", "turn it round"),
    ),
    "an ack of offset 0": (signal(status=2, partition="chat", offsets=ranges((0, 3))), Answer("INVALID", "begin at 1")),
    "an ack that overlaps": (
        signal(status=2, partition="chat", offsets=ranges((1, 3), (2, 4))),
        Answer("INVALID", "do not overlap"),
    ),
    "an ack of 257 ranges": (
        signal(status=2, partition="chat", offsets=ranges(*[(2 * n, 2 * n) for n in range(1, 258)])),
        Answer("TOO_LARGE", "256 ranges"),
    ),
    "SENT from a client": (signal(status=1, upto=1), Answer("INVALID", "status 1")),
    "a status of nobody": (signal(status=99), Answer("INVALID", "status 99")),
    "a negative status": (signal(status=-3), Answer("INVALID", "status -3")),
    "a receipt of a foreign conversation": (signal(status=3, conversation="c1", upto=1), Answer("NOT_FOUND")),
    "a receipt of no conversation": (signal(status=3, upto=1), Answer("INVALID", "Name the conversation")),
    "a receipt of a name that is none": (signal(status=3, conversation="c01", upto=1), Answer("NOT_FOUND")),
    "a receipt of nothing": (signal(status=3, conversation="c1"), Answer("INVALID", "what was read")),
    "a receipt beyond the conversation": (signal(status=3, to=pb.Identity(eid="bob"), upto=99), Answer("NOT_FOUND")),
    # Fetch.
    "a fetch of nothing": (pb.Fetch(), Answer("INVALID", "partition is empty")),
    "a fetch of an unknown partition": (pb.Fetch(kind=pb.LOG, partition="x"), Answer("NOT_FOUND", "no partition")),
    "a fetch of a foreign conversation": (pb.Fetch(kind=pb.HISTORY, conversation="c1"), Answer("NOT_FOUND")),
    "a fetch of receipts of nothing": (
        pb.Fetch(kind=pb.RECEIPTS, conversation="c99"),
        Answer("NOT_FOUND", "conversation"),
    ),
    "a fetch from a name that is too long": (
        fetch(**{"kind": pb.LOG, "partition": "chat", "from": pb.Identity(eid="x" * 300)}),
        Answer("TOO_LARGE", "from.eid"),
    ),
    # Out of order, or not served.
    "a second Hello": (pb.Hello(partitions=[position()]), Answer("OUT_OF_ORDER", "one Hello")),
    "a second Hello with messages": (pb.Hello(messages=[me()]), Answer("OUT_OF_ORDER", "one Hello")),
    "a PingPong with a long id": (pb.PingPong(id="x" * 65), Answer("TOO_LARGE", "64 bytes")),
    "an error": (pb.ErrorMessage(code=pb.INTERNAL), Answer("UNSUPPORTED", "ErrorMessage")),
    "a StateDelta behind what never was": (
        pb.StateDelta(after=2**64 - 1, reset=True),
        Answer("OFFSET_BEYOND_HEAD", "was never given"),
    ),
    "a Command": (pb.Command(), Answer("UNSUPPORTED", "command")),
    "MARK_READ of nothing": (pb.Command(kind=pb.Command.MARK_READ), Answer("INVALID", "conversation")),
    "MARK_READ up to nothing": (mark_read("c1", 0), Answer("INVALID", "conversation_offset")),
    "MARK_READ of no conversation": (mark_read("bob@example.org", 1), Answer("NOT_FOUND", "no conversation")),
    "MARK_READ of another's conversation": (mark_read("c999", 1), Answer("NOT_FOUND", "no such conversation")),
    "MARK_READ under a long id": (pb.Command(id="x" * 65), Answer("TOO_LARGE", "id")),
    "a device that is removed without a name": (pb.Devices(action=pb.Devices.REMOVE), Answer("INVALID", "name")),
    "a Conversation": (pb.Conversation(), Answer("INVALID", "action")),
    "JOIN": (pb.Conversation(action=pb.Conversation.JOIN, id="c1"), Answer("UNSUPPORTED", "INVITE")),
    "CREATE with a title of lines": (
        pb.Conversation(action=pb.Conversation.CREATE, title="a\nb"),
        Answer("INVALID", "title"),
    ),
    "CREATE with too many members": (
        pb.Conversation(action=pb.Conversation.CREATE, members=[pb.Member(eid="x")] * 501),
        Answer("TOO_LARGE", "members"),
    ),
    "CREATE with nobody who is there": (
        pb.Conversation(action=pb.Conversation.CREATE, members=[pb.Member(eid="nobody at all")]),
        Answer("NOT_FOUND", "no user"),
    ),
    "RENAME of another's group": (
        pb.Conversation(action=pb.Conversation.RENAME, id="c999", title="mine"),
        Answer("NOT_FOUND", "no such conversation"),
    ),
    "GET of no conversation": (
        pb.Conversation(action=pb.Conversation.GET, id="bob@example.org"),
        Answer("NOT_FOUND", "no conversation"),
    ),
}

BYTES: dict[str, tuple[bytes, Answer]] = {
    "nothing": (b"", Answer("MALFORMED", "has no payload")),
    "noise": (b"\xff" * 50, Answer("MALFORMED", "no MessageScheme")),
    "no route": (b"\x32\x00\xf0\x01\x09", Answer("MALFORMED", "set route to 6")),
    "another route": (envelope(7, 6, b""), Answer("MALFORMED", "the payload is message")),
    "a negative route": (
        b"\x08" + varint(2**64 - 1) + b"\x32\x00",
        Answer("MALFORMED", "route is -1"),
    ),
    "a route and nothing else": (b"\x08\x06", Answer("MALFORMED", "route 6")),
    "an unknown payload": (envelope(99, 99, b"x"), Answer("MALFORMED", "no payload that this server knows")),
    "a payload that is cut": (envelope(6, 6, b"\x0a\x05ab"), Answer("MALFORMED", "whole")),
    "a length beyond the end": (b"\x08\x06\x32\x7f\x0a", Answer("MALFORMED")),
    "a length of 2 GiB": (b"\x08\x06\x32\xff\xff\xff\xff\x07", Answer("MALFORMED")),
    "a varint of eleven bytes": (b"\x08" + b"\xff" * 10 + b"\x01", Answer("MALFORMED")),
    "a text that is not UTF-8": (envelope(6, 6, b"\x0a\x02\xff\xfe"), Answer("MALFORMED")),
    "a wrong wire type": (envelope(6, 6, b"\x08\x05")[:2] + b"\x35\x00\x00\x00\x00", Answer("MALFORMED")),
    "field 0": (b"\x08\x06\x32\x00\x00\x00", Answer("MALFORMED")),
    "an end of a group that never began": (b"\x08\x06\x0c", Answer("MALFORMED")),
    "a thousand groups within each other": (b"\x08\x06" + b"\x0b" * 1000 + b"\x0c" * 1000, Answer("MALFORMED")),
    "nested a thousand times": (b"\x08\x06\x32" + b"\x22\x80" * 500, Answer("MALFORMED")),
}

TEXTS: dict[str, tuple[str, Answer]] = {
    "nothing": ("", Answer("MALFORMED", "not JSON")),
    "no JSON": ("hello", Answer("MALFORMED", "not JSON")),
    "a list": ("[]", Answer("MALFORMED", "no JSON object")),
    "a number": ("6", Answer("MALFORMED", "no JSON object")),
    "NaN": ('{"route": NaN}', Answer("MALFORMED")),
    "an empty object": ("{}", Answer("MALFORMED", "no payload")),
    "an unknown field": ('{"route": "6", "message": {"body": "x"}}', Answer("MALFORMED", "body")),
    "a field twice": ('{"route": "6", "route": "7"}', Answer("MALFORMED", "twice")),
    "two payloads": ('{"route": "6", "message": {}, "signal": {}}', Answer("MALFORMED")),
    "a payload that is no base64": ('{"route": "6", "message": {"payload": "<x>"}}', Answer("MALFORMED", "base64")),
    "a number that is none": ('{"route": "six", "message": {}}', Answer("MALFORMED")),
    "a number that is too great": ('{"route": "6", "message": {}, "ref": "99999999999999999999"}', Answer("MALFORMED")),
    "a lone surrogate": ('{"route": "6", "message": {"id": "\\ud800"}}', Answer("MALFORMED")),
    "deep nesting": ('{"route":' * 2000, Answer("MALFORMED")),
    "deep lists": ("[" * 100_000, Answer("MALFORMED")),
    "many objects": ('{"route":"10","body":{"messages":[' + "{}," * 300_000 + "{}]}}", Answer("TOO_LARGE", "objects")),
    "many values": ('{"route":"6","message":{"mentions":[' + '"",' * 300_000 + '""]}}', Answer("TOO_LARGE", "values")),
    "another user's message": (
        '{"route": "6", "message": {"from": {"eid": "alice"}, "to": {"eid": "bob"}}}',
        Answer("FORBIDDEN"),
    ),
    "a setting that is no flag": ('{"route": "20", "settings": {"show_last_seen": "yes"}}', Answer("MALFORMED")),
    "a setting with a negative stamp": ('{"route": "20", "settings": {"stamp": "-1"}}', Answer("MALFORMED")),
    "a setting that there is not": ('{"route": "20", "settings": {"show_all": true}}', Answer("MALFORMED", "show_all")),
    "another route": ('{"route": "7", "message": {}}', Answer("MALFORMED", "set route to 6")),
}

RAW: dict[str, tuple[bytes, Answer]] = {
    "no mask": (frame(BINARY, b"x", mask=False), Answer(1002, "mask")),
    "a reserved bit": (frame(BINARY, b"x", first=0xC0), Answer(1002, "reserved")),
    "an unknown opcode": (frame(5, b"x"), Answer(1002, "opcode 5")),
    "a continuation of nothing": (frame(CONTINUATION, b"x"), Answer(1002, "continuation")),
    "a message in a message": (frame(BINARY, b"x", first=0) + frame(BINARY, b"y"), Answer(1002, "within another")),
    "a long ping": (frame(PING, bytes(126)), Answer(1002, "short")),
    "a ping in parts": (frame(PING, b"x", first=0), Answer(1002, "whole")),
    "a length in too many bytes": (frame(BINARY, b"x", length=b"\x7e\x00\x01"), Answer(1002, "few bytes")),
    "a frame of a mebibyte and one": (frame(BINARY, bytes(MIB + 1)), Answer(1009, "1048576 bytes")),
    "a frame of 2**62 bytes": (frame(BINARY, length=b"\x7f" + (1 << 62).to_bytes(8)), Answer(1009)),
    "1025 fragments": (frame(BINARY, first=0) + frame(CONTINUATION, first=0) * 1024, Answer(1009, "1024 fragments")),
    "text on a binary connection": (frame(TEXT, b"{}"), Answer(1003, "binary frames only")),
    "a close code of nobody": (frame(CLOSE, b"\x00\x01"), Answer(1002, "code")),
    "a close that is no text": (frame(CLOSE, b"\x03\xe8\xff"), Answer(1007, "UTF-8")),
    "noise": (b"\xff" * 1000, Answer(1002)),
    "nine malformed frames": (frame(BINARY, b"\xff") * 9, Answer(4105, "cannot be decoded")),
}


def hello(**fields: Any) -> bytes:
    return codec.encode(pb.Hello(**({"partitions": [position()]} | fields)), ref=9)


FIRST: dict[str, tuple[bytes, Answer]] = {
    "a message": (codec.encode(me(), ref=9), Answer("OUT_OF_ORDER", "Hello first")),
    "a ping": (codec.encode(pb.PingPong(), ref=9), Answer("OUT_OF_ORDER", "Hello first")),
    "a ping, and then": (codec.encode(pb.PingPong(), ref=9), Answer(4106, "first frame")),
    "a batch": (codec.encode(pb.Body(messages=[me()]), ref=9), Answer("OUT_OF_ORDER")),
    "an ack": (codec.encode(signal(status=2, partition="chat", upto=1)), Answer("OUT_OF_ORDER")),
    "a logout that forgets": (codec.encode(pb.Logout(forget=True)), Answer("OUT_OF_ORDER")),
    "noise": (b"\xff" * 9, Answer("MALFORMED")),
    "an unknown partition": (hello(partitions=[position(partition="x")]), Answer("NOT_FOUND", "no partition")),
    "no name of a partition": (hello(partitions=[position(partition="")]), Answer("INVALID", "empty")),
    "a partition twice": (hello(partitions=[position(), position()]), Answer("INVALID", "twice")),
    "65 partitions": (hello(partitions=[position(partition=str(n)) for n in range(65)]), Answer("TOO_LARGE", "64")),
    "held that runs backwards": (
        hello(partitions=[position(offset=0, held=ranges((3, 2)))]),
        Answer("INVALID", "turn it round"),
    ),
    "held below the offset": (hello(partitions=[position(offset=5, held=ranges((5, 6)))]), Answer("INVALID", "above")),
    "held of everything": (
        hello(partitions=[position(offset=0, held=ranges((1, 2**63)))]),
        Answer("TOO_LARGE", "256 offsets"),
    ),
    "a start and an offset": (hello(partitions=[position(offset=1, start=pb.HEAD)]), Answer("INVALID", "one or the")),
    "an unknown start": (hello(partitions=[position(start=9)]), Answer("INVALID", "no start 9")),
    "last without LAST": (hello(partitions=[position(last=9)]), Answer("INVALID", "LAST")),
    "a long agent": (hello(agent="a" * 256), Answer("TOO_LARGE", "agent")),
    "1025 messages": (hello(messages=[me()] * 1025), Answer("TOO_LARGE", "at most 1024")),
    "a forged message": (hello(messages=[forged(eid="bob")]), Answer("FORBIDDEN")),
    "a message that is too large": (hello(messages=[me(payload=bytes(70_000))]), Answer("TOO_LARGE")),
}


def unsigned() -> str:
    return token("mallory", "phone").rpartition(".")[0] + "."


def issued(**changes: Any) -> str:
    given: dict[str, Any] = {
        "algorithm": "HS256",
        "signing_key": KEY,
        "eid": "mallory",
        "device": "phone",
        "now_ms": virtual_millis(),
        "lifetime_seconds": 60,
        "jti": "t",
    }
    return issue(**(given | changes))


TOKENS: dict[str, tuple[Callable[[], str], Answer]] = {
    "no signature": (unsigned, Answer(4100, "signature")),
    "another key": (lambda: issued(signing_key="another key, which is as long as that"), Answer(4100, "signature")),
    "another algorithm": (lambda: jwt_with({"alg": "none"}), Answer(4100, "HS256")),
    "an extension": (lambda: jwt_with({"alg": "HS256", "crit": ["exp"]}), Answer(4100)),
    "expired long ago": (lambda: issued(now_ms=0), Answer(4101, "expired")),
    "expired by more than the leeway": (lambda: issued(lifetime_seconds=-31), Answer(4101, "expired")),
    "nothing": (lambda: "", Answer(4100, "Show a token")),
    "noise": (lambda: "\x00\x01", Answer(4100)),
    "a mebibyte, almost": (lambda: "x" * 1_000_000, Answer(1009, "65536")),
}


def jwt_with(header: dict[str, Any]) -> str:
    """The claims and the signature of a good token under another header."""
    _, claims, signature = token("mallory", "phone").split(".")
    return base64.urlsafe_b64encode(json.dumps(header).encode()).rstrip(b"=").decode() + f".{claims}.{signature}"


async def check(gate: GatewayServer, bob: Caller, before: object, caller: Caller, answer: Answer) -> None:
    """It was answered so; nothing is stored; bob is as he was, and mallory may come again."""
    heard = await caller.heard(seconds=20 if caller.is_json else 0.2)  # a large text waits for its turn
    await bob.say(codec.encode(pb.PingPong(id="still there"), ref=77))
    bobs = await bob.heard()

    assert answer.is_in(heard), (heard.status, heard.text, heard.close, heard.errors)
    assert before == gate.stored()
    assert [one.ping_pong.id for one in bobs.frames if one.ref == 77] == ["still there"]
    assert bobs.close is None
    assert not any(one.body.messages for one in bobs.frames)
    await gate.connect("mallory", "phone")


class Prepared:
    """Bob is connected, and what connecting leaves behind is there."""

    def __init__(self, gate: GatewayServer, bob: Caller) -> None:
        self.gate = gate
        self.bob = bob


async def prepare(gate: GatewayServer) -> tuple[Caller, object]:
    bob = await gate.connect("bob")
    alice = await gate.connect("alice")
    await alice.say(codec.encode(pb.Message(id="x", to=pb.Identity(eid="alice"), payload=b"a note to myself"), ref=1))
    await alice.heard()
    await gate.connect("mallory")
    await trio.sleep(1)
    return bob, gate.stored()


@pytest.mark.parametrize("is_json", [False, True], ids=["binary", "json"])
@pytest.mark.parametrize("name", REQUESTS)
async def test_a_request_of_a_device_that_is_connected(name: str, *, is_json: bool, autojump_clock: MockClock) -> None:
    payload, answer = REQUESTS[name]
    async with open_gateway_server() as gate:
        bob, before = await prepare(gate)
        mallory = await gate.connect("mallory", is_json=is_json)
        payload = payload() if callable(payload) else payload
        sent = payload if isinstance(payload, bytes) else codec.encode(payload, ref=9)
        if is_json and sent.count(b"\x00") > MIB // 4:
            pytest.skip("as JSON it is more than a frame")
        await mallory.say(sent)

        await check(gate, bob, before, mallory, answer)


@pytest.mark.parametrize("name", BYTES)
async def test_bytes_that_are_no_frame(name: str, autojump_clock: MockClock) -> None:
    data, answer = BYTES[name]
    async with open_gateway_server() as gate:
        bob, before = await prepare(gate)
        mallory = await gate.connect("mallory")
        await mallory.stream.send_all(frame(BINARY, data))

        await check(gate, bob, before, mallory, answer)


@pytest.mark.parametrize("name", TEXTS)
async def test_texts_that_are_no_frame(name: str, autojump_clock: MockClock) -> None:
    text, answer = TEXTS[name]
    async with open_gateway_server() as gate:
        bob, before = await prepare(gate)
        mallory = await gate.connect("mallory", is_json=True)
        await mallory.stream.send_all(frame(TEXT, text.encode()))

        await check(gate, bob, before, mallory, answer)


@pytest.mark.parametrize("name", RAW)
async def test_what_is_no_websocket(name: str, autojump_clock: MockClock) -> None:
    data, answer = RAW[name]
    async with open_gateway_server() as gate:
        bob, before = await prepare(gate)
        mallory = await gate.connect("mallory")
        await mallory.stream.send_all(data)

        await check(gate, bob, before, mallory, answer)


@pytest.mark.parametrize("name", FIRST)
async def test_a_first_frame_that_is_no_good_hello(name: str, autojump_clock: MockClock) -> None:
    data, answer = FIRST[name]
    async with open_gateway_server() as gate:
        bob, before = await prepare(gate)
        mallory = gate.knock()
        await mallory.open()
        await mallory.say(data)

        await check(gate, bob, before, mallory, answer)


@pytest.mark.parametrize("name", TOKENS)
async def test_a_token_that_does_not_hold_in_hello(name: str, autojump_clock: MockClock) -> None:
    make, answer = TOKENS[name]
    async with open_gateway_server() as gate:
        bob, before = await prepare(gate)
        mallory = gate.knock()
        await mallory.open(Authorization=None)
        await mallory.say(hello(token=make(), messages=[me()]))

        await check(gate, bob, before, mallory, answer)


@pytest.mark.parametrize("name", [name for name in TOKENS if name not in {"nothing", "noise", "a mebibyte, almost"}])
async def test_a_token_that_does_not_hold_in_the_header(name: str, autojump_clock: MockClock) -> None:
    make, answer = TOKENS[name]
    async with open_gateway_server() as gate:
        bob, before = await prepare(gate)
        mallory = gate.knock()
        await mallory.open(shown=make())
        await mallory.say(hello(messages=[me()]))

        await check(gate, bob, before, mallory, Answer(401, str(answer.code)))


def test_there_are_many() -> None:
    tables: list[dict[str, Any]] = [REQUESTS, BYTES, TEXTS, RAW, FIRST, TOKENS]

    assert sum(len(table) for table in tables) >= 60
