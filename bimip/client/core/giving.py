"""What a device gives to a sibling that lacks it: entries of the log as they were delivered, of the messages it keeps.

A slice covers a range without holes, as a batch of the server does. What is in the log and is no message here (it was
for another device, or its content is gone) goes as what the chain needs of it, and whoever takes the slice asks the
server for it. What a digest says nothing of, since the message carries its own, cannot be checked by anybody: there the
slice ends.
"""

from collections.abc import Iterator

from bimip.client.core.chain import LINK_BYTES, digest_of, extended, link, unlink
from bimip.client.core.sealing import SEALED
from bimip.client.store import Store
from bimip.client.wire.bimip import Body, Message, PassedEntry

SLICE_ENTRIES = 500
SLICE_BYTES = 32 * 1024
LARGEST_BYTES = 48 * 1024
"""Of a message: a data channel takes 64 KiB at once."""


class UncheckedError(Exception):
    """A slice is not what the log is, or nobody could tell."""


def slices(store: Store, partition: str, after: int, upto: int) -> Iterator[Body]:
    """Makes the slices of (after, upto], as far as this device can give them."""
    while after < upto:
        body = _slice(store, partition, after, min(upto, after + SLICE_ENTRIES))
        if body.upto == after:
            return
        yield body
        after = body.upto


def _slice(store: Store, partition: str, after: int, upto: int) -> Body:
    kept = {row.offset: row.message for row in store.messages.of_log(partition, after, upto)}
    links = dict(store.links(partition, after, upto))
    body = Body(partition=partition, after=after, upto=after)
    size = 0
    for offset in range(after + 1, upto + 1):
        if offset in kept:
            message = Message.parse(kept[offset])
            size += len(kept[offset])
            if (
                _is_unchecked(message)
                or len(kept[offset]) > LARGEST_BYTES
                or (size > SLICE_BYTES and body.upto > after)
            ):
                break
            body.messages.append(message)
        elif len(links.get(offset, b"")) == LINK_BYTES:
            signal_offset, digest = unlink(links[offset])
            body.passed.append(PassedEntry(offset=offset, signal_offset=signal_offset, digest=digest))
        else:
            break
        body.upto = offset
    return body


def chain_behind(body: Body, chain: bytes) -> bytes:
    """Computes the chain behind a slice, from the one in front of it. Raises UncheckedError."""
    entries = {message.user_offset or 0: message for message in body.messages}
    passed = {one.offset: link(one.signal_offset, one.digest) for one in body.passed}
    offsets = range(body.after + 1, body.upto + 1)
    if entries.keys() & passed.keys() or entries.keys() | passed.keys() != set(offsets):
        raise UncheckedError(f"a slice of ({body.after}, {body.upto}] has holes, or entries twice")
    for offset in offsets:
        if (message := entries.get(offset)) is None:
            chain = extended(chain, *unlink(passed[offset]))
            continue
        if _is_unchecked(message) or message.partition != body.partition:
            raise UncheckedError(f"nothing tells whether entry {offset} is what it was")
        chain = extended(chain, message.signal_offset, digest_of(message, body.partition))
    return chain


def _is_unchecked(message: Message) -> bool:
    """Whether nobody can check it; one that was encrypted is kept as it was read, and leaves this device for nobody."""
    return bool(message.digest) or bool(message.devices) or message.encryption_type == SEALED
