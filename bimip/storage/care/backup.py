"""Backups: a store as of one moment, in a folder of its own, that says of itself that it is a copy.

    back_up(store, target, made=…)      of a running server as well as of a stopped one
    restore(source, store, when=…)      of a stopped one
    compact(store)                      of a stopped one: the same store, without free pages

A backup is made by LMDB's compacting copy: one snapshot, page after page, without those that are free, so what was
deleted before is not in it. It goes through a pipe, so that memory is bounded, progress is seen and an end of this
process ends the copying. While it is made the server uses no page again that is free since then: its file may grow by
what is written meanwhile. The copy that does not compact is none of ours: it waits for the write transaction, which an
idle journal may hold for long, and holds it while it writes.

The copy is marked as a backup *within*, so that a server that finds it in its place begins another epoch, however it
came there. A manifest beside it has its size and digest. All of it gets its name at the end, when it is on the disk:
whatever was interrupted before is named `.NAME.unfinished-…`.

Restoring checks all that while it copies into the store's own folder, and opens the copy, before anything is touched.
The store that was there stays, in a folder `replaced-…` within; at each moment a whole one has the store's name.
"""

import hashlib
import json
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import lmdb

from bimip.domain.core.clock import millis_of
from bimip.domain.core.ids import Millis, Stamp
from bimip.domain.core.records import Table
from bimip.storage.errors import StorageError, StoreDamagedError, StoreFullError
from bimip.storage.format import read_format
from bimip.storage.keys import PACK as PACK_KEY
from bimip.storage.keys import UNPACK as UNPACK_KEY
from bimip.storage.lmdb.lock import FolderLock
from bimip.storage.lmdb.store import ABOUT, BACKUP_KEY, FORMAT_KEY, MAX_READERS, OPENING_KEY, LmdbStore, pages
from bimip.storage.mark import Mark
from bimip.storage.packing import UNPACK
from bimip.storage.seals import unseal

DATA = "data.mdb"
MANIFEST = "backup.json"
CHUNK_BYTES = 1 << 20
GROWTH_BYTES = 1 << 30  # of a file that others write to, while it is opened
SPARE_BYTES = 1 << 20  # on the disk, besides the copy itself

Progress = Callable[[int, int], None]
"""Bytes done, of about so many."""


@dataclass(frozen=True, slots=True)
class Manifest:
    made: str
    format: int
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Overview:
    """An overview of what a store holds, of a running server too."""

    format: int
    made: str  # when, of a backup that has not been served yet
    epoch: int
    starts: int
    users: int
    devices: int
    messages: int
    newest_message: Millis  # 0: there is none
    used_bytes: int
    file_bytes: int


def back_up(store: Path, target: Path, *, made: str, progress: Progress) -> Manifest:
    """Copy the store as it is now. `made` says when that is. Raises StorageError, and leaves nothing then."""
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise StorageError(f"{target} is there already: give a name that is not, such as one with the date in it")
    with _reading(store) as environment, _errors(target):
        found = _overview(environment, store)
        size = found.used_bytes
        target.parent.mkdir(parents=True, exist_ok=True)
        _check_room(target.parent, size)
        folder = Path(tempfile.mkdtemp(prefix=f".{target.name}.unfinished-", dir=target.parent))
        try:
            _copy_out(environment, folder / DATA, lambda done: progress(done, size))
            _declare(folder, made)
            manifest = Manifest(made, found.format, (folder / DATA).stat().st_size, _digest(folder / DATA))
            with _create(folder / MANIFEST) as file:
                file.write(json.dumps(asdict(manifest), indent=2).encode() + b"\n")
                _sync(file)
            _sync_folder(folder)
            folder.rename(target)
            _sync_folder(target.parent)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
    return manifest


