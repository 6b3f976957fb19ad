"""Around damage, what proves to be whole is read; where nothing does, it is said how far that goes."""

from typing import Any, cast

import pytest

from bimip.domain.core.ids import ConversationId, ConversationOffset, Offset, Stamp, UserId
from bimip.domain.core.records import (
    Conversation,
    DamagedRecordError,
    DeviceOwner,
    HistoryEntry,
    Log,
    LogTable,
    Reader,
    Table,
)
from bimip.reading.salvage import UnreadableError, read_entries, read_history
from bimip.wire import bimip_pb2 as pb
from bimip.wire.varint import varint
from tests.reading.support import ANN, BOB, LAPTOP, ORIGIN, entry, store_with


def body(offset: int) -> bytes:
    """A message of bob's desk, in the stored form."""
    message = pb.Message(conversation="c1", conversation_offset=offset)
    getattr(message, "from").MergeFrom(pb.Identity(eid="bob", connection_resource_id="desk"))
    encoded = message.SerializeToString()
    return b"\x2a" + varint(len(encoded) + 9) + encoded


class Damaged:
    """A view whose blocks do not read as they were written: what they seem to hold has to be proved."""

    def __init__(
        self, *suspects: tuple[int, Any], bodies: tuple[int, ...] = (1, 2, 3), members: Any = (ANN, BOB)
    ) -> None:
        self._suspects = list(suspects)
        self._view = store_with(
            {
                Table.LOGS: {(ANN, "chat"): Log(Offset(1), Offset(3))},
                Table.CONVERSATIONS: {
                    (1,): Conversation(ConversationOffset(1), ConversationOffset(3), tuple(members)),
                },
                Table.BODIES: {(100 + offset,): body(offset) for offset in bodies},
                Table.EIDS: {(BOB,): "bob", (ANN,): "ann"},
                Table.DEVICE_OWNERS: {(ORIGIN,): DeviceOwner(BOB, "desk")},
            }
        )

    def read(self, *_: Any, **__: Any) -> Any:
        raise DamagedRecordError("a block")

    def salvage(self, _table: LogTable, _place: Any, after: int, *, limit: int, upto: int) -> list[tuple[int, Any]]:
        return [one for one in self._suspects if after < one[0] <= upto][:limit]

    def __getattr__(self, name: str) -> Any:
        with self._view.snapshot() as view:
            return getattr(view, name)


def entries(damaged: Damaged, after: int = 0, user: UserId = ANN) -> list[int]:
    return [offset for offset, _ in read_entries(cast("Reader", damaged), user, "chat", after, 9)]


def test_an_entry_is_read_that_says_what_its_message_says() -> None:
    forged = [
        (1, entry(1)),
        (2, entry(2)._replace(author=ANN)),
        (3, entry(3)),
    ]

    assert entries(Damaged(*forged)) == [1, 3]


@pytest.mark.parametrize(
    "record",
    [
        entry(2)._replace(origin=LAPTOP),
        entry(2)._replace(conversation=ConversationId(2)),
        entry(2)._replace(conversation_offset=ConversationOffset(3)),
        entry(2)._replace(stamp=Stamp(103)),
        entry(2, addressed=True),
    ],
    ids=["another device's", "another conversation's", "another place", "another message", "for some devices only"],
)
def test_what_does_not_prove_to_be_whole_is_left_out(record: Any) -> None:
    assert entries(Damaged((1, entry(1)), (2, record), (3, entry(3)))) == [1, 3]


def test_nobody_is_shown_what_is_not_theirs() -> None:
    with pytest.raises(UnreadableError):
        entries(Damaged((1, entry(1)), members=(BOB,)))


def test_where_nothing_is_whole_it_is_said_how_far_that_goes() -> None:
    with pytest.raises(UnreadableError) as caught:
        entries(Damaged((1, entry(1)), (2, entry(2)), bodies=(3,)))

    assert caught.value.upto == 2


def test_where_nothing_is_left_nothing_is_read() -> None:
    assert entries(Damaged()) == []


def test_a_history_is_read_alike() -> None:
    listed = [(at, HistoryEntry(Stamp(100 + at), BOB, ORIGIN, addressed=False)) for at in (1, 2, 3)]
    listed[1] = (2, listed[1][1]._replace(author=ANN))
    damaged = cast("Reader", Damaged(*listed))

    assert [at for at, _ in read_history(damaged, ANN, ConversationId(1), 0, 9)] == [1, 3]
