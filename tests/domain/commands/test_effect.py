from bimip.domain.commands.operation import CommandKind
from bimip.domain.core.clock import millis_of
from bimip.domain.core.ids import Millis, Stamp
from tests.domain.commands.support import Commanders

REACT = CommandKind.REACT


def test_the_clients_stamp_counts() -> None:
    peers = Commanders()
    peers.ledger.now = Millis(peers.ledger.now + 60_000)

    assert peers.done(peers.bob, REACT, emoji="+", stamp=peers.at(5000)).stamp == peers.at(5000)


def test_a_clock_that_runs_ahead_is_set_back_so_that_it_cannot_win_for_ever() -> None:
    peers = Commanders()
    ahead = peers.done(peers.bob, REACT, emoji="+", stamp=Stamp(2**63))
    later = peers.done(peers.bob, CommandKind.UNREACT, emoji="+")

    assert millis_of(ahead.stamp) == peers.ledger.now
    assert (later.superseded, later.stamp > ahead.stamp) == (False, True)


def test_nothing_happens_to_a_message_before_it_was_written() -> None:
    peers = Commanders()

    assert peers.done(peers.bob, REACT, emoji="+", stamp=Stamp(1)).stamp == peers.sent.stamp + 1


def test_without_a_stamp_now_counts() -> None:
    peers = Commanders()
    peers.ledger.now = Millis(peers.ledger.now + 60_000)

    assert millis_of(peers.done(peers.bob, REACT, emoji="+").stamp) == peers.ledger.now
