"""The file as its bytes tell it: whole ones have no flaw, and no bytes do more than raise a flaw."""

import random
import struct
from pathlib import Path

import lmdb
import pytest

from bimip.storage.errors import StoreDamagedError
from bimip.storage.lmdb.file import FREE, LmdbFile, refuse_if_damaged
from bimip.storage.lmdb.store import LmdbStore

PAGE = 4096


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Three trees with values of all sizes, and much that was deleted and written again."""
    folder = tmp_path_factory.mktemp("file")
    rng = random.Random(1)
    keys: list[bytes] = []
    with lmdb.open(str(folder), map_size=1 << 30, max_dbs=3) as environment:
        trees = [environment.open_db(b"tree %d" % number) for number in range(3)]
        for _ in range(20):
            with environment.begin(write=True) as transaction:
                for _ in range(100):
                    keys.append(rng.randbytes(rng.randint(1, 60)))
                    value = rng.randbytes(rng.choice([5, 50, 400, 3000, 9000]))
                    transaction.put(keys[-1], value, db=rng.choice(trees))
                for _ in range(75):
                    transaction.delete(rng.choice(keys), db=rng.choice(trees))
            assert flaws(folder / "data.mdb") == []
    return (folder / "data.mdb").read_bytes()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data.mdb"


def flaws(path: Path) -> list[str]:
    try:
        with LmdbFile(path) as file:
            return [str(flaw) for flaw in file.flaws()]
    except StoreDamagedError as error:
        return [str(error)]


def is_leaf(original: bytes, page: int) -> bool:
    return bool(struct.unpack_from("=QHH", original, page * PAGE)[::2] == (page, 2))


def test_a_file_that_was_cut_short_is_refused(path: Path, original: bytes) -> None:
    for share in (0.97, 0.5, 0.1):
        path.write_bytes(original[: int(len(original) * share) // PAGE * PAGE])

        with pytest.raises(StoreDamagedError, match="cut short"):
            refuse_if_damaged(path, branches=False)


@pytest.mark.parametrize("length", [1, 100, PAGE, PAGE + 20])
def test_a_file_without_its_meta_pages_is_refused(path: Path, original: bytes, length: int) -> None:
    path.write_bytes(original[:length])

    with pytest.raises(StoreDamagedError, match="cut short"):
        refuse_if_damaged(path, branches=False)


def test_a_file_that_is_no_file_of_lmdb_is_refused(path: Path) -> None:
    path.write_bytes(b"nothing" * 10_000)

    with pytest.raises(StoreDamagedError, match="no file of LMDB"):
        refuse_if_damaged(path, branches=False)


def test_a_missing_or_empty_file_is_left_to_be_made(path: Path) -> None:
    refuse_if_damaged(path, branches=False)
    path.touch()
    refuse_if_damaged(path, branches=False)


def test_two_pages_that_changed_places_are_both_named(path: Path, original: bytes) -> None:
    path.write_bytes(original)
    with LmdbFile(path) as file:
        assert list(file.flaws()) == []
        numbers = [page for page in range(2, file.meta.last_page + 1) if is_leaf(original, page) and file.is_used(page)]
    first, second = numbers[3], numbers[-3]
    swapped = bytearray(original)
    swapped[first * PAGE : first * PAGE + PAGE] = original[second * PAGE : second * PAGE + PAGE]
    swapped[second * PAGE : second * PAGE + PAGE] = original[first * PAGE : first * PAGE + PAGE]
    path.write_bytes(swapped)

    assert {f"page {first}: says that it is page {second}", f"page {second}: says that it is page {first}"} <= {
        flaw.split(", ", 1)[-1] for flaw in flaws(path)
    }


@pytest.mark.parametrize("seed", range(100))
def test_whatever_the_bytes_are_it_ends_with_flaws_and_not_otherwise(path: Path, original: bytes, seed: int) -> None:
    rng = random.Random(seed)
    damaged = bytearray(original)
    for _ in range(rng.choice([1, 20, 2000])):
        at = rng.randrange(len(damaged) // PAGE) * PAGE + rng.choice([rng.randrange(16), rng.randrange(PAGE)])
        damaged[at] = rng.randrange(256)
    path.write_bytes(damaged)

    assert all(isinstance(flaw, str) for flaw in flaws(path))


def test_a_free_page_that_is_in_use_is_found(path: Path, original: bytes) -> None:
    path.write_bytes(original)
    with LmdbFile(path) as file:
        root = file.meta.main.root
        leaf = file.meta.free.root
        assert file.meta.free.depth == 1
    at = struct.unpack_from("=H", original, leaf * PAGE + 16)[0] + leaf * PAGE
    damaged = bytearray(original)
    struct.pack_into("=QQ", damaged, at + 16, 1, root)  # behind the node's header and its key
    path.write_bytes(damaged)

    assert f"{FREE}, page {root}: is listed as free and is in use" in "\n".join(flaws(path))


def test_opening_a_store_that_was_cut_short_is_refused(tmp_path: Path) -> None:
    LmdbStore(tmp_path).close()
    file = tmp_path / "data.mdb"
    file.write_bytes(file.read_bytes()[:-PAGE])

    with pytest.raises(StoreDamagedError, match="cut short"):
        LmdbStore(tmp_path)


def test_a_store_opens_again_after_a_process_that_was_killed(tmp_path: Path) -> None:
    LmdbStore(tmp_path).close()
    (tmp_path / "owner").write_text("17\n")

    LmdbStore(tmp_path).close()

    assert (tmp_path / "owner").read_text() == ""
