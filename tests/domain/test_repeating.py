"""No operation has a second effect, however often it is repeated and whatever happened since.

That is how the journal may try again what a crash left unknown.
"""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bimip.domain.accounts.barring import DisableUser, EnableUser, RevokeIssued
from bimip.domain.accounts.erasing import (
    BeginErasing,
    EraseConflicts,
    EraseDevice,
    EraseLog,
    EraseRecords,
    FinishErasing,
)
from bimip.domain.accounts.keys import ClaimKeys, KeyOwner, PublishKeys, Signed, WithdrawKeys
from bimip.domain.accounts.registering import CreateUser, DropCursor, LabelDevice, NoteSeen, SeenDevice
from bimip.domain.awareness.calls import End
from bimip.domain.awareness.locations import EndLocationShare, ShareLocation
from bimip.domain.awareness.missed_calls import MissCall
from bimip.domain.commands.command import ExpireCommands
from bimip.domain.commands.operation import Command, CommandKind
from bimip.domain.contacts.changing_settings import ChangeSettings
from bimip.domain.contacts.roster import ChangeContact, ContactAction, ForgetContacts
from bimip.domain.conversations.erasing import DropAlone, EraseMessages, EraseReceipts, ForgetMember, RestartStates
from bimip.domain.conversations.groups import (
    AddMembers,
    CreateGroup,
    LeaveErased,
    RemoveMember,
    RenameGroup,
    SetRole,
)
from bimip.domain.conversations.inbox import FillInbox
from bimip.domain.core.clock import earliest_stamp
from bimip.domain.core.ids import ConversationId, ConversationOffset, Millis, Offset, Stamp, UserId, Version
from bimip.domain.core.operations import (
    Acknowledge,
    Address,
    Append,
    Barrier,
    ExpireBodies,
    ExpireHistory,
    ExpireLog,
    ExpireRevoked,
    ExpireSeen,
    Forget,
    MarkRead,
    NoteTime,
    OpenPosition,
    Operation,
    PositionOpened,
    Receipt,
    Refused,
    Register,
    Result,
    Revoke,
)
from bimip.domain.core.records import Intent, ReceiptKind, Role, Status, Table
from bimip.domain.decisions import OPERATIONS
from bimip.domain.delivery.hello import FIRST, HEAD, LAST
from bimip.domain.keeping.timekeeping import Known
from bimip.domain.messages.checkpoints import TakeCheckpoint
from bimip.domain.messages.committed import ExpireCommitted
from bimip.domain.messages.disappearing import Disappear
from bimip.domain.messages.expiring import ExpireMentions, ExpireThreads, TrimHistory
from bimip.domain.push.outbox import NotePushed, Notice, NoticeKind, PassPushed
from bimip.domain.push.subscribing import Subscribe, SubscriptionKey, Unsubscribe
from bimip.domain.state.intents import SetIntent
from bimip.domain.state.location_shares import OtherEnd, With
from bimip.domain.state.pruning import PruneRemoval
from bimip.domain.state.settings import Setting
from bimip.domain.webhooks.feed import CutEvents, EventKind, NoteTold, OpenWebhooks, positions_of
from tests.domain.support import BEGIN, CHAT, Ledger

HOUR = 3_600_000

numbers = st.integers(0, 9)
who = st.sampled_from([0, 1, 2])
Draw = Callable[[Ledger, list[Any]], Operation]


def append(one: int, other: int, name: int) -> Draw:
    return lambda ledger, peers: ledger.append(peers[one], peers[other].eid, f"m{name}", digest=b"")


def append_to_a_device(one: int, other: int, name: int) -> Draw:
    return lambda ledger, peers: ledger.append(
        peers[one], peers[other].eid, f"d{name}", addresses=(Address(peers[other].eid, "phone", b"!"),)
    )


def acknowledge(one: int, upto: int, first: int) -> Draw:
    return lambda _, peers: Acknowledge(
        peers[one].user, peers[one].device, CHAT, Offset(upto), ((first + 1, first + 2),)
    )


def position(one: int, upto: int) -> Draw:
    return lambda _, peers: OpenPosition(peers[one].user, peers[one].device, CHAT, Offset(upto))


def begin(one: int) -> Draw:
    return lambda _, peers: OpenPosition(peers[one].user, peers[one].device, CHAT, start=FIRST)


