"""What an export holds is read in slices, each in a snapshot that has ended before its lines are taken."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from bimip.domain.accounts.belongings import BELONGINGS
from bimip.domain.contacts.roster import ChangeContact, ContactAction
from bimip.domain.conversations.groups import CreateGroup, RemoveMember
from bimip.domain.core.operations import Address
from bimip.domain.core.records import DamagedRecordError, Table
from bimip.reading import export
from bimip.reading.export import export_user
from bimip.storage.memory import MemoryStore
from tests.domain.support import Ledger


def lines_of(store: MemoryStore, eid: str = "ann") -> list[dict[str, Any]]:
    slices = export_user(store, eid)
    assert slices is not None
    return [line for some in slices for line in some]


def corresponding(count: int) -> Ledger:
    ledger = Ledger()
    ann, bob = ledger.device("ann"), ledger.device("bob")
    for number in range(count):
        ledger.send(ann, "bob", f"m{number}")
        ledger.send(bob, "ann", f"m{number}")
    ledger.send(bob, "ann", "secret", addresses=(Address("bob", "phone", b"for bob alone"),))
    ledger.ack(ann, 3)
    return ledger


def test_of_nobody_there_is_no_export() -> None:
    assert export_user(MemoryStore(), "ann") is None


def test_each_entry_and_message_is_there_once_however_long_the_log_is() -> None:
    lines = lines_of(corresponding(250).store)

    assert [line["offset"] for line in lines if line["kind"] == "entry"] == [*range(1, 501)]
    assert [line["conversation_offset"] for line in lines if line["kind"] == "message"] == [*range(1, 501)]
    assert len([line for line in lines if line["kind"] == "message_id"]) == 250


def test_every_kind_is_one_of_the_belongings() -> None:
    kinds = {line["kind"] for line in lines_of(corresponding(3).store)}

    assert kinds <= {row.exported for row in BELONGINGS.values()}
    assert {"user", "device", "log", "entry", "message", "cursor", "receipt", "conversation"} <= kinds


def test_contacts_are_in_it_and_not_what_others_have_of_the_user() -> None:
    ledger = Ledger()
    ann, bob = ledger.device("ann"), ledger.device("bob")
    for peer, action, other in ((ann, ContactAction.REQUEST, "bob"), (bob, ContactAction.BLOCK, "ann")):
        ledger.do(ChangeContact(peer.user, peer.device, "k1", bytes(8), action, other, is_mutual=True))
    lines = lines_of(ledger.store)

    assert [line for line in lines if line["kind"] == "contact"] == [
        {
            "kind": "contact",
            "eid": "bob",
            "name": "",
            "named": None,
            "state": "requested",
            "sees_you": False,
            "seen": False,
            "mutual": True,
            "blocked": False,
            "request": "k1",
            "changed": "2023-11-14T22:13:20.000+00:00",
        }
    ]
    assert [line for line in lines if line["kind"] == "command_id"] == [
        {"kind": "command_id", "device": "phone", "id": "k1", "time": "2023-11-14T22:13:20.000+00:00"}
    ]


@pytest.mark.parametrize("removed", [False, True])
def test_who_was_only_named_in_a_group_and_is_removed_is_so_no_more(removed: bool) -> None:  # noqa: FBT001
    ledger = Ledger()
    ann, bob = ledger.device("ann"), ledger.device("bob")
    ledger.do(ChangeContact(bob.user, bob.device, "k1", bytes(8), ContactAction.BLOCK, "ann"))
    made = ledger.do(CreateGroup(ann.user, ann.device, "g1", bytes(8), "trip", ("bob",)))
    if removed:
        ledger.do(RemoveMember(ann.user, ann.device, "g2", bytes(8), made.conversation, "bob"))
    [line] = [line for line in lines_of(ledger.store, "bob") if line["kind"] == "conversation"]

    told = {name: line[name] for name in ("named", "role", "since", "upto")}
    assert told == {"named": True} | (
        {"role": "", "since": 0, "upto": 2} if removed else {"role": "member", "since": 1, "upto": 0}
    )


def test_what_was_addressed_to_somebody_else_is_not_in_it() -> None:
    assert "conversation_offset': 7" not in str(lines_of(corresponding(3).store))


def test_no_snapshot_is_open_while_lines_are_taken() -> None:
    ledger = corresponding(20)
    is_open: list[int] = []
    snapshot = ledger.store.snapshot

    @contextmanager
    def watched() -> Iterator[Any]:
        with snapshot() as view:
            is_open.append(1)
            yield view
        is_open.pop()

    ledger.store.snapshot = watched  # type: ignore[method-assign]
    slices = export_user(ledger.store, "ann")
    assert slices is not None

    assert [list(is_open) for _ in slices if is_open] == []


def test_a_damaged_record_is_said_and_the_others_go_on() -> None:
    def damaged(*_about: Any) -> Any:
        raise DamagedRecordError

    ledger = corresponding(3)
    before = export._OWN[Table.LOGS]
    export._OWN[Table.LOGS] = damaged
    try:
        kinds = [line["kind"] for line in lines_of(ledger.store)]
    finally:
        export._OWN[Table.LOGS] = before

    assert kinds.count("damaged") == 1
    assert "message" in kinds


def test_times_are_iso_and_those_that_are_none_are_null() -> None:
    assert export._time(1_700_000_000_123) == "2023-11-14T22:13:20.123+00:00"
    assert export._time(0) is None
    assert export._time(1 << 62) is None
