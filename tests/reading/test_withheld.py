"""An edit that came after a user left a group is not theirs to see; whatever else stands in their log is."""

from typing import Any

import pytest

from bimip.domain.core.ids import ConversationId, ConversationOffset, Millis, Stamp, UserId
from bimip.domain.core.records import Conversation, Member, MessageRecord, Role, Table
from bimip.reading.withheld import withhold
from bimip.storage.memory import MemoryStore
from bimip.wire import bimip_pb2 as pb
from bimip.wire import stored
from tests.reading.support import ANN, BOB, PHONE, entry, store_with

LEFT_AT = ConversationOffset(3)
GROUP = ConversationId(1)


def store_of(member: Member | None, *members: UserId, head: int | None) -> MemoryStore:
    """A conversation in which somebody left at place 3, and a message that was edited at such a head; None: the record
    is lost.
    """
    known = Conversation(ConversationOffset(1), ConversationOffset(9), members)
    puts: dict[Table, dict[Any, Any]] = {Table.CONVERSATIONS: {(GROUP,): known}}
    if head is not None:
        record = MessageRecord(Stamp(102), Stamp(1), edited_behind=ConversationOffset(head))
        puts[Table.MESSAGE_STATES] = {(GROUP, 2): record}
    if member is not None:
        puts[Table.MEMBERS] = {(GROUP, BOB): member}
    return store_with(puts)


def edited_body() -> bytes:
    sent = stored.outgoing(pb.Message(payload=b"first"), stored.author_part("ann", "phone"))
    body = stored.store([sent], stamps=[(20, "0" * 13, 1)], conversation="c1", conversation_offset=2)[0]
    return stored.edited(body, b"second", 77)


def shown(store: MemoryStore, body: bytes | None) -> pb.Message | None:
    """What bob is shown of the message at place 2."""
    bodies = [body]
    with store.snapshot() as view:
        withhold(view, BOB, [entry(2, author=ANN, origin=PHONE)], bodies)
    return None if bodies[0] is None else stored.parse(bodies[0])


GONE = Member(Role.NONE, ConversationOffset(1), LEFT_AT, Millis(0))
IS_THERE = Member(Role.MEMBER, ConversationOffset(1), ConversationOffset(0), Millis(0))
CAME_BACK = Member(Role.MEMBER, ConversationOffset(4), ConversationOffset(0), Millis(0))


@pytest.mark.parametrize(
    ("member", "head", "payload"),
    [
        (GONE, LEFT_AT - 1, b"second"),
        (GONE, LEFT_AT, b""),
        (GONE, LEFT_AT + 1, b""),
        (GONE, None, b""),
        (IS_THERE, LEFT_AT + 1, b"second"),
        (IS_THERE, None, b"second"),
        (CAME_BACK, LEFT_AT - 1, b""),
        (None, LEFT_AT - 1, b""),
    ],
)
def test_who_left_before_an_edit_is_shown_none(member: Member | None, head: int | None, payload: bytes) -> None:
    message = shown(store_of(member, head=head), edited_body())

    assert message is not None
    assert (message.payload, message.erased) == (payload, not payload)


def test_who_is_one_of_two_is_shown_all() -> None:
    message = shown(store_of(None, ANN, BOB, head=None), edited_body())

    assert message is not None
    assert message.payload == b"second"


def test_what_was_not_edited_is_shown_to_all() -> None:
    sent = stored.outgoing(pb.Message(payload=b"with " + stored.EDITED_TAG), stored.author_part("ann", "phone"))
    body = stored.store([sent], stamps=[(20, "0" * 13, 1)], conversation="c1", conversation_offset=2)[0]
    message = shown(store_of(GONE, head=9), body)

    assert message is not None
    assert message.payload == b"with " + stored.EDITED_TAG


def test_what_is_not_there_stays_away() -> None:
    assert shown(store_of(GONE, head=9), None) is None
