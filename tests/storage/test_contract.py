"""What every store does, one test for each sentence of interface.py."""

from collections.abc import Callable
from dataclasses import astuple, replace
from random import Random
from typing import Any

import pytest

from bimip.domain.core.ids import ConversationId, ConversationOffset, DeviceId, Millis, Offset, Stamp, UserId, Version
from bimip.domain.core.merges import LastWrite
from bimip.domain.core.records import (
    Addressed,
    Changes,
    Checkpoint,
    CommandRecord,
    Conflict,
    Contact,
    Conversation,
    ConversationSettings,
    Cursor,
    Device,
    DeviceKeys,
    DeviceOwner,
    Entry,
    Erasure,
    Event,
    Expiring,
    Group,
    HistoryEntry,
    Inbox,
    Index,
    IndexRow,
    Intent,
    Key,
    Label,
    LocationShare,
    Log,
    LogTable,
    Member,
    MessageRecord,
    OneTimeKey,
    OwnMessage,
    PushShown,
    PushSubscription,
    Reaction,
    ReceiptKey,
    ReceiptKind,
    ReceiptRun,
    Role,
    Roster,
    SentRecord,
    Seq,
    Standing,
    State,
    Status,
    Table,
    User,
)
from bimip.domain.state.receipts import pack_key
from bimip.storage.errors import StorageError, StoreFullError
from bimip.storage.interface import Store
from bimip.storage.lmdb.blocks import BLOCKS, ROWS

CHAT = (LogTable.ENTRIES, (7, "chat"))
SEQS = (Index.SEQS, (7, "chat"))
LARGE = 2**40

CHUNK, FULL = BLOCKS[LogTable.ENTRIES].chunk, BLOCKS[LogTable.ENTRIES].full
EDGES = [edge + near for edge in (CHUNK, FULL, FULL + CHUNK, 2 * FULL) for near in (-1, 0, 1)]
"""Where LmdbStore begins another block: the memory store knows of none, and must not be told apart."""
LAST = 2 * FULL + CHUNK + 5

