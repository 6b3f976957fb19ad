"""The check of a store finds each kind of damage, and nothing in a store that is whole."""

from collections.abc import Callable
from typing import Any

import pytest
from trio.testing import MockClock

from bimip.domain.conversations.groups import CreateGroup, RemoveMember
from bimip.domain.core.ids import ConversationId, ConversationOffset, DeviceId, Millis, Offset, Stamp, UserId, Version
from bimip.domain.core.merges import LastWrite
from bimip.domain.core.operations import Acknowledge, Receipt
from bimip.domain.core.records import (
    Changes,
    Checkpoint,
    Contact,
    ConversationSettings,
    Cursor,
    DeviceKeys,
    Index,
    IndexRow,
    Intent,
    LogTable,
    MessageRecord,
    OneTimeKey,
    OwnMessage,
    PushShown,
    PushSubscription,
    Reaction,
    ReceiptKind,
    ReceiptRun,
    Role,
    Roster,
    Seq,
    Standing,
    State,
    Status,
    Table,
)
from bimip.domain.state import contacts, groups, privacy_exceptions, private_reads, settings
from bimip.domain.state.read_markers import pack_key
from bimip.domain.state.receipts import KEY, part_of
from bimip.storage.care.check import check
from tests.journal.journal_host import JournalHost, message

PLUS = Reaction("+", Stamp(1), DeviceId(1), removed=False)
ANN, BOB = (UserId(1), "chat"), (UserId(2), "chat")


@pytest.fixture
async def host(autojump_clock: MockClock) -> JournalHost:
    """Forty messages each way, half of them acknowledged and read, the oldest ten expired."""
    host = JournalHost()
    async with host.open():
        ann, bob = await host.pair()
        for number in range(40):
            await host.execute(message(ann, f"a{number}", "bob"))
            await host.execute(message(bob, f"b{number}", "ann"))
        await host.execute(Acknowledge(bob.user, bob.device, "chat", Offset(40), ((50, 60),)))
        await host.execute(Receipt(bob.user, ReceiptKind.READ, None, "ann", ConversationOffset(30)))
    return host


def get(host: JournalHost, table: Table, *key: Any) -> Any:
    return host.get(table, *key)


def rows(host: JournalHost, table: Table) -> list[tuple[Any, Any]]:
    with host.store.snapshot() as view:
        return view.scan(table, (0,), ((1 << 64) - 1,), limit=1000)


def first(host: JournalHost, table: Table) -> tuple[Any, Any]:
    return rows(host, table)[0]


def put(table: Table, key: tuple[Any, ...], record: Any) -> Changes:
    return Changes(puts={table: {key: record}})


def seqs(*rows: IndexRow) -> Changes:
    return Changes(inserts={(Index.SEQS, ANN): list(rows)})


def marker(user: int, conversation: int, upto: int) -> Changes:
    """A read marker that has its version, and a state that has that."""
    key = pack_key(ConversationId(conversation))
    return Changes(
        puts={
            Table.READ_MARKERS: {(user, conversation): upto},
            Table.CHANGES: {(user, 1000): key},
            Table.VERSIONS: {(user, key): Version(1000)},
            Table.STATES: {(user,): State(Version(1000), Version(0))},
        }
    )


BEGIN = Millis(0)
KEYS = DeviceKeys(bytes(32), bytes(32), bytes(64), 1, bytes(32), bytes(64), 5, BEGIN)
ONE_TIME = OneTimeKey(bytes(32), bytes(64))
SUBSCRIPTION = PushSubscription(Stamp(5), BEGIN, "fcm", "t", b"", b"")


def subscription(*, user: int = 2, device: int = 2, upto: int = 1, shown: int = 1) -> Changes:
    """A subscription of bob's, with how far it was pushed and what was shown there."""
    return Changes(
        puts={
            Table.PUSH_SUBSCRIPTIONS: {(user, device, "p"): SUBSCRIPTION},
            Table.PUSH_CURSORS: {(user, 5, "chat"): Offset(upto)},
            Table.PUSH_SHOWN: {(user, 5, 1, "chat"): PushShown(ConversationOffset(shown), 1, BEGIN)},
        }
    )


