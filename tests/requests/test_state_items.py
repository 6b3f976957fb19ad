"""Each kind's value becomes the item that the schema has for it."""

from bimip.domain.core.ids import ConversationId, ConversationOffset, Millis, UserId, Version
from bimip.domain.core.records import ReceiptKey, ReceiptKind, ReceiptRun, Table
from bimip.domain.state import groups, read_markers, receipts
from bimip.reading.people import Eids
from bimip.requests.state_items import ENCODE
from bimip.wire import bimip_pb2 as pb
from bimip.wire import state
from tests.reading.support import store_with

EIDS = Eids(store_with({Table.EIDS: {(UserId(7),): "bob"}}))


def item_of(key: bytes, value: object) -> pb.StateItem:
    encoded = ENCODE[key[0]](EIDS, Version(5), key, value)
    (item,) = pb.Body.FromString(state.delta_part(0, 0, [encoded])).states[0].items
    return item


def test_receipts_name_their_member() -> None:
    run = ReceiptRun(ConversationOffset(1), ConversationOffset(2), Millis(9))
    key = receipts.pack_key(ReceiptKey(ConversationId(3), UserId(7), ReceiptKind.READ, 0))

    assert item_of(key, (run,)) == pb.StateItem(
        version=5,
        receipts=pb.Receipts(
            conversation="c3", member="bob", kind=pb.READ, runs=[pb.ReceiptRun(**{"from": 1, "to": 2, "time": 9})]
        ),
    )


def test_a_read_marker_names_its_conversation() -> None:
    assert item_of(read_markers.pack_key(ConversationId(3)), ConversationOffset(4)) == pb.StateItem(
        version=5, read_marker=pb.ReadMarker(conversation="c3", conversation_offset=4)
    )


def test_of_a_group_that_is_gone_only_its_id_is_said() -> None:
    assert item_of(groups.pack_key(ConversationId(3)), None) == pb.StateItem(
        version=5, removed=True, group=pb.Conversation(id="c3")
    )
