"""A snapshot of a store on LMDB: one read transaction, and the questions that it answers.

What does not fit its seal is told once, and not used. Where LMDB meets a damaged page, its tree comes under guard
(guard.py), and the question is asked again.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from types import TracebackType
from typing import Any, Self

import lmdb

from bimip.domain.core.records import Index, IndexRow, Key, Kind, LogTable, Table
from bimip.storage.damage import Damage
from bimip.storage.errors import OutcomeUnknownError, StorageError, StoreDamagedError
from bimip.storage.interface import ReadCounts
from bimip.storage.keys import KIND_TAG, TAG_AT, pack_bound
from bimip.storage.keys import PACK as PACK_KEY
from bimip.storage.keys import PACK_ALL as PACK_KEYS
from bimip.storage.keys import UNPACK as UNPACK_KEY
from bimip.storage.lmdb.guard import Guard, GuardedTransaction
from bimip.storage.lmdb.trees import Databases
from bimip.storage.packing import UNPACK
from bimip.storage.seals import BrokenSealError, content, is_whole, unseal_all

DAMAGED = (lmdb.CorruptedError, lmdb.PageNotFoundError, lmdb.InvalidError, lmdb.VersionMismatchError)


class Snapshot:
    """A Reader that is its own context, because one is made for every frame."""

    __slots__ = ("_damage", "_databases", "_environment", "_guard", "_reads", "_transaction")

    _transaction: Any  # LMDB's, or one that guards trees

    def __init__(
        self, environment: lmdb.Environment, databases: Databases, damage: Damage, guard: Guard, reads: ReadCounts
    ) -> None:
        self._reads = reads
        self._environment = environment
        self._databases = databases
        self._damage = damage
        self._guard = guard

    def __enter__(self) -> Self:
        try:
            self._transaction = self._environment.begin()
        except lmdb.Error as error:
            raise reading_failed(error) from error
        if self._guard.trees:
            self._transaction = GuardedTransaction(self._transaction, self._guard.path, self._guard.trees)
        return self

    def _begin_again(self, database: Any) -> bool:  # noqa: ANN401 - the library's handle
        """A tree is damaged, and LMDB lets nothing more be read in this transaction: go on with the tree under guard.
        False: it was already, and so is what was wanted.
        """
        if database in self._guard.trees:
            return False
        self._guard.add(database)
        self._transaction.abort()
        self.__enter__()
        return True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._transaction.abort()  # the library keeps it, reset, for the next snapshot

    def get(self, table: Table, key: Key) -> Any:  # noqa: ANN401 - as Reader has it
        place = PACK_KEY[table](key)
        database = self._databases.tables[table]
        self._reads.records += 1
        try:
            sealed = self._transaction.get(place, None, database)
        except DAMAGED as error:
            if self._begin_again(database):
                return self.get(table, key)
            failed = self._failed(error, table, key)
            if table.schema.may_be_missing:
                return None
            raise failed from error
        except lmdb.Error as error:
            raise self._failed(error, table, key) from error
        if sealed is None:
            return None
        if is_whole(place, sealed):
            return UNPACK[table](content(sealed))
        damaged = self._broken(table, key)
        if table.schema.may_be_missing:
            return None
        raise damaged

    def get_all(self, table: Table, keys: Iterable[Key]) -> list[Any]:
        get, unpack, database = self._transaction.get, UNPACK[table], self._databases.tables[table]
        keys = list(keys)
        places = list(PACK_KEYS[table](keys))
        self._reads.records += len(places)
        try:
            sealed = [get(place, None, database) for place in places]
        except lmdb.Error:
            return [self.get(table, key) for key in keys]  # each by itself: a page that cannot be read is one's trouble
        found = unseal_all(places, sealed)
        if all(found):
            return found if unpack is bytes else list(map(unpack, found))  # type: ignore[arg-type]  # none is None
        if found.count(None) > sealed.count(None):
            return [self.get(table, key) for key in keys]
        return [None if packed is None else unpack(packed) for packed in found]

    def scan(self, table: Table, low: Key, high: Key, *, limit: int, reverse: bool = False) -> list[tuple[Key, Any]]:
        unpack_key, unpack = UNPACK_KEY[table], UNPACK[table]
        if limit <= 0:
            return []
        try:
            with self._transaction.cursor(self._databases.tables[table]) as cursor:
                rows = self._rows(table, cursor, pack_bound(table, low), pack_bound(table, high), reverse=reverse)
                whole = islice(self._whole(table, rows), limit)
                found = [(unpack_key(key), unpack(content(sealed))) for key, sealed in whole]
        except DAMAGED as error:
            if self._begin_again(self._databases.tables[table]):
                return self.scan(table, low, high, limit=limit, reverse=reverse)
            raise self._failed(error, table, low) from error
        except lmdb.Error as error:
            raise self._failed(error, table, low) from error
        self._reads.records += len(found)
        return found

    def _whole(self, table: Table, rows: Iterator[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, bytes]]:
        """Rows that are what was written. Those that may be missing are not looked at: nobody scans them for what they
        say.
        """
        for row in rows:
            if table.schema.may_be_missing or is_whole(*row):
                yield row
            else:
                self._damage.note(f"{table.value} at {row[0].hex()}")

    @classmethod
    def _rows(
        cls, table: Table, cursor: "lmdb.Cursor[bytes]", low: bytes, high: bytes, *, reverse: bool
    ) -> Iterator[tuple[bytes, bytes]]:
        tag = KIND_TAG.get(table)
        if tag is None:
            return cls._descend(cursor, low, high) if reverse else cls._ascend(cursor, low, high)
        if reverse:
            return (row for row in cls._descend(cursor, low, high) if row[0][TAG_AT] == tag)
        return cls._ascend_among(cursor, low, high, tag)

    @staticmethod
    def _ascend_among(cursor: "lmdb.Cursor[bytes]", low: bytes, high: bytes, tag: int) -> Iterator[tuple[bytes, bytes]]:
        """Those with that tag; what lies between them is leapt over."""
        found = cursor.set_range(low)
        while found and (key := cursor.key()) < high:
            if key[TAG_AT] == tag:
                yield key, cursor.value()
                found = cursor.next()
            else:
                found = cursor.set_range(key[:TAG_AT] + bytes((tag if key[TAG_AT] < tag else 0xFF,)))

    @staticmethod
    def _ascend(cursor: "lmdb.Cursor[bytes]", low: bytes, high: bytes) -> Iterator[tuple[bytes, bytes]]:
        if cursor.set_range(low):
            for key, packed in cursor:
                if key >= high:
                    return
                yield key, packed

    @staticmethod
    def _descend(cursor: "lmdb.Cursor[bytes]", low: bytes, high: bytes) -> Iterator[tuple[bytes, bytes]]:
        if cursor.prev() if cursor.set_range(high) else cursor.last():
            for key, packed in cursor.iterprev():
                if key < low:
                    return
                yield key, packed

    def read(self, sequence: LogTable, key: Key, after: int, *, limit: int) -> list[tuple[int, Any]]:
        found = self.read_packed(sequence, key, after, limit=limit)
        return list(chain.from_iterable([enumerate(records, first) for first, records in found]))

    def read_packed(
        self, sequence: LogTable, key: Key, after: int, *, limit: int
    ) -> Sequence[tuple[int, Sequence[Any]]]:
        trees = self._databases.sequences[sequence]
        try:
            found = trees.read_packed(self._transaction, key, after, limit)
        except DAMAGED as error:
            if self._begin_again(trees.full) or self._begin_again(trees.newest):  # which holds more
                return self.read_packed(sequence, key, after, limit=limit)
            raise self._failed(error, sequence, key) from error
        except lmdb.Error as error:
            raise self._failed(error, sequence, key) from error
        except BrokenSealError:
            raise self._broken(sequence, key) from None
        self._reads.entries += sum([len(records) for _, records in found])
        return found

    def salvage(self, sequence: LogTable, key: Key, after: int, *, limit: int, upto: int) -> list[tuple[int, Any]]:
        return self._databases.sequences[sequence].salvage(self._transaction, key, after, limit, upto)

    def find(
        self, index: Index, key: Key, low: IndexRow, high: IndexRow, *, limit: int, reverse: bool = False
    ) -> list[IndexRow]:
        trees = self._databases.indexes[index]
        try:
            found = trees.find(self._transaction, key, low, high, limit, reverse=reverse)
        except DAMAGED as error:
            if self._begin_again(trees.full) or self._begin_again(trees.newest):  # which holds more
                return self.find(index, key, low, high, limit=limit, reverse=reverse)
            raise self._failed(error, index, key) from error
        except lmdb.Error as error:
            raise self._failed(error, index, key) from error
        except BrokenSealError:
            raise self._broken(index, key) from None
        self._reads.rows += len(found)
        return found

    def is_near_damage(self, table: Table, keys: list[Key]) -> bool:
        """Whether one of these lies in a damaged leaf, or beside one. Of a tree under guard."""
        if not keys:
            return False
        with self._transaction.cursor(self._databases.tables[table]) as cursor:
            return any(cursor.is_near_damage(PACK_KEY[table](key)) for key in keys)

    def _broken(self, kind: Kind, key: Key) -> StoreDamagedError:
        self._damage.note(f"{kind.value} {key}")
        return StoreDamagedError(f"{kind.value} {key} is damaged: run `bimip store check`")

    def _failed(self, error: lmdb.Error, kind: Kind, key: Key) -> StorageError:
        failed = reading_failed(error)
        if isinstance(failed, StoreDamagedError):
            self._damage.note(f"{kind.value} {key} cannot be read")
        return failed


def reading_failed(error: lmdb.Error) -> StorageError:
    """Tells what an error in reading means."""
    if isinstance(error, lmdb.PanicError):
        return OutcomeUnknownError(f"the store must be reopened: {error}")
    if isinstance(error, DAMAGED):
        return StoreDamagedError(f"the store is damaged: {error}")
    return StorageError(f"the store cannot be read: {error}")
