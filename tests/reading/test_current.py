"""What is so now of messages is told of these alone, and only to whom it concerns."""

from bimip.domain.conversations.membership import SMALL_GROUP
from bimip.domain.core.ids import ConversationId, ConversationOffset, Millis, UserId, Version
from bimip.domain.core.operations import Received
from bimip.domain.core.records import (
    Changes,
    Conversation,
    Group,
    Member,
    ReceiptKey,
    ReceiptKind,
    ReceiptRun,
    Role,
    Table,
)
from bimip.domain.state.changes import Meant
from bimip.domain.state.receipts import pack_key
from bimip.reading.current import KEYS_AT_ONCE, CurrentScan, Part, parts_of, scan_current
from bimip.reading.pages import FetchedEntry
from bimip.reading.state import Change
from bimip.storage.memory import MemoryStore
from tests.reading.support import ANN, BOB, store_with

TALK = ConversationId(1)
DELIVERED, READ = ReceiptKind.DELIVERED, ReceiptKind.READ


def run(first: int, last: int) -> ReceiptRun:
    return ReceiptRun(ConversationOffset(first), ConversationOffset(last), Millis(5))


def rows(*places: int, conversation: ConversationId = TALK, is_own: bool = True) -> list[FetchedEntry]:
    received = [Received(conversation, ConversationOffset(place), ConversationOffset(place)) for place in places]
    return [FetchedEntry(one.first, b"", acknowledged=True, place=one, is_own=is_own) for one in received]


def store(members: tuple[UserId, ...] = (ANN, BOB)) -> MemoryStore:
    """Bob received 1 to 12 and read 1 to 6; ann read 3."""
    return store_with(
        {
            Table.CONVERSATIONS: {(TALK,): Conversation(ConversationOffset(1), ConversationOffset(300), members)},
            Table.RECEIPTS: {
                (TALK, BOB, DELIVERED, 0): (run(1, 12),),
                (TALK, BOB, READ, 0): (run(1, 6),),
                (TALK, ANN, READ, 0): (run(3, 3),),
                (TALK, ANN, DELIVERED, 0): (run(3, 3),),
            },
            Table.VERSIONS: {(ANN, pack_key(ReceiptKey(TALK, BOB, READ, 0))): Version(9)},
        }
    )


def group_store(members: tuple[UserId, ...], named: tuple[UserId, ...] = ()) -> MemoryStore:
    kept = store(())
    member = Member(Role.MEMBER, ConversationOffset(1), ConversationOffset(0), Millis(0))
    group = Group("trip", members, ConversationOffset(1), named)
    kept.begin()
    kept.apply(
        Changes(puts={Table.GROUPS: {(TALK,): group}, Table.MEMBERS: {(TALK, ANN): member, (TALK, BOB): member}})
    )
    kept.commit()
    return kept


def found(scan: CurrentScan) -> list[Change]:
    try:
        while True:
            next(scan)
    except StopIteration as end:
        changes: list[Change] = end.value
        return changes


def test_it_is_cut_to_the_messages_that_are_meant() -> None:
    changes = found(scan_current(store(), ANN, [*rows(4, 9), *rows(3, is_own=False)]))

    assert changes == [
        (0, pack_key(ReceiptKey(TALK, ANN, READ, 0)), (run(3, 3),)),
        (0, pack_key(ReceiptKey(TALK, BOB, DELIVERED, 0)), (run(4, 4), run(9, 9))),
        (9, pack_key(ReceiptKey(TALK, BOB, READ, 0)), (run(4, 4),)),
    ]


def test_what_says_nothing_of_them_is_left_out() -> None:
    assert found(scan_current(store(), ANN, rows(200))) == []
    assert [value for _, _, value in found(scan_current(store(), ANN, rows(7)))] == [(run(7, 7),)]


def test_who_is_not_in_the_conversation_is_told_nothing() -> None:
    assert found(scan_current(store(), UserId(9), rows(3))) == []


def test_in_a_large_conversation_receipts_are_to_be_asked_for() -> None:
    many = tuple(map(UserId, range(1, SMALL_GROUP + 2)))

    assert found(scan_current(store(many), ANN, rows(3))) == []
    assert found(scan_current(store(many[:SMALL_GROUP]), ANN, rows(3)))


def test_who_is_only_named_makes_a_group_large_as_everybody_does() -> None:
    many = tuple(map(UserId, range(1, SMALL_GROUP + 1)))
    named = (UserId(SMALL_GROUP + 1),)

    own = rows(3, is_own=False)
    assert found(scan_current(group_store(many), ANN, own))
    assert found(scan_current(group_store(many, named), ANN, own)) == []


def test_it_is_looked_for_in_slices() -> None:
    many = tuple(map(UserId, range(1, SMALL_GROUP + 1)))
    counts = list(scan_current(store(many), ANN, rows(3)))

    assert len(counts) == -(-(SMALL_GROUP * 3 - 1) // KEYS_AT_ONCE)
    assert all(counts)


def test_messages_are_gathered_by_conversation_and_block() -> None:
    other = ConversationId(2)
    parts = parts_of([*rows(5, 3, 256, 257), *rows(4, is_own=False), *rows(9, conversation=other)])

    assert parts == [
        Part(TALK, Meant(((3, 3), (5, 5), (256, 256)), ((4, 4),))),
        Part(TALK, Meant(((257, 257),), ())),
        Part(other, Meant(((9, 9),), ())),
    ]
    assert parts[0].span() == (3, 256)
