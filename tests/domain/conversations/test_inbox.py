"""An inbox has all of a user's conversations, in the order of what happened last in each, however they came about."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from bimip.domain.conversations.inbox import FillInbox, InboxFilled, needs_filling
from bimip.domain.core.ids import ConversationId, Stamp, UserId
from bimip.domain.core.operations import Links
from bimip.domain.core.records import Changes, Table
from tests.domain.support import Ledger, Peer

EIDS = ["ann", "bob", "cat", "dan"]
PARTITIONS = frozenset({"chat", "feed"})

sends = st.tuples(st.sampled_from(EIDS), st.sampled_from(EIDS), st.sampled_from(sorted(PARTITIONS)))


def listed(ledger: Ledger, user: UserId) -> list[ConversationId]:
    """The user's conversations, the newest first."""
    with ledger.store.snapshot() as view:
        found = view.scan(Table.RECENT, (user, 0), (user + 1, 0), limit=1000, reverse=True)
    return [conversation for _, conversation in found]


def by_activity(ledger: Ledger, user: UserId) -> list[ConversationId]:
    """What the logs say."""
    newest: dict[ConversationId, Stamp] = {}
    for partition in PARTITIONS:
        for _, entry in ledger.entries(user, partition):
            newest[entry.conversation] = max(entry.stamp, newest.get(entry.conversation, Stamp(0)))
    return sorted(newest, key=lambda conversation: -newest[conversation])


def people(ledger: Ledger) -> dict[str, Peer]:
    return {eid: ledger.device(eid) for eid in EIDS}


def write_all(ledger: Ledger, peers: dict[str, Peer], written: list[tuple[str, str, str]], name: str) -> None:
    for number, (sender, to, partition) in enumerate(written):
        ledger.send(peers[sender], to, f"{name}{number}", partition=partition)


def forget_inboxes(ledger: Ledger) -> None:
    """Leaves the store as one that is older than inboxes."""
    tables = (Table.INBOXES, Table.RECENT, Table.RISEN)
    everything = ledger.everything()
    puts: dict[Table, dict[Any, Any]] = {
        table: {key: None for kind, key in everything if kind is table} for table in tables
    }
    ledger.commit(Changes(puts))


def fill(ledger: Ledger, user: UserId) -> int:
    """Fills a user's inbox, as whoever asks for it does. Returns in how many operations."""
    count, rest = 0, FillInbox(user)
    while True:
        result = ledger.do(rest)
        assert isinstance(result, InboxFilled)
        count += 1
        if result.rest is None:
            return count
        rest = result.rest


def is_whole(ledger: Ledger, user: UserId) -> bool:
    with ledger.store.snapshot() as view:
        return not needs_filling(view, user)


@given(st.lists(sends, max_size=30))
@settings(max_examples=100, deadline=None)
def test_the_order_is_that_of_the_last_messages(written: list[tuple[str, str, str]]) -> None:
    ledger = Ledger(partitions=PARTITIONS)
    peers = people(ledger)
    write_all(ledger, peers, written, "m")

    for peer in peers.values():
        assert listed(ledger, peer.user) == by_activity(ledger, peer.user)
        assert is_whole(ledger, peer.user)


@given(st.lists(sends, max_size=20), st.lists(sends, max_size=10), st.lists(sends, max_size=10))
@settings(max_examples=100, deadline=None)
def test_so_it_is_where_logs_are_older_than_inboxes(
    before: list[tuple[str, str, str]], between: list[tuple[str, str, str]], after: list[tuple[str, str, str]]
) -> None:
    ledger = Ledger(partitions=PARTITIONS, slice_entries=4)
    peers = people(ledger)
    write_all(ledger, peers, before, "b")
    forget_inboxes(ledger)
    write_all(ledger, peers, between, "m")
    rest: FillInbox | None = FillInbox(peers["ann"].user)
    later = iter(after)
    number = 0
    while rest is not None:  # something goes on happening
        rest = ledger.do(rest).rest
        if (send := next(later, None)) is not None:
            write_all(ledger, peers, [send], f"a{number}-")
            number += 1

    ann = peers["ann"].user
    assert listed(ledger, ann) == by_activity(ledger, ann)
    assert is_whole(ledger, ann)


def test_two_who_write_to_each_other_write_nothing_for_it() -> None:
    ledger = Ledger()
    ann, bob = ledger.device("ann"), ledger.device("bob")
    ledger.send(ann, "bob", "m1")
    before = ledger.get(Table.RISEN, ann.user, 1)
    ledger.send(bob, "ann", "m1")
    ledger.send(ann, "bob", "m2")

    assert ledger.get(Table.RISEN, ann.user, 1) == before
    assert not {Table.INBOXES, Table.RECENT, Table.RISEN} & {
        table for decision in ledger.decisions for table, _ in decision.writes.puts
    }


def test_a_conversation_is_in_it_once_however_often_it_rises() -> None:
    ledger = Ledger()
    ann, bob = ledger.device("ann"), ledger.device("bob")
    cat = ledger.device("cat")
    for number in range(5):
        ledger.send(bob, "ann", f"m{number}")
        ledger.send(cat, "ann", f"m{number}")

    assert listed(ledger, ann.user) == [2, 1]


def test_filling_is_done_in_slices_and_once() -> None:
    ledger = Ledger(slice_entries=10)
    ann, bob = ledger.device("ann"), ledger.device("bob")
    for number in range(35):
        ledger.send(bob, "ann", f"m{number}")
    forget_inboxes(ledger)

    assert not is_whole(ledger, ann.user)
    assert fill(ledger, ann.user) == 4
    assert is_whole(ledger, ann.user)
    assert fill(ledger, ann.user) == 1
    assert listed(ledger, ann.user) == [1]


def test_a_user_to_whom_nothing_happened_has_an_empty_inbox() -> None:
    ledger = Ledger()
    ann = ledger.device("ann")

    assert is_whole(ledger, ann.user)
    assert listed(ledger, ann.user) == []


def mentions(ledger: Ledger) -> list[tuple[Any, ...]]:
    return [key for table, key in ledger.everything() if table is Table.MENTIONS]


def threads(ledger: Ledger) -> list[tuple[Any, ...]]:
    return [key for table, key in ledger.everything() if table is Table.THREADS]


def test_who_is_mentioned_and_reached_is_noted_but_not_the_author() -> None:
    ledger = Ledger()
    ann, bob = ledger.device("ann"), ledger.device("bob")
    ledger.device("cat")
    ledger.send(ann, "bob", "m1", links=Links(Stamp(0), ("bob", "cat", "ann", "nobody")))

    assert mentions(ledger) == [(bob.user, 1, 1)]


def test_an_answer_is_noted_under_what_was_there_before() -> None:
    ledger = Ledger()
    ann, _ = ledger.device("ann"), ledger.device("bob")
    first = ledger.send(ann, "bob", "m1")
    ledger.send(ann, "bob", "m2", links=Links(first.stamp))
    ledger.send(ann, "bob", "m3", links=Links(Stamp(1 << 63)))
    ledger.send(ann, "bob", "m4", links=Links(Stamp(0)))

    assert threads(ledger) == [(1, first.stamp, 2)]
