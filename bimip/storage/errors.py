"""What a store can run into.

StorageError
├── StoreFullError       the disk, the map or the quota is full: nothing was stored, reads go on, room heals it
├── OutcomeUnknownError  the disk failed in a commit: it is there or it is not; reopen, read, and decide again
├── StoreUnreachableError  the store is elsewhere and cannot be read just now
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


class StoreUnreachableError(StorageError):
    """The store is on another machine, or in another process, and cannot be read just now: a later question may be
    answered.
    """


class StoreDamagedError(StorageError, DamagedRecordError):
    """The file on the disk cannot be read by this program."""


class StoreLockedError(StorageError):
    """Another process (`pid`, where it could be read) has the store open."""

    def __init__(
        self, path: str, pid: int | None, advice: str = "stop it, or set store.path to a folder of its own"
    ) -> None:
        owner = f"process {pid}" if pid is not None else "another process"
        super().__init__(f"{path} is in use by {owner}: {advice}")
        self.path = path
        self.pid = pid


def is_passing(error: BaseException) -> bool:
    """Whether the store failed as a whole, and not a place in it: nobody's request is at fault, and a later one may be
    answered.
    """
    return isinstance(error, StorageError) and not isinstance(error, DamagedRecordError)
