from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bimip.domain.core.clock import millis_of
from bimip.domain.core.ids import Millis
from bimip.domain.core.operations import Address, Appended, Refused
from bimip.domain.core.records import Addressed, Entry, HistoryEntry, LogTable, Table
from bimip.domain.messages.appending import is_addressed, is_owed
from tests.domain.support import BEGIN, Ledger, fault_of


def test_a_message_enters_both_logs_and_the_conversation() -> None:
    ledger = Ledger()
    ann, bob = ledger.device("ann"), ledger.device("bob")
    sent = ledger.send(ann, "bob", "m1", sent=b"hello")
    place = (sent.stamp, sent.conversation, sent.conversation_offset)
    entry = Entry(*place, ann.user, ann.device, addressed=False, digest=bytes(8))

    assert sent == Appended(
        "m1", "chat", sent.stamp, sent.offset, sent.conversation, sent.conversation_offset, duplicate=False, time=BEGIN
    )
    assert (sent.offset, sent.conversation_offset) == (1, 1)
    assert millis_of(sent.stamp) == BEGIN
    assert ledger.entries(ann.user) == ledger.entries(bob.user) == [(1, entry)]
    assert ledger.get(Table.BODIES, sent.stamp) == b"%d/%d/1/hello" % (sent.stamp, sent.conversation)
    with ledger.store.snapshot() as view:
        history = view.read(LogTable.HISTORY, (sent.conversation,), 0, limit=9)
    assert history == [(1, HistoryEntry(sent.stamp, ann.user, ann.device, addressed=False))]


@pytest.mark.parametrize("ahead", [3_456_000_000, 2_500_000_000_000])
def test_where_stamps_ran_ahead_messages_follow_in_order_and_tell_the_present(ahead: int) -> None:
    ledger = Ledger()
    ann = ledger.device("ann")
    ledger.device("bob")
    ledger.now = Millis(BEGIN + ahead)
    first = ledger.send(ann, "bob", "m1")
    ledger.now = BEGIN
    second, again = ledger.send(ann, "bob", "m2"), ledger.send(ann, "bob", "m1")

    assert second.stamp > first.stamp
    assert (first.time, second.time) == (BEGIN + ahead, BEGIN)
    assert again == first._replace(duplicate=True, time=BEGIN)


def test_offsets_are_those_of_each_log_and_the_conversation_counts_for_itself() -> None:
    ledger = Ledger()
    ann, bob, cid = ledger.device("ann"), ledger.device("bob"), ledger.device("cid")
    ledger.send(ann, "bob", "1")
    ledger.send(cid, "bob", "1")
    sent = ledger.send(bob, "ann", "1")

    assert (sent.offset, sent.conversation_offset) == (3, 2)
    assert [len(ledger.entries(one.user)) for one in (ann, bob, cid)] == [2, 3, 1]


def test_partitions_have_logs_of_their_own_and_share_the_conversation() -> None:
    ledger = Ledger()
    ann, bob = ledger.device("ann"), ledger.device("bob")
    ledger.send(ann, "bob", "1")
    sent = ledger.send(ann, "bob", "2", partition="feed")

    assert (sent.partition, sent.offset, sent.conversation_offset) == ("feed", 1, 2)
    assert len(ledger.entries(bob.user, "feed")) == len(ledger.entries(bob.user)) == 1


def test_a_message_to_oneself_is_one_entry() -> None:
    ledger = Ledger()
    ann = ledger.device("ann")
    sent = ledger.send(ann, "ann", "note")

    assert [number for number, _ in ledger.entries(ann.user)] == [1]
    assert ledger.get(Table.CONVERSATIONS, sent.conversation).members == (ann.user,)


def test_a_conversation_is_the_same_from_both_sides() -> None:
    ledger = Ledger()
    ann, bob = ledger.device("ann"), ledger.device("bob")

    assert ledger.send(ann, "bob", "1").conversation == ledger.send(bob, "ann", "1").conversation
    assert ledger.send(ann, "ann", "2").conversation != ledger.send(ann, "bob", "3").conversation


@pytest.mark.parametrize("together", [True, False], ids=["in one batch", "in two"])
def test_a_resend_is_answered_with_the_first_ones_ids_and_appended_nowhere(*, together: bool) -> None:
    ledger = Ledger()
    ann, bob = ledger.device("ann"), ledger.device("bob")
    message = ledger.append(ann, "bob", "m1", digest=b"d")
    first, again = ledger.do_all(message, message) if together else (ledger.do(message), ledger.do(message))

    assert isinstance(first, Appended)
    assert again == first._replace(duplicate=True)
    assert len(ledger.entries(ann.user)) == len(ledger.entries(bob.user)) == 1


def test_a_resend_to_another_partition_is_told_where_it_first_went() -> None:
    ledger = Ledger()
    ann, _ = ledger.device("ann"), ledger.device("bob")
    first = ledger.send(ann, "bob", "m1")

    assert ledger.send(ann, "bob", "m1", partition="feed") == first._replace(duplicate=True)


def test_the_same_id_with_other_content_is_a_conflict() -> None:
    ledger = Ledger()
    ann, bob = ledger.device("ann"), ledger.device("bob")
    ledger.send(ann, "bob", "m1", digest=b"one")

    assert fault_of(ledger.do(ledger.append(ann, "bob", "m1", digest=b"other"))) == "CONFLICT"
    assert len(ledger.entries(bob.user)) == 1


