from bimip.domain.commands.operation import CommandKind
from bimip.domain.core.ids import Millis
from bimip.reading.conflicts import read_conflicts
from tests.domain.commands.support import Commanders
from tests.domain.support import BEGIN


def test_who_lost_and_against_whom_the_newest_first() -> None:
    peers = Commanders()
    peers.ledger.now = Millis(peers.ledger.now + 60_000)
    peers.done(peers.ann, CommandKind.EDIT, payload=b"late", stamp=peers.at(9))
    peers.done(peers.laptop, CommandKind.EDIT, payload=b"early", stamp=peers.at(5))
    peers.done(peers.ann, CommandKind.DELETE_FOR_EVERYONE)
    peers.done(peers.bob, CommandKind.REACT, emoji="+")

    reaction, edit = read_conflicts(peers.ledger.store, limit=9)
    assert (reaction.eid, reaction.rule, reaction.lost_by, reaction.won_by) == ("bob", "deleted", "phone", "phone")
    assert edit == (peers.ledger.now, "ann", "c1", 1, "later edit", BEGIN + 5, "laptop", BEGIN + 9, "phone")
    assert read_conflicts(peers.ledger.store, limit=1) == [reaction]