def restore(source: Path, store: Path, *, when: str, progress: Progress) -> Path | None:
    """Put a backup in the place of a store. Returns where that lies now, if there was one.

    Raises StorageError (StoreLockedError: a server runs), and has changed nothing then.
    """
    manifest = _manifest(source)
    with _errors(store):
        store.mkdir(mode=0o700, parents=True, exist_ok=True)
        owner = FolderLock(store)
        try:
            _check_room(store, manifest.bytes)
            for left in store.glob("restoring-*"):  # by one that was killed
                shutil.rmtree(left, ignore_errors=True)
            folder = Path(tempfile.mkdtemp(prefix="restoring-", dir=store))
            try:
                _copy_in(source / DATA, folder / DATA, manifest, progress)
                LmdbStore(folder).close()
                return _exchange(store, folder / DATA, when)
            finally:
                shutil.rmtree(folder, ignore_errors=True)
        finally:
            owner.release()


def compact(store: Path, *, progress: Progress) -> tuple[int, int]:
    """Write a store anew, without the pages that are free, in its own place. Returns its bytes before and after.

    What free pages held is gone with the file that was there. Raises StorageError (StoreLockedError: a server runs),
    and has changed nothing then. Killed behind the exchange it costs another epoch, at worst.
    """
    if not (store / DATA).is_file():
        raise StorageError(f"there is no store in {store}: set store.path to one, or start the server once")
    with _errors(store):
        owner = FolderLock(store)
        mark = Mark(store)
        try:
            before = (store / DATA).stat().st_size
            for left in store.glob("compacting-*"):  # by one that was killed
                shutil.rmtree(left, ignore_errors=True)
            folder = Path(tempfile.mkdtemp(prefix="compacting-", dir=store))
            try:
                with _reading(store) as environment:
                    size = _overview(environment, store).used_bytes
                    _check_room(store, size)
                    opening, transaction = _opening_of(environment)
                    was_served = not mark.judge(opening, transaction)
                    _copy_out(environment, folder / DATA, lambda done: progress(done, size))
                with (folder / DATA).open("rb") as file:
                    os.fsync(file.fileno())
                (folder / DATA).rename(store / DATA)
                (store / "lock.mdb").unlink(missing_ok=True)  # of the old one's readers
                _sync_folder(store)
            finally:
                shutil.rmtree(folder, ignore_errors=True)
            if was_served and mark.path is not None:
                with _reading(store) as environment:
                    mark.follow(*_opening_of(environment))
        finally:
            mark.close()
            owner.release()
    return before, (store / DATA).stat().st_size


def _opening_of(environment: Any) -> tuple[int, int]:  # noqa: ANN401 - the library's own
    """Reads which opening a store holds, and its last transaction."""
    with environment.begin() as transaction:
        about = environment.open_db(ABOUT, txn=transaction, create=False)
        opening = transaction.get(OPENING_KEY, b"0", about)
    return (int(opening) if opening.isdigit() else -1), environment.info()["last_txnid"]


def overview(store: Path) -> Overview:
    """Raises StorageError."""
    with _reading(store) as environment, _errors(store):
        return _overview(environment, store)


@contextmanager
def _reading(folder: Path) -> Iterator[Any]:
    """The environment of a store that a server may have open."""
    if not (folder / DATA).is_file():
        raise StorageError(f"there is no store in {folder}: set store.path to one, or start the server once")
    with _errors(folder):
        environment = lmdb.open(
            str(folder),
            map_size=(folder / DATA).stat().st_size + GROWTH_BYTES,
            readonly=True,
            create=False,
            max_dbs=256,
            max_readers=MAX_READERS,
        )
        try:
            yield environment
        finally:
            environment.close()


def _overview(environment: Any, folder: Path) -> Overview:  # noqa: ANN401 - the library's own
    with environment.begin() as transaction:
        names = [name for name, _ in transaction.cursor()]
        trees = {name: environment.open_db(name, txn=transaction, create=False) for name in names}
        if ABOUT not in trees:
            raise StoreDamagedError(f"{folder} holds an LMDB environment that is no store of ours")
        found = read_format(transaction.get(FORMAT_KEY, b"", trees[ABOUT]), folder)
        stats = {name: transaction.stat(tree) for name, tree in trees.items()}

        def number(name: str) -> int:
            place = PACK_KEY[Table.META]((name,))
            sealed = transaction.get(place, None, trees[_name(Table.META)])
            return 0 if sealed is None else int(UNPACK[Table.META](unseal(place, sealed)))

        with transaction.cursor(trees[_name(Table.BODIES)]) as cursor:
            newest = UNPACK_KEY[Table.BODIES](cursor.key())[0] if cursor.last() else 0
        return Overview(
            format=found,
            made=transaction.get(BACKUP_KEY, b"", trees[ABOUT]).decode(),
            epoch=number("epoch"),
            starts=number("starts"),
            users=stats[_name(Table.USERS)]["entries"],
            devices=stats[_name(Table.DEVICES)]["entries"],
            messages=stats[_name(Table.BODIES)]["entries"],
            newest_message=millis_of(Stamp(newest)),
            used_bytes=sum(pages(stat) * stat["psize"] for name, stat in stats.items() if name != ABOUT),
            file_bytes=(folder / DATA).stat().st_size,
        )