def read(one: int, other: int, upto: int) -> Draw:
    return lambda _, peers: Receipt(peers[one].user, ReceiptKind.READ, None, peers[other].eid, ConversationOffset(upto))


SAID = [Status.ONLINE, Status.AWAY, Status.BUSY, Status.DND]


def say(one: int, status: Status, until: int, stamp: int) -> Draw:
    return lambda _, peers: SetIntent(peers[one].user, Intent(status, Millis(until), Stamp(stamp), peers[one].device))


def change(one: int, setting: Setting, value: int, stamp: int) -> Draw:
    return lambda _, peers: ChangeSettings(peers[one].user, peers[one].device, ((setting, bool(value)),), Stamp(stamp))


def revoke(name: int) -> Draw:
    return lambda _, __: Revoke(UserId(1), f"token {name}", Millis(BEGIN + 100 * HOUR))


def register(name: int) -> Draw:
    return lambda _, __: Register(f"new {name}", "phone")


def give(one: int, kind: CommandKind, place: int, name: int) -> Draw:
    """A command about one of the messages, whoever may see it."""

    def draw(ledger: Ledger, peers: list[Any]) -> Operation:
        with ledger.store.snapshot() as view:
            bodies = view.scan(Table.BODIES, (0,), Table.BODIES.schema.end, limit=10)
        target = bodies[place % len(bodies)][0][0] if bodies else Stamp(1)
        who = (peers[one].user, peers[one].device)
        return Command(*who, f"k{name}", kind, b"%8d" % (target % 10**8), target=target, payload=b"!", emoji="+")

    return draw


def keep(one: int, kind: CommandKind, name: int) -> Draw:
    return lambda _, peers: Command(
        peers[one].user, peers[one].device, f"c{name}", kind, bytes(8), conversation=ConversationId(1), value=True
    )


def expire(one: int) -> Draw:
    return lambda ledger, peers: ExpireLog(peers[one].user, CHAT, earliest_stamp(Millis(ledger.now - 2 * HOUR)))


def create_group(one: int, name: int) -> Draw:
    return lambda _, peers: CreateGroup(
        peers[one].user, peers[one].device, f"g{name}", bytes(8), f"group {name}", ("bob",)
    )