def checkpoints(*kept: Checkpoint) -> Changes:
    return put(Table.CHECKPOINTS, ANN, kept)


def at_head(host: JournalHost) -> Checkpoint:
    log = get(host, Table.LOGS, *ANN)
    return Checkpoint(log.head, log.chain, Version(0), BEGIN)


def private(conversation: int, first: int, last: int) -> Changes:
    """Bob's private reads of his conversation with ann, with their version."""
    key = KEY.pack(private_reads.TAG, conversation, 2, ReceiptKind.READ, 0)
    runs = (ReceiptRun(ConversationOffset(first), ConversationOffset(last), Millis(1)),)
    return Changes(
        puts={
            Table.PRIVATE_READS: {(conversation, 2, ReceiptKind.READ, part_of(first)): runs},
            Table.SETTINGS: {(2, settings.SEND): settings.ASSUMED},
            Table.CHANGES: {(2, 1000): key},
            Table.VERSIONS: {(2, key): Version(1000)},
            Table.STATES: {(2,): State(Version(1000), Version(0))},
        }
    )


def setting(number: int, value: int) -> Changes:
    """A setting of bob's, with its version."""
    return Changes(
        puts={
            Table.SETTINGS: {(2, number): LastWrite(value, Stamp(1), DeviceId(1))},
            Table.CHANGES: {(2, 1001): settings.KEY},
            Table.VERSIONS: {(2, settings.KEY): Version(1001)},
            Table.STATES: {(2,): State(Version(1001), Version(0))},
        }
    )


def contact(user: int, peer: int, contact: Contact) -> Changes:
    """A contact that is counted, and has its version."""
    key, version = contacts.pack_key(UserId(peer)), Version(1000 + peer)
    return Changes(
        puts={
            Table.CONTACTS: {(user, peer): contact},
            Table.ROSTERS: {(user,): Roster().with_one(contact)},
            Table.CHANGES: {(user, version): key},
            Table.VERSIONS: {(user, key): version},
            Table.STATES: {(user,): State(version, Version(0))},
        }
    )


def excepted(setting: int, value: int) -> Changes:
    """An exception of bob's for ann, with its version and the setting's record."""
    key = privacy_exceptions.pack_key(UserId(1))
    return Changes(
        puts={
            Table.PRIVACY_EXCEPTIONS: {(2, 1, setting): LastWrite(value, Stamp(1), DeviceId(1))},
            Table.SETTINGS: {(2, setting): settings.ASSUMED},
            Table.CHANGES: {(2, 1002): key},
            Table.VERSIONS: {(2, key): Version(1002)},
            Table.STATES: {(2,): State(Version(1002), Version(0))},
        }
    )


REQUESTED = Contact(Standing.REQUESTED)


def without(table: Table, changes: Changes) -> Changes:
    return Changes(puts={one: records for one, records in changes.puts.items() if one is not table})


def without_version(changes: Changes) -> Changes:
    told = {Table.CHANGES, Table.VERSIONS, Table.STATES}
    return Changes(puts={table: records for table, records in changes.puts.items() if table not in told})


def message_state(place: int, stamp: int) -> Changes:
    return Changes(puts={Table.MESSAGE_STATES: {(1, place): MessageRecord(Stamp(stamp))}})