RECEIPT = ReceiptKey(ConversationId(1), UserId(2), ReceiptKind.READ, 3)
STATE_KEY = pack_key(RECEIPT)
EXAMPLES: list[tuple[Table, Key, Any]] = [
    (Table.META, ("clock",), 2**63 + 5),
    (Table.META, ("negative",), -1),
    (Table.META, ("zero",), 0),
    (Table.META, ("",), 127),
    (Table.META, ("x",), 128),
    (Table.USERS, ("älice\0\1@example.org",), User(UserId(2**32 - 1), Millis(LARGE))),
    (Table.USERS, ("\1" * 255,), User(UserId(1), Millis(0))),
    (Table.EIDS, (5,), "älice"),
    (Table.ERASING, (6,), Erasure("bøb", Millis(LARGE))),
    (Table.DEVICES, (5, "phone"), Device(DeviceId(9), Millis(1), Millis(2))),
    (Table.DEVICE_OWNERS, (9,), DeviceOwner(UserId(5), "phöne")),
    (Table.LABELS, (9,), Label(Stamp(2**63), "Älice's old phone")),
    (Table.DIRECT, (5, 6), ConversationId(3)),
    (Table.CONVERSATIONS, (3,), Conversation(ConversationOffset(1), ConversationOffset(LARGE), (UserId(5), UserId(6)))),
    (Table.CONVERSATIONS, (4,), Conversation(ConversationOffset(1), ConversationOffset(0), ())),
    (Table.GROUPS, (4,), Group("Ausflug nach Köln", (UserId(5), UserId(2**32 - 1)), ConversationOffset(LARGE))),
    (Table.GROUPS, (5,), Group("", (), ConversationOffset(1))),
    (Table.GROUPS, (6,), Group("", (UserId(3),), ConversationOffset(1), (UserId(2), UserId(9)))),
    (Table.GROUPS, (7,), Group("x", (), ConversationOffset(1), (UserId(2),))),
    (Table.MEMBERS, (4, 5), Member(Role.OWNER, ConversationOffset(LARGE), ConversationOffset(0), Millis(LARGE))),
    (Table.LOGS, (5, "chat"), Log(Offset(1), Offset(LARGE))),
    (Table.BODIES, (2**64 - 1,), b"\x2a\x00"),
    (Table.BODIES, (1,), b""),
    (Table.REMOVALS, (5, LARGE), Millis(LARGE)),
    (Table.EXPIRING, (LARGE, 2**64 - 1), Expiring(ConversationId(3), ConversationOffset(LARGE), UserId(5))),
    (Table.LOCATION_SHARES, (5, 1, 2**32 - 1), LocationShare(Millis(LARGE), Millis(1))),
    (Table.LOCATION_ENDS, (LARGE, 5, 2, 2**32 - 1), Millis(LARGE)),
    (Table.REFERENCES, (2**64 - 1,), 2),
    (
        Table.ADDRESSED,
        (1, 5),
        (Addressed(DeviceId(9), None), Addressed(DeviceId(8), b""), Addressed(DeviceId(7), b"x")),
    ),
    (Table.ADDRESSED, (1, 6), ()),
    (
        Table.SEEN,
        (9, "m1"),
        SentRecord(b"d" * 8, Stamp(2**63), "chat", Offset(2**32 - 1), ConversationId(3), ConversationOffset(2**32 - 1)),
    ),
    (
        Table.SEEN,
        (9, "m2"),
        SentRecord(b"d" * 8, Stamp(1), "my own", Offset(LARGE), ConversationId(3), ConversationOffset(1)),
    ),
    (
        Table.SEEN,
        (9, "m3"),
        SentRecord(b"d" * 8, Stamp(1), "", Offset(1), ConversationId(3), ConversationOffset(LARGE)),
    ),
    (Table.CURSORS, (9, "chat"), Cursor(Offset(LARGE), ())),
    (Table.CURSORS, (9, "feed"), Cursor(Offset(0), ((Offset(2), Offset(3)), (Offset(5), Offset(5))))),
    (Table.STATES, (5,), State(Version(LARGE), Version(0))),
    (Table.CHANGES, (5, LARGE), STATE_KEY),
    (Table.VERSIONS, (5, STATE_KEY), Version(LARGE)),
    (Table.RECEIPTS, tuple(RECEIPT), (ReceiptRun(ConversationOffset(1), ConversationOffset(4), Millis(LARGE)),)),
    (Table.READ_MARKERS, (5, 3), LARGE),
    (
        Table.DEVICE_KEYS,
        (5, 9),
        DeviceKeys(b"i" * 32, b"s" * 32, b"n" * 64, LARGE, b"f" * 32, b"g" * 64, LARGE, Millis(LARGE)),
    ),
    (Table.ONE_TIME_KEYS, (5, 9, LARGE), OneTimeKey(b"k" * 32, b"n" * 64)),
    (
        Table.PUSH_SUBSCRIPTIONS,
        (5, 9, "phöne"),
        PushSubscription(Stamp(LARGE), Millis(LARGE), "webpush", "https://push.example/ä", b"p" * 65, b"a" * 16),
    ),
    (Table.PUSH_SUBSCRIPTIONS, (5, 9, ""), PushSubscription(Stamp(1), Millis(0), "", "", b"", b"")),
    (Table.PUSH_CURSORS, (5, LARGE, "chat"), Offset(LARGE)),
    (Table.PUSH_SHOWN, (5, LARGE, 3, "my own"), PushShown(ConversationOffset(LARGE), 2**32 - 1, Millis(LARGE))),
    (
        Table.EVENTS,
        (LARGE,),
        Event(
            255,
            Millis(LARGE),
            UserId(2**32 - 1),
            ConversationId(3),
            ConversationOffset(1),
            ConversationOffset(LARGE),
            Stamp(LARGE),
        ),
    ),
    (Table.EVENT_POSITIONS, ("crm",), LARGE),
    (Table.SETTINGS, (5, 4), LastWrite(1, Stamp(2**64 - 1), DeviceId(2**32 - 1))),
    (Table.PRIVACY_EXCEPTIONS, (5, 6, 4), LastWrite(3, Stamp(2**64 - 1), DeviceId(2**32 - 1))),
    (Table.INTENTS, (5,), Intent(Status.DND, Millis(LARGE), Stamp(2**64 - 1), DeviceId(2**32 - 1))),
    (Table.PRIVATE_READS, tuple(RECEIPT), (ReceiptRun(ConversationOffset(17), ConversationOffset(32), Millis(7)),)),
    (Table.MESSAGE_STATES, (3, LARGE), MessageRecord(Stamp(LARGE), Stamp(7), DeviceId(9), b"content!", Stamp(8))),
    (
        Table.REACTIONS,
        (3, LARGE, 6),
        (
            Reaction("+", Stamp(1), DeviceId(2), removed=False, unheard=True),
            Reaction("-", Stamp(1), DeviceId(2), removed=True, unheard=True),
        ),
    ),
    (Table.REACTIONS, (3, LARGE, 5), (Reaction("\N{THUMBS UP SIGN}", Stamp(LARGE), DeviceId(9), removed=True),)),
    (Table.REACTIONS, (3, 1, 5), ()),
    (Table.OWN_MESSAGES, (5, 3, LARGE), OwnMessage(Stamp(LARGE), pinned=True, pinned_at=Stamp(7))),
    (
        Table.CONVERSATION_SETTINGS,
        (5, 3),
        ConversationSettings(
            archived=LastWrite(value=True, stamp=Stamp(LARGE), writer=DeviceId(9)),
            muted_until=LastWrite(LARGE, Stamp(1), DeviceId(9)),
            draft=LastWrite(b"dear", Stamp(2), DeviceId(9)),
        ),
    ),
    (Table.CONVERSATION_SETTINGS, (5, 4), ConversationSettings()),
    (
        Table.COMMANDS,
        (9, "k"),
        CommandRecord(
            b"d" * 8,
            Stamp(LARGE),
            ConversationId(3),
            ConversationOffset(LARGE),
            Stamp(1),
            Version(LARGE),
            superseded=True,
        ),
    ),
    (
        Table.CONTACTS,
        (5, 6),
        Contact(
            Standing.ASKED,
            grants=True,
            is_mutual=True,
            since=Millis(LARGE),
            request="r" * 64,
            name=LastWrite("Bøb", Stamp(LARGE), DeviceId(9)),
        ),
    ),
    (Table.CONTACTS, (6, 7), Contact(blocked=True, request="r", name=LastWrite("Ann"), blocked_at=Millis(LARGE))),
    (Table.CONTACTS, (6, 5), Contact(Standing.REQUESTED, granted=True, blocked=True)),
    (Table.ROSTERS, (5,), Roster(2**32 - 1, 0, 1, 7)),
    (Table.UNHEARD, (5, 3, LARGE), LARGE + 7),
    (
        Table.CONFLICTS,
        (LARGE,),
        Conflict(
            Millis(LARGE),
            UserId(5),
            ConversationId(3),
            ConversationOffset(1),
            2,
            Stamp(LARGE),
            DeviceId(9),
            Stamp(1),
            DeviceId(8),
        ),
    ),
    (Table.INBOXES, (5,), Inbox(ConversationId(3), is_whole=True)),
    (Table.RECENT, (5, LARGE), ConversationId(3)),
    (Table.RISEN, (5, 3), Stamp(LARGE)),
    (Table.MENTIONS, (5, 3, LARGE), Stamp(LARGE)),
    (Table.THREADS, (3, LARGE, LARGE), Stamp(LARGE)),
    (Table.USAGE, (5,), LARGE),
    (Table.REVOKED, (5, "jti"), Millis(LARGE)),
    (Table.CHECKPOINTS, (5, "chat"), (Checkpoint(Offset(LARGE), b"c" * 16, Version(7), Millis(LARGE)),)),
]


