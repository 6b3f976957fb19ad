import pytest

from bimip.domain.core.ids import ConversationId, UserId
from bimip.domain.core.records import ReceiptKey, ReceiptKind
from bimip.domain.state import receipts
from bimip.domain.state.kinds import KINDS, kind_of
from bimip.domain.state.read_markers import pack_key as marker_key
from bimip.requests.state_items import ENCODE


def test_a_key_leads_to_its_kind() -> None:
    receipt = receipts.pack_key(ReceiptKey(ConversationId(1), UserId(2), ReceiptKind.READ, 3))

    assert [kind_of(key).tag for key in (receipt, marker_key(ConversationId(1)))] == [1, 2]
    assert receipts.unpack_key(receipt) == (1, 2, ReceiptKind.READ, 3)


def test_a_kind_that_is_not_known_is_said() -> None:
    with pytest.raises(KeyError):
        kind_of(b"\xffwhat")


def test_every_kind_can_be_sent_to_devices() -> None:
    assert set(ENCODE) == set(KINDS)
