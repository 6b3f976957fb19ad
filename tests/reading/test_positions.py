"""The offset of an entry is read by its `seq`, of the very text and no other; what cannot be read is not found."""

from bimip.domain.core.ids import DeviceId, Offset
from bimip.domain.core.records import Changes, Index, Log, LogTable, Seq, Table
from bimip.reading.positions import MOST_ALIKE, read_offset_of_seq
from bimip.storage.memory import MemoryStore
from bimip.wire import bimip_pb2 as pb
from bimip.wire import stored
from bimip.wire.checks import seq_numbers
from tests.reading.support import ANN, BOB, LAPTOP, PHONE, entry


def body(seq: str) -> bytes:
    sent = stored.outgoing(pb.Message(seq=seq), stored.author_part("ann", "phone"))
    return stored.store([sent], stamps=[(1, "0" * 13, 1)], conversation="c1", conversation_offset=1)[0]


def log_of(*seqs: str, origins: dict[int, DeviceId] | None = None, without: int = 0, first: int = 1) -> MemoryStore:
    """Ann's log, of messages with these seqs, by her phone where no other origin is said."""
    changes = Changes()
    changes.puts[Table.LOGS] = {(ANN, "chat"): Log(Offset(first), Offset(len(seqs)))}
    changes.puts[Table.BODIES] = {(100 + offset,): body(seq) for offset, seq in enumerate(seqs, 1) if offset != without}
    kept = range(first, len(seqs) + 1)
    changes.appends[LogTable.ENTRIES, (ANN, "chat")] = [
        (offset, entry(offset, author=ANN, origin=PHONE)) for offset in kept
    ]
    changes.inserts[Index.SEQS, (ANN, "chat")] = [
        Seq(*seq_numbers(seq), (origins or {}).get(offset, PHONE), Offset(offset)) for offset, seq in enumerate(seqs, 1)
    ]
    store = MemoryStore()
    store.begin()
    store.apply(changes)
    store.commit()
    return store


def test_it_is_that_of_the_whole_text() -> None:
    store = log_of("5:1:phone", "5:1:laptop", "5:2:phone", origins={2: LAPTOP})

    assert read_offset_of_seq(store, ANN, "chat", "5:1:laptop") == 2
    assert read_offset_of_seq(store, ANN, "chat", "5:2:phone") == 3
    assert read_offset_of_seq(store, ANN, "chat", "5:1:tablet") is None
    assert read_offset_of_seq(store, ANN, "chat", "5:3:phone") is None
    assert read_offset_of_seq(store, ANN, "feed", "5:1:phone") is None
    assert read_offset_of_seq(store, BOB, "chat", "5:1:phone") is None


def test_of_several_it_is_the_first_in_the_log() -> None:
    store = log_of("5:1:phone", "6:1:phone", "5:1:phone", origins={1: LAPTOP})

    assert read_offset_of_seq(store, ANN, "chat", "5:1:phone") == 1


def test_what_expired_or_cannot_be_read_is_not_found() -> None:
    assert read_offset_of_seq(log_of("5:1:phone", "6:1:phone", first=2), ANN, "chat", "5:1:phone") is None
    assert read_offset_of_seq(log_of("5:1:phone", without=1), ANN, "chat", "5:1:phone") is None


def test_of_very_many_alike_few_are_looked_at() -> None:
    store = log_of(*["5:1:other"] * MOST_ALIKE, "5:1:phone")

    assert read_offset_of_seq(store, ANN, "chat", "5:1:phone") is None
