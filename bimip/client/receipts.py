"""A copy of the receipts of the user's conversations, merged from the pages of the user's state.

Pages join like ranges of a log. A *whole* state (reset … complete) comes page by page as well: each block takes the
place of what was known of it, which may have been another epoch's, and at its end goes what was in none of its pages.
Its version counts only then, so that a connection that is cut in the middle begins anew.
"""

from collections.abc import Iterable

from bimip.client.errors import ProtocolViolation
from bimip.client.events import ReceiptsChanged
from bimip.client.store import ReceiptBlock, Store
from bimip.client.wire.bimip import Receipts, StateDelta, StateItem
from bimip.domain.ids import ConversationOffset, Millis
from bimip.domain.receipts import BLOCK, block_of, fresh, merge
from bimip.domain.records import ReceiptKind, ReceiptRun, Runs

KINDS = frozenset(ReceiptKind)


class ReceiptBook:
    def __init__(self, store: Store) -> None:
        self._store = store
        self._resetting = False

    @property
    def version(self) -> int:
        return int(self._store.get("state_version", "0"))

    @property
    def _generation(self) -> int:
        return int(self._store.get("state_fresh", "0"))

    def connected(self) -> None:
        """A whole state that the last connection began is not continued on this one."""
        self._resetting = False

    def forget_version(self) -> None:
        self._store.set("state_version", 0)

    def page(self, page: StateDelta) -> list[ReceiptsChanged]:
        """Merge one page; the caller's transaction makes it and its version one."""
        if page.reset:
            self._resetting = True
            self._store.set("state_fresh", self._generation + 1)
        elif not self._resetting and page.after > self.version:
            raise ProtocolViolation(f"a state page begins after {page.after}, but {self.version} is where we are")
        changes = self.items(page.items, whole=self._resetting)
        if not self._resetting:
            self._store.set("state_version", max(self.version, page.upto))
        elif page.complete:
            self._resetting = False
            self._store.drop_receipts_before(self._generation)
            self._store.set("state_version", page.upto)
        return changes

    def items(self, items: Iterable[StateItem], *, whole: bool = False) -> list[ReceiptsChanged]:
        """`whole`: each is all that there is of its block."""
        return [
            change
            for item in items
            if item.receipts
            for change in self._item(item.receipts, removed=item.removed, whole=whole)
        ]

    def _item(self, receipts: Receipts, *, removed: bool, whole: bool) -> list[ReceiptsChanged]:
        key = ReceiptBlock(receipts.conversation, receipts.member, int(receipts.kind), receipts.block)
        if key.kind not in KINDS:  # a later version's
            return []
        if removed:
            self._store.drop_receipts(key)
            return []
        arrived = _runs_of(receipts)
        known = self._store.receipt_runs(key)
        changed = fresh(known, arrived) if arrived else ()
        self._store.set_receipt_runs(key, arrived if whole else merge(known, arrived), self._generation)
        if not changed:
            return []
        return [ReceiptsChanged(key.conversation, key.member, ReceiptKind(key.kind), changed)]

    def of(self, conversation: str, conversation_offset: int) -> dict[str, dict[str, int]]:
        """Tells by member {"delivered", "read", "played": when}, where READ implies DELIVERED, and PLAYED READ."""
        found: dict[str, dict[str, int]] = {}
        for member, kind, runs in self._store.receipts(conversation, block_of(conversation_offset)):
            for run in runs:
                if run.first <= conversation_offset <= run.last:
                    _mark(found.setdefault(member, {}), kind, run.time)
        return found


def _runs_of(receipts: Receipts) -> Runs:
    """Only what lies in the block: a run is walked offset by offset, so its length may not be the peer's to choose."""
    low, high = receipts.block * BLOCK + 1, (receipts.block + 1) * BLOCK
    runs = [
        ReceiptRun(ConversationOffset(run.from_), ConversationOffset(run.to), Millis(run.time)) for run in receipts.runs
    ]
    if any(not low <= run.first <= run.last <= high for run in runs):
        raise ProtocolViolation(f"receipts of block {receipts.block} reach beyond it")
    return tuple(sorted(runs))


_IMPLIED = {
    ReceiptKind.DELIVERED: ("delivered",),
    ReceiptKind.READ: ("delivered", "read"),
    ReceiptKind.PLAYED: ("delivered", "read", "played"),
}


def _mark(times: dict[str, int], kind: int, time: int) -> None:
    for name in _IMPLIED[ReceiptKind(kind)]:
        times[name] = min(time, times.get(name, time))
