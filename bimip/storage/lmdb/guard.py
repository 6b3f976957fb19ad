"""Reading a tree of which pages are damaged, without LMDB: it believes what a page says, and ends the process by an
assertion or a signal where that is not so, also where only the page beside it was wanted.

A tree comes under guard when it was found damaged, at the opening or by an error of LMDB's. From then on its pages are
read from the file and looked at before they are believed (file.py): keys under a damaged page raise
lmdb.CorruptedError, and a cursor passes over them. Slow, and only for that tree; all others are LMDB's as before.

A snapshot's transaction is open meanwhile, so no page that was in use when it began is used again: what is read is the
newest commit's, as of the first look of this snapshot.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Self

import lmdb

from bimip.storage.damage import Damage
from bimip.storage.lmdb.file import BRANCH, BadPageError, LmdbFile, Node, Place, Tree

Database = Any
"""The library's handle of a tree."""


class Guard:
    """The trees of which pages are damaged."""

    def __init__(self, path: Path, damage: Damage) -> None:
        self.path = path
        self.trees: dict[Any, str] = {}
        self._damage = damage
        self._names: dict[Any, str] = {}

    def open(self, names: dict[Any, str], damaged: Iterable[str]) -> None:
        """The trees of an environment that was just opened."""
        self._names, self.trees = names, {}
        for database, name in names.items():
            if name in damaged:
                self.add(database)

    def add(self, database: Any) -> None:  # noqa: ANN401 - the library's handle
        name = self.trees[database] = self._names[database]
        self._damage.note(f"pages of the tree {name}")


class GuardedTransaction:
    """A transaction as a snapshot needs it: trees under guard from the file, the others from LMDB."""

    def __init__(self, transaction: "lmdb.Transaction[bytes]", path: Path, guarded: dict[Database, str]) -> None:
        self._transaction = transaction
        self._path = path
        self._guarded = guarded
        self._file: LmdbFile | None = None
        self._trees: dict[str, Tree] = {}

    def get(self, key: bytes, default: bytes | None, database: Database) -> bytes | None:
        if database not in self._guarded:
            return self._transaction.get(key, default, database)
        cursor = self.cursor(database)
        return cursor.value() if cursor.set_key(key) else default

    def cursor(self, database: Database) -> Any:  # noqa: ANN401 - LMDB's cursor, or one that is used like it
        name = self._guarded.get(database)
        if name is None:
            return self._transaction.cursor(database)
        if self._file is None:
            self._file = LmdbFile(self._path)
            self._trees = {tree.name: tree for tree in self._file.trees()}
        return GuardedCursor(self._file, self._trees.get(name))

    def abort(self) -> None:
        if self._file is not None:
            self._file.close()
        self._transaction.abort()


class GuardedCursor:
    """Used like LMDB's, to read."""

    def __init__(self, file: LmdbFile, tree: Tree | None) -> None:
        self._file = file
        self._tree = tree
        self._leaf = _NOWHERE
        self._at = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        pass

    def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
        found = bool(self._leaf.nodes)
        while found:
            yield self.key(), self.value()
            found = self.next()

    def iterprev(self) -> Iterator[tuple[bytes, bytes]]:
        found = bool(self._leaf.nodes)
        while found:
            yield self.key(), self.value()
            found = self.prev()

    def key(self) -> bytes:
        return self._leaf.nodes[self._at].key

    def value(self) -> bytes:
        return self._file.value(self._leaf.nodes[self._at])

    def set_key(self, key: bytes) -> bool:
        """Raises lmdb.CorruptedError where that key would lie in a damaged page."""
        self._leaf = self._leaf_of(key)
        if self._leaf.is_damaged:
            raise lmdb.CorruptedError(f"the page of {key.hex()} is damaged")
        self._at = bisect_left(self._leaf.keys, key)
        return self._at < len(self._leaf.nodes) and self.key() == key

    def set_range(self, key: bytes) -> bool:
        self._leaf = self._leaf_of(key)
        self._at = bisect_left(self._leaf.keys, key)
        return self._at < len(self._leaf.nodes) or self._go_on()

    def next(self) -> bool:
        self._at += 1
        return self._at < len(self._leaf.nodes) or self._go_on()

    def prev(self) -> bool:
        if self._at > 0:
            self._at -= 1
            return True
        return self._go_back()

    def last(self) -> bool:
        self._leaf = self._leaf_of(None)
        self._at = len(self._leaf.nodes) - 1
        return self._at >= 0 or self._go_back()

    def is_near_damage(self, key: bytes) -> bool:
        """Whether the leaf of that key, or one beside it, is damaged: what LMDB may touch to remove the key."""
        leaf = self._leaf_of(key)
        beside = [] if leaf.high is None else [self._leaf_of(leaf.high)]
        beside += [] if leaf.low is None else [self._leaf_of(leaf.low, before=True)]
        return any(one.is_damaged for one in (leaf, *beside))

    def _go_on(self) -> bool:
        """Moves to the first key of the leaves behind this one."""
        while (high := self._leaf.high) is not None:
            self._leaf, self._at = self._leaf_of(high), 0
            if self._leaf.nodes:
                return True
        self._leaf = _NOWHERE
        return False

    def _go_back(self) -> bool:
        while (low := self._leaf.low) is not None:
            self._leaf = self._leaf_of(low, before=True)
            self._at = len(self._leaf.nodes) - 1
            if self._leaf.nodes:
                return True
        self._leaf = _NOWHERE
        return False

    def _leaf_of(self, key: bytes | None, *, before: bool = False) -> "_Leaf":
        """The leaf where a key lies or would lie, or the last key before it; None: the last leaf."""
        tree = self._tree
        if tree is None or tree.is_empty:
            return _NOWHERE
        place = Place(tree.root, 1, None, None)
        while True:
            try:
                page = self._file.read_page(tree, place)
            except (BadPageError, OSError):
                return _Leaf([], place.low, place.high, is_damaged=True)
            if page.kind != BRANCH:
                return _Leaf(page.nodes, place.low, place.high, is_damaged=False)
            places = self._file.children(page, place)
            at = len(places) - 1
            while key is not None and at and not _may_hold(places[at].low, key, before=before):
                at -= 1
            place = places[at]


class _Leaf:
    """A leaf's rows, and where the leaves beside it begin and end."""

    def __init__(self, nodes: list[Node], low: bytes | None, high: bytes | None, *, is_damaged: bool) -> None:
        self.nodes = nodes
        self.keys = [node.key for node in nodes]
        self.low = low
        self.high = high
        self.is_damaged = is_damaged


_NOWHERE = _Leaf([], None, None, is_damaged=False)


def _may_hold(low: bytes | None, key: bytes, *, before: bool) -> bool:
    return low is None or (low < key if before else low <= key)