def test_two_devices_may_use_the_same_id() -> None:
    ledger = Ledger()
    phone, laptop, bob = ledger.device("ann"), ledger.device("ann", "laptop"), ledger.device("bob")
    ledger.send(phone, "bob", "m1")

    assert not ledger.send(laptop, "bob", "m1").duplicate
    assert len(ledger.entries(bob.user)) == 2


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"to": "nobody"}, "NOT_FOUND"),
        ({"partition": "attic"}, "NOT_FOUND"),
        ({"addresses": (Address("cid", "phone", None),)}, "INVALID"),
        ({"addresses": (Address("nobody", "phone", None),)}, "INVALID"),
        ({"addresses": (Address("bob", "phone", None), Address("ann", "watch", None))}, "NOT_FOUND"),
    ],
)
def test_a_refused_message_leaves_no_trace(fields: dict[str, Any], fault: str) -> None:
    ledger = Ledger()
    ann, _, _ = ledger.device("ann"), ledger.device("bob"), ledger.device("cid")
    before = ledger.everything()
    message = ledger.append(ann, **{"to": "bob", "message_id": "m1", **fields})

    assert fault_of(ledger.do(message)) == fault
    assert ledger.everything() == before


def test_a_refused_message_may_be_sent_again_under_its_id() -> None:
    ledger = Ledger()
    ann = ledger.device("ann")
    refused = ledger.do(ledger.append(ann, "bob", "m1"))
    ledger.device("bob")

    assert isinstance(refused, Refused)
    assert not ledger.send(ann, "bob", "m1").duplicate


def test_a_stranger_becomes_a_user_where_that_is_configured() -> None:
    ledger = Ledger(accept_unknown_recipients=True)
    ann = ledger.device("ann")
    sent = ledger.send(ann, "bob", "m1")
    bob = ledger.device("bob")

    assert [entry.stamp for _, entry in ledger.entries(bob.user)] == [sent.stamp]
    assert ledger.get(Table.EIDS, bob.user) == "bob"


def test_an_unknown_partition_makes_no_user() -> None:
    ledger = Ledger(accept_unknown_recipients=True)
    ann = ledger.device("ann")
    ledger.do(ledger.append(ann, "bob", "m1", partition="attic"))

    assert ledger.get(Table.USERS, "bob") is None


def test_an_addressed_message_is_for_the_devices_that_it_names() -> None:
    ledger = Ledger()
    phone, laptop, tablet = (ledger.device("ann", name) for name in ("phone", "laptop", "tablet"))
    bob, watch = ledger.device("bob"), ledger.device("bob", "watch")
    addresses = (Address("bob", "watch", b"for the watch"), Address("ann", "laptop", None))
    sent = ledger.send(phone, "bob", "m1", addresses=addresses)
    entry = ledger.entries(bob.user)[0][1]

    assert ledger.addressed(sent.stamp, bob.user) == (Addressed(watch.device, b"for the watch"),)
    assert ledger.addressed(sent.stamp, phone.user) == (Addressed(laptop.device, None),)
    with ledger.store.snapshot() as view:
        owed = [is_owed(view, entry, one.user, one.device) for one in (phone, laptop, tablet, bob, watch)]
        assert owed == [False, True, False, False, True]
        assert is_addressed(view, sent.stamp, bob.user, watch.device)


def test_a_user_of_whom_no_device_is_addressed_has_no_entry_but_the_sender() -> None:
    ledger = Ledger()
    phone, _, bob = ledger.device("ann"), ledger.device("ann", "laptop"), ledger.device("bob")
    sent = ledger.send(phone, "bob", "m1", addresses=(Address("ann", "laptop", None),))
    other = ledger.send(phone, "bob", "m2", addresses=(Address("bob", "phone", None),))

    assert [entry.stamp for _, entry in ledger.entries(bob.user)] == [other.stamp]
    assert [entry.stamp for _, entry in ledger.entries(phone.user)] == [sent.stamp, other.stamp]


def test_a_resend_is_recognised_also_once_its_entry_expired() -> None:
    ledger = Ledger()
    ann, bob = ledger.device("ann"), ledger.device("bob")
    first = ledger.send(ann, "bob", "m1")
    with ledger.store.snapshot() as view:
        kept = view.get(Table.SEEN, (ann.device, "m1"))
    batch, _ = ledger.decide()
    batch.changes.puts = {Table.BODIES: {(first.stamp,): None}}
    ledger.commit(batch.changes)

    assert kept is not None
    assert ledger.send(ann, "bob", "m1").duplicate
    assert len(ledger.entries(bob.user)) == 1


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abcd"), st.integers(1, 5)), max_size=25), st.data())
def test_whatever_is_sent_logs_count_without_gaps_and_agree(
    sends: list[tuple[str, str, int]], data: st.DataObject
) -> None:
    ledger = Ledger()
    peers = {eid: ledger.device(eid) for eid in "abc"}
    batch = []
    for sender, to, number in sends:
        batch.append(ledger.append(peers[sender], to, f"m{number}"))
        if data.draw(st.booleans()):
            ledger.do_all(*batch)
            batch = []
    ledger.do_all(*batch)
    logs = {eid: ledger.entries(peer.user) for eid, peer in peers.items()}

    for peer in peers.values():
        entries = ledger.entries(peer.user)
        log = ledger.log(peer.user)
        assert [number for number, _ in entries] == list(range(1, len(entries) + 1))
        assert (log.head if log else 0) == len(entries)
        assert [entry.stamp for _, entry in entries] == sorted(entry.stamp for _, entry in entries)
    accepted: dict[tuple[str, int], str] = {}
    for sender, to, number in sends:
        if to in peers:
            accepted.setdefault((sender, number), to)
    for eid, entries in logs.items():
        assert len(entries) == sum(eid in {sender, to} for (sender, _), to in accepted.items())