def change(store: Store, *many: Changes) -> None:
    store.begin()
    for changes in many:
        store.apply(changes)
    store.commit()


def puts(table: Table, records: dict[Key, Any]) -> Changes:
    return Changes(puts={table: records})


def entry(number: int) -> Entry:
    digest = number.to_bytes(8, "big")
    place = (Stamp(number), ConversationId(3), ConversationOffset(number))
    return Entry(*place, UserId(5), DeviceId(9), addressed=number % 2 == 0, digest=digest)


def appends(first: int, last: int, place: tuple[LogTable, Key] = CHAT) -> Changes:
    return Changes(appends={place: [(number, entry(number)) for number in range(first, last + 1)]})


def cut(below: int, place: tuple[LogTable, Key] = CHAT) -> Changes:
    return Changes(cuts={place: below})


def numbers(store: Store, after: int = 0, limit: int = 10_000, place: tuple[LogTable, Key] = CHAT) -> list[int]:
    with store.snapshot() as reader:
        found = reader.read(*place, after, limit=limit)
        together = reader.read_packed(*place, after, limit=limit)
    assert found == [one for first, records in together for one in enumerate(records, first)]
    assert all(len(records) for _, records in together)
    assert all(record == entry(number) for number, record in found)
    return [number for number, _ in found]


def get(store: Store, table: Table, key: Key) -> object:
    with store.snapshot() as reader:
        found: object = reader.get(table, key)
        return found


def test_the_examples_cover_every_table() -> None:
    assert set(Table) == {table for table, _, _ in EXAMPLES}


@pytest.mark.parametrize(("table", "key", "record"), EXAMPLES)
def test_a_record_returns_as_it_was_put(store: Store, table: Table, key: Key, record: object) -> None:
    change(store, puts(table, {key: record}))

    assert record == get(store, table, key)
    with store.snapshot() as reader:
        rows = reader.scan(table, key[:0], (*key[:-1], *key[-1:], 0) if table is not Table.VERSIONS else (6,), limit=9)
    assert [(key, record)] == rows
    assert [type(key), type(record)] == [type(each) for row in rows for each in row]


def test_what_is_missing_is_none(store: Store) -> None:
    assert get(store, Table.EIDS, (1,)) is None


def test_a_put_replaces(store: Store) -> None:
    change(store, puts(Table.EIDS, {(1,): "old and long"}))
    change(store, puts(Table.EIDS, {(1,): "new"}))

    assert get(store, Table.EIDS, (1,)) == "new"


def test_none_deletes_and_may_find_nothing(store: Store) -> None:
    change(store, puts(Table.EIDS, {(1,): "a", (2,): "b"}), puts(Table.BODIES, {(1,): b"x"}))
    change(store, puts(Table.EIDS, {(1,): None, (3,): None}), puts(Table.BODIES, {(1,): None, (2,): None}))

    assert get(store, Table.BODIES, (1,)) is None
    with store.snapshot() as reader:
        assert reader.scan(Table.EIDS, (), (9,), limit=9) == [((2,), "b")]


