"""What a command may say, and how it is answered."""

from typing import Any

import pytest

from bimip.domain.core.ids import ConversationId, ConversationOffset, Version
from bimip.domain.core.operations import MarkRead, ReadMarked
from bimip.requests.command import COMMANDS
from bimip.wire import bimip_pb2 as pb
from tests.requests.support import Peer


def mark_read(**fields: Any) -> pb.Command:
    told: dict[str, Any] = {"id": "k", "conversation": "c7", "conversation_offset": 3}
    return pb.Command(kind=pb.Command.MARK_READ, **{**told, **fields})


def test_a_command_becomes_an_operation_and_its_answer_says_where_the_marker_stands() -> None:
    peer = Peer()
    peer.take("command", mark_read())
    asked = peer.operations()
    peer.decide(ReadMarked(ConversationId(7), ConversationOffset(5), Version(9)))

    assert asked == [MarkRead(peer.user, ConversationId(7), ConversationOffset(3))]
    assert list(peer.together().commands) == [mark_read(conversation_offset=5, version=9, ref=5)]


@pytest.mark.parametrize(
    ("fields", "code", "field"),
    [
        ({"conversation": ""}, pb.INVALID, "conversation"),
        ({"conversation": "x" * 65}, pb.TOO_LARGE, "conversation"),
        ({"conversation": "bob@example.org"}, pb.NOT_FOUND, "conversation"),
        ({"conversation_offset": 0}, pb.INVALID, "conversation_offset"),
        ({"id": "\n"}, pb.INVALID, "id"),
    ],
)
def test_what_is_wrong_is_said_with_the_commands_id(fields: dict[str, Any], code: int, field: str) -> None:
    peer = Peer()
    peer.take("command", mark_read(**fields))
    (error,) = peer.together().errors

    assert (error.code, error.field, error.id, error.ref) == (code, field, "" if "id" in fields else "k", 5)
    assert peer.operations() == []


@pytest.mark.parametrize("kind", [*sorted({*pb.Command.Kind.values()} - {*COMMANDS, pb.Command.MARK_READ}), 77, -1])
def test_what_is_not_served_is_said(kind: int) -> None:
    peer = Peer()
    peer.take("command", pb.Command(id="k", kind=kind))  # type: ignore[arg-type]  # any number can be sent
    (error,) = peer.together().errors

    assert (error.code, error.field, error.id) == (pb.UNSUPPORTED, "kind", "k")
