"""Batches from the server, put together from encoded pieces: no object is made for what is already bytes.

A *part* is a tagged element of Body. `stored.deliver` makes those of messages; the functions here make the others.
"""

from collections.abc import Sequence
from functools import lru_cache

from google.protobuf.message import Message

from bimip.wire import bimip_pb2 as pb
from bimip.wire.codec import wrap
from bimip.wire.varint import varint

GAP = b"\x32"
"""What an element of Body.gaps begins with."""

_LAST_MESSAGE = b"\x42"
"""What Conversation.last_message begins with, in place of the tag of an element of Body.messages."""

_BODY = b"\x08\x0a\x52"  # route 10, tag of MessageScheme.body


def body(partition: str, after: int, upto: int, turn: int, parts: Sequence[bytes], *, tail: bytes = b"") -> bytes:
    """The whole frame of a Body. `tail` is what `fetch_part` made, in the answer to a Fetch."""
    head = _partition(partition) + varint(after) + b"\x18" + varint(upto) + b"\x20" + varint(turn)
    return wrap(_BODY, b"".join((head, *parts, tail)))


@lru_cache(maxsize=64)
def _partition(name: str) -> bytes:
    """Body.partition, and the tag of Body.after, which follows it."""
    encoded = name.encode()
    return b"\x0a" + varint(len(encoded)) + encoded + b"\x10"


def signal_part(signal: pb.Signal) -> bytes:
    return _part(b"\x3a", signal)


def command_part(command: pb.Command) -> bytes:
    return _part(b"\x4a", command)


def error_part(error: pb.ErrorMessage) -> bytes:
    return _part(b"\x52", error)


def conversation_part(conversation: pb.Conversation, last_message: bytes | None = None) -> bytes:
    """`last_message` is an element of Body.messages."""
    fields = conversation.SerializeToString()
    if last_message is not None:
        fields += _LAST_MESSAGE + last_message[1:]
    return b"\x7a" + varint(len(fields)) + fields


def synced_part(synced: pb.Synced) -> bytes:
    return _part(b"\x82\x01", synced)


def awareness_part(awareness: pb.Awareness) -> bytes:
    return _part(b"\x8a\x01", awareness)


def location_part(location: pb.LocationStream) -> bytes:
    return _part(b"\x9a\x01", location)


def peer_part(said: pb.PeerSignal) -> bytes:
    return _part(b"\xaa\x01", said)


AWARENESS_RESET = b"\x90\x01\x01"
"""Body.awareness_reset, as a part."""


def gap_part(partition: str, first: int, last: int, reason: pb.GapReason) -> bytes:
    gap = pb.Gap(partition=partition, to=last, reason=reason)
    setattr(gap, "from", first)
    return _part(GAP, gap)


def passed_part(offset: int, stamp: int, digest: bytes) -> bytes:
    return _part(b"\xa2\x01", pb.PassedEntry(offset=offset, signal_offset=stamp, digest=digest))


def fetch_part(
    *, next_offset: int, next_cursor: bytes, acknowledged: Sequence[bool], complete: bool, ref: int
) -> bytes:
    """Packs what only the answer to a Fetch says. `acknowledged` has one value for each message, in order."""
    answer = pb.Body(
        next_offset=next_offset, next_cursor=next_cursor, acknowledged=acknowledged, complete=complete, ref=ref
    )
    return answer.SerializeToString()


def resume_part(*, complete: bool, ref: int) -> bytes:
    """Packs what only a batch of TURN_RESUME says."""
    return pb.Body(complete=complete, ref=ref).SerializeToString()


def _part(tag: bytes, message: Message) -> bytes:
    encoded = message.SerializeToString()
    return tag + varint(len(encoded)) + encoded
