"""The mark beside a store: what of it was served last, so that an older copy in its place is noticed at the start.

It lies next to the store's folder (`store.served` beside `store`), where putting the whole folder back does not put it
back too. A store cannot tell by itself that it is old: it is whole, and was the newest one once.

The model. Each opening of a store for service draws a random number, writes it here as its intent, and into the store
with its first transaction; after each commit LMDB's transaction number is written here. A store is the one that was
served last if it holds the opening that the mark names and no earlier transaction, or, when that opening had come no
further than its intent, what the mark named before. Anything else was put there: an older copy, one that was served
elsewhere meanwhile, another store.

So it does not matter where the file lies or what it is called by the system: a store that was moved to another disk
with its mark is the same one, a copy with the same content too. The mark is written behind a synced commit and is not
synced itself: it survives the end of the process, and after a loss of power it can only be behind, which is no alarm.
A compacted file begins to count its transactions anew and is taken for an older one, which costs an epoch and no more;
but for `bimip store compact`, which has the mark follow it.

A missing mark says nothing: it is made, and the store is served as it is. One that cannot be read is an alarm.

Rejected: writing it through a memory map (a full disk, or somebody who cuts the file short, would end the process by a
signal; the call costs a microsecond a commit), and the file's inode and device (they change where nothing was put back:
on another disk, in another container, on some file systems at each mount).
"""

import os
from contextlib import suppress
from pathlib import Path
from struct import Struct
from struct import error as StructError  # noqa: N812 - the module's own name for it says nothing
from typing import NamedTuple
from zlib import crc32

_FILE = Struct("<8sQQQQQ")
_FILE_1 = Struct("<8sQQQQ")  # as earlier versions wrote it, without conversations
_CHECKSUM = Struct("<I")
_MAGIC, _MAGIC_1 = b"bimip.2\n", b"bimip.1\n"
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW


class Served(NamedTuple):
    opening: int = 0
    before: int = 0  # the opening that was there before this one committed anything; the same once it has
    transaction: int = 0
    stamp: int = 0  # the highest one that was given
    conversation: int = 0  # the highest number that one was given


class Mark:
    """One store's mark, open for as long as the store is."""

    def __init__(self, folder: Path, opening: int = 0) -> None:
        """Beside a store's folder; within it where nothing may be written beside it. `opening`: 0 draws one."""
        self.path: Path | None = None
        """None: it can be written nowhere, so nothing is noticed."""
        self.opening = opening or int.from_bytes(os.urandom(8), "big") or 1
        """The number of this one, for the store to hold; 0 is that of stores that were never opened so."""
        self._file = -1
        self._served: Served | None = None  # None: nothing was noted yet
        self._fault = ""
        for path in (beside(folder), folder / "served"):
            with suppress(OSError):
                self._file = os.open(path, _FLAGS, 0o600)
                self.path = path
                break
        if self.path is not None:
            self._read()

    def _read(self) -> None:
        try:
            found = os.pread(self._file, _FILE.size + _CHECKSUM.size, 0)
            if found.strip(b"\0"):
                self._served = _unpacked(found)
        except (OSError, StructError, ValueError) as error:
            self._fault = f"{self.path} cannot be read: {error}"

    @property
    def stamp(self) -> int:
        """The highest one that was given by the store that was served."""
        return self._served.stamp if self._served else 0

    @property
    def conversation(self) -> int:
        """The highest number that the store that was served gave a conversation."""
        return self._served.conversation if self._served else 0

    def judge(self, opening: int, transaction: int) -> str:
        """Why the store that holds these is not the one that was served last; empty: it is, or nobody can know."""
        last = self._served or Served(opening, opening, transaction)
        begun = opening == last.opening != last.before
        same = opening == last.before and transaction >= last.transaction
        if self._fault:
            return self._fault
        if begun or same:
            self._served = last._replace(before=opening, transaction=transaction)
            return ""
        if opening in {last.opening, last.before}:
            return f"it ends with transaction {transaction}, and {last.transaction} was served"
        return "it is not the one that was served last"

    def follow(self, opening: int, transaction: int) -> None:
        """The store that was served lies in a file that counts its transactions anew. On disk when it returns. Raises
        OSError.
        """
        self._served = (self._served or Served())._replace(opening=opening, before=opening, transaction=transaction)
        os.pwrite(self._file, _packed(*self._served), 0)
        os.fsync(self._file)

    def begin(self) -> None:
        """This opening is about to write its first transaction. On disk when it returns. Raises OSError."""
        self._served = (self._served or Served())._replace(opening=self.opening)
        os.pwrite(self._file, _packed(*self._served), 0)
        os.fsync(self._file)
        self._fault = ""

    def note(self, transaction: int, stamp: int, conversation: int) -> None:
        """This opening has committed. What cannot be written is left: the mark stays behind."""
        opening = self.opening
        try:  # noqa: SIM105 - at each commit, where `suppress` would cost as much as the call
            os.pwrite(self._file, _packed(opening, opening, transaction, stamp, conversation), 0)
        except OSError:
            pass

    def close(self) -> None:
        if self.path is not None:
            os.close(self._file)
            self.path = None


def _packed(opening: int, before: int, transaction: int, stamp: int, conversation: int) -> bytes:
    return _sealed(_FILE.pack(_MAGIC, opening, before, transaction, stamp, conversation))


def _sealed(packed: bytes) -> bytes:
    return packed + _CHECKSUM.pack(crc32(packed))


def _unpacked(found: bytes) -> Served:
    """Raises StructError, ValueError."""
    form, magic = (_FILE_1, _MAGIC_1) if found.startswith(_MAGIC_1) else (_FILE, _MAGIC)
    found = found[: form.size + _CHECKSUM.size]
    begin, *served = form.unpack(found[: form.size])
    if begin != magic or found != _sealed(found[: form.size]):
        raise ValueError("it is no mark of this program's")
    return Served(*served)


def beside(folder: Path) -> Path:
    return folder.parent / f"{folder.name}.served"
