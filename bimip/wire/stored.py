"""A message as it is stored, once, and sent to every reader.

    2a | length | what the client sent | status, ids, server time | 69 + user_offset
    ^ tag of Body.messages                                          ^ appended for each reader; counted in `length`

Protobuf lets fields stand in any order, and lets an encoded message be written by putting encoded fields side by side.
So the bytes that upb made of the client's message once are not decoded or copied field by field again: accepting
appends the server's fields, delivering appends the reader's `user_offset` (a fixed64: 9 bytes, whatever its value,
which is why the length in front can count them before they are known), and a batch is a concatenation.
"""

from collections.abc import Sequence
from hashlib import blake2b
from itertools import repeat
from operator import add, attrgetter
from struct import Struct

from bimip.wire import bimip_pb2 as pb
from bimip.wire.varint import read_varint, varint

_TAG = b"\x2a"  # Body.messages
_OFFSET = Struct("<cQ")  # Message.user_offset: tag 0x69
_OFFSET_TAG = b"\x69"
_EXPIRES = Struct("<2sQ")  # Message.expires_at
_EXPIRES_TAG = b"\xc9\x01"
EDITED_TAG = b"\xf1\x01"
"""Of Message.edited. It stands in each message that was edited, and may stand in others."""

# Message.status = SENT, Message.signal_offset's tag and number, Message.server_time's, Message.signal_id's tag, length
# and text.
_ADDED = Struct("<3sQ2sQ2s13s")
_HEAD_TAG = b"\x58\x01\x61"
_SERVER_TIME_TAG = b"\x99\x01"
_SIGNAL_ID_TAG = b"\x12\x0d"
_CONVERSATION_TAG = b"\x8a\x01"
_CONVERSATION_OFFSET_TAG = b"\x90\x01"

_SERVER_FIELDS = (
    "signal_id",
    "status",
    "signal_offset",
    "user_offset",
    "conversation",
    "conversation_offset",
    "server_time",
    "expires_at",
    "erased",
    "digest",
    "group_event",
    "call_event",
    "edited",
)

_SAYS_MORE = attrgetter(*(name for name in _SERVER_FIELDS if name not in {"user_offset", "group_event", "call_event"}))
_NOTHING = _SAYS_MORE(pb.Message())

_LENGTHS = Struct("<qIIIII")
DIGEST_BYTES = 8


def author_part(eid: str, device: str) -> bytes:
    """Message.from: the authenticated device."""
    author = pb.Identity(eid=eid, connection_resource_id=device).SerializeToString()
    return b"\x1a" + varint(len(author)) + author


def outgoing(message: pb.Message, author: bytes, digest: bytes = b"") -> bytes:
    """Makes what the client sent fit to store: `from` is the `author_part`, and nothing in it is the server's to say.

    Changes the message: `from`, the server's fields, `devices` (each addressee gets only what is addressed to it; take
    the list first) and fields that this schema does not know are gone. What is addressed carries its `digest`, which
    no reader could make of the part that is theirs.
    """
    message.DiscardUnknownFields()
    if (
        _SAYS_MORE(message) != _NOTHING
        or message.HasField("user_offset")
        or message.HasField("group_event")
        or message.HasField("call_event")
    ):
        for name in _SERVER_FIELDS:
            message.ClearField(name)
    if message.devices:
        message.ClearField("devices")
        message.ClearField("devices_complete")
        message.digest = digest
    message.ClearField("from")
    return message.SerializeToString() + author


def event(message_id: str, author: str, conversation: str, partition: str, what: pb.GroupEvent, digest: bytes) -> bytes:
    """The message that tells of what a user did to a group, in the form that `outgoing` makes. It is of no device, and
    carries its `digest`.
    """
    to = pb.Identity(eid=conversation)
    message = pb.Message(id=message_id, to=to, partition=partition, group_event=what, digest=digest)
    getattr(message, "from").eid = author
    return message.SerializeToString()


def call_event(message_id: str, author: str, to: str, partition: str, what: pb.CallEvent, digest: bytes) -> bytes:
    """The message that tells of a call that nobody answered, in the form that `outgoing` makes. It is of no device, and
    carries its `digest`.
    """
    message = pb.Message(id=message_id, to=pb.Identity(eid=to), partition=partition, call_event=what, digest=digest)
    getattr(message, "from").eid = author
    return message.SerializeToString()


def store(
    sent: Sequence[bytes], *, stamps: Sequence[tuple[int, str, int]], conversation: str, conversation_offset: int
) -> list[bytes]:
    """The stored forms of what `outgoing` made. Of each its stamp, as number and as signal id, and the server's time;
    the first one has the offset in the conversation that is given, the next ones follow.
    """
    name = conversation.encode()
    place = b"".join((_CONVERSATION_TAG, varint(len(name)), name, _CONVERSATION_OFFSET_TAG))
    most = _ADDED.size + len(place) + _OFFSET.size
    pack = _ADDED.pack
    bodies: list[bytes] = []
    for fields, (stamp, signal_id, time) in zip(sent, stamps, strict=True):
        number = varint(conversation_offset)
        added = pack(_HEAD_TAG, stamp, _SERVER_TIME_TAG, time, _SIGNAL_ID_TAG, signal_id.encode())
        length = varint(len(fields) + most + len(number))
        bodies.append(b"".join((_TAG, length, fields, added, place, number)))
        conversation_offset += 1
    return bodies


