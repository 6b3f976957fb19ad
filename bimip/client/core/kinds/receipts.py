"""Who received, read and played what: runs of conversation offsets in blocks. Union; the earliest time wins."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from bimip.client.core.kinds.kind import Kind, Table
from bimip.client.errors import ProtocolViolation
from bimip.client.events import ReceiptsChanged
from bimip.client.store import StateKey, Store
from bimip.client.wire.bimip import Receipts
from bimip.domain.core.ids import ConversationOffset, Millis
from bimip.domain.core.records import ReceiptKind, ReceiptRun, Runs
from bimip.domain.state.lifecycle import completed
from bimip.domain.state.receipts import BLOCK, block_of, fresh, merge

KINDS = frozenset(ReceiptKind)


class ReceiptBlock(NamedTuple):
    """The key of a block of receipts; what programs ask for comes first."""

    conversation: str
    block: int
    member: str
    kind: int


class ReceiptsKind(Kind[Receipts, Runs]):
    field = "receipts"

    def key(self, item: Receipts) -> StateKey | None:
        if int(item.kind) not in KINDS:
            return None
        return ReceiptBlock(item.conversation, item.block, item.member, int(item.kind))

    def value(self, item: Receipts) -> Runs:
        """Returns the runs. They lie in the block: a run is walked by offsets, so a peer may not choose its length."""
        low, high = item.block * BLOCK + 1, (item.block + 1) * BLOCK
        runs = [
            ReceiptRun(ConversationOffset(run.from_), ConversationOffset(run.to), Millis(run.time)) for run in item.runs
        ]
        if any(not low <= run.first <= run.last <= high for run in runs):
            raise ProtocolViolation(f"receipts of block {item.block} reach beyond it")
        return tuple(sorted(runs))

    def merge(self, known: Runs, arrived: Runs) -> Runs:
        return merge(known, arrived)

    def event(self, key: StateKey, before: Runs | None, now: Runs | None) -> ReceiptsChanged | None:
        conversation, _, member, kind = ReceiptBlock._make(key)
        runs = fresh(before or (), now) if now else ()
        return ReceiptsChanged(conversation, member, ReceiptKind(kind), runs) if runs else None

    def load(self, stored: Any) -> Runs:  # noqa: ANN401 - as in Kind
        return tuple(ReceiptRun(*run) for run in stored)


class PrivateReceiptsKind(ReceiptsKind):
    """This user's own, of what they read and played while they sent none: their devices alone know."""

    field = "private_receipts"

    def event(self, key: StateKey, before: Runs | None, now: Runs | None) -> ReceiptsChanged | None:
        event = super().event(key, before, now)
        return None if event is None else replace(event, private=True)


RECEIPTS, PRIVATE_RECEIPTS = ReceiptsKind(), PrivateReceiptsKind()


def times_of(store: Store, conversation: str, conversation_offset: int) -> dict[str, dict[str, int]]:
    """Returns by member {"delivered", "read", "played": when}, where READ implies DELIVERED, and PLAYED READ."""
    said: dict[str, list[tuple[ReceiptKind, Millis]]] = {}
    block = (conversation, block_of(conversation_offset))
    for key, runs in [*Table(store, RECEIPTS).under(block), *Table(store, PRIVATE_RECEIPTS).under(block)]:
        _, _, member, kind = ReceiptBlock._make(key)
        for run in runs:
            if run.first <= conversation_offset <= run.last:
                said.setdefault(member, []).append((ReceiptKind(kind), run.time))
    return {member: _by_name(completed(receipts)) for member, receipts in said.items()}


def _by_name(times: Mapping[ReceiptKind, Millis]) -> dict[str, int]:
    return {kind.name.lower(): times[kind] for kind in ReceiptKind if kind in times}
