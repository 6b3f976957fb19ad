"""The store on LMDB: one folder with one environment, used by one process.

One named database for each table, and for each sequence and index; but what every message writes is in one for all
(keys.py says why, trees.py what of a sequence it is).

Transactions are synchronous, always: data pages, fdatasync, then the meta page through a descriptor that syncs. That
order tells what an error in `commit` means:

- Anything that goes wrong before the meta page (no space, no map, a failed sync) leaves the last commit as the
  newest: nothing was stored. No space is StoreFullError.
- An error on the meta page leaves it open which meta page the disk holds. LMDB refuses everything from then on, reads
  too (MDB_PANIC), which is how this case is told from the others: OutcomeUnknownError. The first transaction after
  each opening begins with a sync of what is there.
- Another I/O error before the meta page could be told apart too, but a disk that fails is no disk to go on with: it is
  OutcomeUnknownError as well, and whoever reopens and reads what is there is right in both cases.

Threads. LMDB's words ask for one thread in a write transaction; what it needs is that the thread which locked the
writers' mutex (begin) unlocks it (commit, abort), and that no two use the transaction at once. So `apply` may come from
the event loop while the thread that commits waits for its turn. tests/storage/lmdb/test_store.py holds it to that.

Service. A store that is opened to serve compares itself with the mark beside it (mark.py), and a backup that was put in
place says itself what it is: `put_back` tells, until the first commit. Tools open it without, and leave no trace.

Readers elsewhere. A backup of a running server reads from another process, and what it reads is not used again until it
has ended. One that was killed cannot say so: its slot is looked for whenever the file has grown.

Room. LMDB needs free pages to delete something, so a full map could never be emptied: the quota is at most seven
eighths of the map. It counts pages in use, not the file, which never shrinks.
"""

import errno
import os
import resource
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import lmdb

from bimip.domain.core.ids import ConversationId, Stamp
from bimip.domain.core.records import Changes, Index, Key, Kind, LogTable, Table
from bimip.storage.damage import Damage
from bimip.storage.errors import OutcomeUnknownError, StorageError, StoreDamagedError, StoreFullError
from bimip.storage.format import FORMAT, read_format
from bimip.storage.interface import ReadCounts, StoreStatistics
from bimip.storage.keys import HOT_TREE, KIND_TAG
from bimip.storage.keys import PACK as PACK_KEY
from bimip.storage.keys import PACK_ALL as PACK_KEYS
from bimip.storage.lmdb.file import look_at
from bimip.storage.lmdb.guard import Guard, GuardedTransaction
from bimip.storage.lmdb.lock import FolderLock
from bimip.storage.lmdb.privacy import FILE_MODE, open_private, private_folder
from bimip.storage.lmdb.snapshot import DAMAGED, Snapshot
from bimip.storage.lmdb.trees import Databases, IndexTrees, LogTrees
from bimip.storage.mark import Mark, beside
from bimip.storage.packing import PACK_ALL
from bimip.storage.seals import BrokenSealError, is_whole, seal_all

TIB = 1 << 40
SMALLEST_MAP = 64 << 20  # below this a system forbids too much to work on
PROBE_BYTES = 16 << 20  # a disk that has not even this is full
MAX_READERS = 126
LOCK_BYTES = 8192  # of LMDB's file of locks and readers, for so many

ABOUT = b"about"  # the database that says what the others are
FORMAT_KEY = b"format"
OPENING_KEY = b"opening"  # a random number, drawn by each opening that serves
BACKUP_KEY = b"backup"  # when this copy was made, until it serves
GROWN_PAGES = 4096  # 16 MiB: so much more, and who reads is looked at

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


Which = TypeVar("Which")
What = TypeVar("What")


