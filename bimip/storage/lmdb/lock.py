"""One process at a time: a lock on a file beside the data, which names its owner.

The lock belongs to the open file, so the system releases it however the process ends, and a second opening in the
same process is refused too. Who lets go takes the name out again; who finds one was not the last to let go in order.
"""

import fcntl
import os
from contextlib import suppress
from pathlib import Path

from bimip.storage.errors import StoreLockedError
from bimip.storage.lmdb.privacy import open_private


class FolderLock:
    def __init__(self, folder: Path) -> None:
        """Raises StoreLockedError."""
        path = folder / "owner"
        self._file = open_private(path, os.O_RDWR)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = os.read(self._file, 20).strip()
            os.close(self._file)
            raise StoreLockedError(str(folder), int(pid) if pid.isdigit() else None) from None
        self.was_killed = os.fstat(self._file).st_size > 0
        os.ftruncate(self._file, 0)
        with suppress(OSError):  # the disk is full: it is locked all the same, and its owner has no name
            os.write(self._file, b"%d\n" % os.getpid())

    def release(self) -> None:
        os.ftruncate(self._file, 0)
        os.close(self._file)