DAMAGES: dict[str, Callable[[JournalHost], Changes]] = {
    "a log that ends early": lambda o: put(Table.LOGS, ANN, get(o, Table.LOGS, *ANN)._replace(head=81)),
    "a log that begins early": lambda o: Changes(cuts={(LogTable.ENTRIES, ANN): 3}),
    "a message in one log only": lambda o: Changes(
        puts={Table.LOGS: {BOB: get(o, Table.LOGS, *BOB)._replace(first=1, head=81)}},
        appends={(LogTable.ENTRIES, BOB): [(81, o.entries(BOB[0])[0][1]._replace(stamp=Stamp(1 << 63)))]},
    ),
    "a message that is gone": lambda o: put(Table.BODIES, (o.entries(ANN[0])[40][1].stamp,), None),
    "a history that ends early": lambda o: put(
        Table.CONVERSATIONS, (1,), get(o, Table.CONVERSATIONS, 1)._replace(head=99)
    ),
    "a conversation of others": lambda o: put(Table.DIRECT, (1, 1), 1),
    "a user's number that leads elsewhere": lambda o: put(Table.EIDS, (2,), "ann"),
    "a device's number that leads elsewhere": lambda o: put(Table.DEVICE_OWNERS, (2,), get(o, Table.DEVICE_OWNERS, 1)),
    "a counter behind its numbers": lambda o: put(Table.META, ("users",), 1),
    "a cursor beyond the head": lambda o: put(Table.CURSORS, (2, "chat"), Cursor(Offset(500), ())),
    "a cursor of overlapping ranges": lambda o: put(Table.CURSORS, (2, "chat"), Cursor(Offset(5), ((4, 6), (8, 9)))),
    "a change without its version": lambda o: put(Table.VERSIONS, (1, first(o, Table.CHANGES)[1]), None),
    "a version without its change": lambda o: put(Table.CHANGES, first(o, Table.CHANGES)[0], None),
    "a change of nothing": lambda o: Changes(puts={Table.RECEIPTS: {key: None for key, _ in rows(o, Table.RECEIPTS)}}),
    "a state behind its changes": lambda o: put(Table.STATES, (1,), get(o, Table.STATES, 1)._replace(head=Version(0))),
    "a receipt for what was never sent": lambda o: put(
        Table.RECEIPTS,
        first(o, Table.RECEIPTS)[0],
        (first(o, Table.RECEIPTS)[1][0]._replace(last=ConversationOffset(200)),),
    ),
    "a read marker beyond what was given": lambda _: marker(2, 1, 500),
    "a read marker of somebody else's conversation": lambda _: marker(3, 1, 1),
    "a read marker of no conversation": lambda _: marker(2, 99, 1),
    "a setting that there is not": lambda _: setting(77, 1),
    "a contact who is let see somebody who knows nothing of it": lambda _: contact(2, 1, Contact(granted=True)),
    "a contact who lets somebody see them who knows nothing of it": lambda _: contact(2, 1, Contact(grants=True)),
    "a request that nobody made": lambda _: contact(2, 1, Contact(Standing.ASKED)),
    "a contact of nobody": lambda _: contact(77, 1, REQUESTED),
    "a contact who is oneself": lambda _: contact(2, 2, REQUESTED),
    "a contact that says nothing": lambda _: contact(2, 1, Contact()),
    "a contact without its version": lambda _: without_version(contact(2, 1, REQUESTED)),
    "a contact who is not counted": lambda _: put(Table.CONTACTS, (2, 1), REQUESTED),
    "a count of no contacts": lambda _: put(Table.ROSTERS, (2,), Roster(1)),
    "a setting for an audience that there is not": lambda _: setting(1, 3),
    "a switch that is neither on nor off": lambda _: setting(7, 2),
    "an exception to what has none": lambda _: excepted(7, 2),
    "an exception that says nothing": lambda _: excepted(4, 4),
    "an exception without the setting's record": lambda _: without(Table.SETTINGS, excepted(4, 3)),
    "an exception without its version": lambda _: without_version(excepted(4, 3)),
    "a private read of whom no setting tells": lambda _: without(Table.SETTINGS, private(1, 33, 34)),
    "a part that is unheard by who is not in the conversation": lambda _: put(Table.UNHEARD, (3, 1, 5), 6),
    "a part that is unheard of no conversation": lambda _: put(Table.UNHEARD, (2, 9, 5), 6),
    "a part that is unheard beyond what was given": lambda _: put(Table.UNHEARD, (2, 1, 5), 500),
    "a part that is unheard and ends before it begins": lambda _: put(Table.UNHEARD, (2, 1, 5), 4),
    "a setting without its version": lambda _: without_version(setting(1, 0)),
    "a private read of what was never sent": lambda _: private(1, 90, 96),
    "a private read of no conversation": lambda _: private(99, 1, 1),
    "a private read that is told to others as well": lambda _: private(1, 5, 5),
    "a private read that is of another part": lambda _: private(1, 40, 50),
    "a private read without its version": lambda _: without_version(private(1, 33, 34)),
    "a read marker without its version": lambda _: Changes(puts={Table.READ_MARKERS: {(2, 1): 1}}),
    "a state of a message that is not there": lambda _: message_state(500, 1),
    "a state of another message": lambda _: message_state(1, 1),
    "a reaction to nothing": lambda _: put(Table.REACTIONS, (1, 1, 2), (PLUS,)),
    "a reaction that is there twice": lambda o: Changes(
        puts={
            Table.MESSAGE_STATES: {(1, 1): MessageRecord(o.entries(ANN[0])[0][1].stamp)},
            Table.REACTIONS: {(1, 1, 2): (PLUS, PLUS)},
        }
    ),
    "an intent that says nothing": lambda _: put(
        Table.INTENTS, (2,), Intent(Status.OFFLINE, Millis(0), Stamp(1), DeviceId(1))
    ),
    "an intent without its version": lambda _: put(
        Table.INTENTS, (2,), Intent(Status.DND, Millis(0), Stamp(1), DeviceId(1))
    ),
    "a pin without its version": lambda _: put(Table.OWN_MESSAGES, (2, 1, 1), OwnMessage(Stamp(1))),
    "settings without their version": lambda _: put(Table.CONVERSATION_SETTINGS, (2, 1), ConversationSettings()),
    "settings of somebody else's conversation": lambda _: put(
        Table.CONVERSATION_SETTINGS, (3, 1), ConversationSettings()
    ),
    "an answer that the log contradicts": lambda o: put(
        Table.SEEN, (1, "a3"), get(o, Table.SEEN, 1, "a3")._replace(offset=Offset(1))
    ),
    "a seq of another device": lambda o: seqs(Seq(5, 5, DeviceId(77), Offset(40))),
    "a seq of no entry": lambda o: seqs(Seq(5, 5, DeviceId(1), Offset(81))),
    "a log with another chain": lambda o: put(Table.LOGS, ANN, get(o, Table.LOGS, *ANN)._replace(chain=bytes(16))),
    "a checkpoint of what was never given": lambda _: checkpoints(
        Checkpoint(Offset(500), bytes(16), Version(0), BEGIN)
    ),
    "keys of no device": lambda _: put(Table.DEVICE_KEYS, (2, 77), KEYS),
    "keys of somebody else's device": lambda _: put(Table.DEVICE_KEYS, (1, 2), KEYS),
    "a one-time key of a device that has no keys": lambda _: put(Table.ONE_TIME_KEYS, (2, 2, 1), ONE_TIME),
    "a one-time key that was never published": lambda _: Changes(
        puts={Table.DEVICE_KEYS: {(2, 2): KEYS}, Table.ONE_TIME_KEYS: {(2, 2, 6): ONE_TIME}}
    ),
    "a subscription of no device": lambda _: subscription(device=77),
    "a subscription of somebody else's device": lambda _: subscription(user=1),
    "two subscriptions of one number": lambda _: Changes(
        puts={Table.PUSH_SUBSCRIPTIONS: dict.fromkeys(((2, 2, "a"), (2, 2, "b")), SUBSCRIPTION)}
    ),
    "a push cursor beyond the head": lambda _: subscription(upto=500),
    "a push cursor of no subscription": lambda _: put(Table.PUSH_CURSORS, (2, 9, "chat"), Offset(1)),
    "something shown that was never given": lambda _: subscription(shown=500),
    "something shown by no subscription": lambda _: put(
        Table.PUSH_SHOWN, (2, 9, 1, "chat"), PushShown(ConversationOffset(1), 1, BEGIN)
    ),
    "a checkpoint with another chain": lambda o: checkpoints(at_head(o)._replace(chain=bytes(16))),
    "checkpoints out of order": lambda o: checkpoints(*[at_head(o)] * 2),
    "a link of entries that are not there": lambda o: Changes(appends={(LogTable.CHAINS, ANN): [(1, bytes(16))]}),
}


