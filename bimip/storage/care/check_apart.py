"""The check of a store whose bytes may be anything: the file first, then each part of it in a process apart.

    for finding in check_apart(folder, map_bytes): ...

A record or a page of garbage may end whoever reads it, by an exception or a signal. That is a finding then, and the
other parts are checked nevertheless.
"""

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path

from bimip.storage.care.check import PARTS, Finding, Tolerant
from bimip.storage.care.repair import damaged_records, meaning, repair_all
from bimip.storage.errors import StorageError, StoreDamagedError
from bimip.storage.lmdb.file import LmdbFile, refuse_if_damaged
from bimip.storage.lmdb.lock import FolderLock
from bimip.storage.lmdb.store import LmdbStore

REPAIR = "repair"
SEALS = "seals"
"""The first part: whether each value is what was written."""

_UNCHECKED = "what lies behind it was not checked"

Start = Callable[[Sequence[str]], Generator[str, None, int]]
"""Has another process do `main` with these words. Yields the lines that it writes, and returns the code that it ended
with.
"""


def in_new_process(words: Sequence[str]) -> Generator[str, None, int]:
    command = [sys.executable, "-m", __name__, *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:  # noqa: S603 - our own words
        assert child.stdout is not None
        yield from child.stdout
    return child.returncode


def check_apart(folder: Path, map_bytes: int, start: Start = in_new_process) -> Iterator[Finding]:
    """Everything that is wrong with the store in that folder. Raises StoreLockedError, and OSError.

    What cannot be opened is looked at as far as its pages go.
    """
    owner = FolderLock(folder)
    try:
        yield from _flaws(folder / "data.mdb")
    finally:
        owner.release()
    if _may_be_opened(folder / "data.mdb"):
        yield from _do_parts(folder, map_bytes, [SEALS, *PARTS], start)


def _flaws(path: Path) -> Iterator[Finding]:
    try:
        with LmdbFile(path) as file:
            for flaw in file.flaws():
                unreachable = f"from {_hex(flaw.low, 'the first key')} to {_hex(flaw.high, 'the last')}"
                yield Finding(flaw.tree, (flaw.page,), f"page {flaw.what}; this may hide {unreachable}")
    except FileNotFoundError:
        yield Finding("file", (path.name,), "is missing: all of the store is lost")
    except StoreDamagedError as error:
        yield Finding("file", (path.name,), f"{error}: nothing of the store can be read")


def _hex(key: bytes | None, otherwise: str) -> str:
    return otherwise if key is None else key.hex()


def _may_be_opened(path: Path) -> bool:
    try:
        refuse_if_damaged(path, branches=True)
    except StoreDamagedError:
        return False
    return path.exists()


def repair_apart(folder: Path, map_bytes: int) -> Iterator[Finding]:
    """Make again what can be, and tell of each damaged record what became of it. Raises StorageError.

    Nothing is written into a file whose pages are damaged.
    """
    owner = FolderLock(folder)
    try:
        if next(_flaws(folder / "data.mdb"), None) is not None:
            raise StoreDamagedError(
                f"{folder}: pages of the file are damaged, so nothing is written into it: restore a copy"
            )
    finally:
        owner.release()
    yield from _do_parts(folder, map_bytes, [REPAIR], in_new_process)


def _do_parts(folder: Path, map_bytes: int, left: list[str], start: Start) -> Iterator[Finding]:
    """Checks parts in one process, as long as it lives; who ended it is passed over by the next."""
    while left:
        part, code = yield from _findings(start([str(folder), str(map_bytes), *left]), left[0])
        if code:
            yield Finding(part, (), f"reading it ended the process by {_name(code)}: {_UNCHECKED}")
        left = left[left.index(part) + 1 :] if code else []


def _findings(lines: Generator[str, None, int], part: str) -> Generator[Finding, None, tuple[str, int]]:
    """Tells what a process finds. Returns the part that it began last, and the code that it ended with."""
    while True:
        try:
            line = next(lines)
        except StopIteration as ended:
            return part, ended.value
        told = json.loads(line) if line.endswith("\n") else None  # else it was ended while it told this
        if isinstance(told, str):
            part = told
        elif told is not None:
            yield Finding(told[0], tuple(told[1]), told[2])


def _name(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"code {code}"


def main(words: Sequence[str]) -> None:
    """Check parts of a store: a line for the name of each as it begins, and for each finding. `words` are the folder,
    the size of the map, and the parts.
    """
    folder, map_bytes, *parts = words
    try:
        store = LmdbStore(folder, map_bytes=int(map_bytes))
    except StorageError as error:
        _tell(Finding("file", (), f"{error}: {_UNCHECKED}"))
        return
    for part in parts:
        _tell(part)
        try:
            for finding in _WHOLE_STORE[part](store) if part in _WHOLE_STORE else _check_part(store, part):
                _tell(finding)
        except Exception as error:  # noqa: BLE001 - garbage makes any error of whoever decodes it
            _tell(Finding(part, (), f"holds what cannot be decoded, {type(error).__name__} {error}: {_UNCHECKED}"))
    store.close()


def _broken_seals(store: LmdbStore) -> Iterator[Finding]:
    with store.snapshot() as view:
        for kind, key in damaged_records(store):
            yield Finding(kind.value, key, f"is not what was written: {meaning(view, kind, key)}")


_WHOLE_STORE: dict[str, Callable[[LmdbStore], Iterator[Finding]]] = {SEALS: _broken_seals, REPAIR: repair_all}
"""Parts that are not a look at one snapshot."""


def _check_part(store: LmdbStore, part: str) -> Iterator[Finding]:
    with store.snapshot() as view:
        yield from PARTS[part](Tolerant(view))


def _tell(told: Finding | str) -> None:
    sys.stdout.write(json.dumps(told, default=repr) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
