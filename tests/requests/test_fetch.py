"""What a Fetch may ask for."""

from typing import Any

import pytest
import trio

from bimip.domain.core.ids import Offset
from bimip.domain.core.operations import Done
from bimip.domain.core.records import Changes, Log, LogTable, Table
from bimip.requests.asker import PendingAnswers
from bimip.requests.fetch import ask, check_fetch
from bimip.storage.memory import MemoryStore
from bimip.wire import bimip_pb2 as pb
from bimip.wire import codec, stored
from bimip.wire.errors import WireError
from bimip.wire.limits import Limits
from tests.reading.support import ANN, entry
from tests.requests.support import Peer, with_a_laptop

LIMITS = Limits()
ME = "a@x"


GOOD_FETCHES: list[dict[str, Any]] = [
    {"partition": "chat"},
    {"partition": "chat", "limit": 2**32 - 1, "offset": 2**64 - 1},
    {"partition": "chat", "from": pb.Identity(eid="c@x"), "to": pb.Identity(connection_resource_id="d")},
    {"kind": pb.LOG, "partition": "chat", "backwards": True, "to": pb.Identity(eid=ME, connection_resource_id="d")},
    {"kind": pb.HISTORY, "conversation": "c"},
    {"kind": pb.BY_SEQ, "partition": "chat", "seq_from": "1:1:d", "seq_to": "2:1:d"},
    {"kind": pb.BY_SEQ, "partition": "chat", "seq_from": "1:1:d"},
    {"kind": pb.BY_SEQ, "partition": "chat"},
]


@pytest.mark.parametrize("fields", GOOD_FETCHES, ids=lambda fields: str(fields)[:60])
def test_a_fetch_may_say(fields: dict[str, Any]) -> None:
    check_fetch(pb.Fetch(**fields), LIMITS)


BAD_FETCHES: list[tuple[dict[str, Any], int, str]] = [
    ({"kind": 9}, pb.INVALID, "kind"),
    ({}, pb.INVALID, "partition"),
    ({"kind": pb.LOG}, pb.INVALID, "partition"),
    ({"kind": pb.HISTORY}, pb.INVALID, "conversation"),
    ({"kind": pb.RECEIPTS, "partition": "\n", "conversation": "c"}, pb.INVALID, "partition"),
    ({"kind": pb.BY_SEQ, "partition": "chat", "seq_to": "1:1"}, pb.INVALID, "seq_to"),
    ({"kind": pb.BY_SEQ}, pb.INVALID, "partition"),
    ({"partition": "chat", "from": pb.Identity()}, pb.INVALID, "from.eid"),
    (
        {"partition": "chat", "to": pb.Identity(eid="b", connection_resource_id="")},
        pb.INVALID,
        "to.connection_resource_id",
    ),
]


@pytest.mark.parametrize(("fields", "code", "field"), BAD_FETCHES, ids=lambda value: str(value)[:60])
def test_a_fetch_may_not_say(fields: dict[str, Any], code: int, field: str) -> None:
    with pytest.raises(WireError) as caught:
        check_fetch(pb.Fetch(**fields), LIMITS)

    assert (caught.value.code, caught.value.field) == (code, field)


def log_of(*payloads: bytes) -> MemoryStore:
    """Ann's log: messages by bob."""
    bodies = {}
    for offset, payload in enumerate(payloads, 1):
        sent = stored.outgoing(pb.Message(payload=payload), stored.author_part("bob", "phone"))
        stamps = [(100 + offset, "0" * 13, 1)]
        [bodies[100 + offset,]] = stored.store([sent], stamps=stamps, conversation="c1", conversation_offset=offset)
    changes = Changes({Table.BODIES: bodies, Table.LOGS: {(ANN, "chat"): Log(Offset(1), Offset(len(payloads)))}})
    changes.appends[LogTable.ENTRIES, (ANN, "chat")] = [(offset, entry(offset)) for offset in range(1, len(bodies) + 1)]
    store = with_a_laptop()
    store.begin()
    store.apply(changes)
    store.commit()
    return store


def erase(store: MemoryStore, stamp: int) -> None:
    with store.snapshot() as view:
        body = view.get(Table.BODIES, (stamp,))
    store.begin()
    store.apply(Changes({Table.BODIES: {(stamp,): stored.erased(body)}}))
    store.commit()


def asking(peer: Peer) -> PendingAnswers:
    """Ann's phone asks for all of her log."""
    ask(peer, pb.Fetch(kind=pb.LOG, partition="chat"), 5)
    peer.queue.tickets[-1].reply(Done())
    assert peer.pending is not None
    return peer.pending


def shown(peer: Peer) -> list[tuple[bytes, bool]]:
    [frame] = peer.frames
    return [(one.payload, one.erased) for one in codec.decode(frame).body.messages]


async def test_what_is_deleted_while_it_is_looked_for_is_not_shown() -> None:
    store = log_of(b"one", b"two")
    peer = Peer(store)
    fetches = asking(peer)
    assert fetches.work(trio.current_time())  # a slice, which has both
    erase(store, 102)
    peer.body_changes += 1
    while fetches.work(trio.current_time()):
        pass

    assert shown(peer) == [(b"one", False), (b"", True)]


async def test_where_something_is_deleted_all_the_time_the_answer_is_as_it_was_read() -> None:
    peer = Peer(log_of(b"one", b"two"))
    fetches = asking(peer)
    while fetches.work(trio.current_time()):
        peer.body_changes += 1

    assert shown(peer) == [(b"one", False), (b"two", False)]