def test_bodies_may_come_in_any_order(store: Store) -> None:
    change(store, puts(Table.BODIES, {(5,): b"5", (3,): b"3"}), puts(Table.BODIES, {(4,): b"4"}))
    change(store, puts(Table.BODIES, {(1,): b"1", (9,): b"9", (5,): b"five"}))

    with store.snapshot() as reader:
        found = [body for _, body in reader.scan(Table.BODIES, (), (100,), limit=9)]
    assert found == [b"1", b"3", b"4", b"five", b"9"]


class TestScan:
    @pytest.fixture
    def devices(self, store: Store) -> Store:
        keys: list[Key] = [(user, name) for user in (1, 2, 3) for name in ("a", "a\0", "b")]
        change(store, puts(Table.DEVICES, {key: Device(DeviceId(1), Millis(2), Millis(3)) for key in reversed(keys)}))
        return store

    @pytest.mark.parametrize(
        ("low", "high", "limit", "expected"),
        [
            ((), (9,), 99, [(u, n) for u in (1, 2, 3) for n in ("a", "a\0", "b")]),
            ((2,), (3,), 99, [(2, "a"), (2, "a\0"), (2, "b")]),
            ((2,), (3,), 2, [(2, "a"), (2, "a\0")]),
            ((2, "a"), (2, "b"), 99, [(2, "a"), (2, "a\0")]),
            ((2, "a\0"), (3, "a\0"), 99, [(2, "a\0"), (2, "b"), (3, "a")]),
            ((2, "aa"), (2, "z"), 99, [(2, "b")]),
            ((3,), (2**32,), 99, [(3, "a"), (3, "a\0"), (3, "b")]),
            ((-1,), (1, "b"), 99, [(1, "a"), (1, "a\0")]),
            ((2,), (2,), 99, []),
            ((3,), (2,), 99, []),
            ((4,), (9,), 99, []),
            ((), (), 99, []),
            ((), (9,), 0, []),
        ],
    )
    def test_a_range_in_the_order_of_keys(
        self, devices: Store, low: Key, high: Key, limit: int, expected: list[Key]
    ) -> None:
        with devices.snapshot() as reader:
            found = [key for key, _ in reader.scan(Table.DEVICES, low, high, limit=limit)]

        assert expected == found

    @pytest.mark.parametrize(
        ("low", "high", "limit", "expected"),
        [
            ((), (9,), 2, [(3, "b"), (3, "a\0")]),
            ((2,), (3,), 99, [(2, "b"), (2, "a\0"), (2, "a")]),
            ((2, "a\0"), (3, "a"), 99, [(2, "b"), (2, "a\0")]),
            ((3,), (2,), 99, []),
            ((-1,), (1,), 99, []),
            ((2,), (2**32,), 1, [(3, "b")]),
            ((), (9,), 0, []),
        ],
    )
    def test_reverse_goes_down_from_the_end(
        self, devices: Store, low: Key, high: Key, limit: int, expected: list[Key]
    ) -> None:
        with devices.snapshot() as reader:
            found = [key for key, _ in reader.scan(Table.DEVICES, low, high, limit=limit, reverse=True)]

        assert expected == found

    def test_a_state_key_is_part_of_the_key(self, store: Store) -> None:
        keys = [(user, pack_key(RECEIPT._replace(block=block))) for user in (1, 2) for block in (0, 1, 256)]
        change(store, puts(Table.VERSIONS, {key: Version(1) for key in keys}))

        with store.snapshot() as reader:
            assert keys[3:] == [key for key, _ in reader.scan(Table.VERSIONS, (2,), (3,), limit=99)]
            assert keys[1:4] == [key for key, _ in reader.scan(Table.VERSIONS, keys[1], keys[4], limit=99)]

    def test_many_records_in_slices(self, store: Store) -> None:
        change(store, puts(Table.CHANGES, {(5, version): STATE_KEY for version in range(1, 3001)}))

        found: list[int] = []
        with store.snapshot() as reader:
            while rows := reader.scan(Table.CHANGES, (5, found[-1] + 1 if found else 0), (6,), limit=700):
                found += [version for (_, version), _ in rows]
        assert list(range(1, 3001)) == found

    def test_an_empty_table_has_nothing_either_way(self, store: Store) -> None:
        with store.snapshot() as reader:
            assert reader.scan(Table.EIDS, (), (9,), limit=9) == []
            assert reader.scan(Table.EIDS, (), (9,), limit=9, reverse=True) == []


