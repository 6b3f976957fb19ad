"""What is known of a message whose content is gone, and of a log that was cut."""

from bimip.domain.core.ids import ConversationId, ConversationOffset, Millis, Offset, Stamp
from bimip.domain.core.records import (
    Conversation,
    Device,
    DeviceOwner,
    HistoryEntry,
    Log,
    LogTable,
    SentRecord,
    Table,
    User,
)
from bimip.reading.message_life import describe_life, find_life, find_sent, read_recipient, recipients_of
from bimip.storage.memory import MemoryStore
from tests.reading.support import ANN, BOB, ORIGIN, PHONE, entry, store_with

CONVERSATION, PLACE, STAMP = ConversationId(1), ConversationOffset(3), Stamp(103)
SENT = SentRecord(bytes(8), STAMP, "chat", Offset(3), CONVERSATION, PLACE)


def cut() -> MemoryStore:
    """Bob wrote the third message of a conversation with ann, whose log begins behind it. Its content is gone."""
    return store_with(
        {
            Table.USERS: {("ann",): User(ANN, Millis(1)), ("bob",): User(BOB, Millis(1))},
            Table.EIDS: {(ANN,): "ann", (BOB,): "bob"},
            Table.DEVICES: {
                (ANN, "phone"): Device(PHONE, Millis(2), Millis(3)),
                (BOB, "phone"): Device(ORIGIN, Millis(2), Millis(3)),
            },
            Table.DEVICE_OWNERS: {(ORIGIN,): DeviceOwner(BOB, "phone")},
            Table.CONVERSATIONS: {(CONVERSATION,): Conversation(ConversationOffset(1), PLACE, (ANN, BOB))},
            Table.LOGS: {(ANN, "chat"): Log(Offset(5), Offset(4)), (BOB, "chat"): Log(Offset(1), Offset(3))},
            Table.SEEN: {(ORIGIN, "m3"): SENT},
        },
        {
            (LogTable.HISTORY, (CONVERSATION,)): [(3, HistoryEntry(STAMP, BOB, ORIGIN, addressed=False))],
            (LogTable.ENTRIES, (BOB, "chat")): [(offset, entry(offset)) for offset in (1, 2, 3)],
        },
    )


def test_it_is_found_by_the_id_under_which_it_was_sent() -> None:
    store = cut()

    assert find_sent(store, "bob", "", "m3") == find_sent(store, "bob", "phone", "m3") == SENT
    for eid, device, name in (("ann", "", "m3"), ("bob", "laptop", "m3"), ("bob", "", "m2"), ("carol", "", "m3")):
        assert find_sent(store, eid, device, name) is None


def test_without_its_content_it_is_told_from_what_is_known_of_its_sending() -> None:
    store = cut()
    life = find_life(store, ["chat"], STAMP, SENT)

    assert find_life(store, ["chat"], STAMP) is None
    assert life is not None
    assert (life.author, life.origin, life.partitions, life.offset) == (BOB, ORIGIN, ("chat",), 3)
    told = describe_life(store, life)
    assert (told["from"], told["device"], told["content"], told["id"]) == ("bob", "phone", "gone", "")
    assert [*recipients_of(store, life)] == [[BOB], [ANN]]
    ann, bob = read_recipient(store, life, ANN), read_recipient(store, life, BOB)
    assert (ann.held, [one.standing for one in ann.devices]) == ("gone", ["not_in_log"])
    assert (bob.held, [one.standing for one in bob.devices]) == ("in_log", ["wrote"])


def test_what_stands_at_its_place_now_is_another_one() -> None:
    """As where a copy of the store was put back: no other message is told for it."""
    assert find_life(cut(), ["chat"], Stamp(104), SENT._replace(stamp=Stamp(104))) is None


def test_where_its_authors_log_was_cut_it_is_found_in_another_ones() -> None:
    store = store_with(
        {
            Table.EIDS: {(ANN,): "ann", (BOB,): "bob"},
            Table.DEVICES: {(ANN, "phone"): Device(PHONE, Millis(2), Millis(3))},
            Table.CONVERSATIONS: {(CONVERSATION,): Conversation(ConversationOffset(1), PLACE, (ANN, BOB))},
            Table.LOGS: {(ANN, "feed"): Log(Offset(1), Offset(3)), (BOB, "chat"): Log(Offset(9), Offset(8))},
        },
        {
            (LogTable.HISTORY, (CONVERSATION,)): [(3, HistoryEntry(STAMP, BOB, ORIGIN, addressed=False))],
            (LogTable.ENTRIES, (ANN, "feed")): [(offset, entry(offset)) for offset in (1, 2, 3)],
        },
    )
    life = find_life(store, ["chat", "feed"], STAMP, SENT._replace(partition="feed"))

    assert life is not None
    assert (life.partitions, life.offset) == (("feed",), None)
    for partitions in (("feed",), ("chat", "feed")):
        ann = read_recipient(store, life._replace(partitions=partitions), ANN)
        assert (ann.held, ann.partition, ann.offset) == ("in_log", "feed", 3)
        assert [one.standing for one in ann.devices] == ["not_acknowledged"]
    assert read_recipient(store, life, BOB).held == "gone"
