"""How the records of a sequence, and the rows of an index, lie side by side in few bytes. trees.py says where.

Both grow by a record or two for each message and log, so there are two sizes of blocks. A *newest* block is small,
because every commit writes it anew. When it has grown to a *chunk*, it joins a *full* block, which grows by chunks
until it fills a page: LMDB gives a value of more than half a page (2 KB) whole pages of its own, with 4076 bytes of
room for a block in the first, so the sizes below come close to that. A smaller one shares a page with others, as small
users' do.

From 12 to 40 entries in a chunk, what a commit writes differs by 10 %: with small chunks more full blocks, with large
ones more pages of newest.
"""

from collections.abc import Callable, Iterable
from functools import partial
from itertools import starmap
from math import ceil
from operator import itemgetter
from struct import Struct
from struct import error as StructError  # noqa: N812 - the module's own name for it says nothing
from typing import Any

from bimip.domain.core.packed import Layout, Packed
from bimip.domain.core.records import Index, IndexRow, LogTable
from bimip.storage.keys import bound_of
from bimip.storage.packing import LOG_FORMS, ROW_FORMS

PackAll = Callable[[Iterable[Any]], Iterable[bytes]]

PAGE_ROOM = 4076
"""Bytes of a block that fit one page of LMDB: its header takes 16, the block's seal 4."""

_FIRST = Struct(">Q")
BLOCK_HEAD_BYTES = _FIRST.size
_WIDE, _WIDE_BYTE = 1 << 63, 1 << 7
"""In a block's head, beside its first number: its records have 64 bits where others have 32."""

Records = list[tuple[int, Any]]
"""Records with their numbers, which follow each other."""

_RECORD = itemgetter(1)


def _pack_all(struct: Struct, record: type) -> PackAll:
    """Makes a packer of records that are tuples, or single bytes."""
    return partial(map, struct.pack) if record is bytes else partial(starmap, struct.pack)


