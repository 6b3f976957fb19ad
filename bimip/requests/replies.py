"""How answers go out to a peer, and how many it is still owed.

Whoever takes a request owes one answer from then on. It is paid by an element of Body, by a frame of its own, or by
nothing where only errors are answered; and what is to be sent is paid when the connection has taken it. So what is owed
bounds what a peer that reads nothing can make the server keep: from `max_owed` on, no more is taken from it.
"""

from bimip.wire import bimip_pb2 as pb
from bimip.wire import frames
from bimip.wire.errors import WireError


class Replies:
    """The answers that wait to be sent to one peer. Whoever sends them takes them out, and pays."""

    __slots__ = ("frames", "max_owed", "owed", "parts")

    def __init__(self, max_owed: int) -> None:
        self.max_owed = max_owed
        self.owed = 0
        """Requests that were taken and whose answers the connection has not taken yet."""
        self.frames: list[bytes] = []
        """Answers that stand alone."""
        self.parts: list[bytes] = []
        """Answers that may share a frame: elements of Body."""

    def schedule_send(self) -> None:
        """There is something to send: it is sent when all that is being answered is done."""
        raise NotImplementedError

    def notify_room(self) -> None:
        """More may be taken again."""
        raise NotImplementedError

    def count_refusal(self, code: int) -> None:
        """An error of this code is answered."""
        raise NotImplementedError

    def answer_together(self, *parts: bytes) -> None:
        """Each of these answers one request."""
        self.parts += parts
        self.schedule_send()

    def answer_alone(self, frame: bytes) -> None:
        self.frames.append(frame)
        self.schedule_send()

    def fail(self, error: WireError, ref: int = 0) -> None:
        """Answers one request with an error."""
        message = error.to_proto()
        message.ref = message.ref or ref
        self.answer_error(message)

    def answer_error(self, error: pb.ErrorMessage) -> None:
        """Answers one request with what refuses it."""
        self.count_refusal(error.code)
        self.answer_together(frames.error_part(error))

    def pay(self, count: int) -> None:
        """So many answers were sent, or need not be."""
        self.owed -= count
        if self.owed < self.max_owed <= self.owed + count:
            self.notify_room()  # only then does the reader wait for it