def deliver(stored: bytes, offset: int) -> bytes:
    """One element of Body.messages, as the reader in whose log it has this offset gets it."""
    return stored + _OFFSET.pack(_OFFSET_TAG, offset)


def deliver_all(stored: Sequence[bytes | None], first: int) -> list[bytes | None]:
    """`deliver` for entries that follow each other; None for those that are not there."""
    pack = _OFFSET.pack
    if all(stored):
        return list(map(add, stored, map(pack, repeat(_OFFSET_TAG), range(first, first + len(stored)))))
    return [one and one + pack(_OFFSET_TAG, offset) for offset, one in enumerate(stored, first)]


def undelivered(part: bytes) -> bytes:
    """The stored form of what `deliver` made."""
    return part[: -_OFFSET.size]


def parse(stored: bytes) -> pb.Message:
    return pb.Message.FromString(_fields(stored))


def readdressed(stored: bytes, payload: bytes) -> bytes:
    """The same message with the payload that is addressed to one device. The common payload is not in it."""
    message = parse(stored)
    message.payload = payload
    return _framed(message.SerializeToString())


def erased(stored: bytes) -> bytes:
    """The same message without its content, deleted for everyone or expired; the digest of the first content stays."""
    message = parse(stored)
    message.digest = message.digest or digest(message, message.to.eid, message.partition)
    for name in ("payload", "encrypted", "signature", "edited", "audiences", "mentions"):
        message.ClearField(name)
    message.erased = True
    return _framed(message.SerializeToString())


_KEPT_OF_ORPHANS = (
    "type",
    "signal_id",
    "status",
    "signal_offset",
    "conversation",
    "conversation_offset",
    "server_time",
    "partition",
    "reply_to",
    "expires_at",
    "digest",
)


def orphaned(stored: bytes) -> bytes:
    """The same message without its content and without whatever tells of its author, who was erased: its place stays,
    and the digest of its first content. Its id is its `signal_id` then, since the author chose the other one.
    """
    message = parse(stored)
    kept = pb.Message(id=message.signal_id, to=pb.Identity(eid=message.to.eid), erased=True)
    getattr(kept, "from").SetInParent()
    for name in _KEPT_OF_ORPHANS:
        setattr(kept, name, getattr(message, name))
    kept.digest = message.digest or digest(message, message.to.eid, message.partition)
    return _framed(kept.SerializeToString())


def unnamed(stored: bytes, eid: str, without_title: bool) -> bytes:  # noqa: FBT001 - as the rules call it
    """The same message, in which a user who was erased is not named any more: as author of an event, as recipient,
    among the mentions, in an event. What people wrote is theirs and stays.

    Who is left out of `to` is left out of what the digest was made of, so the message carries that from then on.
    """
    message = parse(stored)
    author, event = getattr(message, "from"), message.group_event
    if message.to.eid == eid:
        message.digest = message.digest or digest(message, eid, message.partition)
        message.to.CopyFrom(pb.Identity())
    if author.eid == eid:  # of an event: they chose its id, too
        author.eid = ""
        message.id = message.signal_id
        if message.HasField("call_event"):
            message.call_event.call = ""  # as well as the call's
    if eid in message.mentions:
        kept = [one for one in message.mentions if one != eid]
        message.ClearField("mentions")
        message.mentions.extend(kept)
    if message.HasField("group_event"):
        for at, member in enumerate(event.members):
            if member == eid:
                event.members[at] = ""
        if event.owner == eid:
            event.owner = ""
        if without_title:
            event.title = ""
    return _framed(message.SerializeToString())


def expiring(stored: bytes, at: int) -> bytes:
    """The same message, which disappears at a time in ms."""
    return _framed(_fields(stored) + _EXPIRES.pack(_EXPIRES_TAG, at))


def edited(stored: bytes, payload: bytes, stamp: int) -> bytes:
    """The same message with another payload. What was encrypted or signed for the one before goes with it, but for the
    digest of the first content.
    """
    message = parse(stored)
    message.digest = message.digest or digest(message, message.to.eid, message.partition)
    for name in ("encrypted", "signature"):
        message.ClearField(name)
    message.payload = payload
    message.edited = stamp
    return _framed(message.SerializeToString())


def digest(message: pb.Message, to: str, partition: str) -> bytes:
    """DIGEST_BYTES over what makes two messages with one id the same: recipient, partition, type, content, addressees.

    Not over times, `from` or `signature`: a client that resends may have signed again. Every text is preceded by its
    length, so no two contents run together to the same bytes.
    """
    payload, encryption, encrypted = message.payload, message.encryption_type, message.encrypted
    lengths = _LENGTHS.pack(message.type, len(to), len(partition), len(encryption), len(encrypted), len(payload))
    texts = f"{to}{partition}{encryption}{encrypted}".encode()
    hashed = blake2b(lengths + texts + payload, digest_size=DIGEST_BYTES)
    if message.devices:
        for part in sorted(map(_addressee, message.devices)):
            hashed.update(part)
    return hashed.digest()


def _addressee(address: pb.DeviceAddress) -> bytes:
    eid = address.identity.eid.encode()
    device = address.identity.connection_resource_id.encode()
    payload = b"\x01" + address.payload if address.HasField("payload") else b""
    return b"".join((varint(len(eid)), eid, varint(len(device)), device, varint(len(payload)), payload))


def _framed(fields: bytes) -> bytes:
    return _TAG + varint(len(fields) + 9) + fields


def _fields(stored: bytes) -> bytes:
    return stored[read_varint(stored, 1)[1] :]
