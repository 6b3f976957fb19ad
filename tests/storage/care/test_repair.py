"""What of a damaged record can be made again is made, as it was; what cannot is said."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from shutil import copytree
from typing import Any, cast

import pytest
import trio
from trio.testing import MockClock

from bimip.domain.accounts.barring import DISABLED, ISSUED, MARK, OF_DEVICE, Bar, DisableUser, RevokeIssued, bar_of
from bimip.domain.commands.operation import Command, CommandKind
from bimip.domain.contacts.changing_settings import ChangeException, ChangeSettings
from bimip.domain.contacts.roster import ChangeContact, ContactAction
from bimip.domain.conversations.groups import CreateGroup
from bimip.domain.core.identity import Claims
from bimip.domain.core.ids import ConversationId, ConversationOffset, DeviceId, Millis, Stamp, UserId
from bimip.domain.core.merges import LastWrite
from bimip.domain.core.operations import Appended, Links, MarkRead, Receipt, Received, Registered, Revoke
from bimip.domain.core.records import (
    Changes,
    ConversationSettings,
    Event,
    Intent,
    Key,
    Kind,
    LogTable,
    OwnMessage,
    ReceiptKey,
    ReceiptKind,
    State,
    Status,
    Table,
)
from bimip.domain.delivery.cursor import START
from bimip.domain.keeping.timekeeping import DAY
from bimip.domain.messages.checkpoints import TakeCheckpoint
from bimip.domain.state.intents import NONE, SetIntent
from bimip.domain.state.privacy_exceptions import ExceptionValue
from bimip.domain.state.receipts import pack_key, part_of
from bimip.domain.state.settings import Setting
from bimip.domain.webhooks.feed import HEAD, EventKind
from bimip.storage.care.check import Finding
from bimip.storage.care.check_apart import check_apart, repair_apart
from bimip.storage.care.repair import repair_all
from bimip.storage.errors import StoreDamagedError
from bimip.storage.lmdb.store import LmdbStore
from tests.journal.journal_host import BEGIN, FragileStore, JournalHost, message
from tests.storage.spoil import spoil
from tests.storage.test_damage_campaign import MAP_BYTES, write

PLACE = 7
"""Of the message that is reacted to and pinned, in its conversation."""

READ = ReceiptKey(1, 2, ReceiptKind.READ, 0)  # type: ignore[arg-type]  # plain numbers


async def revoke(folder: Path) -> None:
    store = LmdbStore(folder, map_bytes=MAP_BYTES)
    host = JournalHost(cast("FragileStore", store))
    async with host.open():
        await host.execute(Revoke(UserId(1), "lost", Millis(1)))
        await host.execute(TakeCheckpoint(UserId(1), "chat"))
        await host.execute(MarkRead(UserId(2), ConversationId(1), ConversationOffset(5)))
        off = ((Setting.SEND_READ_RECEIPTS, False),)
        ann_may = (ChangeException("ann", ((Setting.SHOW_LAST_SEEN, ExceptionValue.ALLOWED),), Stamp(7)),)
        await host.execute(ChangeSettings(UserId(2), DeviceId(2), off, Stamp(7), ann_may))
        away = Intent(Status.AWAY, Millis(0), Stamp(7), DeviceId(2))
        await host.execute(SetIntent(UserId(2), away))
        unseen = ((33, 33), (51, 51))  # of two parts
        received = (Received(ConversationId(1), ConversationOffset(33), ConversationOffset(51)),)
        await host.execute(
            Receipt(UserId(2), ReceiptKind.PLAYED, ConversationId(1), "", ConversationOffset(0), unseen, received)
        )
        ann = (UserId(1), DeviceId(1))
        for number, kind in enumerate((CommandKind.REACT, CommandKind.PIN)):
            command = Command(*ann, f"{number}", kind, bytes(8), target_id="a3")
            await host.execute(command._replace(emoji="+", value=True))
        for number in (9, 1):  # the second one loses
            keep = Command(*ann, f"keep {number}", CommandKind.ARCHIVE, bytes(8), Stamp(number))
            await host.execute(keep._replace(conversation=ConversationId(1), value=True))
        answer = message(Registered(UserId(1), DeviceId(1)), "answer")
        (post,) = answer.messages
        linked = post._replace(links=Links(Stamp(5), ("bob",)))
        await host.execute(answer._replace(messages=(linked,)))
        for number, action, eid in ((1, ContactAction.REQUEST, "bob"), (2, ContactAction.ACCEPT, "ann")):
            who = (UserId(number), DeviceId(number))
            await host.execute(ChangeContact(*who, f"contact {number}", bytes(8), action, eid, is_mutual=True))
        ann_blocks = ChangeContact(*ann, "block", bytes(8), ContactAction.BLOCK, "bob")
        await host.execute(ann_blocks)
        await host.execute(message(Registered(UserId(2), DeviceId(2)), "unheard", "ann"))
        await host.execute(ann_blocks._replace(id="unblock", action=ContactAction.UNBLOCK))
        await host.execute(CreateGroup(UserId(1), DeviceId(1), "g1", bytes(8), "trip", ("bob",)))
        for barring in (RevokeIssued("bob"), RevokeIssued("bob", "phone"), DisableUser("ann")):
            await host.execute(barring)
    store.begin()
    told = Event(EventKind.FIRST_SEEN, Millis(BEGIN), UserId(1))
    events: Any = {Table.EVENTS: {(3,): told, (4,): told}, Table.EVENT_POSITIONS: {("crm",): 2}}
    store.apply(Changes(puts={**events, Table.META: {HEAD: 4, ("time",): BEGIN}}))
    store.commit()
    store.close()


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("written")
    trio.run(write, folder, clock=MockClock(autojump_threshold=0))
    trio.run(revoke, folder, clock=MockClock(autojump_threshold=0))
    return folder


@pytest.fixture
def folder(written: Path, tmp_path: Path) -> Path:
    """A copy of the store, to be damaged."""
    return Path(copytree(written, tmp_path / "store"))


def record(folder: Path, table: Table, key: Key) -> Any:
    store = LmdbStore(folder, map_bytes=MAP_BYTES)
    with store.snapshot() as view:
        found = view.get(table, key)
    store.close()
    return found


def same(before: Any) -> Any:
    return before


MADE: dict[str, tuple[Table, Key, Callable[[Any], Any]]] = {
    "a counter": (Table.META, ("conversations",), same),
    "the number of conflicts": (Table.META, ("conflicts",), same),
    "the newest event": (Table.META, HEAD, same),
    "a user": (Table.USERS, ("bob",), lambda user: user._replace(created=0)),
    "a user's name": (Table.EIDS, (2,), same),
    "a device": (Table.DEVICES, (2, "phone"), lambda device: device._replace(created=0, last_seen=0)),
    "a device's name": (Table.DEVICE_OWNERS, (2,), same),
    "whose a conversation is": (Table.DIRECT, (1, 2), same),
    "a conversation": (Table.CONVERSATIONS, (1,), same),
    "a log": (Table.LOGS, (2, "chat"), same),
    "a quota": (Table.USAGE, (1,), same),
    "a state": (Table.STATES, (1,), lambda state: State(state.head + 1, state.head + 1)),
    "a change": (Table.CHANGES, (1, 1), same),
    "a version": (Table.VERSIONS, (1, pack_key(READ)), same),
    "a cursor": (Table.CURSORS, (2, "chat"), lambda _: START),
    "a receipt": (Table.RECEIPTS, (1, 2, ReceiptKind.READ, 0), lambda _: None),
    "a read marker": (Table.READ_MARKERS, (2, 1), lambda _: 0),
    "checkpoints": (Table.CHECKPOINTS, (1, "chat"), lambda _: None),
    "a setting": (Table.SETTINGS, (2, Setting.SEND_READ_RECEIPTS), lambda write: LastWrite(0, Stamp(0), DeviceId(0))),
    "an exception": (
        Table.PRIVACY_EXCEPTIONS,
        (2, 1, Setting.SHOW_LAST_SEEN),
        lambda write: LastWrite(int(ExceptionValue.DENIED), Stamp(0), DeviceId(0)),
    ),
    "an intent": (Table.INTENTS, (2,), lambda _: NONE),
    "a private read": (Table.PRIVATE_READS, (1, 2, ReceiptKind.PLAYED, part_of(33)), lambda _: None),
    "what became of a message": (Table.MESSAGE_STATES, (1, PLACE), same),
    "a user's reactions": (Table.REACTIONS, (1, PLACE, 1), lambda _: ()),
    "a user's own": (Table.OWN_MESSAGES, (1, 1, PLACE), lambda own: OwnMessage(own.message)),
    "how a conversation is kept": (Table.CONVERSATION_SETTINGS, (1, 1), lambda _: ConversationSettings()),
    "a contact": (Table.CONTACTS, (1, 2), same),
    "a count of contacts": (Table.ROSTERS, (2,), same),
    "what is unheard": (Table.UNHEARD, (1, 1, 302), same),
    "a conflict": (Table.CONFLICTS, (1,), lambda _: None),
    "an inbox": (Table.INBOXES, (2,), lambda inbox: inbox._replace(is_whole=False)),
    "a place in an inbox": (Table.RISEN, (2, 1), same),
    "a mention": (Table.MENTIONS, (2, 1, 301), lambda _: None),
    "an answer": (Table.THREADS, (1, 5, 301), lambda _: None),
    "a group": (Table.GROUPS, (2,), lambda group: group._replace(title="")),
    "a member": (Table.MEMBERS, (2, 2), lambda member: member._replace(joined=0)),
    "an owner": (Table.MEMBERS, (2, 1), lambda member: member._replace(joined=0)),
    "a conversation of a group": (Table.CONVERSATIONS, (2,), same),
    "a revocation": (Table.REVOKED, (1, "lost"), lambda _: (1 << 63) - 1),
}


@pytest.mark.parametrize("name", MADE)
def test_a_record_that_others_tell_is_made_again(folder: Path, name: str) -> None:
    table, key, expected = MADE[name]
    before = record(folder, table, key)
    assert before is not None
    spoil(folder, table, key)
    found = [finding for finding in check_apart(folder, MAP_BYTES) if finding.what.startswith("is not what was")]
    repaired = list(repair_apart(folder, MAP_BYTES))

    assert [(one.where, "--repair" in one.what) for one in found] == [(table.value, True)]
    assert [one.where for one in repaired] == [table.value]
    assert record(folder, table, key) == expected(before)
    assert list(check_apart(folder, MAP_BYTES)) == []


def repair(folder: Path) -> list[Finding]:
    """In this process: what is damaged here ends none."""
    store = LmdbStore(folder, map_bytes=MAP_BYTES)
    repaired = list(repair_all(store))
    store.close()
    return repaired


async def serve_again(folder: Path) -> None:
    host = JournalHost(cast("FragileStore", LmdbStore(folder, map_bytes=MAP_BYTES)))
    async with host.open():
        assert isinstance(await host.execute(message(Registered(UserId(2), DeviceId(2)), "after", "ann")), Appended)
    host.store.close()


def test_a_server_starts_again_whose_own_records_were_damaged(folder: Path) -> None:
    names = {"epoch", "clock", "starts", "time"}
    for name in names:
        spoil(folder, Table.META, (name,))
    said = [finding.what for finding in check_apart(folder, MAP_BYTES) if finding.where == "meta"]
    repaired = repair(folder)

    assert [what.endswith("; --repair makes it again") for what in said] == [True] * len(names)
    assert {one.key[0] for one in repaired if one.what.startswith("left out: ")} == names
    assert {record(folder, Table.META, (name,)) for name in names} == {None}
    trio.run(serve_again, folder, clock=MockClock(autojump_threshold=0))


def test_the_newest_event_is_known_by_positions_where_no_event_is_left(folder: Path) -> None:
    store = LmdbStore(folder, map_bytes=MAP_BYTES)
    store.begin()
    store.apply(Changes(puts={Table.EVENTS: {(3,): None, (4,): None}, Table.EVENT_POSITIONS: {("crm",): 4}}))
    store.commit()
    store.close()
    spoil(folder, Table.META, HEAD)
    repair(folder)

    assert record(folder, Table.META, HEAD) == 4


def test_who_was_barred_is_let_in_with_a_token_that_was_issued_since(folder: Path) -> None:
    for damaged in ((ISSUED,), (OF_DEVICE + "phone",), (MARK, ISSUED, OF_DEVICE + "phone")):
        for key in damaged:
            spoil(folder, Table.REVOKED, (2, key))
        repair(folder)
        claims = partial(Claims, eid="bob", device="phone", expires_at=Millis(1 << 62), jti="x")
        store = LmdbStore(folder, map_bytes=MAP_BYTES)
        with store.snapshot() as view:
            found = [bar_of(view, UserId(2), claims(issued_at=Millis(at))) for at in (BEGIN, BEGIN + DAY)]
        store.close()

        assert found == [Bar.REVOKED, None]


def test_who_is_disabled_stays_so(folder: Path) -> None:
    spoil(folder, Table.REVOKED, (1, DISABLED))
    repair(folder)

    assert BEGIN <= record(folder, Table.REVOKED, (1, DISABLED)) < BEGIN + DAY


LOST: dict[str, tuple[Kind, Key]] = {
    "a message": (Table.BODIES, ()),
    "an id": (Table.SEEN, (1, "a7")),
    "entries": (LogTable.ENTRIES, (2, "chat")),
    "a history": (LogTable.HISTORY, (1,)),
}


@pytest.mark.parametrize("name", LOST)
def test_a_record_that_stands_nowhere_else_stays_as_it_is_and_is_said(folder: Path, name: str) -> None:
    kind, key = LOST[name]
    if kind is Table.BODIES:
        store = LmdbStore(folder, map_bytes=MAP_BYTES)
        with store.snapshot() as view:
            ((key, _),) = view.scan(Table.BODIES, (0,), (1 << 64,), limit=1)
        store.close()
    spoil(folder, kind, key)
    repaired = list(repair_apart(folder, MAP_BYTES))

    assert [(one.where, one.what) for one in repaired] == [(kind.value, "stands nowhere else, and stays as it is")]
    assert any(finding.where == kind.value for finding in check_apart(folder, MAP_BYTES))


def test_nothing_is_written_where_pages_are_damaged(folder: Path) -> None:
    data = bytearray((folder / "data.mdb").read_bytes())
    data[10 * 4096 : 11 * 4096] = bytes(4096)
    (folder / "data.mdb").write_bytes(data)

    with pytest.raises(StoreDamagedError, match="restore a copy"):
        list(repair_apart(folder, MAP_BYTES))
    assert (folder / "data.mdb").read_bytes() == bytes(data)
