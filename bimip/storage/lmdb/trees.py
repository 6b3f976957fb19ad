"""Where LMDB keeps a sequence or an index: in two trees, which are named databases.

One holds the newest block of each log or history under its key alone, and is written by every message: its blocks are
small, and it is the tree of all that every message writes (keys.HOT). The other holds the full blocks: a sequence's
under key and number, an index's under key and first row. What lies in one of them is nearly always in a page of its
own, which is written once for each chunk.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Any, NamedTuple

import lmdb

from bimip.domain.core.packed import Packed
from bimip.domain.core.records import Index, IndexRow, Key, Kind, LogTable, Table
from bimip.storage.keys import PACK, PACK_ALL, UNPACK
from bimip.storage.lmdb.blocks import BLOCK_HEAD_BYTES, BLOCKS, ROWS, Records
from bimip.storage.seals import content, is_whole, seal, seal_all, unseal, unsealed


class LogTrees:
    def __init__(self, sequence: LogTable, newest: Any, full: Any) -> None:  # noqa: ANN401 - the library's handles
        self.name = sequence.value
        self.newest = newest
        self.full = full
        self._blocks = BLOCKS[sequence]
        self._pack_key = PACK[sequence]
        self._pack_keys = PACK_ALL[sequence]
        self._unpack_key = UNPACK[sequence]

    def read_packed(
        self, transaction: "lmdb.Transaction[bytes]", key: Key, after: int, limit: int
    ) -> list[tuple[int, Packed]]:
        """Reads as Reader.read_packed does."""
        blocks, place, number = self._blocks, self._pack_key(key), max(after + 1, 0)
        sealed = transaction.get(place, None, self.newest)
        if sealed is None:
            return []
        newest = unseal(place, sealed)
        found: list[tuple[int, Packed]] = []
        if number < blocks.span(newest)[0]:
            found, limit = self._read_full(transaction, place, number, limit)
        if limit > 0:
            found.append(blocks.read(newest, number, limit))
        return [one for one in found if one[1]]

    def _read_full(
        self, transaction: "lmdb.Transaction[bytes]", place: bytes, number: int, limit: int
    ) -> tuple[list[tuple[int, Packed]], int]:
        """Reads what full blocks have of it, and tells how many more are wanted."""
        blocks = self._blocks
        found: list[tuple[int, Packed]] = []
        with transaction.cursor(self.full) as cursor:
            # Where that block was cut off, this finds the oldest that is left.
            more = cursor.set_range(place + (number // blocks.full).to_bytes(8, "big"))
            while more and limit > 0 and cursor.key().startswith(place):
                found.append(blocks.read(unseal(cursor.key(), cursor.value()), number, limit))
                limit -= len(found[-1][1])
                more = cursor.next()
        return found, limit

    def salvage(
        self, transaction: "lmdb.Transaction[bytes]", key: Key, after: int, limit: int, upto: int
    ) -> list[tuple[int, Any]]:
        """Salvages as Reader.salvage does: block by block, each under the key that follows from its number, so that one
        that is lost hides no other.
        """
        blocks, place, number = self._blocks, self._pack_key(key), max(after + 1, 0)
        newest = upto - upto % blocks.chunk
        found: list[tuple[int, Any]] = []
        for block in range(number // blocks.full, -(-newest // blocks.full)):
            if len(found) >= limit:
                break
            lies = _readable(transaction, self.full, place + block.to_bytes(8, "big"))
            begin, end = max(block * blocks.full, 1), min((block + 1) * blocks.full, newest) - 1
            found += self._plausible(lies, begin, end, number)
        if len(found) < limit:
            found += self._plausible(_readable(transaction, self.newest, place), max(newest, 1), upto, number)
        return found[:limit]

    def _plausible(self, block: bytes, begin: int, end: int, number: int) -> list[tuple[int, Any]]:
        """Records of a block, from a number on, if it is clear which numbers they have: it should begin and end so."""
        if len(block) <= BLOCK_HEAD_BYTES:
            return []
        count = (len(block) - BLOCK_HEAD_BYTES) // self._blocks.width(block)
        first = self._blocks.span(block)[0]
        if first != begin and first + count - 1 != end:
            if count != end - begin + 1:
                return []
            first = begin
        records = self._blocks.records(block, count)
        return [(at, record) for at, record in enumerate(records, first) if number <= at <= end]

    def append(
        self, transaction: "lmdb.Transaction[bytes]", newest_ones: "lmdb.Cursor[bytes]", runs: Mapping[Key, Records]
    ) -> Iterable[tuple[bytes, bytes]]:
        """Put what becomes full, and return the newest blocks, which are to be put.

        Raises ValueError where numbers do not follow each other and what is there.
        """
        full: list[tuple[bytes, bytes]] = []
        places = list(self._pack_keys(runs))
        newest = unsealed(newest_ones.getmulti(places))
        for place, run in self._blocks.grow(newest, places, runs.values()):
            newest[place] = self._overflow(transaction, place, newest.get(place), run, full)
        if full:
            with transaction.cursor(self.full) as cursor:
                cursor.putmulti(seal_all(full))
        return newest.items()

    def _overflow(
        self,
        transaction: "lmdb.Transaction[bytes]",
        place: bytes,
        newest: bytes | None,
        run: Records,
        full: list[tuple[bytes, bytes]],
    ) -> bytes:
        """The newest block as it is then. What it leaves behind joins the full ones."""
        blocks, first, last = self._blocks, run[0][0], run[-1][0]
        if last - first + 1 != len(run):
            raise ValueError(f"{self._of(place)}: {first} … {last} are not {len(run)} numbers in a row")
        block = blocks.begin(first) if newest is None else newest
        if blocks.span(block)[1] != first:
            raise ValueError(f"{self._of(place)} goes on with {blocks.span(block)[1]}, not with {first}")
        older, block = blocks.split(blocks.extend(block, run), last - last % blocks.chunk)
        for number, piece in blocks.pieces(older) if older else ():
            row = place + number.to_bytes(8, "big")
            sealed = transaction.get(row, None, self.full)
            full.append((row, blocks.join(b"" if sealed is None else unseal(row, sealed), piece)))
        return block

    def _of(self, place: bytes) -> str:
        return f"{self.name} of {self._unpack_key(place)}"

    def cut(self, transaction: "lmdb.Transaction[bytes]", key: Key, below: int) -> None:
        place = self._pack_key(key)
        edge = place + (max(below, 0) // self._blocks.full).to_bytes(8, "big")
        with transaction.cursor(self.full) as cursor:
            found = cursor.set_range(place)
            while found and cursor.key() < edge:
                found = cursor.delete()  # which moves to the next
        for database, row in ((self.full, edge), (self.newest, place)):
            sealed = transaction.get(row, None, database)
            if sealed is not None and is_whole(row, sealed):  # what is damaged goes with its whole block
                older, kept = self._blocks.split(content(sealed), below)
                if older:
                    _keep(transaction, database, row, kept)


class IndexTrees:
    """A row joins the newest block wherever it belongs, so that one that comes late costs what others cost.

    When the newest block is full, its rows go where they belong: mostly behind the last full block's.
    """

    def __init__(self, index: Index, newest: Any, full: Any) -> None:  # noqa: ANN401 - the library's handles
        self.name = index.value
        self.newest = newest
        self.full = full
        self._rows = ROWS[index]
        self._pack_key = PACK[index]
        self._pack_keys = PACK_ALL[index]

    def find(
        self,
        transaction: "lmdb.Transaction[bytes]",
        key: Key,
        low: IndexRow,
        high: IndexRow,
        limit: int,
        *,
        reverse: bool,
    ) -> list[IndexRow]:
        """Finds rows as Reader.find does."""
        rows, place = self._rows, self._pack_key(key)
        first, end = rows.bound(low), rows.bound(high)
        sealed = transaction.get(place, None, self.newest)
        newest = rows.split(b"" if sealed is None else unseal(place, sealed))
        full = self._find_full(transaction, place, first, end, limit, reverse=reverse)
        found = {row for row in chain(newest, full) if first <= row < end}
        return rows.unpack(sorted(found, reverse=reverse)[:limit])

    def _find_full(
        self,
        transaction: "lmdb.Transaction[bytes]",
        place: bytes,
        low: bytes,
        high: bytes,
        limit: int,
        *,
        reverse: bool,
    ) -> list[bytes]:
        """The `limit` rows that come first, if there are so many, and perhaps others."""
        found: list[bytes] = []
        with transaction.cursor(self.full) as cursor:
            step = cursor.prev if reverse else cursor.next
            more = _seek(cursor, place, high if reverse else low)
            while more and len(found) < limit:
                block = unseal(cursor.key(), cursor.value())
                found += (row for row in self._rows.split(block) if low <= row < high)
                begin = cursor.key()[len(place) :]
                is_last = begin <= low if reverse else begin >= high
                more = not is_last and step() and cursor.key().startswith(place)
        return found

    def insert(
        self,
        transaction: "lmdb.Transaction[bytes]",
        newest_ones: "lmdb.Cursor[bytes]",
        added: Mapping[Key, Iterable[IndexRow]],
    ) -> Iterable[tuple[bytes, bytes]]:
        """Put what becomes full, and return the newest blocks, which are to be put."""
        chunk_bytes, pack = self._rows.chunk_bytes, self._rows.pack_all
        places = list(self._pack_keys(added))
        newest = unsealed(newest_ones.getmulti(places))
        for place, rows in zip(places, added.values(), strict=True):
            block = newest.get(place, b"") + b"".join(pack(rows))
            if len(block) >= chunk_bytes:
                self._file(transaction, place, self._rows.ordered(block))
                block = b""
            newest[place] = block
        return newest.items()

    def _file(self, transaction: "lmdb.Transaction[bytes]", place: bytes, rows: list[bytes]) -> None:
        """Put rows into the full blocks where they belong, those of the last block first."""
        with transaction.cursor(self.full) as cursor:
            while rows:
                block = unseal(cursor.key(), cursor.value()) if _seek(cursor, place, rows[-1]) else b""
                begin = block[: self._rows.row_bytes]
                lower = bisect_left(rows, begin) if begin <= rows[-1] else 0  # before the first block's: it takes all
                if block and rows[lower] < begin:
                    cursor.delete()  # it will begin with another row, which is its key
                for piece in self._rows.merged(block, rows[lower:]):
                    row = place + piece[: self._rows.row_bytes]
                    transaction.put(row, seal(row, piece), db=self.full)
                rows = rows[:lower]

    def trim(self, transaction: "lmdb.Transaction[bytes]", key: Key, below: int) -> None:
        rows, place = self._rows, self._pack_key(key)
        sealed = transaction.get(place, b"", self.newest)
        newest = rows.ordered(content(sealed) if is_whole(place, sealed) else b"")
        stop = rows.first_kept(newest, below)
        with transaction.cursor(self.full) as cursor:
            while cursor.set_range(place) and cursor.key().startswith(place):
                if not is_whole(cursor.key(), cursor.value()):
                    cursor.delete()
                    continue
                block = rows.split(content(cursor.value()))
                stop = min(stop, rows.first_kept(block, below))
                kept = block[bisect_left(block, stop) :]
                if len(kept) == len(block):
                    break
                cursor.delete()
                if kept:
                    _keep(transaction, self.full, place + kept[0], b"".join(kept))
                    break
        if newest and newest[0] < stop:
            _keep(transaction, self.newest, place, b"".join(newest[bisect_left(newest, stop) :]))


class Databases(NamedTuple):
    """All trees of a store."""

    all: tuple[Any, ...]
    hot: Any  # see keys.HOT
    tables: dict[Table, Any]
    sequences: dict[LogTable, LogTrees]
    indexes: dict[Index, IndexTrees]

    def of(self, kind: Kind) -> tuple[Any, ...]:
        """The trees that a kind lies in."""
        if isinstance(kind, Table):
            return (self.tables[kind],)
        trees = self.sequences[kind] if isinstance(kind, LogTable) else self.indexes[kind]
        return trees.newest, trees.full


def _seek(cursor: "lmdb.Cursor[bytes]", place: bytes, row: bytes) -> bool:
    """Go to the full block where a row lies or belongs: the last that does not begin behind it, else the first."""
    wanted = place + row
    if cursor.set_range(wanted):
        if cursor.key() == wanted:
            return True
        found = cursor.prev()
    else:
        found = cursor.last()
    if found and cursor.key().startswith(place):
        return True
    return cursor.set_range(place) and cursor.key().startswith(place)


def _readable(transaction: "lmdb.Transaction[bytes]", database: Any, row: bytes) -> bytes:  # noqa: ANN401 - the library's handle
    """A block as it stands there, be it whole or not; empty where it is missing or its page cannot be read."""
    try:
        return content(transaction.get(row, b"", database))
    except lmdb.Error:
        return b""


def _keep(transaction: "lmdb.Transaction[bytes]", database: Any, row: bytes, block: bytes) -> None:  # noqa: ANN401 - the library's handle
    """Keeps what is left of a block; nothing, when it is empty."""
    if block:
        transaction.put(row, seal(row, block), db=database)
    else:
        transaction.delete(row, b"", database)