class TestSequence:
    @pytest.mark.parametrize("batch", [1, 7, 100, 1000, *EDGES])
    def test_appends_of_any_size_make_one_run(self, store: Store, batch: int) -> None:
        change(store, *(appends(first, min(first + batch - 1, LAST)) for first in range(1, LAST + 1, batch)))

        assert list(range(1, LAST + 1)) == numbers(store)

    @pytest.mark.parametrize("after", [-5, 0, 1, LAST - 1, LAST, LAST + 1, 1000, *EDGES])
    @pytest.mark.parametrize("limit", [0, 1, CHUNK, FULL, 1000])
    def test_read_begins_behind_and_stops_at_the_limit(self, store: Store, after: int, limit: int) -> None:
        change(store, appends(1, LAST))

        assert [n for n in range(1, LAST + 1) if n > after][:limit] == numbers(store, after, limit)

    @pytest.mark.parametrize("below", [0, 1, 2, LAST, LAST + 1, 500, *EDGES])
    @pytest.mark.parametrize("after", [0, FULL // 2, FULL, LAST - 1])
    def test_a_cut_drops_exactly_what_is_below(self, store: Store, below: int, after: int) -> None:
        change(store, appends(1, LAST))
        change(store, cut(below))

        assert [n for n in range(1, LAST + 1) if n >= below and n > after] == numbers(store, after)

    @pytest.mark.parametrize("held", EDGES)
    @pytest.mark.parametrize("left", [-1, 0, 1, CHUNK, FULL])
    def test_it_goes_on_after_a_cut(self, store: Store, held: int, left: int) -> None:
        """With nothing left too: the next number is given all the same."""
        below = max(1, held + 1 - left)
        change(store, appends(1, held))
        change(store, cut(below), appends(held + 1, held + FULL), cut(below + 1))

        assert list(range(below + 1, held + FULL + 1)) == numbers(store)

    def test_a_cut_counts_after_the_appends_of_the_same_changes(self, store: Store) -> None:
        change(store, appends(1, 10))
        change(store, Changes(appends=appends(11, 20).appends, cuts=cut(15).cuts))

        assert list(range(15, 21)) == numbers(store)

    def test_a_cut_may_find_nothing(self, store: Store) -> None:
        change(store, cut(10))

        assert numbers(store) == []

    def test_neighbours_do_not_see_each_other(self, store: Store) -> None:
        places: list[tuple[LogTable, Key]] = [
            (LogTable.ENTRIES, (user, name))
            for user in (6, 7, 8)
            for name in ("", "chat", "chat\0", "chat\1", "chatter")
        ]
        change(store, *(appends(1, 30, place) for place in places))
        change(store, cut(31, places[6]), cut(20, places[7]))

        for place in places:
            first = {places[6]: 31, places[7]: 20}.get(place, 1)
            assert list(range(first, 31)) == numbers(store, place=place)

    @pytest.mark.parametrize("first_wide", [1, 2, *EDGES])
    def test_numbers_that_need_more_room_join_the_others(self, store: Store, first_wide: int) -> None:
        entries = [
            entry(number)._replace(conversation_offset=ConversationOffset(number + LARGE * (number >= first_wide)))
            for number in range(1, LAST + 1)
        ]
        run = list(enumerate(entries, 1))
        change(store, *(Changes(appends={CHAT: run[start : start + 7]}) for start in range(0, LAST, 7)))

        with store.snapshot() as reader:
            assert run == reader.read(*CHAT, 0, limit=1000)
            assert run[first_wide:] == reader.read(*CHAT, first_wide, limit=1000)

    def test_every_sequence_keeps_its_records(self, store: Store) -> None:
        listed = HistoryEntry(Stamp(2**64 - 1), UserId(5), DeviceId(6), addressed=True)
        wide = entry(2)._replace(conversation_offset=ConversationOffset(LARGE))
        first, last = entry(1), entry(3)
        change(
            store,
            Changes(appends={(LogTable.HISTORY, (3,)): [(1, listed)], CHAT: [(1, first)]}),
            Changes(appends={(LogTable.CHAINS, (7, "chat")): [(1, bytes(16)), (2, b"hash of 16 bytes")]}),
            Changes(appends={CHAT: [(2, wide), (3, last)]}),
        )

        with store.snapshot() as reader:
            assert [(1, listed)] == reader.read(LogTable.HISTORY, (3,), 0, limit=9)
            assert reader.read(LogTable.CHAINS, (7, "chat"), 1, limit=9) == [(2, b"hash of 16 bytes")]
            assert [(1, first), (2, wide), (3, last)] == reader.read(*CHAT, 0, limit=9)
            assert isinstance(reader.read(*CHAT, 0, limit=1)[0][1], Entry)
        change(store, cut(3))
        with store.snapshot() as reader:
            assert [(3, last)] == reader.read(*CHAT, 0, limit=9)

    @pytest.mark.parametrize("held", [10, *EDGES])
    @pytest.mark.parametrize("wrong", ["again", "gap", "far"])
    def test_numbers_that_do_not_follow_are_refused(self, store: Store, held: int, wrong: str) -> None:
        change(store, appends(1, held))
        first = {"again": held, "gap": held + 2, "far": held + 200}[wrong]

        store.begin()
        with pytest.raises(ValueError, match=str(first)):
            store.apply(appends(first, first + 1))
        store.abort()
        assert list(range(1, held + 1)) == numbers(store)

    def test_holes_in_an_append_are_refused(self, store: Store) -> None:
        store.begin()
        with pytest.raises(ValueError, match="1"):
            store.apply(Changes(appends={CHAT: [(1, entry(1)), (3, entry(3))]}))
        store.abort()


def row(time: int, offset: int | None = None) -> Seq:
    return Seq(time, 1, DeviceId(9), Offset(time if offset is None else offset))


def inserts(*rows: IndexRow, place: tuple[Index, Key] = SEQS) -> Changes:
    return Changes(inserts={place: list(rows)})


def trim(below: int, place: tuple[Index, Key] = SEQS) -> Changes:
    return Changes(trims={place: below})


def times(store: Store, place: tuple[Index, Key] = SEQS) -> list[int]:
    with store.snapshot() as reader:
        found = reader.find(*place, (), (LARGE,), limit=10_000)
        assert found[::-1] == reader.find(*place, (), (LARGE,), limit=10_000, reverse=True)
    return [row[0] for row in found]


MANY = 2 * ROWS[Index.SEQS].full + 50
"""Rows of three blocks."""

ORDERS: dict[str, list[int]] = {
    "as they come": list(range(MANY)),
    "backwards": list(range(MANY))[::-1],
    "every second late": [*range(0, MANY, 2), *range(1, MANY, 2)],
    "the middle late": [*range(100), *range(250, MANY), *range(100, 250)],
    "the first last": [*range(1, MANY), 0],
    "a clock that is ahead": [*range(MANY - 60, MANY), *range(MANY - 60)],
    "shuffled": Random(1).sample(range(MANY), MANY),
}


class TestIndex:
    @pytest.mark.parametrize("order", ORDERS)
    @pytest.mark.parametrize("batch", [1, 7, 30, 1000])
    def test_rows_are_sorted_whatever_order_they_come_in(self, store: Store, order: str, batch: int) -> None:
        come = ORDERS[order]
        change(store, *(inserts(*map(row, come[at : at + batch])) for at in range(0, MANY, batch)))

        assert list(range(MANY)) == times(store)

    def test_all_of_a_row_counts(self, store: Store) -> None:
        rows = [
            Seq(time, local, DeviceId(device), Offset(offset))
            for time in (0, 1, 2**64 - 1)
            for local in (0, 2**32 - 1)
            for device in (1, 2)
            for offset in (1, 2**64 - 1)
        ]
        change(store, inserts(*rows[::-1]))

        with store.snapshot() as reader:
            assert rows == reader.find(*SEQS, (0,), (2**64,), limit=99)
            assert rows[8:16] == reader.find(*SEQS, (1,), (2,), limit=99)
            assert rows[12:16] == reader.find(*SEQS, (1, 1), (2,), limit=99)
            assert rows[12:14] == reader.find(*SEQS, rows[12], (1, 2**32 - 1, 2), limit=99)
            assert rows[13:14] == reader.find(*SEQS, (*rows[12], 0), (*rows[13], 0), limit=99)
            assert rows[20:] == reader.find(*SEQS, (2**64 - 1, 2**32 - 1, -1), (2**64 - 1, 2**32), limit=99)

    @pytest.mark.parametrize("again", [range(MANY), range(40), range(100, 120), [MANY - 1] * 30])
    def test_a_row_is_there_once(self, store: Store, again: list[int] | range) -> None:
        change(store, inserts(*map(row, range(MANY))))
        change(store, inserts(*map(row, again)), inserts(*map(row, again)))

        assert list(range(MANY)) == times(store)

    @pytest.mark.parametrize(
        ("low", "high"),
        [
            ((), (9999,)),
            ((10,), (20,)),
            ((165,), (345,)),
            ((170,), (171,)),
            ((9,), (9,)),
            ((20,), (10,)),
            ((-5,), (3,)),
        ],
    )
    @pytest.mark.parametrize("limit", [0, 1, 30, 200, 9999])
    def test_a_range_up_to_the_limit(self, store: Store, low: IndexRow, high: IndexRow, limit: int) -> None:
        change(store, inserts(*map(row, range(0, MANY, 2))), inserts(*map(row, range(1, MANY, 2))))
        expected = [row(time) for time in range(MANY) if low <= (time,) < high]

        with store.snapshot() as reader:
            assert expected[:limit] == reader.find(*SEQS, low, high, limit=limit)
            assert expected[::-1][:limit] == reader.find(*SEQS, low, high, limit=limit, reverse=True)

    def test_neighbours_do_not_see_each_other(self, store: Store) -> None:
        places: list[tuple[Index, Key]] = [
            (Index.SEQS, (user, name)) for user in (6, 7, 8) for name in ("", "chat", "chat\0", "chat\1", "chatter")
        ]
        change(store, *(inserts(*map(row, range(200)), place=place) for place in places[::-1]))
        change(store, trim(500, places[6]), trim(190, places[7]))

        for place in places:
            first = {places[6]: 200, places[7]: 190}.get(place, 0)
            assert list(range(first, 200)) == times(store, place)

    def test_nothing_is_in_what_is_empty(self, store: Store) -> None:
        change(store, inserts(), trim(5))

        assert times(store) == []

    @pytest.mark.parametrize("below", [0, 1, 23, 24, 25, 169, 170, 171, 340, MANY - 1, MANY, 9999])
    def test_a_trim_drops_the_lowest(self, store: Store, below: int) -> None:
        change(store, inserts(*map(row, range(MANY))))
        change(store, trim(below))

        assert list(range(min(below, MANY), MANY)) == times(store)
        change(store, inserts(*map(row, range(50, 60))))
        assert sorted({*range(50, 60), *range(min(below, MANY), MANY)}) == times(store)

    @pytest.mark.parametrize("kept", [0, 5, 24, 160, 170, 345, MANY - 1])
    def test_a_trim_stops_at_the_first_that_is_not_below(self, store: Store, kept: int) -> None:
        """An entry that came late, from a device that was offline for long: what lies behind it waits for it."""
        late = [row(time, offset=9999 if time == kept else time) for time in range(MANY)]
        change(store, inserts(*late))
        change(store, trim(2000))

        assert list(range(kept, MANY)) == times(store)
        change(store, trim(10_000))
        assert times(store) == []

    def test_a_late_row_stops_a_trim_too(self, store: Store) -> None:
        change(store, inserts(*map(row, range(100, MANY))))
        change(store, inserts(row(150, offset=7777)), inserts(row(20, offset=8888)))
        change(store, trim(8000))

        assert [20, *range(100, 151), 150, *range(151, MANY)] == times(store)
        change(store, trim(8889))
        assert times(store) == []

    def test_a_trim_counts_after_the_inserts_of_the_same_changes(self, store: Store) -> None:
        change(store, inserts(*map(row, range(10))))
        change(store, Changes(inserts={SEQS: [row(3, offset=2), row(11)]}, trims={SEQS: 11}))

        assert times(store) == [11]

    def test_nothing_is_seen_before_the_commit_and_an_abort_forgets_it(self, store: Store) -> None:
        change(store, inserts(*map(row, range(200))))
        with store.snapshot() as old:
            assert len(old.find(*SEQS, (), (LARGE,), limit=999)) == 200
            store.begin()
            store.apply(inserts(*map(row, range(200, 400))))
            store.apply(trim(100))
            before = times(store)
            store.abort()
            aborted = times(store)
            change(store, trim(100))

            assert [before, aborted] == [list(range(200))] * 2
            assert len(old.find(*SEQS, (), (LARGE,), limit=999)) == 200
        assert list(range(100, 200)) == times(store)
        store.reopen()
        assert list(range(100, 200)) == times(store)


class TestTransaction:
    def test_nothing_is_seen_before_the_commit(self, store: Store) -> None:
        store.begin()
        store.apply(puts(Table.EIDS, {(1,): "a"}))
        before = get(store, Table.EIDS, (1,))
        store.commit()

        assert before is None
        assert get(store, Table.EIDS, (1,)) == "a"

    def test_a_snapshot_does_not_change(self, store: Store) -> None:
        change(store, puts(Table.EIDS, {(1,): "a"}), appends(1, 30))
        with store.snapshot() as old:
            assert old.get(Table.EIDS, (1,)) == "a"
            change(store, puts(Table.EIDS, {(1,): "b", (2,): "c"}), appends(31, 40), cut(25))
            with store.snapshot() as new:
                assert new.get(Table.EIDS, (2,)) == "c"
                change(store, puts(Table.EIDS, {(1,): None}))

                assert old.scan(Table.EIDS, (), (9,), limit=9) == [((1,), "a")]
                assert new.scan(Table.EIDS, (), (9,), limit=9) == [((1,), "b"), ((2,), "c")]
            assert list(range(1, 31)) == [number for number, _ in old.read(*CHAT, 0, limit=99)]
        assert list(range(25, 41)) == numbers(store)
        assert get(store, Table.EIDS, (1,)) is None

    def test_all_changes_of_a_transaction_count_in_order(self, store: Store) -> None:
        change(store, puts(Table.EIDS, {(1,): "a"}), puts(Table.EIDS, {(1,): None, (2,): "b"}), puts(Table.EIDS, {}))

        with store.snapshot() as reader:
            assert reader.scan(Table.EIDS, (), (9,), limit=9) == [((2,), "b")]

    def test_an_abort_forgets_all(self, store: Store) -> None:
        change(store, appends(1, 10))
        store.begin()
        store.apply(puts(Table.EIDS, {(1,): "a"}))
        store.apply(Changes(appends=appends(11, 20).appends, cuts=cut(5).cuts))
        store.abort()
        store.abort()

        assert get(store, Table.EIDS, (1,)) is None
        assert list(range(1, 11)) == numbers(store)
        change(store, appends(11, 12))
        assert list(range(1, 13)) == numbers(store)

    def test_an_empty_transaction_changes_nothing(self, store: Store) -> None:
        change(store, Changes(appends={CHAT: []}))
        change(store)

        assert numbers(store) == []

    def test_misuse_is_told(self, store: Store) -> None:
        with pytest.raises(RuntimeError):
            store.apply(Changes())
        with pytest.raises(RuntimeError):
            store.commit()
        store.begin()
        with pytest.raises(RuntimeError):
            store.begin()
        store.abort()

    def test_after_a_failed_apply_only_an_abort_is_left(self, store: Store) -> None:
        store.begin()
        with pytest.raises(ValueError, match="1"):
            store.apply(Changes(puts={Table.EIDS: {(1,): "a"}}, appends={CHAT: [(1, entry(1)), (3, entry(3))]}))
        with pytest.raises(RuntimeError):
            store.apply(Changes())
        with pytest.raises(RuntimeError):
            store.commit()
        store.abort()

        assert get(store, Table.EIDS, (1,)) is None


class TestClosing:
    def test_what_was_committed_is_there_after_reopening(self, store: Store) -> None:
        change(store, appends(1, 30), puts(Table.EIDS, {(1,): "a"}))
        store.begin()
        store.apply(appends(31, 40))
        store.abort()
        store.reopen()

        assert list(range(1, 31)) == numbers(store)
        assert get(store, Table.EIDS, (1,)) == "a"
        change(store, appends(31, 31))
        assert list(range(1, 32)) == numbers(store)

    def test_a_closed_store_says_so(self, store: Store) -> None:
        store.close()
        store.close()

        with pytest.raises(StorageError, match="closed"):
            store.begin()
        with pytest.raises(StorageError, match="closed"):
            get(store, Table.EIDS, (1,))
        store.reopen()
        assert get(store, Table.EIDS, (1,)) is None


class TestQuota:
    @pytest.fixture
    def small(self, make_store: Callable[[int], Store]) -> Store:
        """Full, with all its content under even stamps."""
        store = make_store(400_000)
        assert fill(store) > 50
        return store

    def test_growth_is_refused_and_nothing_of_it_is_stored(self, small: Store) -> None:
        change_or_abort(small, puts(Table.EIDS, {(1,): "a"}))
        for refused in (
            Changes(puts={Table.EIDS: {(1,): "b"}, Table.BODIES: {(1,): b""}}, needs_room=True),
            Changes(puts={Table.EIDS: {(1,): "b"}}, appends=appends(1, 1).appends, needs_room=True),
        ):
            with pytest.raises(StoreFullError, match="quota"):
                change_or_abort(small, refused)

        assert get(small, Table.EIDS, (1,)) == "a"
        assert get(small, Table.BODIES, (1,)) is None
        assert numbers(small) == []

    def test_reads_acknowledgements_and_deletes_go_on(self, small: Store) -> None:
        change_or_abort(small, puts(Table.CURSORS, {(9, "chat"): Cursor(Offset(5), ())}))
        change_or_abort(small, cut(5))
        change_or_abort(small, puts(Table.BODIES, {(2,): None}))

        assert get(small, Table.CURSORS, (9, "chat")) == Cursor(Offset(5), ())
        assert get(small, Table.BODIES, (2,)) is None
        assert get(small, Table.BODIES, (4,)) == bytes(2000)

    def test_it_takes_messages_again_once_there_is_room(
        self, small: Store, give_space_back: Callable[[Store], None]
    ) -> None:
        change_or_abort(small, puts(Table.BODIES, {(stamp,): None for stamp in range(2, 60, 2)}))
        give_space_back(small)
        change_or_abort(small, Changes(puts={Table.BODIES: {(5000,): b"there is room"}}, needs_room=True))

        assert get(small, Table.BODIES, (5000,)) == b"there is room"

    def test_statistics_tell(self, small: Store) -> None:
        statistics = small.statistics()

        assert statistics.quota_bytes == 400_000
        assert statistics.used_bytes >= 400_000
        assert statistics.file_bytes >= statistics.used_bytes


def test_what_is_read_is_counted(store: Store) -> None:
    change(store, puts(Table.EIDS, {(number,): "eid" for number in (1, 2, 3)}))
    change(store, appends(1, 4))
    change(store, Changes(inserts={SEQS: [Seq(1, 1, DeviceId(1), Offset(1))]}))
    before = replace(store.read_counts)
    with store.snapshot() as view:
        view.get(Table.EIDS, (1,))
        view.get_all(Table.EIDS, [(1,), (9,)])
        view.scan(Table.EIDS, (2,), (9,), limit=9)
        view.read(*CHAT, 1, limit=2)
        view.find(*SEQS, (0,), (9,), limit=9)
    records, entries, rows = (now - then for now, then in zip(astuple(store.read_counts), astuple(before), strict=True))

    assert (records, entries, rows) == (5, 2, 1)


def fill(store: Store) -> int:
    for count in range(500):
        try:
            change_or_abort(store, Changes(puts={Table.BODIES: {(2 * count + 2,): bytes(2000)}}, needs_room=True))
        except StoreFullError:
            return count
    pytest.fail("the store has no quota")


def change_or_abort(store: Store, changes: Changes) -> None:
    try:
        change(store, changes)
    finally:
        store.abort()
