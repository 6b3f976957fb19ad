"""Private reads: what a user has read or played while they sent its author no receipts, for their own devices alone.

They are receipts in all else, blocks and runs (receipts.py), in a map of their own that nobody else is ever shown. What
once went into one of the two maps stays there and enters the other never: turning receipts on publishes nothing of
before, and turning them off takes nothing back. Who is told of a receipt is the message's author alone, so one map is
enough, whomever a user sends none.
"""

from collections.abc import Sequence

from bimip.domain.contacts.privacy import sends_receipts
from bimip.domain.core.ids import ConversationId, ConversationOffset, UserId
from bimip.domain.core.ranges import Ranges, from_offsets, normal, subtract
from bimip.domain.core.records import DamagedRecordError, Reader, ReceiptKind, Runs, StateKey, Table
from bimip.domain.state import receipts
from bimip.domain.state.changes import StateChanges, StateKind
from bimip.domain.state.settings import ASSUMED, SEND, written

TAG = 7


def split(
    view: Reader,
    changes: StateChanges,
    conversation: ConversationId,
    member: UserId,
    kind: ReceiptKind,
    wrote: Sequence[tuple[UserId, ConversationOffset]],
) -> tuple[Ranges, Ranges]:
    """Splits what a user says that they read or played, of whom, into what is told to its authors, and what is not."""
    unseen = {author for author in {author for author, _ in wrote} if not sends_receipts(view, member, author)}
    places = from_offsets([place for author, place in wrote if author not in unseen])
    if not unseen and written(view, member, SEND) is None:
        return places, ()  # nothing was ever private
    whose = (conversation, member, kind)
    withheld = from_offsets([place for author, place in wrote if author in unseen])
    if withheld and written(view, member, SEND) is None:
        changes.values.setdefault(Table.SETTINGS, {})[member, SEND] = ASSUMED
    return (
        subtract(places, _known(view, Table.PRIVATE_READS, whose, places)),
        subtract(withheld, _known(view, Table.RECEIPTS, whose, withheld)),
    )


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
