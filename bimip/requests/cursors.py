"""Cursors: where the next page of a Fetch begins, as bytes that a client keeps and gives back.

They name a place and no page: numbers that stay what they are while messages arrive, expire and are erased. So they
hold on every connection and for as long as the store's epoch does. Nobody may see anything by one that they may not see
without: whoever makes up another begins at another place of what is theirs.

    kind of Fetch | 1 if backwards | numbers, as varints
"""

from bimip.wire import bimip_pb2 as pb
from bimip.wire.errors import WireError
from bimip.wire.varint import read_varint, varint

MAX_BYTES = 64
"""Longer than any that there is."""


def pack_cursor(fetch: pb.Fetch, numbers: tuple[int, ...]) -> bytes:
    """Packs where the answer to a Fetch ends."""
    return bytes((fetch.kind, fetch.backwards)) + b"".join(map(varint, numbers))


def unpack_cursor(fetch: pb.Fetch, count: int) -> tuple[int, ...]:
    """Unpacks a Fetch's cursor, which has so many numbers. Raises WireError for one that is of no such Fetch."""
    cursor, numbers = fetch.cursor, list[int]()
    if len(cursor) <= MAX_BYTES and cursor[:2] == bytes((fetch.kind, fetch.backwards)):
        at = 2
        try:
            while at < len(cursor):
                number, at = read_varint(cursor, at)
                numbers.append(number)
        except IndexError:
            numbers.clear()
    if len(numbers) != count or max(numbers) >> 64:
        sentence = "cursor is of no such Fetch: give back the next_cursor of an answer to the same kind and direction."
        raise WireError(pb.INVALID, sentence, field="cursor")
    return tuple(numbers)
