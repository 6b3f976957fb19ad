"""The hash chain over a log: whether two of them hold the same up to some offset is one comparison.

    chain(0) = 16 zero bytes        chain(n) = BLAKE2b-128(chain(n - 1), stamp of entry n, its digest)

It covers the digest and not the payload, so an erased payload leaves it whole. The newest value stands in the log's own
record, and every STEP entries one is kept (LogTable.CHAINS), from which `extend` goes on to any offset between. A
device makes the same of what it holds: PROTOCOL.md has it byte for byte.
"""

from collections.abc import Iterable
from hashlib import blake2b
from struct import Struct

from bimip.domain.core.ids import UserId
from bimip.domain.core.records import DamagedRecordError, Entry, Log, LogTable, Reader, Table

STEP = 128

START = bytes(16)
"""The chain of nothing."""

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


def chain_at(view: Reader, user: UserId, partition: str, offset: int) -> bytes | None:
    """Reads the chain at an offset: at most STEP - 1 entries are looked at. None: that was never given, or what it
    follows from has expired or is damaged.
    """
    try:
        return _chain_at(view, (user, partition), offset)
    except DamagedRecordError:
        return None


def _chain_at(view: Reader, place: tuple[UserId, str], offset: int) -> bytes | None:
    if not offset:
        return START
    log: Log | None = view.get(Table.LOGS, place)
    if log is None or offset > log.head:
        return None
    if offset == log.head:
        return log.chain
    number, rest = divmod(offset, STEP)
    chain = _kept(view, place, number)
    if chain is None or not rest:
        return chain
    entries = view.read(LogTable.ENTRIES, place, offset - rest, limit=rest)
    if len(entries) < rest or entries[-1][0] != offset:
        return None
    return extend(chain, offset - rest, (entry for _, entry in entries))[0]


def _kept(view: Reader, place: tuple[UserId, str], number: int) -> bytes | None:
    if not number:
        return START
    found: list[tuple[int, bytes]] = view.read(LogTable.CHAINS, place, number - 1, limit=1)
    return found[0][1] if found and found[0][0] == number else None
