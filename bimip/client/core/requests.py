"""Requests and their answers, matched by `ref`."""

import anyio
import betterproto2

from bimip.client.errors import ClientError, Refused
from bimip.client.wire.bimip import ErrorMessage


class Pending:
    def __init__(self) -> None:
        self.done = anyio.Event()
        self.answer: betterproto2.Message | None = None
        self.failure: ClientError | None = None

    def result(self) -> betterproto2.Message:
        if self.failure is not None:
            raise self.failure
        assert self.answer is not None
        return self.answer


class Requests:
    def __init__(self) -> None:
        self._last_ref = 0
        self._pending: dict[int, Pending] = {}
        self._messages: dict[int, str] = {}  # ref -> id of the message that it carried

    def next_ref(self) -> int:
        self._last_ref += 1
        return self._last_ref

    def open(self) -> tuple[int, Pending]:
        ref = self.next_ref()
        self._pending[ref] = pending = Pending()
        return ref, pending

    def close(self, ref: int) -> None:
        self._pending.pop(ref, None)

    def answer(self, ref: int, payload: betterproto2.Message) -> bool:
        """Give a request its answer. Returns whether somebody waits for it."""
        pending = self._pending.pop(ref, None)
        if pending is None:
            return False
        if isinstance(payload, ErrorMessage):
            pending.failure = Refused.by(payload)
        else:
            pending.answer = payload
        pending.done.set()
        return True

    def carried(self, ref: int, message_id: str) -> None:
        self._messages[ref] = message_id

    def message_of(self, ref: int) -> str:
        """Returns, once, the id of the message that this ref carried, or nothing."""
        return self._messages.pop(ref, "")

    def fail(self, failure: ClientError) -> None:
        """Fail all requests: the connection is gone, and with it all answers."""
        pending, self._pending = [*self._pending.values()], {}
        self._messages.clear()
        for request in pending:
            request.failure = failure
            request.done.set()
