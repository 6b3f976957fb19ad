"""Copies a store to another engine, of a server that is stopped: LMDB to PostgreSQL, or back.

It goes in slices, table after table and log after log, each slice in a transaction of its own. Then all of it is read
back from the copy and compared with the source by a digest, and the logs are held against their hash chains. The copy
has the source's epoch, so devices go on where they were, and the mark beside the store (storage/mark.py) follows it:
whoever serves the source again, or a copy of which others were served since, begins another epoch.

Until that is done the copy is none. In PostgreSQL its schema says so, and no server starts on it; a folder of LMDB has
another name.
"""

import hashlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from bimip.domain.core.records import Changes, Index, Key, LogTable, Reader, Table
from bimip.domain.core.schema import behind
from bimip.storage.care.check import PARTS, rows
from bimip.storage.errors import StorageError, StoreDamagedError
from bimip.storage.interface import Store
from bimip.storage.lmdb.store import LmdbStore
from bimip.storage.mark import beside
from bimip.storage.postgres.store import PostgresStore

SLICE: Final = 1000
_EVERY_ROW: Final = (1 << 64,)

Progress = Callable[[str, int], None]
"""What is being done, and how many records of it are."""


def copy_to_postgres(folder: Path, dsn: str, *, map_bytes: int, progress: Progress) -> int:
    """Copies the store in a folder into a database whose schema was made. Returns how many records it has. Raises
    StorageError.
    """
    if not folder.is_dir():
        raise StorageError(f"there is no store in {folder}: set store.path to one")
    source = LmdbStore(folder, map_bytes=map_bytes, serves=True)
    try:
        _refuse_put_back(source)
        target = PostgresStore(dsn)
        try:
            _refuse_full(target)
            target.begin_copy()
            count = _copy(source, target, progress)
            target.end_copy(beside=folder)
        finally:
            target.close()
    finally:
        source.close()
    return count


def copy_to_lmdb(dsn: str, folder: Path, *, map_bytes: int, progress: Progress) -> int:
    """Copies a database into a folder, where there must be nothing yet. Returns how many records it has. Raises
    StorageError.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise StorageError(f"{folder} is there already: move it away, or set store.path to a folder that is not")
    unfinished = folder.parent / f".{folder.name}.unfinished"
    source = PostgresStore(dsn, mark_beside=folder)
    try:
        _refuse_put_back(source)
        shutil.rmtree(unfinished, ignore_errors=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        target = LmdbStore(unfinished, map_bytes=map_bytes, serves=True)
        try:
            count = _copy(source, target, progress)
        finally:
            target.close()
        if folder.exists():
            folder.rmdir()
        unfinished.rename(folder)
        beside(unfinished).replace(beside(folder))
    finally:
        source.close()
        shutil.rmtree(unfinished, ignore_errors=True)
        beside(unfinished).unlink(missing_ok=True)
    return count


def _refuse_put_back(source: Store) -> None:
    if source.put_back:
        raise StorageError(f"the store is not what was last served ({source.put_back}): start the server on it once")


def _refuse_full(target: Store) -> None:
    with target.snapshot() as view:
        if any(view.scan(table, (), table.schema.end, limit=1) for table in Table):
            raise StorageError("the copy's place holds a store already: name an empty one")


def _copy(source: Store, target: Store, progress: Progress) -> int:
    with source.snapshot() as view:
        expected, count = hashlib.sha256(), 0
        for what, changes, size in _contents(view):
            target.begin()
            target.apply(changes)
            target.commit()
            expected.update(_picture(changes))
            count += size
            progress(f"copying {what}", count)
    with target.snapshot() as view:
        found, read = hashlib.sha256(), 0
        for what, changes, size in _contents(view):
            found.update(_picture(changes))
            read += size
            progress(f"reading {what} back", read)
        if (found.digest(), read) != (expected.digest(), count):
            raise StoreDamagedError("what was read back is not what was copied")
        wrong = next(PARTS["logs"](view), None)
        if wrong is not None:
            raise StoreDamagedError(f"the copy's logs do not fit together: {wrong}; run `bimip store check` first")
    return count


def _contents(view: Reader) -> Iterator[tuple[str, Changes, int]]:
    """Reads everything, in slices and always in the same order: of what it is, and how many records."""
    for table in Table:
        low: Key = ()
        while found := view.scan(table, low, table.schema.end, limit=SLICE):
            low = behind(found[-1][0])
            whole = found
            if table.schema.may_be_missing:  # which a scan does not look at
                read = view.get_all(table, [key for key, _ in found])
                whole = [(key, record) for (key, _), record in zip(found, read, strict=True) if record is not None]
            yield table.value, Changes(puts={table: dict(whole)}), len(whole)
    for (number,), _ in rows(view, Table.CONVERSATIONS):
        yield from _log(view, LogTable.HISTORY, (number,))
    for key, _ in rows(view, Table.LOGS):
        yield from _log(view, LogTable.ENTRIES, key)
        yield from _log(view, LogTable.CHAINS, key)
        row: Any = ()
        while lines := view.find(Index.SEQS, key, row, _EVERY_ROW, limit=SLICE):
            row = behind(lines[-1])
            yield "seqs", Changes(inserts={(Index.SEQS, key): lines}), len(lines)


def _log(view: Reader, log: LogTable, key: Key) -> Iterator[tuple[str, Changes, int]]:
    after = 0
    while run := view.read(log, key, after, limit=SLICE):
        after = run[-1][0]
        yield log.value, Changes(appends={(log, key): run}), len(run)


def _picture(changes: Changes) -> bytes:
    """All of a slice, for its digest."""
    return repr((changes.puts, changes.appends, changes.inserts)).encode()
