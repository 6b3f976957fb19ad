from itertools import permutations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bimip.domain.commands.operation import CommandKind
from bimip.domain.core.ids import Millis, Stamp
from bimip.domain.core.operations import Address
from bimip.domain.core.records import Addressed, Table
from bimip.domain.state.merges import MergeRule
from tests.domain.commands.support import Commanders
from tests.domain.support import fault_of

EDIT, REACT, UNREACT, PIN = CommandKind.EDIT, CommandKind.REACT, CommandKind.UNREACT, CommandKind.PIN
DELETE, HIDE, FORWARD = CommandKind.DELETE_FOR_EVERYONE, CommandKind.DELETE_FOR_ME, CommandKind.FORWARD_MARK


def test_an_edit_replaces_what_is_stored() -> None:
    peers = Commanders()
    before = peers.ledger.get(Table.USAGE, peers.ann.user)
    done = peers.done(peers.ann, EDIT, payload=b"hello, world")

    assert peers.body() == b"hello, world"
    assert peers.ledger.get(Table.USAGE, peers.ann.user) == before + len(b", world")
    assert peers.known(peers.bob).record.edited == done.stamp
    assert set(peers.forgotten()) == {peers.ann.user, peers.bob.user}


def test_an_edit_counts_against_its_authors_quota() -> None:
    peers = Commanders(max_stored_bytes=100)

    assert fault_of(peers.give(peers.ann, EDIT, payload=bytes(100))) == "STORAGE_FULL"
    assert peers.body() == b"hello"


def test_what_has_a_content_for_each_device_is_not_edited() -> None:
    peers = Commanders()
    peers.sent = peers.ledger.send(peers.ann, "bob", "d", addresses=(Address("bob", "phone", b"!"),))

    assert fault_of(peers.give(peers.ann, EDIT, payload=b"x")) == "INVALID"


def test_a_deletion_takes_the_content_out_of_the_store_and_leaves_the_places() -> None:
    peers = Commanders()
    peers.done(peers.bob, REACT, emoji="+")
    log, entries = peers.ledger.log(peers.bob.user), peers.ledger.entries(peers.bob.user)
    peers.done(peers.ann, DELETE)

    assert set(peers.forgotten()) == {peers.ann.user, peers.bob.user}
    assert peers.body() == b""
    assert (peers.ledger.log(peers.bob.user), peers.ledger.entries(peers.bob.user)) == (log, entries)
    assert not any(b"hello" in record for record in peers.ledger.everything().values() if isinstance(record, bytes))
    assert peers.known(peers.bob).record.deleted
    assert peers.reactions(peers.bob) == {}
    assert peers.ledger.do(peers.ledger.append(peers.ann, "bob", "m", sent=b"hello")).duplicate


def test_what_was_addressed_to_devices_goes_too_and_they_are_told() -> None:
    peers = Commanders()
    peers.sent = peers.ledger.send(peers.ann, "bob", "d", addresses=(Address("bob", "phone", b"secret"),))
    used = peers.ledger.get(Table.USAGE, peers.ann.user)
    peers.done(peers.ann, DELETE)

    assert peers.ledger.addressed(peers.sent.stamp, peers.bob.user) == (Addressed(peers.bob.device, None),)
    assert peers.ledger.get(Table.USAGE, peers.ann.user) == used - len(b"secret")


@pytest.mark.parametrize("kind", [EDIT, REACT, FORWARD])
def test_a_deletion_beats_what_comes_later(kind: CommandKind) -> None:
    peers = Commanders()
    deleted = peers.done(peers.ann, DELETE)
    peers.ledger.now = Millis(peers.ledger.now + 1000)
    done = peers.done(peers.ann, kind, payload=b"x", emoji="+")

    assert done.superseded
    assert peers.body() == b""
    assert [(one.rule, one.won) for one in peers.conflicts()] == [(MergeRule.DELETED, deleted.stamp)]


@pytest.mark.parametrize("kind", [DELETE, HIDE])
def test_who_says_it_again_says_nothing_new(kind: CommandKind) -> None:
    peers = Commanders()
    first = peers.done(peers.ann, kind)
    again = peers.done(peers.laptop, kind)

    assert (again.version, again.superseded) == (first.version, False)
    assert (peers.told(), peers.conflicts()) == ([], [])


def test_reactions_of_each_user_and_emoji_are_apart() -> None:
    peers = Commanders()
    for who, emoji in ((peers.ann, "+"), (peers.bob, "+"), (peers.bob, "-")):
        peers.done(who, REACT, emoji=emoji)
    peers.done(peers.bob, UNREACT, emoji="+")

    assert peers.reactions(peers.ann) == {
        (peers.ann.user, "+"): True,
        (peers.bob.user, "+"): False,
        (peers.bob.user, "-"): True,
    }
    assert [(news.user, news.change.reactions[0][0]) for news in peers.told()] == [
        (user, peers.bob.user) for user in (peers.ann.user, peers.bob.user)
    ]


