"""FORWARDED is the command FORWARD_MARK, answered as a signal is."""

from bimip.domain.commands.operation import Command, Commanded, CommandKind
from bimip.domain.core.ids import ConversationId, ConversationOffset, Stamp, Version
from bimip.domain.core.operations import Fault, Refused
from bimip.requests.command import TOLD_FOR_A_REQUEST, digest
from bimip.wire import bimip_pb2 as pb
from tests.requests.support import Peer

DONE = Commanded(ConversationId(1), ConversationOffset(2), Stamp(9), Stamp(10), Version(3), told=5 * TOLD_FOR_A_REQUEST)


def forwarded(signal_id: str = "") -> Peer:
    peer = Peer()
    peer.take("signal", pb.Signal(status=pb.FORWARDED, signal_offset=9, id=signal_id))
    return peer


def asked(peer: Peer) -> Command:
    (operation,) = peer.operations()
    assert isinstance(operation, Command)
    return operation


def test_it_is_counted_as_the_command_is() -> None:
    operation = asked(forwarded("f1"))
    command = pb.Command(id="f1", kind=pb.Command.FORWARD_MARK, target=9)

    assert (operation.id, operation.kind, operation.target) == ("f1", CommandKind.FORWARD_MARK, 9)
    assert operation.digest == digest(command)


def test_without_an_id_it_is_counted_once_for_the_device() -> None:
    assert asked(forwarded()).id == asked(forwarded()).id == "forwarded 9"


def test_only_errors_are_answered_and_what_others_are_told_is_charged() -> None:
    peer = forwarded()
    peer.decide(DONE)

    assert (peer.parts, peer.owed, peer.weight) == ([], 0, 5)

    peer = forwarded("f1")
    peer.decide(Refused(Fault.NOT_FOUND, "no such message", "target"))

    assert [(error.code, error.id, error.ref) for error in peer.together().errors] == [(pb.NOT_FOUND, "f1", 5)]
