from itertools import permutations

import pytest

from bimip.domain.commands.operation import CommandKind
from bimip.domain.core.ids import ConversationId, ConversationOffset, Millis
from bimip.domain.core.operations import MarkRead
from bimip.domain.state.merges import MergeRule
from tests.domain.commands.support import ONE, Commanders
from tests.domain.support import fault_of

ARCHIVE, MUTE, DRAFT = CommandKind.ARCHIVE, CommandKind.MUTE, CommandKind.DRAFT
PIN, UNREAD = CommandKind.PIN, CommandKind.MARK_UNREAD


def test_each_setting_is_set_for_itself_and_told_to_the_own_devices_alone() -> None:
    peers = Commanders()
    peers.keep(peers.bob, ARCHIVE, value=True)
    peers.keep(peers.bob, PIN, value=True)
    peers.keep(peers.bob, UNREAD, value=True)
    peers.keep(peers.bob, MUTE, until=Millis(99))
    peers.keep(peers.bob, DRAFT, payload=b"dear ann")
    settings = peers.settings(peers.bob)

    assert [one.value for one in settings] == [True, True, True, 99, b"dear ann"]
    assert [(news.user, news.change) for news in peers.told()] == [(peers.bob.user, settings)]
    assert peers.settings(peers.ann) is None


@pytest.mark.parametrize("order", [*permutations(range(3))])
def test_in_whatever_order_they_arrive_the_latest_stays(order: tuple[int, ...]) -> None:
    peers = Commanders()
    peers.ledger.now = Millis(peers.ledger.now + 60_000)
    for number in order:
        peers.keep(peers.bob, DRAFT, payload=b"%d" % number, stamp=peers.at(number + 1))

    assert peers.settings(peers.bob).draft.value == b"2"
    assert all(one.rule == MergeRule.LATER_SETTING for one in peers.conflicts())


def test_one_that_lost_says_since_when_it_is_as_it_is() -> None:
    peers = Commanders()
    first = peers.keep(peers.bob, MUTE, until=Millis(9))
    peers.ledger.now = Millis(peers.ledger.now + 60_000)
    lost = peers.keep(peers.bob, MUTE, until=Millis(1), stamp=peers.at(0))

    assert (lost.superseded, lost.version) == (True, first.version)


@pytest.mark.parametrize("conversation", [1, 2, 99])
def test_only_who_is_in_a_conversation_keeps_it(conversation: int) -> None:
    peers = Commanders()
    answer = peers.keep(peers.carol, ARCHIVE, value=True, conversation=ConversationId(conversation))

    assert fault_of(answer) == "NOT_FOUND"


def test_who_reads_takes_the_mark_of_an_unread_conversation_away() -> None:
    peers = Commanders()
    peers.ledger.do(MarkRead(peers.bob.user, ONE, ConversationOffset(1)))
    peers.keep(peers.bob, UNREAD, value=True)
    peers.ledger.do(MarkRead(peers.bob.user, ONE, ConversationOffset(1)))

    assert peers.settings(peers.bob).unread.value is False
    assert [news.user for news in peers.told()] == [peers.bob.user]
