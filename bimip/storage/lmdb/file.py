"""LMDB's file as its bytes tell it, read without LMDB: what must hold before a map of it is safe to touch.

LMDB maps the file and trusts it: a file that is too short, or a page of garbage, ends the process by a signal. So each
opening looks at the file first (`refuse_if_damaged`), and `bimip store check` walks all of it (`LmdbFile.flaws`).
Nothing here maps anything: a page is read, and what it says is believed only within its own bounds.

The format is that of LMDB 0.9 (mdb.c), data version 1, numbers as the machine has them:

- Pages 0 and 1 are meta pages, of which the one with the higher transaction counts. Each names the page size, the last
  page, and two trees: the free pages, by the transaction that freed them, and the main tree, of the named databases.
- A page begins with its number and flags, and where its nodes' offsets end and its nodes begin. A branch's node holds a
  page's number and its lowest key (which its first node need not have); a leaf's holds key and value, or where the run
  of overflow pages lies that holds the value.

A page that was taken and let go in one transaction is never written. So a whole file may end before its last page, if
all that is missing is free.
"""

import os
import sys
from array import array
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from struct import Struct
from types import TracebackType
from typing import NamedTuple, Self

from bimip.storage.errors import StoreDamagedError

MAGIC, VERSION = 0xBEEFC0DE, 1
HEADER_BYTES, NODE_BYTES = 16, 8
MAX_KEY_BYTES = 511
NO_PAGE = (1 << 64) - 1
SMALLEST_PAGE, LARGEST_PAGE = 512, 1 << 15
FIRST_PAGE = 2  # behind the meta pages
SMALL_BYTES = 64 << 20
"""A file whose leaves are looked at by each opening: that takes a quarter of a second."""

BRANCH, LEAF, OVERFLOW, META = 1, 2, 4, 8
_KINDS = 0x0FFF & ~0x10  # without the marks of a page in memory
BIG, SUBTREE = 1, 2  # flags of a node
INTEGER_KEYS = 8  # flag of the tree of free pages

FREE, MAIN = "free pages", "main"

_HEADER = Struct("=QHHHH")
_META = Struct("=IIQQ")
_TREE = Struct("=IHHQQQQQ")
_LAST = Struct("=QQ")
_NODE = Struct("=HHHH")
_PAGE_NUMBER = Struct("=Q")
_META_BYTES = HEADER_BYTES + _META.size + 2 * _TREE.size + _LAST.size


class Flaw(NamedTuple):
    """A page's flaw, and what it takes with it."""

    tree: str
    page: int
    what: str
    low: bytes | None = (
        None  # the keys from here on, below `high`, cannot be reached; None: from the first, to the last
    )
    high: bytes | None = None

    def __str__(self) -> str:
        return f"{self.tree}, page {self.page}: {self.what}"


class Tree(NamedTuple):
    name: str
    flags: int
    depth: int
    branches: int
    leaves: int
    overflows: int
    entries: int
    root: int

    @property
    def is_empty(self) -> bool:
        return self.root == NO_PAGE


class Meta(NamedTuple):
    page_bytes: int
    free: Tree
    main: Tree
    last_page: int
    transaction: int


class Node(NamedTuple):
    key: bytes
    flags: int
    child: int  # of a branch
    data_bytes: int  # of a leaf
    data: bytes  # of a leaf: the value, or the number of the page where it begins


class _Page(NamedTuple):
    number: int
    kind: int
    nodes: list[Node]


class Place(NamedTuple):
    """A page still to be looked at, and what its parent says of it."""

    page: int
    depth: int
    low: bytes | None
    high: bytes | None


class BadPageError(Exception):
    """A flaw, on its way to who knows the page."""


