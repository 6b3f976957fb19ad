"""What LMDB does beyond the contract: processes, threads, formats, and disks that fill up or fail."""

import errno
import fcntl
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import lmdb
import pytest

from bimip.domain.core.ids import ConversationId, ConversationOffset, DeviceId, Stamp, UserId
from bimip.domain.core.records import Changes, Entry, LogTable, Table
from bimip.storage.errors import (
    OutcomeUnknownError,
    StorageError,
    StoreDamagedError,
    StoreFullError,
    StoreLockedError,
)
from bimip.storage.format import FORMAT
from bimip.storage.lmdb.store import LmdbStore
from bimip.storage.memory import MemoryStore

MIB = 1 << 20
CHAT = (LogTable.ENTRIES, (7, "chat"))
ENTRY = Entry(
    Stamp(1), ConversationId(1), ConversationOffset(1), UserId(2), DeviceId(3), addressed=False, digest=b"contents"
)


@pytest.fixture
def open_store(tmp_path: Path) -> Iterator[Callable[..., LmdbStore]]:
    opened: list[LmdbStore] = []

    def open_it(**settings: Any) -> LmdbStore:
        opened.append(LmdbStore(tmp_path / "store", **settings))
        return opened[-1]

    yield open_it
    for store in opened:
        store.close()


@pytest.fixture
def store(open_store: Callable[..., LmdbStore]) -> LmdbStore:
    return open_store()


def body(stamp: int, size: int = 100) -> Changes:
    return Changes(puts={Table.BODIES: {(stamp,): bytes([stamp % 256]) * size}}, needs_room=True)


def commit(store: LmdbStore | MemoryStore, changes: Changes) -> None:
    store.begin()
    try:
        store.apply(changes)
        store.commit()
    finally:
        store.abort()


def fits(store: LmdbStore, changes: Changes) -> bool:
    try:
        commit(store, changes)
    except StoreFullError:
        return False
    return True


def stamps(store: LmdbStore) -> list[int]:
    with store.snapshot() as reader:
        return [stamp for (stamp,), _ in reader.scan(Table.BODIES, (), (2**64,), limit=10**6)]


def run_child(source: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", source, *map(str, arguments)], stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True
    )


CHILD = """
import sys
from bimip.domain.core.records import *
from bimip.storage.lmdb.store import LmdbStore

store = LmdbStore(sys.argv[1])
def apply(first, last):
    store.apply(Changes(puts={Table.BODIES: {(n,): b"x" * 5000 for n in range(first, last)}}))
store.begin(); apply(1, 51); store.commit()
snapshot = store.snapshot(); snapshot.__enter__()
store.begin(); apply(51, 3000)
print("ready", flush=True)
sys.stdin.read()
"""


class TestProcesses:
    def test_a_killed_process_leaves_what_it_committed(self, tmp_path: Path) -> None:
        child = run_child(CHILD, tmp_path)
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        with pytest.raises(StoreLockedError, match=f"process {child.pid}") as refusal:
            LmdbStore(tmp_path)
        child.send_signal(signal.SIGKILL)
        child.communicate()
        store = LmdbStore(tmp_path)

        assert refusal.value.pid == child.pid
        assert list(range(1, 51)) == stamps(store)
        commit(store, body(51))
        assert list(range(1, 52)) == stamps(store)
        assert f" {child.pid} " not in opened(store).readers()
        store.close()

    def test_a_second_opening_is_refused_also_in_one_process(self, store: LmdbStore, tmp_path: Path) -> None:
        with pytest.raises(StoreLockedError) as refusal:
            LmdbStore(tmp_path / "store")
        store.close()
        LmdbStore(tmp_path / "store").close()

        assert refusal.value.pid == os.getpid()

    def test_an_owner_whose_number_cannot_be_read_still_owns(self, store: LmdbStore, tmp_path: Path) -> None:
        (tmp_path / "store" / "owner").write_text("")
        with pytest.raises(StoreLockedError, match="another process") as refusal:
            LmdbStore(tmp_path / "store")

        assert refusal.value.pid is None


