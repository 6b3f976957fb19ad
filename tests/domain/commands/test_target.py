from typing import Any

import pytest

from bimip.domain.commands.operation import CommandKind
from bimip.domain.core.clock import earliest_stamp
from bimip.domain.core.ids import Millis, Stamp
from bimip.domain.core.operations import Address, ExpireHistory, Refused
from tests.domain.commands.support import ONE, Commanders
from tests.domain.support import fault_of

EDIT, REACT, DELETE = CommandKind.EDIT, CommandKind.REACT, CommandKind.DELETE_FOR_EVERYONE


def test_a_message_is_named_by_its_stamp_or_by_the_id_under_which_this_device_sent_it() -> None:
    peers = Commanders()
    by_stamp = peers.done(peers.ann, EDIT, payload=b"1")
    by_id = peers.done(peers.ann, EDIT, payload=b"2", target_id="m")

    assert (by_stamp.message, by_id.message) == (peers.sent.stamp, peers.sent.stamp)
    assert peers.body() == b"2"
    for other in (peers.laptop, peers.bob):
        assert fault_of(peers.give(other, EDIT, payload=b"3", target_id="m")) == "NOT_FOUND"


@pytest.mark.parametrize("kind", [one for one in CommandKind if one <= 5 or one == CommandKind.FORWARD_MARK])
def test_somebody_elses_message_is_answered_like_one_that_does_not_exist(kind: CommandKind) -> None:
    peers = Commanders()
    before = peers.ledger.everything()
    theirs = peers.give(peers.carol, kind, payload=b"x", emoji="+")
    nobodys = peers.give(peers.carol, kind, payload=b"x", emoji="+", target=Stamp(12345))

    assert theirs == nobodys
    assert fault_of(theirs) == "NOT_FOUND"
    assert peers.ledger.everything() == before


def test_only_who_wrote_it_edits_or_deletes_for_everyone() -> None:
    peers = Commanders()

    for kind in (EDIT, DELETE):
        assert fault_of(peers.give(peers.bob, kind, payload=b"x")) == "FORBIDDEN"
    assert peers.body() == b"hello"


@pytest.mark.parametrize(("kind", "setting"), [(EDIT, "edit_seconds"), (DELETE, "delete_seconds")])
def test_there_is_a_time_to_change_it(kind: CommandKind, setting: str) -> None:
    rules: dict[str, Any] = {setting: 60}
    peers = Commanders(**rules)
    peers.ledger.now = Millis(peers.ledger.now + 60_001)
    late = peers.give(peers.ann, kind, payload=b"x", stamp=peers.at(1))
    peers.ledger.now = Millis(peers.ledger.now - 1)

    assert isinstance(late, Refused)
    assert (late.fault.name, "60 seconds" in late.sentence) == ("FORBIDDEN", True)
    assert not isinstance(peers.give(peers.ann, kind, payload=b"x"), Refused)


def test_what_is_addressed_to_another_device_is_not_there() -> None:
    peers = Commanders()
    tablet = peers.ledger.device("bob", "tablet")
    peers.sent = peers.ledger.send(peers.ann, "bob", "d", addresses=(Address("bob", "phone", b"!"),))

    assert fault_of(peers.give(tablet, REACT, emoji="+")) == "NOT_FOUND"
    peers.done(peers.bob, REACT, emoji="+")


def test_what_expired_is_not_there() -> None:
    peers = Commanders()
    peers.ledger.now = Millis(peers.ledger.now + 1000)
    peers.ledger.do(ExpireHistory(ONE, earliest_stamp(peers.ledger.now)))

    assert fault_of(peers.give(peers.ann, EDIT, payload=b"x")) == "NOT_FOUND"
