"""A tree under guard is read as LMDB reads it; keys under a damaged page are missing, and nothing else."""

from contextlib import nullcontext
from pathlib import Path
from typing import Any, Self

import lmdb
import pytest
import trio
from trio.testing import MockClock

from bimip.domain.core.records import Changes, Table
from bimip.storage.errors import StoreDamagedError
from bimip.storage.keys import UNPACK
from bimip.storage.lmdb.file import BRANCH, LmdbFile, Place
from bimip.storage.lmdb.guard import GuardedTransaction
from bimip.storage.lmdb.store import LmdbStore
from tests.storage.test_damage_campaign import MAP_BYTES, PAGE, write

TREES = ("heads", "bodies", "seen", "entries", "history", "receipts", "cursors", "revoked")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("store")
    trio.run(write, folder, clock=MockClock(autojump_threshold=0))
    return folder


class Both:
    """One tree, read by LMDB and under guard."""

    def __init__(self, folder: Path, name: str) -> None:
        self.environment = lmdb.open(str(folder), max_dbs=64, map_size=MAP_BYTES, readonly=True, lock=False)
        self.tree = self.environment.open_db(name.encode(), create=False)
        self.plain = self.environment.begin()
        path = folder / "data.mdb"
        self.guarded = GuardedTransaction(self.environment.begin(), path, {self.tree: name})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.guarded.abort()
        self.plain.abort()
        self.environment.close()

    def keys(self) -> list[bytes]:
        return [key for key, _ in self.plain.cursor(self.tree)]


def walked(cursor: Any, begin: bytes | None, *, back: bool) -> list[tuple[bytes, bytes]]:
    found = cursor.last() if begin is None else cursor.set_range(begin)
    return list(cursor.iterprev() if back else cursor) if found else []


@pytest.mark.parametrize("name", TREES)
def test_a_whole_tree_is_read_as_lmdb_reads_it(folder: Path, name: str) -> None:
    with Both(folder, name) as both:
        keys = both.keys()
        places = [b"", b"\xff", *keys[:: max(len(keys) // 12, 1)], *(key + b"\0" for key in keys[::40])]
        for key in places:
            assert both.guarded.get(key, b"none", both.tree) == (
                both.plain.get(key, b"none", both.tree) if key else b"none"
            )
            for begin in (key, None):
                for back in (False, True):
                    plain, guarded = both.plain.cursor(both.tree), both.guarded.cursor(both.tree)
                    assert walked(guarded, begin, back=back) == walked(plain, begin, back=back)


@pytest.mark.parametrize("name", ["bodies", "seen"])
@pytest.mark.parametrize("number", [0, 1, -1])
def test_what_a_damaged_page_held_is_missing_and_all_else_is_there(
    folder: Path, tmp_path: Path, name: str, number: int
) -> None:
    with Both(folder, name) as both:
        whole = dict(both.plain.cursor(both.tree))
    page, lost = leaves(folder, name)[number]
    zero(folder, tmp_path, page)
    with Both(tmp_path, name) as both:
        ahead = walked(both.guarded.cursor(both.tree), b"", back=False)
        back = walked(both.guarded.cursor(both.tree), None, back=True)

        assert dict(ahead) == {key: value for key, value in whole.items() if key not in lost}
        assert back == ahead[::-1]
        with pytest.raises(lmdb.CorruptedError):
            both.guarded.get(min(lost), None, both.tree)
        assert both.guarded.get(ahead[0][0], None, both.tree) == ahead[0][1]


def zero(folder: Path, into: Path, page: int) -> None:
    data = bytearray((folder / "data.mdb").read_bytes())
    data[page * PAGE : page * PAGE + PAGE] = bytes(PAGE)
    (into / "data.mdb").write_bytes(data)


def leaves(folder: Path, name: str) -> list[tuple[int, set[bytes]]]:
    """The pages of a tree's leaves, with their keys."""
    with LmdbFile(folder / "data.mdb") as file:
        tree = next(tree for tree in file.trees() if tree.name == name)
        places, found = [Place(tree.root, 1, None, None)], []
        while places:
            place = places.pop()
            page = file.read_page(tree, place)
            if page.kind == BRANCH:
                places += file.children(page, place)
            else:
                found.append((place.page, {node.key for node in page.nodes}))
    return found


def test_the_look_at_heads_names_the_tree_of_a_leaf_that_is_none(folder: Path, tmp_path: Path) -> None:
    with LmdbFile(folder / "data.mdb") as file:
        before = file.damaged_trees()
    zero(folder, tmp_path, leaves(folder, "bodies")[0][0])
    with LmdbFile(tmp_path / "data.mdb") as file:
        after = file.damaged_trees()

    assert before == []
    assert after == ["bodies"]


def test_records_are_removed_but_for_those_near_a_damaged_page(folder: Path, tmp_path: Path) -> None:
    """Acknowledgements remove a row each: all of them would be refused for one page's sake."""
    by_place = sorted(leaves(folder, "seen"), key=lambda leaf: min(leaf[1]))
    assert len(by_place) > 3
    (page, lost), (_, beside), *_, (_, far) = by_place
    zero(folder, tmp_path, page)
    store = LmdbStore(tmp_path, map_bytes=MAP_BYTES)
    for keys, is_refused in ((lost, True), (beside, True), (far, False)):
        key = UNPACK[Table.SEEN](min(keys))
        store.begin()
        with pytest.raises(StoreDamagedError, match="near damaged pages of seen") if is_refused else nullcontext():
            store.apply(Changes(puts={Table.SEEN: {key: None}}))
            store.commit()
        store.abort()
    with store.snapshot() as view:
        assert view.get(Table.SEEN, UNPACK[Table.SEEN](min(far))) is None
        assert view.get(Table.SEEN, UNPACK[Table.SEEN](min(beside))) is not None
    store.close()