def _name(table: Table) -> bytes:
    return table.schema.name.encode()


def _copy_out(environment: Any, path: Path, progress: Callable[[int], None]) -> None:  # noqa: ANN401 - the library's
    """Through a pipe: who stops reading ends the copying."""
    failures: list[Exception] = []
    reading, writing = os.pipe()

    def copy() -> None:
        try:
            environment.copyfd(writing, compact=True)
        except Exception as error:  # noqa: BLE001 - raised again by those who wait for the thread
            failures.append(error)
        finally:
            os.close(writing)

    thread = threading.Thread(target=copy, name="backup")
    thread.start()
    try:
        with os.fdopen(reading, "rb", buffering=0) as source, _create(path) as file:
            done = 0
            while chunk := source.read(CHUNK_BYTES):
                file.write(chunk)
                progress(done := done + len(chunk))
    finally:
        thread.join()
    if failures:
        raise failures[0]


def _declare(folder: Path, made: str) -> None:
    """Write into a copy that it is one. Nobody else has it."""
    size = (folder / DATA).stat().st_size
    with lmdb.open(str(folder), map_size=size + GROWTH_BYTES, max_dbs=2, lock=False) as environment:
        about = environment.open_db(ABOUT, create=False)
        with environment.begin(write=True, db=about) as transaction:
            transaction.put(BACKUP_KEY, made.encode())


def _manifest(source: Path) -> Manifest:
    """Reads a backup's manifest. Raises StorageError."""
    try:
        manifest = Manifest(**json.loads((source / MANIFEST).read_bytes()))
    except OSError as error:
        advice = "give the folder that `bimip store backup` made"
        raise StorageError(f"{source} is no backup: {MANIFEST} cannot be read ({error.strerror}); {advice}") from error
    except (ValueError, TypeError) as error:
        raise StoreDamagedError(f"{source / MANIFEST} is no manifest of a backup: {error}") from error
    read_format(str(manifest.format).encode(), source)
    return manifest


def _copy_in(source: Path, target: Path, manifest: Manifest, progress: Progress) -> None:
    digest, done = hashlib.sha256(), 0
    with source.open("rb") as original, _create(target) as file:
        while chunk := original.read(CHUNK_BYTES):
            digest.update(chunk)
            file.write(chunk)
            progress(done := done + len(chunk), manifest.bytes)
        _sync(file)
    if (done, digest.hexdigest()) != (manifest.bytes, manifest.sha256):
        raise StoreDamagedError(f"{source} is not as it was when the backup was made: take another one")


def _exchange(store: Path, new: Path, when: str) -> Path | None:
    """Give the new file the store's name. The old one gets another before, so that one of them always has it."""
    old = None
    if (store / DATA).exists():
        old = store / f"replaced-{when}"
        old.mkdir(mode=0o700)
        os.link(store / DATA, old / DATA)
        _sync_folder(old)
    new.rename(store / DATA)
    (store / "lock.mdb").unlink(missing_ok=True)  # of the old one's readers
    _sync_folder(store)
    return old


def _check_room(folder: Path, size: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < size + SPARE_BYTES:
        raise StoreFullError(f"{folder} has {free} bytes left, and {size + SPARE_BYTES} are needed: make room first")


@contextmanager
def _create(path: Path) -> Iterator[BinaryIO]:
    """A new file that its owner alone may read."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
        yield file


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _errors(place: Path) -> Iterator[None]:
    try:
        yield
    except (lmdb.Error, OSError) as error:
        raise StorageError(f"{place}: {error}") from error