class LmdbStore:
    is_remote = False

    def __init__(
        self,
        folder: str | Path,
        *,
        map_bytes: int = TIB,
        quota_bytes: int = 0,
        serves: bool = False,
        report_damage: Callable[[str], None] | None = None,
    ) -> None:
        """Open the store in a folder, which is made if it is missing; folder and files are for their owner alone.

        `serves`: what was last served is looked at. `report_damage` is told of each damaged place once.

        Raises StoreLockedError, StoreDamagedError, StorageError.
        """
        self._folder = Path(folder)
        self.narrowed: list[Path] = []
        """What other accounts could open until this store was opened."""
        self._wanted_map_bytes = map_bytes
        self._wanted_quota_bytes = quota_bytes
        self._transaction: lmdb.Transaction[bytes] | None = None
        self._broken = False
        self._settled = False
        self.damage = Damage(report_damage)
        self.read_counts = ReadCounts()
        self._guard = Guard(self._folder / "data.mdb", self.damage)
        self._serves = serves
        self._mark: Mark | None = None
        self._signed = False  # it holds the number of this opening
        self._announced = False  # it will, once the open transaction is committed
        self.format = FORMAT
        """What the store on disk says that it has: an earlier one, until the first commit."""
        self._newest = 0  # the highest stamp that was given
        self._newest_conversation = 0  # the highest number
        self._grown_page = 0
        self._stale_readers = 0
        self.put_back = ""
        self._environment: lmdb.Environment | None = None
        self.reopen()

    @property
    def newest_served(self) -> Stamp:
        return Stamp(self._newest)

    @property
    def newest_conversation(self) -> ConversationId:
        return ConversationId(self._newest_conversation)

    @property
    def mark_path(self) -> Path | None:
        """The path at which what was last served is noted; None: nowhere."""
        return None if self._mark is None else self._mark.path

    @property
    def mark_is_beside(self) -> bool:
        """Whether it lies beside the store's folder, where putting back a whole folder does not put it back too."""
        return self.mark_path in {None, beside(self._folder)}

    def snapshot(self) -> Snapshot:
        if self._environment is None:
            raise StorageError("the store is closed")
        return Snapshot(self._environment, self._databases, self.damage, self._guard, self.read_counts)

    def broken_seals(self) -> Iterator[tuple[str, bytes]]:
        """Finds values that are not what was written: tree's name and key. Reads everything, in one snapshot."""
        if self._environment is None:
            raise StorageError("the store is closed")
        names = [HOT_TREE, *(kind.value for kind in _with_a_tree())]
        transaction = GuardedTransaction(self._environment.begin(), self._guard.path, self._guard.trees)
        try:
            for name, database in zip(names, self._databases.all, strict=True):
                with transaction.cursor(database) as cursor:
                    for key, sealed in cursor if cursor.set_range(b"") else ():
                        if not is_whole(key, sealed):
                            yield name, key
        finally:
            transaction.abort()

    def settle(self) -> None:
        if self._environment is None:
            raise StorageError("the store is closed")
        with self._errors():
            if not self._settled:
                self._settle(self._environment)
                self._settled = True

    def begin(self) -> None:
        if self._transaction is not None:
            raise RuntimeError("a transaction is open already")
        if self._environment is None:
            raise StorageError("the store is closed")
        with self._errors():
            self.settle()
            transaction = self._environment.begin(write=True)
            try:
                self._full = self._is_over_quota()
                if self.format != FORMAT:
                    transaction.put(FORMAT_KEY, b"%d" % FORMAT, db=self._about)
                if not self._signed and self._mark is not None:
                    self._announced = self._sign(transaction, self._mark)
            except BaseException:
                transaction.abort()
                raise
            self._transaction = transaction

    def _sign(self, transaction: "lmdb.Transaction[bytes]", mark: Mark) -> bool:
        """Make the store the one that serves here. False: the mark cannot be written, so that nothing is compared."""
        transaction.delete(BACKUP_KEY, b"", self._about)
        try:
            mark.begin()
        except OSError:
            return False
        transaction.put(OPENING_KEY, b"%d" % mark.opening, db=self._about)
        return True

    def apply(self, changes: Changes) -> None:
        if self._transaction is None or self._broken:
            raise RuntimeError("no transaction is open that could take changes")
        self._broken = True  # until all of it went well
        if self._full and changes.needs_room:
            raise StoreFullError(f"the store's quota of {self._quota_bytes} bytes is used up")
        try:
            if self._guard.trees:
                self._refuse_to_remove(changes)
            self._write(self._transaction, self._databases, changes)
        except (lmdb.Error, OSError) as error:
            raise self._meaning(error) from error
        except BrokenSealError as error:
            self.damage.note(str(error))
            raise StoreDamagedError(f"{error}: run `bimip store check`") from None
        self._broken = False

    def _refuse_to_remove(self, changes: Changes) -> None:
        """Refuses to remove from a tree under guard, where LMDB would go from one leaf to the next, or put two
        together.
        """
        refused: list[str] = []
        for sequence, _ in changes.cuts:
            refused += [sequence.value] if self._is_guarded(sequence) else []
        for index, _ in changes.trims:
            refused += [index.value] if self._is_guarded(index) else []
        with self.snapshot() as view:
            for table, rows in changes.puts.items():
                gone = [key for key, record in rows.items() if record is None] if self._is_guarded(table) else []
                refused += [table.value] if view.is_near_damage(table, gone) else []
        if refused:
            raise StoreDamagedError(f"nothing is removed near damaged pages of {refused[0]}: put a copy back")

    def _is_guarded(self, kind: Kind) -> bool:
        return not self._guard.trees.keys().isdisjoint(self._databases.of(kind))

    def _write(self, transaction: "lmdb.Transaction[bytes]", databases: Databases, changes: Changes) -> None:
        hot: list[tuple[bytes, bytes]] = []
        with transaction.cursor(databases.hot) as cursor:
            for table, records in changes.puts.items():
                if table in KIND_TAG:
                    hot += self._packed(transaction, table, records)
                else:
                    self._put(transaction, table, records)
            for sequence, runs in _by_kind(changes.appends).items():
                hot += databases.sequences[sequence].append(transaction, cursor, runs)
            for index, rows in _by_kind(changes.inserts).items():
                hot += databases.indexes[index].insert(transaction, cursor, rows)
            hot.sort()  # so that what shares a page is put without another search from the root
            cursor.putmulti(seal_all(hot))
        bodies = changes.puts.get(Table.BODIES)
        if bodies:
            self._newest = max(self._newest, next(reversed(bodies))[0])  # in the order in which stamps were given
        if Table.META in changes.puts:
            meta = changes.puts[Table.META]
            self._newest = max(self._newest, meta.get(("clock",)) or 0)
            self._newest_conversation = max(self._newest_conversation, meta.get(("conversations",), 0))
        for (sequence, key), below in changes.cuts.items():
            databases.sequences[sequence].cut(transaction, key, below)
        for (index, key), below in changes.trims.items():
            databases.indexes[index].trim(transaction, key, below)

    def _packed(
        self, transaction: "lmdb.Transaction[bytes]", table: Table, records: dict[Key, Any]
    ) -> Iterable[tuple[bytes, bytes]]:
        """Packs what is to be put, and deletes what is to be deleted."""
        if None in records.values():
            pack_key, database = PACK_KEY[table], self._databases.tables[table]
            for key, record in records.items():
                if record is None:
                    transaction.delete(pack_key(key), b"", database)
            records = {key: record for key, record in records.items() if record is not None}
        return zip(PACK_KEYS[table](records), PACK_ALL[table](records.values()), strict=True)

    def _put(self, transaction: "lmdb.Transaction[bytes]", table: Table, records: dict[Key, Any]) -> None:
        rows = seal_all(self._packed(transaction, table, records))
        with transaction.cursor(self._databases.tables[table]) as cursor:
            if table.schema.is_ascending:
                # In the order of time they go behind the last one, and pages are filled to their end.
                ordered = sorted(rows)
                if cursor.putmulti(ordered, append=True) != (len(ordered), len(ordered)):
                    cursor.putmulti(ordered)
            else:
                cursor.putmulti(rows)

    def commit(self) -> None:
        transaction = self._transaction
        if transaction is None or self._broken:
            raise RuntimeError("no transaction is open that could be committed")
        self._transaction = None
        try:
            transaction.commit()
        except lmdb.Error as error:
            raise self._commit_error(error) from error
        self.put_back = ""
        self.format = FORMAT
        self._signed = self._announced
        if self._signed and self._mark is not None and self._environment is not None:
            self._mark.note(self._environment.info()["last_txnid"], self._newest, self._newest_conversation)

    def _commit_error(self, error: lmdb.Error) -> StorageError:
        if self._is_panicked():
            return OutcomeUnknownError(f"the disk failed in the last step of a commit: {error}")
        if self._means_full(error):
            return StoreFullError(f"nothing was stored, there is no room: {error}")
        return OutcomeUnknownError(f"the disk failed in a commit: {error}")

    def _is_panicked(self) -> bool:
        assert self._environment is not None
        try:
            self._environment.begin(write=True).abort()
        except lmdb.Error:
            return True
        return False

    def _means_full(self, error: lmdb.Error) -> bool:
        code = code_of(error)
        # LMDB makes EIO of a write that came out short, which is how a disk becomes full in the middle of one.
        return isinstance(error, lmdb.MapFullError) or code in _FULL or (code == errno.EIO and self._disk_is_full())

    def has_room(self) -> bool:
        with self._errors():
            return not (self._is_over_quota() or self._disk_is_full())

    def _disk_is_full(self) -> bool:
        probe = self._folder / "probe"
        try:
            file = open_private(probe, os.O_WRONLY)
            try:
                os.posix_fallocate(file, 0, PROBE_BYTES)
            finally:
                os.close(file)
        except OSError as error:
            return error.errno in _FULL
        finally:
            probe.unlink(missing_ok=True)
        return False

    def abort(self) -> None:
        transaction, self._transaction = self._transaction, None
        self._broken = False
        if transaction is not None:
            transaction.abort()

    def close(self) -> None:
        self.abort()
        environment, self._environment = self._environment, None
        if environment is not None:
            environment.close()
            self._owner.release()
        if self._mark is not None:
            self._mark.close()
            self._mark = None

    def reopen(self) -> None:
        self.close()
        with self._errors():
            self.narrowed += private_folder(self._folder)
            self._owner = FolderLock(self._folder)
        try:
            with self._errors():
                thoroughly = self._owner.was_killed or not self._serves
                self._damaged = look_at(self._folder / "data.mdb", thoroughly=thoroughly)
                self._make_lock_file()
                environment = self._open_environment()
        except BaseException:
            self._owner.release()
            raise
        self._environment = environment
        self._settled = False
        try:
            with self._errors():
                environment.reader_check()  # slots of processes that were killed
                self._open_databases(environment)
                if self._serves:
                    self._compare(environment)
        except BaseException:
            self.close()
            raise
        self._signed = self._announced = False
        self._map_bytes = environment.info()["map_size"]
        self._page_bytes = environment.stat()["psize"]
        bound = self._map_bytes - self._map_bytes // 8
        self._quota_bytes = min(self._wanted_quota_bytes or bound, bound)

    def _compare(self, environment: lmdb.Environment) -> None:
        """Find out whether this is what was last served here."""
        mark = self._mark = Mark(self._folder)
        with environment.begin(db=self._about) as transaction:
            opening, backup = transaction.get(OPENING_KEY, b"0"), transaction.get(BACKUP_KEY, b"")
        other = mark.judge(int(opening) if opening.isdigit() else -1, environment.info()["last_txnid"])
        self.put_back = f"a backup of {backup.decode(errors='replace')} was put in place" if backup else other
        self._newest = max(self._newest, mark.stamp)
        self._newest_conversation = max(self._newest_conversation, mark.conversation)

    def _settle(self, environment: lmdb.Environment) -> None:
        """Make the disk hold what is there, before anything is written.

        A killed process may have left its last meta page in the page cache alone. And a meta page whose write failed
        may have reached the disk, while LMDB took it back in the cache: until that is on disk too, the pages that the
        next transaction uses again are still those of a commit that a loss of power would bring back.
        """
        environment.sync(True)  # noqa: FBT003 - "force", and the library takes it by position only

    def _make_lock_file(self) -> None:
        """Makes the lock file with all of its bytes on the disk: LMDB maps it, and a hole that a full disk cannot fill
        ends the process.
        """
        file = open_private(self._folder / "lock.mdb", os.O_RDWR)
        try:
            os.posix_fallocate(file, 0, LOCK_BYTES)
        finally:
            os.close(file)

    def _open_environment(self) -> lmdb.Environment:
        allowed, _ = resource.getrlimit(resource.RLIMIT_AS)
        map_bytes = self._wanted_map_bytes
        file = self._folder / "data.mdb"
        is_new = not file.exists()
        if allowed != resource.RLIM_INFINITY:
            map_bytes = min(map_bytes, allowed // 2 & ~0xFFFF)
        while True:
            try:
                return lmdb.open(
                    str(self._folder),
                    map_size=map_bytes,
                    max_dbs=len(_with_a_tree()) + 2,
                    max_readers=MAX_READERS,
                    max_spare_txns=1,
                    mode=FILE_MODE,
                )
            except lmdb.Error as error:
                if code_of(error) != errno.ENOMEM or map_bytes // 4 < SMALLEST_MAP:
                    if is_new:
                        file.unlink(missing_ok=True)  # half made, it would be taken for a damaged one
                    raise
                map_bytes //= 4

    def _open_databases(self, environment: lmdb.Environment) -> None:
        with environment.begin(write=True) as transaction:
            if transaction.stat()["entries"]:
                self._about, self.format = self._read_format(environment, transaction)
            else:
                self._about, self.format = environment.open_db(ABOUT, txn=transaction), FORMAT
                transaction.put(FORMAT_KEY, b"%d" % FORMAT, db=self._about)

            def open_database(name: str) -> Any:  # noqa: ANN401 - the library's handle
                return environment.open_db(name.encode(), txn=transaction)

            hot = open_database(HOT_TREE)
            own = {kind: open_database(kind.value) for kind in _with_a_tree()}
            self._databases = Databases(
                (hot, *own.values()),
                hot,
                {table: own.get(table, hot) for table in Table},
                {sequence: LogTrees(sequence, hot, own[sequence]) for sequence in LogTable},
                {index: IndexTrees(index, hot, own[index]) for index in Index},
            )
            names = {hot: HOT_TREE} | {database: kind.value for kind, database in own.items()}
            self._guard.open(names, self._damaged)

    def _read_format(self, environment: lmdb.Environment, transaction: "lmdb.Transaction[bytes]") -> tuple[Any, int]:
        try:
            about = environment.open_db(ABOUT, txn=transaction, create=False)
        except lmdb.NotFoundError:
            raise StoreDamagedError(f"{self._folder} holds an LMDB environment that is no store of ours") from None
        return about, read_format(transaction.get(FORMAT_KEY, b"", about), self._folder)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (lmdb.Error, OSError) as error:
            raise self._meaning(error) from error

    def _meaning(self, error: Exception) -> StorageError:
        if isinstance(error, lmdb.PanicError):
            return OutcomeUnknownError(f"the store must be reopened: {error}")
        if isinstance(error, DAMAGED):
            return StoreDamagedError(f"{self._folder}: {error}")
        if isinstance(error, lmdb.Error) and self._means_full(error):
            return StoreFullError(f"nothing was stored, there is no room: {error}")
        if isinstance(error, OSError) and error.errno in _FULL:
            return StoreFullError(f"{self._folder}: the disk is full; make room, and try again")
        return StorageError(f"{self._folder}: {error}")

    def _is_over_quota(self) -> bool:
        assert self._environment is not None
        info = self._environment.info()
        if info["last_pgno"] > self._grown_page:
            self._grown_page = info["last_pgno"] + GROWN_PAGES
            self._stale_readers += (
                self._environment.reader_check()
            )  # a backup that was killed keeps pages from being used again
        if (info["last_pgno"] + 1) * self._page_bytes < self._quota_bytes:  # not even with everything that was freed
            return False
        return self._used_bytes() >= self._quota_bytes

    def _used_bytes(self) -> int:
        assert self._environment is not None
        with self._environment.begin() as transaction:
            stats = [transaction.stat(database) for database in self._databases.all]
        return sum(pages(stat) * stat["psize"] for stat in stats)

    def statistics(self) -> StoreStatistics:
        if self._environment is None:
            raise StorageError("the store is closed")
        try:
            self._stale_readers += self._environment.reader_check()
            disk = os.statvfs(self._folder)
            return StoreStatistics(
                self._used_bytes(),
                (self._folder / "data.mdb").stat().st_size,
                self._map_bytes,
                self._quota_bytes,
                disk.f_bavail * disk.f_frsize,
                self._environment.info()["num_readers"],
                self._stale_readers,
            )
        except (lmdb.Error, OSError) as error:
            raise StorageError(f"the store tells nothing of itself: {error}") from error


def _with_a_tree() -> list[Kind]:
    """Lists the kinds that have a tree of their own: a log and an index for full blocks alone."""
    return [*(table for table in Table if table not in KIND_TAG), *LogTable, *Index]


def _by_kind(changes: Mapping[tuple[Which, Key], list[What]]) -> dict[Which, dict[Key, list[What]]]:
    """Groups changes by log or index; those to which nothing comes are left out."""
    found: dict[Which, dict[Key, list[What]]] = {}
    for (kind, key), added in changes.items():
        if added:
            if kind in found:
                found[kind][key] = added
            else:
                found[kind] = {key: added}
    return found


def code_of(error: lmdb.Error) -> int:
    """The system's number for it, or LMDB's own; 0 where the binding found the fault itself."""
    return getattr(error, "code", 0)


def pages(stat: Any) -> int:  # noqa: ANN401 - the library's own dictionary
    return int(stat["branch_pages"] + stat["leaf_pages"] + stat["overflow_pages"])
