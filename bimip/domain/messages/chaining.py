"""The hash chain over a log: whether two of them hold the same up to some offset is one comparison.

    chain(0) = 16 zero bytes        chain(n) = BLAKE2b-128(chain(n - 1), stamp of entry n, its digest)

It covers the digest and not the payload, so an erased payload leaves it whole. The newest value stands in the log's own
record, and every STEP entries one is kept (Sequence.CHAINS), from which `extend` goes on to any offset between.
"""

from collections.abc import Iterable
from hashlib import blake2b
from struct import Struct

from bimip.domain.core.records import Entry

STEP = 128

_LINK = Struct(">16sQ8s").pack


def extend(chain: bytes, head: int, entries: Iterable[Entry]) -> tuple[bytes, list[tuple[int, bytes]]]:
    """The chain behind entries that follow `head`, and of those that it passed the ones to be kept, with their n."""
    kept: list[tuple[int, bytes]] = []
    for entry in entries:
        chain = blake2b(_LINK(chain, entry[0], entry[6]), digest_size=16).digest()  # for each message twice
        head += 1
        if not head % STEP:
            kept.append((head // STEP, chain))
    return chain, kept