def write(host: JournalHost, changes: Changes) -> None:
    host.store.begin()
    host.store.apply(changes)
    host.store.commit()


async def test_a_whole_store_has_no_findings(host: JournalHost) -> None:
    assert list(check(host.store)) == []


async def test_a_checkpoint_has_no_findings(host: JournalHost) -> None:
    write(host, checkpoints(at_head(host)))

    assert list(check(host.store)) == []


async def test_a_read_marker_has_no_findings(host: JournalHost) -> None:
    write(host, marker(2, 1, 5))

    assert list(check(host.store)) == []


async def test_a_subscription_has_no_findings(host: JournalHost) -> None:
    write(host, subscription())

    assert list(check(host.store)) == []


async def test_settings_exceptions_and_private_reads_have_no_findings(host: JournalHost) -> None:
    write(host, private(1, 33, 34))
    write(host, setting(2, 2))
    write(host, excepted(4, 2))

    assert list(check(host.store)) == []


async def test_a_request_that_was_not_taken_has_no_findings(host: JournalHost) -> None:
    write(host, contact(2, 1, REQUESTED))

    assert list(check(host.store)) == []


async def test_the_index_of_a_log_has_no_findings(host: JournalHost) -> None:
    entries = host.entries(ANN[0])
    gone = Seq(1, 1, DeviceId(77), Offset(0))
    rows = [gone, *(Seq(number % 7, number, entry.origin, Offset(number)) for number, entry in entries)]
    write(host, seqs(*rows))

    assert list(check(host.store)) == []


