"""Where in a user's log a device stands that has no offsets, but the `seq` of what it had last."""

from bimip.domain.core.ids import Offset, UserId
from bimip.domain.core.records import Index, LogTable, Seq, Table
from bimip.storage.interface import Store
from bimip.wire import stored
from bimip.wire.checks import seq_numbers

MOST_ALIKE = 16
"""Entries looked at that have the numbers of one `seq`: devices write in the same millisecond hardly ever."""


def read_offset_of_seq(store: Store, user: UserId, partition: str, seq: str) -> Offset | None:
    """Reads the offset of the entry whose message has exactly this `seq`, one of the user's own devices' messages.

    None: there is none, it expired, or cannot be read. Of several the first one counts: nothing behind it is skipped.
    """
    place, numbers = (user, partition), seq_numbers(seq)
    with store.snapshot() as view:
        rows = view.find(Index.SEQS, place, numbers, (numbers[0], numbers[1] + 1), limit=MOST_ALIKE)
        for offset in sorted(Seq._make(row).offset for row in rows):
            entries = view.read(LogTable.ENTRIES, place, offset - 1, limit=1)
            if not entries or entries[0][0] != offset:
                continue  # the index is trimmed later than its log
            body = view.get(Table.BODIES, (entries[0][1].stamp,))
            if body is not None and stored.parse(body).seq == seq:
                return offset
    return None
