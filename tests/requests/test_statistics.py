"""What messages leave in the statistics, whatever became of them."""

import pytest

from bimip.domain.core.ids import ConversationId, ConversationOffset, Millis, Offset, Stamp
from bimip.domain.core.operations import Appended, Fault, Outcomes, Refused
from bimip.requests.message import write
from bimip.requests.statistics import SAMPLE_SECONDS, RequestStatistics
from bimip.wire import bimip_pb2 as pb
from tests.requests.support import Peer

FULL = Refused(Fault.STORAGE_FULL, "no room")


def appended(number: int, *, duplicate: bool = False) -> Appended:
    return Appended(
        id=f"{number}",
        partition="chat",
        offset=Offset(number),
        stamp=Stamp(number << 22),
        conversation=ConversationId(1),
        conversation_offset=ConversationOffset(number),
        time=Millis(1000),
        duplicate=duplicate,
    )


def told_after(*outcomes: Outcomes | Refused, at: float = 0.0, peer: Peer | None = None) -> RequestStatistics:
    """Each is what became of the messages of one frame, which came at `at`."""
    peer = peer or Peer()
    peer.heard_at = at
    for outcome in outcomes:
        for number in range(len(outcome) if type(outcome) is tuple else 1):
            peer.take("message", pb.Message(id=f"{number}", to=pb.Identity(eid="bob"), type=1))
        write(peer)
        peer.decide(outcome)
    return peer.services.statistics


@pytest.mark.parametrize(
    ("outcomes", "accepted", "duplicates", "refused"),
    [
        ([(appended(1),)], 1, 0, {}),
        ([(appended(1), appended(2), appended(3))], 3, 0, {}),
        ([(appended(1), appended(1, duplicate=True), FULL)], 1, 1, {Fault.STORAGE_FULL: 1}),
        ([FULL, FULL], 0, 0, {Fault.STORAGE_FULL: 2}),
    ],
)
def test_each_message_is_accepted_a_duplicate_or_refused(
    outcomes: list[Outcomes | Refused], accepted: int, duplicates: int, refused: dict[int, int]
) -> None:
    told = told_after(*outcomes)

    assert (told.accepted, told.duplicates, told.refused) == (accepted, duplicates, refused)


def test_a_message_is_timed_from_when_it_came() -> None:
    told = told_after((appended(1),), at=0.25)  # it is 0.5 on the peer's clock

    assert told.accept_seconds.total == 0.25


def test_of_messages_that_come_together_one_is_timed() -> None:
    peer = Peer()
    told_after((appended(1),), (appended(2),), at=0.1, peer=peer)
    told = told_after((appended(3),), at=0.1 + SAMPLE_SECONDS, peer=peer)

    assert sum(told.accept_seconds.counts) == 2
