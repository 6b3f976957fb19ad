from typing import Any

import pytest

from bimip.domain.commands.command import LEDGER, RULES, ExpireCommands
from bimip.domain.commands.operation import Commanded, CommandKind
from bimip.domain.core.clock import earliest_stamp
from bimip.domain.core.ids import Millis, Stamp
from bimip.domain.core.records import Table
from bimip.domain.state.merges import MergeRule
from bimip.wire import bimip_pb2 as pb
from tests.domain.commands.support import ONE, Commanders
from tests.domain.support import fault_of

EDIT, REACT, MUTE = CommandKind.EDIT, CommandKind.REACT, CommandKind.MUTE


def test_kinds_are_those_of_the_wire_and_each_has_a_rule() -> None:
    assert {kind.name: kind.value for kind in CommandKind}.items() <= dict(pb.Command.Kind.items()).items()
    assert set(RULES) == set(CommandKind)


def test_a_resend_is_answered_with_the_first_ones_answer_and_changes_nothing() -> None:
    peers = Commanders()
    first = peers.done(peers.ann, EDIT, id="k", payload=b"one", digest=b"content!")
    before = peers.ledger.everything()
    again = peers.done(peers.ann, EDIT, id="k", payload=b"one", digest=b"content!", stamp=peers.at(5000))

    assert again == first._replace(duplicate=True, told=0)
    assert peers.ledger.everything() == before


def test_another_command_under_the_same_id_is_a_conflict_of_that_device_alone() -> None:
    peers = Commanders()
    peers.done(peers.ann, EDIT, id="k", payload=b"one")

    assert fault_of(peers.give(peers.ann, EDIT, id="k", payload=b"two")) == "CONFLICT"
    assert isinstance(peers.give(peers.laptop, EDIT, id="k", payload=b"two"), Commanded)


def test_what_was_refused_may_be_given_again_under_its_id() -> None:
    peers = Commanders()
    refused = peers.give(peers.ann, EDIT, id="k", target=Stamp(77), payload=b"one")

    assert fault_of(refused) == "NOT_FOUND"
    assert isinstance(peers.give(peers.ann, EDIT, id="k", payload=b"one"), Commanded)


def test_what_loses_is_answered_as_superseded_and_noted_for_operators() -> None:
    peers = Commanders()
    won = peers.done(peers.ann, EDIT, payload=b"late", stamp=peers.at(0) + 9)
    lost = peers.done(peers.laptop, EDIT, payload=b"early", stamp=peers.at(0) + 5)

    assert (won.superseded, lost.superseded, lost.version) == (False, True, won.version)
    assert peers.body() == b"late"
    (noted,) = peers.conflicts()
    assert (noted.rule, noted.user, noted.conversation, noted.conversation_offset) == (
        MergeRule.LATER_EDIT,
        peers.ann.user,
        ONE,
        1,
    )
    assert (noted.lost, noted.lost_by, noted.won, noted.won_by) == (
        lost.stamp,
        peers.laptop.device,
        won.stamp,
        peers.ann.device,
    )
    assert peers.told() == []


def test_the_ledger_keeps_the_newest_few() -> None:
    peers = Commanders()
    peers.done(peers.ann, REACT, emoji="+", stamp=peers.at(0) + LEDGER * 2)
    for number in range(LEDGER + 3):
        peers.done(peers.ann, REACT, emoji="+", stamp=peers.at(0) + 2 + number)

    conflicts = peers.conflicts()
    assert len(conflicts) == LEDGER
    assert conflicts[-1].lost == peers.at(0) + 2 + LEDGER + 2
    assert peers.ledger.get(Table.META, "conflicts") == LEDGER + 3


@pytest.mark.parametrize("kind", CommandKind)
def test_only_what_frees_is_taken_by_a_full_store(kind: CommandKind) -> None:
    peers = Commanders()
    fields = {"conversation": ONE} if RULES[kind].about_message is None else {}
    peers.done(peers.ann, kind, emoji="+", payload=b"x", value=True, **fields)

    (decision,) = peers.ledger.decisions
    assert decision.needs_room is not RULES[kind].frees


def test_ids_are_forgotten_when_they_are_old_a_slice_at_a_time() -> None:
    peers = Commanders(slice_entries=2)
    for number in range(5):
        peers.done(peers.ann, REACT, emoji=f"{number}")
    peers.ledger.now = Millis(peers.ledger.now + 60_000)
    peers.done(peers.bob, REACT, id="new", emoji="+")
    resume: Any = ExpireCommands(earliest_stamp(peers.ledger.now)).start
    slices = 0
    while resume is not None:
        resume = peers.ledger.do(ExpireCommands(earliest_stamp(peers.ledger.now), resume)).resume
        slices += 1

    with peers.ledger.store.snapshot() as view:
        kept = view.scan(Table.COMMANDS, (0,), Table.COMMANDS.schema.end, limit=9)
    assert [key for key, _ in kept] == [(peers.bob.device, "new")]
    assert slices > 2
