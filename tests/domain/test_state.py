"""Kinds of state: their keys travel through the store packed, and each is found again by its tag."""

import pytest

from bimip.domain import receipts, state
from bimip.domain.ids import ConversationId, UserId
from bimip.domain.records import ReceiptKey, ReceiptKind
from tests.domain.support import Ledger

KEY = ReceiptKey(ConversationId(1), UserId(2), ReceiptKind.READ, 3)


def test_each_kind_has_a_tag_of_its_own() -> None:
    assert len(state.BY_TAG) == len(state.KINDS)
    assert 0 not in state.BY_TAG


def test_a_packed_key_begins_with_the_tag_and_comes_back() -> None:
    packed = receipts.pack_key(KEY)

    assert packed[0] == receipts.TAG
    assert receipts.unpack_key(packed) == KEY


def test_packed_keys_sort_as_keys_do() -> None:
    keys = [
        KEY,
        KEY._replace(block=256),
        KEY._replace(kind=ReceiptKind.PLAYED, block=0),
        KEY._replace(member=UserId(256)),
    ]

    assert sorted(map(receipts.pack_key, keys)) == list(map(receipts.pack_key, keys))


def test_a_value_is_read_by_its_packed_key_alone() -> None:
    ledger = Ledger()
    ann, bob = ledger.device("ann"), ledger.device("bob")
    ledger.send(ann, "bob", "m1")
    ledger.ack(bob, 1)
    (_, key), *_ = ledger.state_keys(ann.user)

    with ledger.store.snapshot() as view:
        found, value = state.read(view, receipts.pack_key(key))
    assert (found, [run[:2] for run in value]) == (key, [(1, 1)])


def test_a_kind_that_is_not_known_is_not_guessed_at() -> None:
    with Ledger().store.snapshot() as view, pytest.raises(ValueError, match="no kind of state 09"):
        state.read(view, b"\x09rest")
