"""What a store can run into.

StorageError
├── StoreFullError       the disk, the map or the quota is full: nothing was stored, reads go on, room heals it
├── OutcomeUnknownError  the disk failed in a commit: it is there or it is not; reopen, read, and decide again
├── StoreDamagedError    what lies on the disk is no store of ours, is newer than this program, or is broken
└── StoreLockedError     another process has the store open

Misuse (a commit without a begin, numbers that do not follow each other) is a RuntimeError or a ValueError: a defect in
the caller, not in the store.
"""

from bimip.domain.core.records import DamagedRecordError


class StorageError(Exception):
    """The store could not do what it was asked to. Nothing was stored, unless a subclass says otherwise."""


class StoreFullError(StorageError):
    """Nothing was stored. Reads go on, and so do writes once there is room."""


class OutcomeUnknownError(StorageError):
    """A commit's outcome is unknown: it may be on disk or not. The store must be reopened before it is used again."""


class StoreDamagedError(StorageError, DamagedRecordError):
    """The file on the disk cannot be read by this program."""


class StoreLockedError(StorageError):
    """Another process (`pid`, where it could be read) has the store open."""

    def __init__(self, path: str, pid: int | None) -> None:
        owner = f"process {pid}" if pid is not None else "another process"
        super().__init__(f"{path} is in use by {owner}: stop it, or set store.path to a folder of its own")
        self.path = path
        self.pid = pid