@pytest.mark.parametrize("damage", DAMAGES)
async def test_damage_is_found(host: JournalHost, damage: str) -> None:
    write(host, DAMAGES[damage](host))
    found = list(check(host.store))

    assert found
    assert all(str(finding).startswith(finding.where) for finding in found)


TRIP = ConversationId(1)


@pytest.fixture
async def trip(autojump_clock: MockClock) -> JournalHost:
    """Ann's group with bob, to which both wrote, and which bob has left."""
    host = JournalHost()
    async with host.open():
        ann, bob = await host.pair()
        await host.execute(CreateGroup(ann.user, ann.device, "g1", bytes(8), "trip", ("bob",)))
        for one, name in ((ann, "a1"), (bob, "b1")):
            await host.execute(message(one, name, "c1"))
        await host.execute(RemoveMember(bob.user, bob.device, "g2", bytes(8), TRIP, "bob"))
        await host.execute(message(ann, "a2", "c1"))
    return host


def member(host: JournalHost, user: int, **fields: Any) -> Changes:
    return put(Table.MEMBERS, (1, user), get(host, Table.MEMBERS, 1, user)._replace(**fields))


def group(host: JournalHost, **fields: Any) -> Changes:
    return put(Table.GROUPS, (1,), get(host, Table.GROUPS, 1)._replace(**fields))


DAMAGED_GROUPS: dict[str, Callable[[JournalHost], Changes]] = {
    "a group of nobody that says so": lambda o: group(o, members=(1, 2)),
    "a group that lacks its member": lambda o: group(o, members=()),
    "a group that changed where nothing stands": lambda o: group(o, changed=77),
    "a group without a conversation": lambda o: put(Table.GROUPS, (9,), get(o, Table.GROUPS, 1)),
    "a group without an owner": lambda o: member(o, 1, role=Role.MEMBER),
    "a member of no group": lambda o: put(Table.MEMBERS, (9, 1), get(o, Table.MEMBERS, 1, 1)),
    "a member who is nobody": lambda o: put(Table.MEMBERS, (1, 77), get(o, Table.MEMBERS, 1, 2)),
    "a member who is gone and is not": lambda o: member(o, 2, upto=0),
    "a member whose history begins nowhere": lambda o: member(o, 1, since=0),
    "a member who has more than is theirs": lambda o: member(o, 2, upto=3),
    "a member who lacks a message": lambda o: member(o, 2, upto=5),
    "a member whose devices are not told": lambda o: put(Table.VERSIONS, (1, groups.pack_key(TRIP)), None),
    "a message by nobody in it": lambda o: Changes(puts={Table.MEMBERS: {(1, 2): None}}),
}


async def test_a_group_has_no_findings(trip: JournalHost) -> None:
    assert list(check(trip.store)) == []


@pytest.mark.parametrize("damage", DAMAGED_GROUPS)
async def test_damage_of_a_group_is_found(trip: JournalHost, damage: str) -> None:
    write(trip, DAMAGED_GROUPS[damage](trip))

    assert list(check(trip.store))