class TestFormat:
    def test_a_newer_format_is_refused_and_left_as_it_is(self, store: LmdbStore, tmp_path: Path) -> None:
        store.close()
        with lmdb.open(str(tmp_path / "store"), max_dbs=2) as environment:
            about = environment.open_db(b"about")
            with environment.begin(write=True) as transaction:
                transaction.put(b"format", b"%d" % (FORMAT + 1), db=about)
        before = (tmp_path / "store" / "data.mdb").read_bytes()
        for _ in range(2):  # a refused store is released
            with pytest.raises(StoreDamagedError, match=rf"format '{FORMAT + 1}'.*reads .*{FORMAT}: a later bimip"):
                LmdbStore(tmp_path / "store")

        assert before == (tmp_path / "store" / "data.mdb").read_bytes()

    def test_another_programs_environment_is_refused(self, tmp_path: Path) -> None:
        with lmdb.open(str(tmp_path), max_dbs=2) as environment:
            environment.open_db(b"theirs")

        with pytest.raises(StoreDamagedError, match="no store of ours"):
            LmdbStore(tmp_path)

    @pytest.mark.parametrize("content", [b"no database" * 1000, b"\0" * 8192])
    def test_garbage_is_refused(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "data.mdb").write_bytes(content)

        with pytest.raises(StoreDamagedError):
            LmdbStore(tmp_path)

    def test_a_folder_that_cannot_be_made_is_told(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")

        with pytest.raises(StorageError, match="file"):
            LmdbStore(tmp_path / "file" / "store")


def opened(store: LmdbStore) -> lmdb.Environment:
    assert store._environment is not None
    return store._environment


class TestRoom:
    def test_the_map_is_a_tebibyte_of_addresses(self, store: LmdbStore) -> None:
        assert store.statistics().map_bytes == 1 << 40
        assert store.statistics().file_bytes < MIB

    def test_what_the_disk_has_left_is_told(self, store: LmdbStore) -> None:
        assert (store.statistics().free_bytes or 0) > 0

    def test_a_reader_that_was_killed_is_forgotten_and_counted(self, store: LmdbStore, tmp_path: Path) -> None:
        reader = (
            "import lmdb, os, signal, sys; "
            "transaction = lmdb.open(sys.argv[1], max_dbs=99).begin(); "
            "os.kill(os.getpid(), signal.SIGKILL)"
        )
        subprocess.run([sys.executable, "-c", reader, opened(store).path()], check=False)

        assert store.statistics().stale_readers == 1
        assert store.statistics().stale_readers == 1

    def test_a_store_that_is_closed_tells_nothing(self, store: LmdbStore) -> None:
        store.close()
        with pytest.raises(StorageError, match="closed"):
            store.statistics()

    def test_a_system_that_forbids_it_gives_less(self, tmp_path: Path) -> None:
        source = """
import resource, sys
from bimip.storage.lmdb.store import LmdbStore
resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
store = LmdbStore(sys.argv[1])
print(store.statistics().map_bytes)
"""
        output, _ = run_child(source, tmp_path).communicate()

        assert 64 * MIB <= int(output) <= 2 << 30

    def test_a_smaller_map_is_tried_when_the_system_refuses(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real = lmdb.open
        tried: list[int] = []

        def refusing(path: str, *, map_size: int, **settings: Any) -> lmdb.Environment:
            tried.append(map_size)
            if map_size > 1 << 34:
                raise failure(lmdb.MemoryError, errno.ENOMEM)
            return real(path, map_size=map_size, **settings)

        monkeypatch.setattr(lmdb, "open", refusing)
        LmdbStore(tmp_path).close()

        assert tried == [1 << 40, 1 << 38, 1 << 36, 1 << 34]

    def test_a_full_map_refuses_serves_and_recovers(self, open_store: Callable[..., LmdbStore]) -> None:
        store = open_store(map_bytes=4 * MIB)
        written = next(stamp for stamp in range(1, 10_000) if not fits(store, body(stamp, 3000)))
        with pytest.raises(StoreFullError):  # also what is larger than all that is left
            commit(store, Changes(puts={Table.EIDS: {(1,): "x" * 4 * MIB}}))

        assert written * 4096 > 2 * MIB
        assert list(range(1, written)) == stamps(store)
        for stamp in range(1, written // 2):
            commit(store, Changes(puts={Table.BODIES: {(stamp,): None}}))
        commit(store, body(10_000))
        assert [*range(written // 2, written), 10_000] == stamps(store)

    def test_a_file_that_may_not_grow_refuses_and_recovers(self, tmp_path: Path) -> None:
        """A limit on the size of files stands for a full disk."""
        source = """
import resource, signal, sys
from bimip.domain.core.records import *
from bimip.storage.errors import *
from bimip.storage.lmdb.store import LmdbStore

def commit(first, last):
    store.begin()
    try:
        store.apply(Changes(puts={Table.BODIES: {(n,): b"x" * 3000 for n in range(first, last)}}))
        store.commit()
    finally:
        store.abort()

store = LmdbStore(sys.argv[1])
commit(1, 20)
before = store.statistics().file_bytes
resource.setrlimit(resource.RLIMIT_FSIZE, (before + int(sys.argv[2]), resource.RLIM_INFINITY))
for _ in range(3):
    try:
        commit(20, 200)
    except StorageError as error:
        print(type(error).__name__)
with store.snapshot() as reader:
    print(len(reader.scan(Table.BODIES, (), (2**64,), limit=1000)))
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
commit(20, 200)
with store.snapshot() as reader:
    print(len(reader.scan(Table.BODIES, (), (2**64,), limit=1000)))
"""
        output, _ = run_child(source, tmp_path, 0).communicate()

        assert output.split() == ["StoreFullError"] * 3 + ["19", "199"]


def failure(kind: type[lmdb.Error], code: int) -> lmdb.Error:
    """As the library raises it: it writes the code into the exception that it made."""
    error = kind("mdb_txn_commit")
    error.__dict__["code"] = code
    return error


class FailingTransaction:
    """A transaction whose commit fails as a disk makes it fail. What the real one would have written is aborted."""

    def __init__(self, real: Any, error: Exception) -> None:
        self._real = real
        self._error = error

    def __getattr__(self, name: str) -> object:
        found: object = getattr(self._real, name)
        return found

    def commit(self) -> None:
        self._real.abort()
        raise self._error


class TestFailures:
    @pytest.mark.parametrize(
        ("error", "expected"),
        [
            (failure(lmdb.Error, errno.ENOSPC), StoreFullError),
            (failure(lmdb.Error, errno.EDQUOT), StoreFullError),
            (failure(lmdb.Error, errno.EFBIG), StoreFullError),
            (lmdb.MapFullError("mdb_txn_commit"), StoreFullError),
            (failure(lmdb.DiskError, errno.EIO), OutcomeUnknownError),
        ],
    )
    def test_an_error_in_a_commit_says_what_is_known(
        self, store: LmdbStore, error: lmdb.Error, expected: type[StorageError]
    ) -> None:
        commit(store, body(1))
        store.begin()
        store.apply(body(2))
        store._transaction = FailingTransaction(store._transaction, error)  # type: ignore[assignment]
        with pytest.raises(expected):
            store.commit()
        store.abort()

        assert stamps(store) == [1]
        store.reopen()
        commit(store, body(3))
        assert stamps(store) == [1, 3]

    def test_a_short_write_on_a_full_disk_means_full(self, store: LmdbStore, monkeypatch: pytest.MonkeyPatch) -> None:
        store.begin()
        store._transaction = FailingTransaction(  # type: ignore[assignment]
            store._transaction, failure(lmdb.DiskError, errno.EIO)
        )

        def refuse(*_: object) -> None:
            raise OSError(errno.ENOSPC, "full")

        monkeypatch.setattr(os, "posix_fallocate", refuse)

        with pytest.raises(StoreFullError):
            store.commit()
        assert not (store._folder / "probe").exists()


def restore(saved: int, number: int) -> None:
    os.dup2(saved, number)
    os.close(saved)


def break_writes(store: LmdbStore, *, meta: bool) -> Callable[[], None]:
    """Make the system answer ENOSPC to real writes of data pages, or of the meta page. Returns what mends it."""
    data = (store._folder / "data.mdb").stat()
    for number in [int(entry.name) for entry in Path("/proc/self/fd").iterdir()]:
        try:
            found = os.fstat(number)
        except OSError:
            continue
        is_meta = bool(fcntl.fcntl(number, fcntl.F_GETFL) & os.O_DSYNC)
        if (found.st_dev, found.st_ino) == (data.st_dev, data.st_ino) and is_meta == meta:
            saved = os.dup(number)
            full = os.open("/dev/full", os.O_WRONLY)
            os.dup2(full, number)
            os.close(full)
            return partial(restore, saved, number)
    pytest.fail("LMDB opens its file in another way than this test knows")


class TestRealErrors:
    def test_no_space_for_data_stores_nothing_and_passes(self, store: LmdbStore) -> None:
        commit(store, body(1))
        mend = break_writes(store, meta=False)
        for _ in range(3):
            with pytest.raises(StoreFullError, match="nothing was stored"):
                commit(store, body(2))

            assert stamps(store) == [1]
        mend()
        commit(store, body(3))
        assert stamps(store) == [1, 3]

    def test_an_error_on_the_meta_page_leaves_the_outcome_unknown(self, store: LmdbStore) -> None:
        commit(store, body(1))
        mend = break_writes(store, meta=True)
        with pytest.raises(OutcomeUnknownError):
            commit(store, body(2))
        with pytest.raises(OutcomeUnknownError, match="reopened"):
            store.begin()
        with pytest.raises(OutcomeUnknownError, match="reopened"):
            stamps(store)
        mend()
        store.reopen()
        assert stamps(store) in ([1], [1, 2])
        commit(store, body(3))
        assert 3 in stamps(store)


class TestThreads:
    def test_puts_may_come_from_another_thread_than_begin_and_commit(self, store: LmdbStore) -> None:
        """The journal's shape: a thread commits and at once begins again, the loop puts in between and reads always."""
        random = Random(7)
        model = MemoryStore()
        turn, done = threading.Semaphore(0), threading.Semaphore(0)
        errors: list[BaseException] = []
        rounds = 2000

        def commits() -> None:
            try:
                store.begin()
                done.release()
                for _ in range(rounds):
                    turn.acquire()
                    store.commit()
                    store.begin()
                    done.release()
                turn.acquire()
                store.abort()
            except BaseException as error:  # noqa: BLE001 - told by the test
                errors.append(error)
                done.release()

        thread = threading.Thread(target=commits)
        thread.start()
        head = 0
        for number in range(rounds):
            done.acquire()
            assert not errors
            head, changes = some_changes(random, number, head)
            store.apply(changes)
            turn.release()  # from here on the other thread commits, while this one reads
            with store.snapshot() as reader:
                reader.scan(Table.BODIES, (random.randrange(rounds),), (2**64,), limit=20)
                reader.read(*CHAT, random.randrange(head + 1), limit=50)
            commit(model, changes)
        done.acquire()
        turn.release()
        thread.join()

        assert not errors
        assert everything(model) == everything(store)
        store.reopen()
        assert everything(model) == everything(store)
        assert_every_page_is_used_once(store)


def some_changes(random: Random, number: int, head: int) -> tuple[int, Changes]:
    count = random.randrange(1, 12)
    changes = Changes()
    changes.puts[Table.BODIES] = {
        (random.randrange(3000),): random.choice([None, random.randbytes(random.randrange(300)), bytes(5000)])
        for _ in range(count)
    }
    changes.puts[Table.EIDS] = {(random.randrange(1000),): f"user {number}" for _ in range(count)}
    changes.appends[CHAT] = [
        (
            head + each,
            ENTRY._replace(stamp=Stamp(number), conversation_offset=ConversationOffset(each)),
        )
        for each in range(1, count + 1)
    ]
    if number % 50 == 49:
        changes.cuts[CHAT] = head - 100
    return head + count, changes


def everything(store: LmdbStore | MemoryStore) -> list[Any]:
    with store.snapshot() as reader:
        return [
            *(reader.scan(table, (), (2**64,), limit=10**6) for table in (Table.BODIES, Table.EIDS)),
            reader.read(*CHAT, 0, limit=10**6),
        ]


def assert_every_page_is_used_once(store: LmdbStore) -> None:
    """A copy that leaves out free pages walks the whole tree, and comes out as large as the pages in use."""
    folder = store._folder.parent / "copy"
    folder.mkdir()
    opened(store).copy(str(folder), compact=True)
    copy = LmdbStore(folder)

    assert everything(store) == everything(copy)
    assert store.statistics().used_bytes == copy.statistics().used_bytes
    copy.close()


def test_a_snapshot_costs_no_reader_slot_of_its_own(store: LmdbStore) -> None:
    for _ in range(1000):
        with store.snapshot() as reader:
            reader.get(Table.EIDS, (1,))

    assert opened(store).info()["num_readers"] <= 2


def test_a_commit_writes_the_ends_of_many_long_logs_on_few_pages(store: LmdbStore) -> None:
    logs = [(LogTable.ENTRIES, (user, "chat")) for user in range(100)]
    commit(store, Changes(appends={log: [(number, ENTRY) for number in range(1, 301)] for log in logs}))
    before = written()
    commit(store, Changes(appends={log: [(301, ENTRY)] for log in logs}))

    assert written() - before < 50 * 4096


def written() -> int:
    """Bytes that this process wrote until now."""
    lines = Path("/proc/self/io").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("wchar"))
