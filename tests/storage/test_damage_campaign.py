"""Pages of each tree are damaged: the check names it and ends, whatever the bytes are. The seed is in a case's name."""

import random
import struct
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import cast

import lmdb
import pytest
import trio
from trio.testing import MockClock

from bimip.domain.core.ids import ConversationOffset, Offset
from bimip.domain.core.operations import Acknowledge, Receipt
from bimip.domain.core.records import ReceiptKind
from bimip.storage.care.check_apart import check_apart
from bimip.storage.lmdb.file import LmdbFile
from bimip.storage.lmdb.store import LmdbStore
from tests.journal.journal_host import FragileStore, JournalHost, message
from tests.storage.forking import Forks

PAGE, MAP_BYTES = 4096, 1 << 28


def zeroed(_rng: random.Random, data: bytearray, page: int, _other: int) -> None:
    data[page * PAGE : page * PAGE + PAGE] = bytes(PAGE)


def overwritten(rng: random.Random, data: bytearray, page: int, _other: int) -> None:
    data[page * PAGE : page * PAGE + PAGE] = rng.randbytes(PAGE)


def swapped(_rng: random.Random, data: bytearray, page: int, other: int) -> None:
    one, two = slice(page * PAGE, page * PAGE + PAGE), slice(other * PAGE, other * PAGE + PAGE)
    data[one], data[two] = data[two], data[one]


def header_garbled(rng: random.Random, data: bytearray, page: int, _other: int) -> None:
    """Where its nodes begin: they lie outside of the page, or in the offsets."""
    struct.pack_into("=H", data, page * PAGE + 14, rng.choice([0, 17, PAGE + 2, 0xFFFF]))


def offset_garbled(rng: random.Random, data: bytearray, page: int, _other: int) -> None:
    struct.pack_into("=H", data, page * PAGE + 16, rng.choice([0, 8, PAGE - 2, 0xFFFF]))


def bit(rng: random.Random, data: bytearray, page: int, _other: int) -> None:
    """One bit of what lies in it. Behind the end of a value, or between two of them, nothing is lost by that."""
    data[page * PAGE + rng.randrange(16, PAGE)] ^= 1 << rng.randrange(8)


def cut(_rng: random.Random, data: bytearray, page: int, _other: int) -> None:
    del data[page * PAGE :]


DAMAGES: list[Callable[[random.Random, bytearray, int, int], None]] = [
    zeroed,
    overwritten,
    swapped,
    header_garbled,
    offset_garbled,
    bit,
    cut,
]


async def write(folder: Path) -> None:
    store = LmdbStore(folder, map_bytes=MAP_BYTES)
    host = JournalHost(cast("FragileStore", store))
    async with host.open():
        ann, bob = await host.pair()
        for number in range(150):
            await host.execute(message(ann, f"a{number}", "bob"))
            await host.execute(message(bob, f"b{number}", "ann"))
        await host.execute(Acknowledge(bob.user, bob.device, "chat", Offset(40), ((50, 60),)))
        await host.execute(Receipt(bob.user, ReceiptKind.READ, None, "ann", ConversationOffset(30)))
    store.close()


@pytest.fixture(scope="module")
def forks() -> Iterator[Forks]:
    with Forks() as started:
        yield started


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, list[int]]:
    """A store, and its pages in use."""
    folder = tmp_path_factory.mktemp("whole")
    trio.run(write, folder, clock=MockClock(autojump_threshold=0))

    assert list(check_apart(folder, MAP_BYTES)) == []
    with LmdbFile(folder / "data.mdb") as file:
        assert list(file.flaws()) == []
        used = [page for page in range(2, file.meta.last_page + 1) if file.is_used(page)]
    return (folder / "data.mdb").read_bytes(), used


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
@pytest.mark.parametrize("seed", range(50))
def test_a_damaged_page_is_found(
    tmp_path: Path,
    forks: Forks,
    original: tuple[bytes, list[int]],
    damage: Callable[[random.Random, bytearray, int, int], None],
    seed: int,
) -> None:
    data, used = bytearray(original[0]), original[1]
    rng = random.Random(seed)
    page = used[seed % len(used)]
    damage(rng, data, page, rng.choice([other for other in used if other != page]))
    (tmp_path / "data.mdb").write_bytes(data)

    found = list(check_apart(tmp_path, MAP_BYTES, partial(forks.check, output=tmp_path / "findings")))
    assert found != [] or content(tmp_path) == content_of(tmp_path, original[0])


def content(folder: Path) -> list[tuple[bytes, bytes, bytes]]:
    """All that a store holds: tree, key and value."""
    with lmdb.open(str(folder), max_dbs=64, readonly=True, lock=False) as environment:
        with environment.begin() as transaction:
            names = [name for name, _ in transaction.cursor()]
        found = []
        for name in names:
            database = environment.open_db(name, create=False)
            with environment.begin(db=database) as transaction:
                found += [(name, key, value) for key, value in transaction.cursor()]
        return found


def content_of(folder: Path, data: bytes) -> list[tuple[bytes, bytes, bytes]]:
    (folder / "whole").mkdir()
    (folder / "whole/data.mdb").write_bytes(data)
    return content(folder / "whole")