class Blocks:
    """How a sequence's records lie: a block is eight bytes, the number of its first, and they one behind the other.

    A full block holds the numbers from `full` * n to `full` * (n + 1) - 1, so that it is found without a search; a
    newest one, those of one chunk. Only the first block of a sequence may begin late (it was cut). Records are narrow,
    until one comes that holds a number beyond 32 bits: then its whole block is wide, and may need a second page.
    """

    def __init__(self, narrow: str, wide: str, record: type, *, chunk: int, chunks: int) -> None:
        self._narrow_layout, self._wide_layout = Layout(narrow, record), Layout(wide, record)
        self._narrow, self._wide = self._narrow_layout.struct, self._wide_layout.struct
        self.record_bytes = self._narrow.size
        self.chunk = chunk
        self.full = chunk * chunks
        self._pack_narrow = _pack_all(self._narrow, record)
        self._pack_wide = _pack_all(self._wide, record)

    def begin(self, number: int) -> bytes:
        """A block that has no record yet."""
        return _FIRST.pack(number)

    def width(self, block: bytes) -> int:
        """The bytes of each of its records."""
        return self._wide.size if block[0] & _WIDE_BYTE else self.record_bytes

    def span(self, block: bytes) -> tuple[int, int]:
        """The numbers of its first record, and behind its last."""
        first: int = _FIRST.unpack_from(block)[0]
        if first >= _WIDE:
            first -= _WIDE
            return first, first + (len(block) - BLOCK_HEAD_BYTES) // self._wide.size
        return first, first + (len(block) - BLOCK_HEAD_BYTES) // self.record_bytes

    def grow(
        self, newest: dict[bytes, bytes], places: Iterable[bytes], runs: Iterable[Records]
    ) -> list[tuple[bytes, Records]]:
        """Put each run behind the block that is newest in its place, and return those that are not that simple.

        Simple is what goes on with that block, stays in its chunk and is narrow: nearly all there is, so no function
        of ours runs for each.
        """
        rest = []
        chunk, size, pack, first_of = self.chunk, self.record_bytes, self._pack_narrow, _FIRST.unpack_from
        for place, run in zip(places, runs, strict=True):
            block, first, last = newest.get(place), run[0][0], run[-1][0]
            if (
                block is None
                or first_of(block)[0] + (len(block) - BLOCK_HEAD_BYTES) // size != first
                or last - first != len(run) - 1
                or last // chunk != (first - 1) // chunk
            ):
                rest.append((place, run))
                continue
            try:
                newest[place] = block + b"".join(pack(map(_RECORD, run)))
            except StructError:
                rest.append((place, run))
        return rest

    def extend(self, block: bytes, run: Records) -> bytes:
        """The block with a run behind its last record; of any length."""
        if block[0] < _WIDE_BYTE:
            try:
                return block + b"".join(self._pack_narrow(map(_RECORD, run)))
            except StructError:
                block = self._widened(block)
        return block + b"".join(self._pack_wide(map(_RECORD, run)))

    def join(self, block: bytes, following: bytes) -> bytes:
        """One block of two that follow each other. An empty one is none."""
        if not block:
            return following
        if (block[0] ^ following[0]) & _WIDE_BYTE:
            block, following = self._widened(block), self._widened(following)
        return block + following[BLOCK_HEAD_BYTES:]

    def split(self, block: bytes, number: int) -> tuple[bytes, bytes]:
        """The records before that number, and those from it on: each a block, or empty."""
        first, end = self.span(block)
        if number <= first:
            return b"", block
        if number >= end:
            return block, b""
        wide = block[0] & _WIDE_BYTE
        place = BLOCK_HEAD_BYTES + (number - first) * (self._wide.size if wide else self.record_bytes)
        return block[:place], _FIRST.pack(number | (_WIDE if wide else 0)) + block[place:]

    def pieces(self, block: bytes) -> list[tuple[int, bytes]]:
        """Cuts a block into what goes into each full block, by its number."""
        first, end = self.span(block)
        found = []
        for number in range(first // self.full, (end - 1) // self.full + 1):
            piece, block = self.split(block, (number + 1) * self.full)
            found.append((number, piece))
        return found

    def read(self, block: bytes, number: int, limit: int) -> tuple[int, Packed]:
        """At most `limit` records from that number on, and the number of the first of them."""
        first = self.span(block)[0]
        number = max(number, first)
        return number, self._records(block, number - first, limit)

    def records(self, block: bytes, count: int) -> Packed:
        """The first `count` records, whatever the block says of their numbers."""
        return self._records(block, 0, count)

    def _records(self, block: bytes, skip: int, count: int) -> Packed:
        layout = self._wide_layout if block[:1] >= bytes((_WIDE_BYTE,)) else self._narrow_layout
        start = BLOCK_HEAD_BYTES + skip * layout.struct.size
        return Packed(block[start : start + count * layout.struct.size], layout)

    def _widened(self, block: bytes) -> bytes:
        if block[0] & _WIDE_BYTE:
            return block
        records = Packed(block[BLOCK_HEAD_BYTES:], self._narrow_layout)
        return bytes((block[0] | _WIDE_BYTE,)) + block[1:BLOCK_HEAD_BYTES] + b"".join(self._pack_wide(records))


BLOCKS: dict[LogTable, Blocks] = {
    LogTable.ENTRIES: Blocks(*LOG_FORMS[LogTable.ENTRIES], chunk=20, chunks=6),
    LogTable.HISTORY: Blocks(*LOG_FORMS[LogTable.HISTORY], chunk=26, chunks=9),
    LogTable.CHAINS: Blocks(*LOG_FORMS[LogTable.CHAINS], chunk=25, chunks=10),
}


class Rows:
    """How an index's rows lie: their numbers one behind the other, highest byte first, so that bytes sort as rows do.

    A newest block is rows in the order in which they came, some perhaps twice; a full one is sorted, and lies under
    its first row.
    """

    def __init__(self, numbers: str, row: type, *, chunk: int, full: int) -> None:
        struct = Struct(">" + numbers)
        self.row_bytes = struct.size
        self.chunk_bytes = chunk * struct.size
        self.full = full
        self.pack_all: PackAll = partial(starmap, struct.pack)
        self._numbers = numbers
        self._iter_unpack = struct.iter_unpack
        self._make: Callable[[Any], Any] = partial(tuple.__new__, row)

    def bound(self, row: IndexRow) -> bytes:
        """Packs where a range begins or ends: also a row's beginning."""
        return bound_of(self._numbers, row)[: self.row_bytes + 1]

    def unpack(self, rows: Iterable[bytes]) -> list[IndexRow]:
        return list(map(self._make, self._iter_unpack(b"".join(rows))))

    def split(self, block: bytes) -> list[bytes]:
        """Its rows, each packed."""
        return [block[place : place + self.row_bytes] for place in range(0, len(block), self.row_bytes)]

    def ordered(self, block: bytes) -> list[bytes]:
        """A newest block's rows, each once."""
        return sorted(set(self.split(block)))

    def merged(self, block: bytes, rows: list[bytes]) -> list[bytes]:
        """Full blocks of the rows of one, or of none, and of others, sorted too.

        What comes behind the last row fills blocks to their end: that is how an index grows. What comes between rows
        makes two halves of a block that grows too large, so that both have room.
        """
        if rows[0] > block[-self.row_bytes :]:
            joined, most = block + b"".join(rows), self.full
        else:
            united = sorted({*self.split(block), *rows})
            joined, most = b"".join(united), ceil(len(united) / ceil(len(united) / self.full))
        step = most * self.row_bytes
        return [joined[place : place + step] for place in range(0, len(joined), step)]

    def first_kept(self, rows: Iterable[bytes], below: int) -> bytes:
        """The first whose last number, an offset of 64 bits, is not below that; without one, what sorts behind any."""
        kept = (row for row in rows if int.from_bytes(row[-8:], "big") >= below)
        return next(kept, b"\xff" * (self.row_bytes + 1))


ROWS: dict[Index, Rows] = {Index.SEQS: Rows(*ROW_FORMS[Index.SEQS], chunk=24, full=168)}
