"""Each merge commutes, associates and is idempotent: so devices that saw the same changes hold the same state."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bimip.domain.core.ids import DeviceId, Stamp
from bimip.domain.core.merges import LastWrite
from bimip.domain.core.records import ConversationSettings, MessageRecord, OwnMessage, Reaction
from bimip.domain.state.merges import merge_messages, merge_own, merge_reactions, merge_settings

stamps, devices = st.integers(0, 3), st.integers(1, 2)


def writes(values: st.SearchStrategy[Any]) -> st.SearchStrategy[LastWrite]:
    return st.builds(LastWrite, values, stamps, devices)


flags = writes(st.booleans())
reactions = st.lists(st.builds(Reaction, st.sampled_from("ab"), stamps, devices, st.booleans()), max_size=3)
records = st.builds(
    lambda edited, editor, content, deleted, deleter, forwards: MessageRecord(
        Stamp(9), edited, editor, content, deleted, DeviceId(deleter if deleted else 0), forwards
    ),
    stamps,
    devices,
    st.sampled_from([bytes(8), b"12345678"]),
    stamps,
    devices,
    st.integers(0, 2),
)

MERGES: dict[str, tuple[Callable[[Any, Any], Any], st.SearchStrategy[Any]]] = {
    "a message": (merge_messages, records),
    "a user's own": (merge_own, st.builds(OwnMessage, st.just(9), st.booleans(), st.booleans(), stamps, devices)),
    "reactions": (merge_reactions, reactions.map(lambda some: merge_reactions(some, ()))),
    "settings": (
        merge_settings,
        st.builds(ConversationSettings, flags, flags, flags, writes(st.integers(0, 2)), writes(st.binary(max_size=1))),
    ),
}


@pytest.mark.parametrize("what", MERGES)
@given(data=st.data())
def test_a_merge_commutes_associates_and_is_idempotent(what: str, data: st.DataObject) -> None:
    merge, values = MERGES[what]
    one, other, third = data.draw(values), data.draw(values), data.draw(values)

    assert merge(one, other) == merge(other, one)
    assert merge(merge(one, other), third) == merge(one, merge(other, third))
    assert merge(one, one) == one
    assert merge(merge(one, other), other) == merge(one, other)


def test_a_deletion_stays_whatever_is_edited_later() -> None:
    deleted = MessageRecord(Stamp(9), deleted=Stamp(2), deleter=DeviceId(1))
    edited = MessageRecord(Stamp(9), edited=Stamp(3), editor=DeviceId(1))

    assert merge_messages(deleted, edited)[4:6] == (2, 1)
