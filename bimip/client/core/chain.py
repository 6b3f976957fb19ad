"""The chain of a log, as PROTOCOL.md has it: whether two copies hold the same up to an offset is one comparison."""

from hashlib import blake2b
from struct import Struct

from bimip.client.wire.bimip import DeviceAddress, Identity, Message
from bimip.names import NameRefusedError, normal_eid

START = bytes(16)
"""The chain of an empty log."""

_LENGTHS = Struct("<qIIIII")
_LINK = Struct(">Q8s")
LINK_BYTES = _LINK.size


def link(signal_offset: int, digest: bytes) -> bytes:
    """Packs what the chain needs of one entry."""
    return _LINK.pack(signal_offset, digest)


def unlink(packed: bytes) -> tuple[int, bytes]:
    signal_offset, digest = _LINK.unpack(packed)
    return signal_offset, digest


def extended(chain: bytes, signal_offset: int, digest: bytes) -> bytes:
    """Returns the chain behind one more entry."""
    return blake2b(chain + link(signal_offset, digest), digest_size=16).digest()


def digest_of(message: Message, partition: str) -> bytes:
    """Returns the digest of a message as it was sent: the one that it carries, else made of its content."""
    if message.digest:
        return message.digest
    to = normal_name(message.to.eid if message.to else "")
    lengths = _LENGTHS.pack(
        message.type,
        len(to),
        len(partition),
        len(message.encryption_type),
        len(message.encrypted),
        len(message.payload),
    )
    texts = (to + partition + message.encryption_type + message.encrypted).encode()
    hashed = blake2b(lengths + texts + message.payload, digest_size=8)
    for part in sorted(_addressee(one) for one in message.devices):
        hashed.update(part)
    return hashed.digest()


def _addressee(address: DeviceAddress) -> bytes:
    identity = address.identity or Identity()
    payload = b"" if address.payload is None else b"\x01" + address.payload
    texts = (normal_name(identity.eid).encode(), (identity.connection_resource_id or "").encode(), payload)
    return b"".join(_varint(len(text)) + text for text in texts)


def _varint(number: int) -> bytes:
    low = bytearray()
    while number > 0x7F:
        low.append(number & 0x7F | 0x80)
        number >>= 7
    low.append(number)
    return bytes(low)


def normal_name(eid: str) -> str:
    """Returns the form in which the server knows a name."""
    try:
        return normal_eid(eid)
    except NameRefusedError:  # a conversation's id, or nobody's
        return eid
