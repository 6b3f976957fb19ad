"""An edit that came after a user left a group is not theirs to see; whatever else stands in their log is."""

from typing import Any

import pytest

from bimip.domain.core.ids import ConversationId, ConversationOffset, Millis, Stamp, UserId
from bimip.domain.core.records import Conversation, HistoryEntry, LogTable, Member, Role, Table
from bimip.reading.withheld import withhold
from bimip.storage.memory import MemoryStore
from bimip.wire import bimip_pb2 as pb
from bimip.wire import stored
from tests.reading.support import ANN, BOB, PHONE, entry, store_with

LEFT_AT = Stamp(500)
GROUP = ConversationId(1)


def store_of(member: Member | None, *members: UserId) -> MemoryStore:
    """A conversation in which somebody left at place 3."""
    known = Conversation(ConversationOffset(1), ConversationOffset(3), members)
    puts: dict[Table, dict[Any, Any]] = {Table.CONVERSATIONS: {(GROUP,): known}}
    if member is not None:
        puts[Table.MEMBERS] = {(GROUP, BOB): member}
    stamps = (Stamp(10), Stamp(20), LEFT_AT)
    history = [(place, HistoryEntry(stamp, ANN, PHONE, addressed=False)) for place, stamp in enumerate(stamps, 1)]
    return store_with(puts, {(LogTable.HISTORY, (GROUP,)): history})


def edited(at: int) -> bytes:
    sent = stored.outgoing(pb.Message(payload=b"first"), stored.author_part("ann", "phone"))
    body = stored.store([sent], stamps=[(20, "0" * 13, 1)], conversation="c1", conversation_offset=2)[0]
    return stored.edited(body, b"second", at) if at else body


def shown(store: MemoryStore, body: bytes | None) -> pb.Message | None:
    """What bob is shown of the message at place 2."""
    bodies = [body]
    with store.snapshot() as view:
        withhold(view, BOB, [entry(2, author=ANN, origin=PHONE)], bodies)
    return None if bodies[0] is None else stored.parse(bodies[0])


GONE = Member(Role.NONE, ConversationOffset(1), ConversationOffset(3), Millis(0))
IS_THERE = Member(Role.MEMBER, ConversationOffset(1), ConversationOffset(0), Millis(0))
CAME_BACK = Member(Role.MEMBER, ConversationOffset(3), ConversationOffset(0), Millis(0))


@pytest.mark.parametrize(
    ("member", "at", "payload"),
    [
        (GONE, 0, b"first"),
        (GONE, LEFT_AT - 1, b"second"),
        (GONE, LEFT_AT + 1, b""),
        (IS_THERE, LEFT_AT + 1, b"second"),
        (CAME_BACK, LEFT_AT - 1, b""),
        (None, LEFT_AT - 1, b""),
    ],
)
def test_who_left_before_an_edit_is_shown_none(member: Member | None, at: int, payload: bytes) -> None:
    message = shown(store_of(member), edited(at))

    assert message is not None
    assert (message.payload, message.erased) == (payload, not payload)


def test_who_is_one_of_two_is_shown_all() -> None:
    message = shown(store_of(None, ANN, BOB), edited(LEFT_AT + 1))

    assert message is not None
    assert message.payload == b"second"


def test_where_the_leaving_has_expired_it_was_before() -> None:
    gone = GONE._replace(upto=ConversationOffset(9))
    message = shown(store_of(gone), edited(LEFT_AT + 1))

    assert message is not None
    assert message.erased


def test_what_is_not_there_stays_away() -> None:
    assert shown(store_of(GONE), None) is None