def change_group(one: int, name: int, group: int) -> Draw:
    """Adds, removes, renames or gives a role, by turns: under one id always the same."""

    def draw(_: Ledger, peers: list[Any]) -> Operation:
        who = peers[one].user, peers[one].device, f"c{name}.{group}", bytes(8), ConversationId(group)
        whom = ("ann", "bob")[name // 4 % 2]
        changes: list[Operation] = [
            AddMembers(*who, (whom,)),
            RemoveMember(*who, whom),
            RenameGroup(*who, f"title {name}"),
            SetRole(*who, whom, Role.ADMIN),
        ]
        return changes[name % 4]

    return draw


def change_contact(one: int, action: ContactAction, name: int) -> Draw:
    def draw(_ledger: Ledger, peers: Any) -> Operation:
        who, eid = (peers[one].user, peers[one].device), "ann" if one else "bob"
        return ChangeContact(*who, f"c{action}.{name}", bytes(8), action, eid, bool(name % 2), f"{name}", Stamp(name))

    return draw


def append_to_a_group(one: int, name: int, group: int) -> Draw:
    return lambda ledger, peers: ledger.append(peers[one], f"c{group}", f"a{name}.{group}", digest=b"")


operations = st.one_of(
    st.builds(append, who, who, numbers),
    st.builds(append_to_a_device, who, who, numbers),
    st.builds(acknowledge, who, numbers, numbers),
    st.builds(position, who, numbers),
    st.builds(begin, who),
    st.builds(read, who, who, numbers),
    st.builds(change, who, st.sampled_from(Setting), st.integers(0, 1), st.integers(1, 3)),
    st.builds(say, who, st.sampled_from(SAID), st.integers(0, 1), st.integers(1, 3)),
    st.builds(revoke, numbers),
    st.builds(register, numbers),
    st.builds(give, who, st.sampled_from([*CommandKind][:5]), numbers, numbers),
    st.builds(keep, who, st.sampled_from([CommandKind.ARCHIVE, CommandKind.PIN, CommandKind.MARK_UNREAD]), numbers),
    st.builds(expire, who),
    st.builds(create_group, who, numbers),
    st.builds(change_group, who, numbers, st.integers(1, 3)),
    st.builds(change_contact, who, st.sampled_from(ContactAction), numbers),
    st.builds(append_to_a_group, who, numbers, st.integers(1, 3)),
)

EFFECTS = {
    Table.META,
    Table.USERS,
    Table.EIDS,
    Table.DEVICE_OWNERS,
    Table.LABELS,
    Table.DIRECT,
    Table.CONVERSATIONS,
    Table.GROUPS,
    Table.MEMBERS,
    Table.LOGS,
    Table.BODIES,
    Table.ADDRESSED,
    Table.SEEN,
    Table.STATES,
    Table.CHANGES,
    Table.VERSIONS,
    Table.RECEIPTS,
    Table.READ_MARKERS,
    Table.SETTINGS,
    Table.PRIVACY_EXCEPTIONS,
    Table.INTENTS,
    Table.PRIVATE_READS,
    Table.MESSAGE_STATES,
    Table.REACTIONS,
    Table.OWN_MESSAGES,
    Table.CONVERSATION_SETTINGS,
    Table.CONTACTS,
    Table.ROSTERS,
    Table.UNHEARD,
    Table.COMMANDS,
    Table.CONFLICTS,
    Table.INBOXES,
    Table.RECENT,
    Table.RISEN,
    Table.MENTIONS,
    Table.THREADS,
    Table.REVOKED,
}
"""Not among them: when a device was last seen, and what a cursor keeps above its floor (an ack beyond the window is
kept when it is repeated nearer to the floor)."""


def effects(ledger: Ledger) -> dict[Any, Any]:
    return {key: record for key, record in ledger.everything().items() if key[0] in EFFECTS or key[0] not in Table}


def floors(ledger: Ledger) -> dict[Any, int]:
    return {key: cursor.floor for (table, key), cursor in ledger.everything().items() if table is Table.CURSORS}


def counts(operation: Operation, result: Result) -> bool:
    """One that was refused, or came from a device ahead of the log, has had no effect, and may have it later."""
    if isinstance(operation, OpenPosition) and isinstance(result, PositionOpened):
        return operation.furthest <= result.head
    return not isinstance(result, Refused)


@given(st.lists(operations, min_size=1, max_size=20), st.data())
@settings(max_examples=150, deadline=None)
def test_repeated_in_any_later_state_nothing_happens_again(draws: list[Draw], data: st.DataObject) -> None:
    ledger = Ledger(window_entries=2)
    peers = [ledger.device("ann"), ledger.device("bob"), ledger.device("bob", "laptop")]
    done: list[Operation] = []
    for draw in draws:
        operation = draw(ledger, peers)
        result = ledger.do(operation)
        ledger.now = Millis(ledger.now + HOUR)
        if counts(operation, result):
            done.append(operation)
    before, stood = effects(ledger), floors(ledger)
    for operation in data.draw(st.lists(st.sampled_from(done), max_size=10)) if done else []:
        ledger.do(operation)

        assert effects(ledger) == before
        assert all(floors(ledger)[key] >= floor for key, floor in stood.items())


@given(st.lists(operations, max_size=12))
@settings(max_examples=50, deadline=None)
def test_trying_a_whole_batch_again_changes_nothing(draws: list[Draw]) -> None:
    """What a journal does that died between the commit and the answers."""
    ledger = Ledger()
    peers = [ledger.device("ann"), ledger.device("bob"), ledger.device("bob", "laptop")]
    batch = [draw(ledger, peers) for draw in draws]
    results = ledger.do_all(*batch)
    once = effects(ledger)
    for operation, result in zip(batch, results, strict=True):
        if counts(operation, result):
            ledger.do(operation)

    assert effects(ledger) == once


@pytest.mark.parametrize("start", [FIRST, HEAD, LAST])
def test_a_start_repeated_at_once_changes_nothing(start: int) -> None:
    ledger = Ledger()
    ann, bob = ledger.device("ann"), ledger.device("bob")
    for number in range(5):
        ledger.send(ann, "bob", f"m{number}")
    opening = OpenPosition(bob.user, bob.device, CHAT, start=start, last=2)
    first = ledger.do(opening)
    before = ledger.everything()

    assert ledger.do(opening) == first
    assert ledger.everything() == before


def test_the_operations_that_no_history_draws_change_nothing_when_repeated() -> None:
    ledger = Ledger()
    ann, bob = ledger.device("ann"), ledger.device("bob")
    for number in range(5):
        ledger.send(ann, "bob", f"m{number}")
        ledger.now = Millis(ledger.now + HOUR)
    ledger.send(ann, "bob", "brief", ttl=1000)
    old = earliest_stamp(Millis(BEGIN + 2 * HOUR))
    for operation in (
        ExpireHistory(ConversationId(1), old),
        ExpireBodies(old),
        ExpireSeen(old),
        ExpireRevoked(ledger.now),
        Barrier(),
        NoteTime(Known(ledger.now)),
        LabelDevice(bob.user, "phone", "mine"),
        NoteSeen((SeenDevice(ann.user, "phone", ann.device),)),
        TrimHistory(ConversationId(1)),
        FillInbox(bob.user),
        ExpireMentions(old),
        ExpireCommands(old),
        ExpireThreads(old),
        Disappear(Millis(ledger.now + 1000), ledger.last),
        Forget(bob.device),
        PruneRemoval(bob.user, Version(1)),
        DropCursor(bob.device, CHAT),
        TakeCheckpoint(bob.user, CHAT),
        MissCall(ann.user, ann.device, "bob", "x", End.TIMED_OUT, ledger.now),
        ShareLocation(ann.user, "", ConversationId(1), Millis(ledger.now + HOUR)),
        EndLocationShare(Millis(ledger.now + HOUR), ann.user, OtherEnd(With.CONVERSATION, 1)),
    ):
        ledger.do(operation)
        before = ledger.everything()
        ledger.do(operation)

        assert ledger.everything() == before


def test_what_webhooks_were_told_is_noted_once() -> None:
    ledger = Ledger(events=frozenset(EventKind))
    ledger.do(OpenWebhooks(("a", "b")))
    ann, _bob = ledger.device("ann"), ledger.device("bob")
    for number in range(3):
        ledger.send(ann, "bob", f"m{number}")

    for operation in (
        OpenWebhooks(("a", "b", "c")),
        NoteTold("a", 5),
        NoteTold("b", 2),
        NoteTold("a", 1),
        CutEvents(),
        OpenWebhooks(("a",)),
    ):
        ledger.do(operation)
        before = ledger.everything()
        ledger.do(operation)

        assert ledger.everything() == before
    with ledger.store.snapshot() as view:
        assert positions_of(view) == {"a": 5}


def test_what_all_devices_have_goes_once() -> None:
    ledger = Ledger(until_acked=frozenset({CHAT}))
    ann, bob = ledger.device("ann"), ledger.device("bob")
    for number in range(5):
        ledger.send(ann, "bob", f"m{number}")
    ledger.do(begin(1)(ledger, [ann, bob]))
    ledger.ack(bob, 3)
    operation = ExpireCommitted(bob.user, CHAT, Millis(0))

    assert ledger.do(operation).removed == 3
    before = ledger.everything()
    assert ledger.do(operation).removed == 0
    assert ledger.everything() == before


def test_subscriptions_and_what_was_pushed_change_nothing_when_repeated() -> None:
    ledger = Ledger()
    ann, bob = ledger.device("ann"), ledger.device("bob")
    key = SubscriptionKey(bob.user, bob.device, "p")
    ledger.do(Subscribe(key, "fcm", "a token"))
    sent = [ledger.send(ann, "bob", f"m{number}") for number in range(5)]
    with ledger.store.snapshot() as view:
        number = view.get(Table.PUSH_SUBSCRIPTIONS, key).number
    notice = Notice(NoticeKind.MESSAGE, CHAT, ConversationId(1), ConversationOffset(2), sent[1].stamp, ann.user, 2)
    for operation in (
        Subscribe(key, "fcm", "another token"),
        NotePushed(key, number, notice, Offset(2)),
        PassPushed(key, number, CHAT, Offset(4)),
        NotePushed(key, number, notice._replace(kind=NoticeKind.CLEAR), Offset(4)),
        Unsubscribe(key),
    ):
        before = ledger.everything()
        ledger.do(operation)
        once = ledger.everything()
        ledger.do(operation)

        assert before != once == ledger.everything()


def test_keys_change_nothing_when_they_are_said_again_and_a_claim_takes_another_one() -> None:
    ledger = Ledger()
    ann, bob = ledger.device("ann"), ledger.device("bob")
    keys = tuple(Signed(number, bytes([number]) * 32, bytes(64)) for number in range(1, 4))
    publish = PublishKeys(bob.user, bob.device, bytes(32), bytes(32), bytes(64), keys[0], keys)
    for operation in (publish, WithdrawKeys(bob.user, bob.device)):
        before = ledger.everything()
        ledger.do(operation)
        once = ledger.everything()
        ledger.do(operation)

        assert before != once == ledger.everything()

    ledger.do(publish)
    claimed = [ledger.do(ClaimKeys(ann.user, (KeyOwner("bob"),))).one_time for _ in range(4)]
    assert claimed == [(keys[0],), (keys[1],), (keys[2],), (None,)]
    ledger.do(publish)
    assert ledger.do(ClaimKeys(ann.user, (KeyOwner("bob"),))).one_time == (None,)


def test_what_erases_a_user_changes_nothing_once_it_is_done() -> None:
    ledger = Ledger()
    ann, bob = ledger.device("ann"), ledger.device("bob")
    group = ledger.do(CreateGroup(ann.user, ann.device, "g", bytes(8), "Us", ("bob",))).conversation
    for number in range(5):
        ledger.send(ann, "bob", f"m{number}", sent=b"dear bob")
        ledger.send(bob, "ann", f"m{number}")
    ledger.send(ann, "ann", "to myself")
    ledger.ack(ann, 9)
    ledger.do(ChangeContact(ann.user, ann.device, "r", bytes(8), ContactAction.REQUEST, "bob"))
    for operation in (
        BeginErasing("ann"),
        ForgetContacts(ann.user, (bob.user,)),
        LeaveErased(ann.user, group),
        EraseMessages(ann.user, ConversationId(2)),
        EraseReceipts(ann.user, ConversationId(2)),
        DropAlone(ann.user, ConversationId(3)),
        RestartStates(((bob.user, Version(9)),)),
        ForgetMember(ann.user, ConversationId(2)),
        EraseLog(ann.user, CHAT),
        EraseRecords(ann.user),
        EraseDevice(ann.user, ann.device),
        EraseConflicts(ann.user),
        FinishErasing(ann.user),
    ):
        result = ledger.do(operation)
        while getattr(result, "more", False):
            result = ledger.do(operation)
        before = ledger.everything()
        ledger.do(operation)

        assert ledger.everything() == before


@pytest.mark.parametrize(
    "operation", [DisableUser("ann"), EnableUser("ann"), RevokeIssued("ann", "phone"), CreateUser("dora")]
)
def test_what_an_operator_does_to_users_changes_nothing_once_it_is_done(operation: Operation) -> None:
    ledger = Ledger()
    ledger.device("ann")
    ledger.do(DisableUser("ann") if operation == EnableUser("ann") else Barrier())
    ledger.do(operation)
    before = ledger.everything()
    ledger.do(operation)

    assert ledger.everything() == before


def test_every_operation_is_repeated_here() -> None:
    drawn = {
        Append,
        Acknowledge,
        OpenPosition,
        Receipt,
        MarkRead,
        ChangeSettings,
        SetIntent,
        Revoke,
        Register,
        ExpireLog,
    }
    drawn |= {CreateGroup, AddMembers, RemoveMember, RenameGroup, SetRole}
    drawn |= {Command, ChangeContact}
    told = {ExpireHistory, ExpireBodies, ExpireSeen, ExpireRevoked, Barrier, NoteTime, Forget}
    told |= {ExpireCommands, FillInbox, ExpireMentions, ExpireThreads}
    told |= {LabelDevice, NoteSeen, TrimHistory, ExpireCommitted, TakeCheckpoint, Disappear}
    told |= {PruneRemoval, DropCursor, MissCall, ShareLocation, EndLocationShare}
    told |= {PublishKeys, WithdrawKeys, ClaimKeys}
    told |= {Subscribe, Unsubscribe, NotePushed, PassPushed}
    told |= {BeginErasing, LeaveErased, EraseMessages, EraseReceipts, DropAlone, RestartStates, ForgetMember}
    told |= {CreateUser, DisableUser, EnableUser, RevokeIssued, OpenWebhooks, NoteTold, CutEvents}
    told |= {ForgetContacts, EraseLog, EraseRecords, EraseDevice, EraseConflicts, FinishErasing}

    assert drawn | told == set(OPERATIONS)
