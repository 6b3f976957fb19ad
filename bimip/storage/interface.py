"""What every store can do: read the last committed state, and take changes in transactions, one at a time.

    store.begin()
    store.apply(changes)   # any number of times
    store.commit()         # or abort()

Threads: `begin`, `commit` and `abort` belong to one thread, `apply` may come from another one, never at the same time
as any of the three. Snapshots may be taken by any thread at any time, also while a transaction is open.

Room: a store that is over its quota refuses Changes that need some (`needs_room`), and takes the others:
acknowledgements are small, and expiry is what makes room.
"""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from bimip.domain.core.ids import ConversationId, Stamp
from bimip.domain.core.records import Changes, Reader
from bimip.storage.damage import Damage


@dataclass(frozen=True, slots=True)
class StoreStatistics:
    used_bytes: int  # what the store's content takes: the quota counts this
    file_bytes: int  # what it takes on disk: space that was freed is used again, not given back
    map_bytes: int  # the most that it could ever take; 0: no such bound
    quota_bytes: int  # the bound in force; 0: none
    free_bytes: int | None = None  # what the disk has left for this account; None: it is on none
    readers: int = 0  # processes and threads that read, this one among them
    stale_readers: int = 0  # of those that ended without a word, how many were found and forgotten until now


@dataclass(slots=True)
class ReadCounts:
    """How much was read of a store since it was made, by whomever: what a question costs shows in the difference."""

    records: int = 0  # of tables
    entries: int = 0  # of logs and histories
    rows: int = 0  # of indexes


class Store(Protocol):
    read_counts: ReadCounts
    damage: Damage
    """What was found damaged since the store was made."""
    put_back: str
    """Why what was opened is not what was last served here: an older copy, a backup. Empty: it is, or nobody can know.
    Until the first commit, which makes it the one that is served.
    """

    @property
    def is_remote(self) -> bool:
        """Whether it is waited for over a network: who commits or reopens does so where waiting hurts nobody."""
        ...

    @property
    def newest_served(self) -> Stamp:
        """The highest stamp that was ever given here, as far as that is known; 0: it is not."""
        ...

    @property
    def newest_conversation(self) -> ConversationId:
        """The highest number that a conversation was ever given here, as far as that is known; 0: it is not."""
        ...

    def snapshot(self) -> AbstractContextManager[Reader]:
        """The last committed state as of the first question at the latest, unchanged from then until the context ends.
        Never held across an `await`.

        Entering it raises OutcomeUnknownError while the store needs to be reopened, StorageError when it is closed.
        """
        ...

    def settle(self) -> None:
        """Have on disk what can be read, without writing anything. Raises StorageError."""
        ...

    def begin(self) -> None:
        """Open the write transaction. Raises OutcomeUnknownError while the store needs to be reopened."""
        ...

    def apply(self, changes: Changes) -> None:
        """Put changes into the open transaction: first puts, then appends, cuts, inserts, and trims.

        An append's numbers follow each other and what is there. Rows may be inserted in any order and more than once.
        A trim stops at the first row that stays, in their order. Raises StoreFullError. After any exception the
        transaction can only be aborted.
        """
        ...

    def commit(self) -> None:
        """Make the transaction durable and visible: it is synced to disk on return.

        Raises StoreFullError (nothing was stored) or OutcomeUnknownError. The transaction is over either way.
        """
        ...

    def abort(self) -> None:
        """Forget the open transaction, if there is one."""
        ...

    def close(self) -> None:
        """Release everything. No transaction or snapshot may be open. A second call does nothing."""
        ...

    def reopen(self) -> None:
        """Close and open again, as after an I/O error. No transaction or snapshot may be open.

        Readers in other threads get a StorageError meanwhile, so it is best called by the thread that reads.
        """
        ...

    def has_room(self) -> bool:
        """Whether new messages would find room, as far as that can be known without writing any."""
        ...

    def statistics(self) -> StoreStatistics:
        """Tells what the store takes, and what there is. Raises StorageError where it is closed."""
        ...
