from typing import Any

from bimip.domain.accounts.erasing import BeginErasing
from bimip.domain.conversations.erasing import (
    DropAlone,
    EraseMessages,
    EraseReceipts,
    ForgetMember,
    MessagesErased,
    RestartStates,
)
from bimip.domain.conversations.groups import CreateGroup, LeaveErased
from bimip.domain.core.decision import BodyNews, StateRestarted
from bimip.domain.core.ids import ConversationId, Version
from bimip.domain.core.operations import Address
from bimip.domain.core.records import ReceiptKind, Role, Table
from tests.domain.support import Ledger, Peer, fault_of

TOGETHER = ConversationId(1)


def corresponding(count: int = 3) -> tuple[Ledger, Peer, Peer]:
    """Ann and bob have written to each other in turn."""
    ledger = Ledger()
    ann, bob = ledger.device("ann"), ledger.device("bob")
    for number in range(count):
        ledger.send(ann, "bob", f"m{number}", sent=b"dear bob")
        ledger.send(bob, "ann", f"m{number}", sent=b"to ann")
    return ledger, ann, bob


def bodies(ledger: Ledger) -> list[bytes]:
    with ledger.store.snapshot() as view:
        return [body for _, body in view.scan(Table.BODIES, (0,), (1 << 64,), limit=1000)]


def test_what_they_wrote_loses_its_content_and_others_name_them_no_more() -> None:
    ledger, ann, bob = corresponding()
    usage = ledger.get(Table.USAGE, bob.user)
    ledger.do(BeginErasing("ann"))
    result = ledger.do(EraseMessages(ann.user, TOGETHER))

    assert result == MessagesErased(6, more=False, changed=6)
    assert not any(b"dear" in body or b"ann" in body for body in bodies(ledger))
    assert [bool(record and record.deleted) for record in states(ledger)] == [True, False] * 3
    assert ledger.get(Table.USAGE, bob.user) == usage - 3 * len(b"ann")
    assert BodyNews(bob.user) in ledger.decisions[0].news


def states(ledger: Ledger) -> list[Any]:
    return [ledger.get(Table.MESSAGE_STATES, TOGETHER, place) for place in range(1, 7)]


def test_many_messages_go_in_slices_and_none_is_left_out() -> None:
    ledger, ann, _ = corresponding(100)
    ledger.do(BeginErasing("ann"))
    operation, slices = EraseMessages(ann.user, TOGETHER), 0
    while (result := ledger.do(operation)).more:
        operation = operation._replace(after=result.upto)
        slices += 1

    assert slices >= 3
    assert not any(b"dear" in body or b"ann" in body for body in bodies(ledger))


def test_what_was_addressed_to_their_devices_goes() -> None:
    ledger, ann, bob = corresponding()
    sent = ledger.send(
        bob, "ann", "one", addresses=(Address("ann", "phone", b"for you"), Address("bob", "phone", b"me"))
    )
    ledger.do(BeginErasing("ann"))
    ledger.do(EraseMessages(ann.user, TOGETHER))

    assert ledger.addressed(sent.stamp, ann.user) is None
    assert ledger.addressed(sent.stamp, bob.user) is not None


def test_receipts_go_from_the_store_and_from_the_state_of_others() -> None:
    ledger, ann, bob = corresponding()
    ledger.ack(ann, 6)
    ledger.ack(bob, 6)
    ledger.do(BeginErasing("ann"))
    while ledger.do(EraseReceipts(ann.user, TOGETHER)).more:
        pass

    assert ledger.runs(TOGETHER, ann.user, ReceiptKind.DELIVERED) == ()
    assert ledger.runs(TOGETHER, bob.user, ReceiptKind.DELIVERED) != ()
    assert [key.member for _, key in ledger.state_keys(bob.user)] == []


def test_the_other_one_stays_alone_and_nobody_can_be_written_to_there() -> None:
    ledger, ann, bob = corresponding()
    ledger.do(BeginErasing("ann"))
    between = ledger.do(ledger.append(bob, "c1", "between"))
    ledger.do(ForgetMember(ann.user, TOGETHER))
    after = ledger.do(ledger.append(bob, "c1", "after"))

    assert (fault_of(between), fault_of(after)) == ("NOT_FOUND", "NOT_FOUND")
    assert ledger.get(Table.CONVERSATIONS, TOGETHER).members == (bob.user,)
    assert ledger.direct(bob, "ann") is None


def test_acks_of_what_they_wrote_are_told_to_nobody() -> None:
    ledger, ann, bob = corresponding()
    ledger.do(BeginErasing("ann"))
    ledger.do(ForgetMember(ann.user, TOGETHER))
    before = ledger.get(Table.STATES, ann.user)
    ledger.ack(bob, 6)

    assert ledger.get(Table.STATES, ann.user) == before


def test_a_conversation_with_oneself_goes() -> None:
    ledger, ann, _ = corresponding()
    ledger.send(ann, "ann", "note", sent=b"to myself")
    alone = ledger.direct(ann, "ann")
    ledger.do(BeginErasing("ann"))
    while ledger.do(DropAlone(ann.user, alone)).more:
        pass

    assert not any(b"to myself" in body for body in bodies(ledger))
    assert ledger.get(Table.DIRECT, ann.user, ann.user) is None


def test_a_group_is_left_and_somebody_becomes_owner() -> None:
    ledger, ann, bob = corresponding()
    group = ledger.do(CreateGroup(ann.user, ann.device, "g", bytes(8), "Us", ("bob",))).conversation
    ledger.do(BeginErasing("ann"))
    ledger.do(LeaveErased(ann.user, group))

    assert ledger.get(Table.GROUPS, group).members == (bob.user,)
    assert ledger.get(Table.GROUPS, group).title == "Us"
    assert ledger.get(Table.MEMBERS, group, bob.user).role == Role.OWNER
    assert ledger.get(Table.MEMBERS, group, ann.user).role == Role.NONE


def test_the_title_of_a_group_that_nobody_is_in_goes() -> None:
    ledger, ann, _ = corresponding()
    group = ledger.do(CreateGroup(ann.user, ann.device, "g", bytes(8), "Mine", ())).conversation
    ledger.do(BeginErasing("ann"))
    ledger.do(LeaveErased(ann.user, group))
    ledger.do(EraseMessages(ann.user, group))
    ledger.do(ForgetMember(ann.user, group))

    assert ledger.get(Table.GROUPS, group).title == ""
    assert not any(b"Mine" in body for body in bodies(ledger))


def test_who_is_not_being_erased_leaves_nothing() -> None:
    ledger, ann, _ = corresponding()
    group = ledger.do(CreateGroup(ann.user, ann.device, "g", bytes(8), "Us", ("bob",))).conversation
    before = ledger.everything()
    for operation in (
        LeaveErased(ann.user, group),
        EraseMessages(ann.user, TOGETHER),
        EraseReceipts(ann.user, TOGETHER),
        DropAlone(ann.user, TOGETHER),
        ForgetMember(ann.user, TOGETHER),
    ):
        ledger.do(operation)

    assert ledger.everything() == before


def test_a_state_begins_anew_at_a_version_of_its_own_and_once() -> None:
    ledger, _, bob = corresponding()
    ledger.ack(bob, 6)
    head = Version(5)
    ledger.do(RestartStates(((bob.user, head),)))
    first = ledger.get(Table.STATES, bob.user)
    told = ledger.decisions[0].news
    ledger.do(RestartStates(((bob.user, Version(first.head - 1)),)))

    assert first.floor == first.head
    assert StateRestarted(bob.user, first.head) in told
    assert ledger.get(Table.STATES, bob.user) == first