class LmdbFile:
    def __init__(self, path: Path) -> None:
        """Open the file and believe its meta pages. Raises StoreDamagedError where they cannot be, and OSError."""
        self._path = path
        self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._bytes = os.fstat(self._file).st_size
            self.meta = self._newest_meta()
        except BaseException:
            self.close()
            raise
        self._seen = bytearray(self.meta.last_page // 8 + 1)
        self._free = array("Q")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        os.close(self._file)

    def _newest_meta(self) -> Meta:
        try:
            first = self._read_meta(0, 0)
            second = self._read_meta(1, first.page_bytes)
        except BadPageError as bad:
            raise StoreDamagedError(f"{self._path}: {bad}") from None
        if first.page_bytes != second.page_bytes:
            raise StoreDamagedError(f"{self._path}: its two meta pages differ in the size of a page")
        # The number of a transaction says on which of the two it is written; both begin with 0.
        for at, meta in enumerate((first, second)):
            if meta.transaction and meta.transaction % 2 != at:
                raise StoreDamagedError(
                    f"{self._path}: meta page {at} has the transaction {meta.transaction} of the other"
                )
        newest = max(first, second, key=lambda meta: meta.transaction)
        if newest.last_page > self._most_pages(newest):
            raise StoreDamagedError(
                f"{self._path}: its meta page says that it has {newest.last_page + 1} pages, and "
                f"it is {self._bytes} bytes long: it was cut short, or is a copy that was"
            )
        return newest

    def _most_pages(self, meta: Meta) -> int:
        """How many pages a file of this length can be meant to have: a bound for what is kept of each."""
        return max(self._bytes // meta.page_bytes * 16, 1 << 16)

    def _read_meta(self, number: int, at: int) -> Meta:
        raw = os.pread(self._file, _META_BYTES, at)
        if len(raw) < _META_BYTES:
            raise BadPageError(f"it is {self._bytes} bytes long, and lacks meta page {number}: it was cut short")
        page, _, flags, _, _ = _HEADER.unpack_from(raw)
        magic, version, _, _ = _META.unpack_from(raw, HEADER_BYTES)
        if page != number or flags & _KINDS != META or magic != MAGIC:
            raise BadPageError(f"meta page {number} is none: it was overwritten, or this is no file of LMDB")
        if version != VERSION:
            raise BadPageError(f"meta page {number} has LMDB's format {version}, this program reads {VERSION}")
        trees = HEADER_BYTES + _META.size
        page_bytes = _TREE.unpack_from(raw, trees)[0]
        if page_bytes & (page_bytes - 1) or not SMALLEST_PAGE <= page_bytes <= LARGEST_PAGE:
            raise BadPageError(f"meta page {number} says that pages have {page_bytes} bytes")
        free, main = _tree(FREE, raw, trees), _tree(MAIN, raw, trees + _TREE.size)
        return Meta(page_bytes, free, main, *_LAST.unpack_from(raw, trees + 2 * _TREE.size))

    def flaws_at_opening(self, *, branches: bool) -> Iterator[Flaw]:
        """Finds what LMDB would stumble over at once: the two trees that it reads itself, each other one's root, the
        length.

        With `branches` all that leads to the leaves, which is about one page in a hundred.
        """
        trees = yield from self._own_trees()
        for tree in trees:
            yield from self._walk(tree, [], [], deepest=tree.depth - 1 if branches else 1)

    def damaged_trees(self) -> list[str]:
        """Finds trees of which a leaf is none, as far as a look at its head tells: LMDB ends the process over such a
        page, also where only the one beside it is wanted.
        """
        return [tree.name for tree in self.trees() if next(self._walk(tree, [], [], only_heads=True), None) is not None]

    def flaws(self) -> Iterator[Flaw]:
        """Whatever is wrong with any page that is in use. What it holds in memory is a bit for each page."""
        trees = yield from self._own_trees()
        for tree in trees:
            yield from self._walk(tree, [], [])
        for page in self._free:
            if self.is_used(page):
                yield Flaw(FREE, page, "is listed as free and is in use: the next writes would overwrite it")

    def _own_trees(self) -> Generator[Flaw, None, list[Tree]]:
        """Walks what LMDB itself reads: which pages are free, and which trees there are. Returns those."""
        lists: list[Node] = []
        named: list[Node] = []
        yield from self._walk(self.meta.free, lists, [])
        yield from self._listed(lists)
        yield from self._missing_end()
        yield from self._walk(self.meta.main, [], named)
        return [_tree(node.key.decode(errors="replace"), node.data, 0) for node in named]

    def _listed(self, lists: list[Node]) -> Iterator[Flaw]:
        """Reads the numbers of all free pages."""
        for node in lists:
            try:
                self._free.extend(self._free_pages(node))
            except BadPageError as bad:
                yield Flaw(FREE, self.meta.free.root, f"transaction {int.from_bytes(node.key, sys.byteorder)}: {bad}")

    def _free_pages(self, node: Node) -> "array[int]":
        raw = self._value(node)
        numbers = array("Q")
        numbers.frombytes(raw[: len(raw) // 8 * 8])
        if not numbers or len(numbers) <= numbers[0] or len(raw) % 8:
            raise BadPageError("its list of free pages is longer than what holds it")
        free = numbers[1 : numbers[0] + 1]
        if any(not FIRST_PAGE <= page <= self.meta.last_page for page in free):
            raise BadPageError("its list of free pages names pages that do not exist")
        if any(page <= following for page, following in pairwise(free)):
            raise BadPageError("its list of free pages is out of order")
        return free

    def _value(self, node: Node) -> bytes:
        if not node.flags & BIG:
            return node.data
        (page,) = _PAGE_NUMBER.unpack(node.data)
        return os.pread(self._file, node.data_bytes, page * self.meta.page_bytes + HEADER_BYTES)

    def _missing_end(self) -> Iterator[Flaw]:
        """A file may lack pages at its end that are free."""
        there = self._bytes // self.meta.page_bytes
        missing = self.meta.last_page + 1 - there
        if missing > 0 and missing > sum(page >= there for page in self._free):
            yield Flaw(
                MAIN,
                there,
                f"the file ends here, and its meta page says that it has {self.meta.last_page + 1} pages: it was cut "
                "short, or is a copy that stopped early",
            )

    def _walk(
        self,
        tree: Tree,
        values: list[Node],
        named: list[Node],
        deepest: int | None = None,
        *,
        only_heads: bool = False,
    ) -> Iterator[Flaw]:
        """One tree, from its root to level `deepest`. Keeps free lists in `values` and trees' nodes in `named`.

        With `only_heads` no leaf's nodes are looked at, but for where they are.
        """
        if tree.root == NO_PAGE:
            if tree.entries or tree.depth:
                yield Flaw(tree.name, 0, f"has no root, and {tree.entries} entries")
            return
        found = _Counted()
        intact = True
        places = [Place(tree.root, 1, None, None)]
        while places:
            place = places.pop()
            try:
                if only_heads and place.depth == tree.depth:
                    self._check_head(place)
                    continue
                page = self._page(tree, place)
                below = self.children(page, place) if page.kind == BRANCH else []
                runs = [self._run(node) for node in page.nodes if page.kind == LEAF and node.flags & BIG]
            except (BadPageError, OSError) as bad:
                yield Flaw(tree.name, place.page, str(bad), place.low, place.high)
                intact = False
                continue
            found.add(page, sum(runs))
            if page.kind == LEAF and tree.name == FREE:
                values += page.nodes
            if page.kind == LEAF and tree.name == MAIN:
                named += page.nodes
            if deepest is None or place.depth < deepest:
                places += below
            else:
                intact = False
        if intact and not only_heads and found != _Counted(tree.branches, tree.leaves, tree.overflows, tree.entries):
            yield Flaw(tree.name, tree.root, f"its record counts other pages or entries than it has: {found}")

    def trees(self) -> list[Tree]:
        """The named ones, as far as they can be read."""
        named: list[Node] = []
        for _ in self._walk(self.meta.main, [], named):
            pass
        self._seen = bytearray(len(self._seen))
        return [_tree(node.key.decode(errors="replace"), node.data, 0) for node in named]

    def value(self, node: Node) -> bytes:
        """Reads the value of a leaf's node; empty where the pages that hold it are others."""
        try:
            if node.flags & BIG:
                self._run(node, marks=False)
            return self._value(node)
        except (BadPageError, OSError):
            return b""

    def _page(self, tree: Tree, place: Place) -> _Page:
        raw = self._read(place.page)
        self._mark(place.page)
        return self._parsed(raw, tree, place)

    def _check_head(self, place: Place) -> None:
        raw = self._read(place.page)
        number, _, flags, lower, upper = _HEADER.unpack_from(raw)
        if number != place.page or flags & _KINDS != LEAF or not HEADER_BYTES < lower <= upper <= len(raw) or lower % 2:
            raise BadPageError("is no leaf")
        offsets = Struct(f"={(lower - HEADER_BYTES) // 2}H").unpack_from(raw, HEADER_BYTES)
        if min(offsets) < upper or max(offsets) > len(raw) - NODE_BYTES:
            raise BadPageError("has nodes outside of where they lie")

    def read_page(self, tree: Tree, place: Place) -> _Page:
        """Raises BadPageError, OSError."""
        return self._parsed(self._read(place.page), tree, place)

    @staticmethod
    def _parsed(raw: bytes, tree: Tree, place: Place) -> _Page:
        number, _, flags, lower, upper = _HEADER.unpack_from(raw)
        if number != place.page:
            raise BadPageError(f"says that it is page {number}")
        kind = flags & _KINDS
        if kind != (LEAF if place.depth == tree.depth else BRANCH):
            raise BadPageError(f"has the flags {flags:#x} at level {place.depth} of {tree.depth}")
        if not HEADER_BYTES <= lower <= upper <= len(raw) or lower % 2:
            raise BadPageError(f"says that its nodes lie between {lower} and {upper} of {len(raw)} bytes")
        nodes = _nodes(raw, kind, lower, upper)
        _check_order(nodes, kind, place, numbers=tree.name == FREE)
        if tree.name == MAIN and any(not _is_tree(node) for node in nodes if kind == LEAF):
            raise BadPageError("holds what is no tree")
        return _Page(number, kind, nodes)

    def children(self, page: _Page, place: Place) -> list[Place]:
        lows = [place.low, *(node.key for node in page.nodes[1:])]
        highs = [*lows[1:], place.high]
        return [
            Place(node.child, place.depth + 1, low, high)
            for node, low, high in zip(page.nodes, lows, highs, strict=True)
        ]

    def _run(self, node: Node, *, marks: bool = True) -> int:
        """How many overflow pages hold a value."""
        (first,) = _PAGE_NUMBER.unpack(node.data)
        raw = self._read(first)
        number, _, flags, low, high = _HEADER.unpack_from(raw)
        pages: int = low | high << 16
        if number != first or flags & _KINDS != OVERFLOW:
            raise BadPageError(
                f"page {first}, which should hold the value of {node.key.hex()}, is none that holds values"
            )
        if pages * self.meta.page_bytes < HEADER_BYTES + node.data_bytes or first + pages > self._end():
            raise BadPageError(f"page {first} begins {pages} pages for the {node.data_bytes} bytes of {node.key.hex()}")
        for page in range(first, first + pages) if marks else ():
            self._mark(page)
        return pages

    def _end(self) -> int:
        return min(self.meta.last_page + 1, self._bytes // self.meta.page_bytes)

    def _read(self, page: int) -> bytes:
        if not FIRST_PAGE <= page < self._end():
            cut = ": the file was cut short" if self._end() <= page <= self.meta.last_page else ""
            raise BadPageError(f"page {page} does not exist, the file has {self._end()}{cut}")
        return os.pread(self._file, self.meta.page_bytes, page * self.meta.page_bytes)

    def is_used(self, page: int) -> bool:
        """Whether a tree has it, as far as the trees were walked."""
        return bool(self._seen[page >> 3] & 1 << (page & 7))

    def _mark(self, page: int) -> None:
        if self.is_used(page):
            raise BadPageError(f"page {page} is in use twice")
        self._seen[page >> 3] |= 1 << (page & 7)


@dataclass
class _Counted:
    branches: int = 0
    leaves: int = 0
    overflows: int = 0
    entries: int = 0

    def add(self, page: _Page, overflows: int) -> None:
        self.overflows += overflows
        if page.kind == BRANCH:
            self.branches += 1
        else:
            self.leaves += 1
            self.entries += len(page.nodes)

    def __str__(self) -> str:
        return f"{self.branches} branches, {self.leaves} leaves, {self.overflows} for values, {self.entries} entries"


def refuse_if_damaged(path: Path, *, branches: bool) -> None:
    """Look at the file before LMDB does. A file that is missing or empty is one that LMDB will make.

    Raises StoreDamagedError with what was found first, and OSError.
    """
    if not path.exists() or not path.stat().st_size:
        return
    with LmdbFile(path) as file:
        for flaw in file.flaws_at_opening(branches=branches):
            raise StoreDamagedError(
                f"{path} is damaged and was not opened: {flaw}; `bimip store check` tells what else, put a copy back"
            )


def look_at(path: Path, *, thoroughly: bool) -> list[str]:
    """`refuse_if_damaged`, and the trees of which a leaf is damaged.

    Where the last owner was killed it may have met such a leaf: then of a large file too, which takes four seconds for
    each GB.
    """
    refuse_if_damaged(path, branches=thoroughly)
    if not path.exists() or not path.stat().st_size or (path.stat().st_size > SMALL_BYTES and not thoroughly):
        return []
    with LmdbFile(path) as file:
        return file.damaged_trees()


def _tree(name: str, raw: bytes, at: int) -> Tree:
    return Tree(name, *_TREE.unpack_from(raw, at)[1:])


def _is_tree(node: Node) -> bool:
    if node.flags != SUBTREE or node.data_bytes != _TREE.size:
        return False
    return not _tree("", node.data, 0).flags


def _nodes(raw: bytes, kind: int, lower: int, upper: int) -> list[Node]:
    offsets = Struct(f"={(lower - HEADER_BYTES) // 2}H").unpack_from(raw, HEADER_BYTES)
    if not offsets or (kind == BRANCH and len(offsets) < 2):
        raise BadPageError(f"has {len(offsets)} nodes")
    nodes = []
    end = len(raw)
    spans = []
    for at in offsets:
        if not upper <= at <= end - NODE_BYTES or at % 2:
            raise BadPageError(f"has a node at {at}, outside of where its nodes lie")
        node, after = _node(raw, kind, at)
        nodes.append(node)
        spans.append((at, after))
    spans.sort()
    if any(after > following for (_, after), (following, _) in pairwise(spans)):
        raise BadPageError("has nodes that lie over each other")
    return nodes


def _node(raw: bytes, kind: int, at: int) -> tuple[Node, int]:
    low, high, flags, key_bytes = _NODE.unpack_from(raw, at)
    data_at = at + NODE_BYTES + key_bytes
    if kind == BRANCH:
        child, data_bytes, held = low | high << 16 | flags << 32, 0, 0
        flags = 0
    else:
        child, data_bytes = 0, low | high << 16
        held = 8 if flags & BIG else data_bytes
    if key_bytes > MAX_KEY_BYTES or data_at + held > len(raw) or flags not in {0, BIG, SUBTREE}:
        raise BadPageError(f"has a node at {at} of {key_bytes} and {data_bytes} bytes with the flags {flags:#x}")
    key = raw[at + NODE_BYTES : data_at]
    return Node(key, flags, child, data_bytes, raw[data_at : data_at + held]), data_at + held


def _check_order(nodes: list[Node], kind: int, place: Place, *, numbers: bool) -> None:
    """A branch's first node has no key that counts."""
    keys = [node.key for node in (nodes[1:] if kind == BRANCH else nodes)]
    ordered = [place.low, *keys] if kind == BRANCH else keys
    if numbers:
        if any(len(key) != 8 for key in keys):
            raise BadPageError("has keys that are no transactions")
        values = [int.from_bytes(key, sys.byteorder) for key in keys]
        rising = all(first < second for first, second in pairwise(values))
        within = True
    else:
        rising = all(first is None or first < second for first, second in pairwise(ordered) if second is not None)
        within = (
            all(keys) and (place.low is None or place.low <= keys[0]) and (place.high is None or keys[-1] < place.high)
        )
    if not rising:
        raise BadPageError("has keys out of order")
    if not within:
        raise BadPageError("has keys that belong elsewhere")