def test_a_user_has_so_many_reactions_to_a_message() -> None:
    peers = Commanders(max_reactions=2)
    for emoji in "ab":
        peers.done(peers.bob, REACT, emoji=emoji)
    third = peers.give(peers.bob, REACT, emoji="c")
    peers.done(peers.bob, UNREACT, emoji="a")
    peers.done(peers.bob, REACT, emoji="c")

    assert fault_of(third) == "INVALID"
    assert {emoji for (_, emoji), there in peers.reactions(peers.ann).items() if there} == {"b", "c"}


def test_what_was_taken_back_is_forgotten_where_it_is_much() -> None:
    peers = Commanders(max_reactions=2)
    for number in range(40):
        peers.done(peers.bob, REACT, emoji=f"{number}")
        peers.done(peers.bob, UNREACT, emoji=f"{number}")

    assert set(peers.reactions(peers.ann)) == {(peers.bob.user, f"{number}") for number in range(36, 40)}


def test_how_often_it_was_forwarded_is_counted_once_for_each_command() -> None:
    peers = Commanders()
    for who, name in ((peers.ann, "a"), (peers.bob, "a"), (peers.bob, "b"), (peers.bob, "b")):
        peers.done(who, FORWARD, id=name, digest=b"forward!")

    assert peers.known(peers.ann).record.forwards == 3


def test_a_message_is_pinned_and_hidden_for_oneself() -> None:
    peers = Commanders()
    peers.done(peers.bob, PIN, value=True)
    peers.done(peers.bob, HIDE)
    own = peers.known(peers.bob).own

    assert (own.pinned, own.hidden, own.message) == (True, True, peers.sent.stamp)
    peers.done(peers.bob, PIN, value=False)
    assert (peers.known(peers.bob).own.pinned, peers.known(peers.bob).own.hidden) == (False, True)


@pytest.mark.parametrize("texts", [(b"one", b"two", b"three"), (b"three", b"two", b"one")])
def test_what_one_device_did_before_the_message_was_stored_counts_as_it_came(texts: tuple[bytes, ...]) -> None:
    peers = Commanders()
    stamps = [peers.done(peers.ann, EDIT, payload=text, stamp=Stamp(5 + at)).stamp for at, text in enumerate(texts)]
    for emoji in ("+", "-"):
        peers.done(peers.bob, REACT, emoji=emoji, stamp=Stamp(5))
        peers.done(peers.bob, UNREACT, emoji=emoji, stamp=Stamp(6))
        again = peers.done(peers.bob, REACT, emoji=emoji, stamp=Stamp(7))
        assert not again.superseded
    for value in (True, False, True, False):
        peers.done(peers.bob, PIN, value=value, stamp=Stamp(8))

    assert peers.body() == texts[-1]
    assert stamps == sorted(set(stamps))
    assert stamps[0] > peers.sent.stamp
    assert not peers.known(peers.bob).own.pinned
    assert peers.done(peers.laptop, EDIT, payload=b"earlier", stamp=Stamp(9)).superseded


CHANGES: list[tuple[str, CommandKind, dict[str, Any]]] = [
    ("ann", EDIT, {"payload": b"one"}),
    ("laptop", EDIT, {"payload": b"two"}),
    ("ann", EDIT, {"payload": b"three"}),
    ("bob", REACT, {"emoji": "+"}),
    ("bob", UNREACT, {"emoji": "+"}),
    ("ann", PIN, {"value": True}),
    ("laptop", PIN, {"value": False}),
    ("laptop", HIDE, {}),
]


def outcome(peers: Commanders) -> Any:
    """What all agree upon; versions tell how it came, and are each user's own."""
    return peers.body(), [peers.known(who)._replace(body=None) for who in (peers.ann, peers.bob)]


@pytest.mark.parametrize("order", [*permutations(range(3))])
def test_in_whatever_order_edits_arrive_the_latest_stays(order: tuple[int, ...]) -> None:
    peers = Commanders()
    peers.ledger.now = Millis(peers.ledger.now + 60_000)
    for number in order:
        name, kind, fields = CHANGES[number]
        peers.done(getattr(peers, name), kind, stamp=peers.at(number + 1), **fields)

    assert peers.body() == b"three"


@given(
    st.lists(st.tuples(st.sampled_from(range(len(CHANGES))), st.integers(1, 5)), min_size=1, max_size=8),
    st.booleans(),
    st.data(),
)
@settings(max_examples=100, deadline=None)
def test_in_whatever_order_changes_arrive_the_same_stays(
    drawn: list[tuple[int, int]],
    deleted: bool,  # noqa: FBT001 - drawn
    data: st.DataObject,
) -> None:
    changes = [(*CHANGES[number], second) for number, second in drawn]
    if deleted:
        changes.append(("ann", DELETE, {}, 3))
    one, other = Commanders(), Commanders()
    for peers, order in ((one, changes), (other, data.draw(st.permutations(changes)))):
        peers.ledger.now = Millis(peers.ledger.now + 60_000)
        for name, kind, fields, second in order:
            peers.done(getattr(peers, name), kind, stamp=peers.at(second), **fields)

    for who in ("ann", "bob"):
        left, right = (peers.state(getattr(peers, who)) for peers in (one, other))
        assert (left is None) == (right is None)
        if left is not None and right is not None:
            assert left.own == right.own
            assert left.record.deleted == right.record.deleted
            if not deleted:
                assert left == right
    assert one.body() == other.body()
