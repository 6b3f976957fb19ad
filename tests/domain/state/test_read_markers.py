from itertools import permutations
from typing import Any

import pytest

from bimip.domain.core.decision import StateNews
from bimip.domain.core.ids import ConversationId, ConversationOffset
from bimip.domain.core.operations import Fault, MarkRead, ReadMarked, Refused
from bimip.domain.core.records import Table
from bimip.domain.state.read_markers import pack_key, read_marker, unpack_key
from tests.domain.support import Ledger, Peer

ONE = ConversationId(1)


class Readers:
    """Ann and Bob, with ten messages between them; Carol is in none of it."""

    def __init__(self) -> None:
        self.ledger = Ledger()
        self.ann, self.bob, self.carol = (self.ledger.device(name) for name in ("ann", "bob", "carol"))
        for number in range(10):
            self.ledger.send(self.ann, "bob", f"m{number}")

    def mark(self, who: Peer, upto: int, conversation: ConversationId = ONE) -> Any:
        return self.ledger.do(MarkRead(who.user, conversation, ConversationOffset(upto)))

    def marker(self, who: Peer) -> int:
        with self.ledger.store.snapshot() as view:
            return read_marker(view, who.user, ONE)

    def told(self) -> list[StateNews]:
        return [news for news in self.ledger.decisions[0].news if isinstance(news, StateNews)]


def test_a_key_is_unpacked_as_it_was_packed() -> None:
    assert unpack_key(pack_key(ConversationId(2**32 - 1))) == 2**32 - 1


def test_only_the_reader_learns_of_it() -> None:
    readers = Readers()
    answer = readers.mark(readers.bob, 4)

    assert answer == ReadMarked(ONE, ConversationOffset(4), answer.version)
    assert [(one.user, one.version, unpack_key(one.key), one.change) for one in readers.told()] == [
        (readers.bob.user, answer.version, ONE, 4)
    ]
    assert (readers.marker(readers.bob), readers.marker(readers.ann)) == (4, 0)


@pytest.mark.parametrize("order", list(permutations([3, 7, 7, 5])))
def test_in_whatever_order_it_is_said_the_furthest_stays(order: tuple[int, ...]) -> None:
    readers = Readers()
    answers = [readers.mark(readers.bob, upto).upto for upto in order]

    assert readers.marker(readers.bob) == 7
    assert answers == [max(order[: number + 1]) for number in range(4)]


def test_what_moves_nothing_is_answered_with_where_it_stands_and_told_to_nobody() -> None:
    readers = Readers()
    first = readers.mark(readers.bob, 7)
    again = readers.mark(readers.bob, 2)

    assert again == first
    assert readers.told() == []


def test_only_the_newest_version_of_a_marker_counts() -> None:
    readers = Readers()
    versions = [readers.mark(readers.bob, upto).version for upto in (2, 5)]
    with readers.ledger.store.snapshot() as view:
        changes = view.scan(Table.CHANGES, (readers.bob.user,), (readers.bob.user + 1,), limit=9)

    assert versions == [2, 3]
    assert [change for change in changes if change[1] == pack_key(ONE)] == [((readers.bob.user, 3), pack_key(ONE))]


@pytest.mark.parametrize(
    ("who", "upto", "conversation", "fault", "field"),
    [
        ("bob", 11, 1, Fault.OFFSET_BEYOND_HEAD, "conversation_offset"),
        ("carol", 1, 1, Fault.NOT_FOUND, "conversation"),
        ("bob", 1, 99, Fault.NOT_FOUND, "conversation"),
    ],
)
def test_what_cannot_be_read_is_refused(who: str, upto: int, conversation: int, fault: Fault, field: str) -> None:
    readers = Readers()
    answer = readers.mark(getattr(readers, who), upto, ConversationId(conversation))

    assert isinstance(answer, Refused)
    assert (answer.fault, answer.field) == (fault, field)
    assert readers.marker(readers.bob) == 0
