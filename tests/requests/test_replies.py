"""What is owed is paid by what was sent, and whoever waits for room is told when there is some again."""

import pytest

from bimip.requests.replies import Replies
from bimip.wire import bimip_pb2 as pb
from bimip.wire.errors import WireError


class Collected(Replies):
    def __init__(self, max_owed: int = 4) -> None:
        super().__init__(max_owed)
        self.scheduled = self.rooms = 0
        self.refused: list[int] = []

    def schedule_send(self) -> None:
        self.scheduled += 1

    def notify_room(self) -> None:
        self.rooms += 1

    def count_refusal(self, code: int) -> None:
        self.refused.append(code)


@pytest.mark.parametrize(("owed", "paid", "rooms"), [(3, 1, 0), (4, 1, 1), (5, 1, 0), (6, 3, 1), (6, 6, 1), (1, 1, 0)])
def test_room_is_told_of_once_when_there_is_some_again(owed: int, paid: int, rooms: int) -> None:
    replies = Collected()
    replies.owed = owed
    replies.pay(paid)

    assert (replies.owed, replies.rooms) == (owed - paid, rooms)


def test_answers_wait_in_their_order_until_they_are_sent() -> None:
    replies = Collected()
    replies.answer_together(b"a", b"b")
    replies.answer_alone(b"c")
    replies.answer_together(b"d")

    assert (replies.parts, replies.frames, replies.scheduled) == ([b"a", b"b", b"d"], [b"c"], 3)


@pytest.mark.parametrize(("own", "given", "expected"), [(0, 5, 5), (7, 5, 7), (0, 0, 0)])
def test_an_error_says_which_request_it_answers(own: int, given: int, expected: int) -> None:
    replies = Collected()
    replies.fail(WireError(pb.INVALID, "no", ref=own), given)

    assert [error.ref for error in pb.Body.FromString(b"".join(replies.parts)).errors] == [expected]
    assert replies.refused == [pb.INVALID]
