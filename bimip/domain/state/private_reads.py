"""Private reads: what a user has read or played while they sent no receipts, for their own devices alone.

They are receipts in all else, blocks and runs (receipts.py), in a map of their own that nobody else is ever shown. What
once went into one of the two maps stays there and enters the other never: turning receipts on publishes nothing of
before, and turning them off takes nothing back.
"""

from bimip.domain.core.ids import ConversationId, ConversationOffset, UserId
from bimip.domain.core.ranges import Ranges, normal, subtract
from bimip.domain.core.records import DamagedRecordError, Reader, ReceiptKind, Runs, StateKey, Table
from bimip.domain.state import receipts
from bimip.domain.state.changes import StateKind
from bimip.domain.state.settings import SEND, written

TAG = 7


def split(
    view: Reader, conversation: ConversationId, member: UserId, kind: ReceiptKind, places: Ranges
) -> tuple[Ranges, Ranges]:
    """Splits what a user says that they read or played into what is told to others, and what is not."""
    sends = written(view, member, SEND)
    if sends is None:
        return places, ()  # it was never off, so nothing is private
    whose = (conversation, member, kind)
    if sends.value:
        return subtract(places, _known(view, Table.PRIVATE_READS, whose, places)), ()
    return (), subtract(places, _known(view, Table.RECEIPTS, whose, places))


def _known(view: Reader, table: Table, whose: tuple[ConversationId, UserId, ReceiptKind], places: Ranges) -> Ranges:
    known: list[tuple[int, int]] = []
    for part in receipts.parts_of(places):
        try:
            runs: Runs = view.get(table, (*whose, part)) or ()
        except DamagedRecordError:
            runs = ()
        known += [(first, last) for first, last, _ in runs]
    return normal(known)


def _read(view: Reader, _user: UserId, key: StateKey) -> Runs:
    return receipts.read_block(view, receipts.unpack_key(key), Table.PRIVATE_READS)


def _keys_of(
    view: Reader, user: UserId, conversation: ConversationId, first: ConversationOffset, last: ConversationOffset
) -> list[StateKey]:
    """Lists the keys under which a user's own reading of these messages may be."""
    if written(view, user, SEND) is None:
        return []
    blocks = range(receipts.block_of(first), receipts.block_of(last) + 1)
    return [receipts.KEY.pack(TAG, conversation, user, kind, block) for block in blocks for kind in receipts.OWN]


KIND = StateKind(TAG, _read, of_messages=_keys_of, cut=receipts.cut)
