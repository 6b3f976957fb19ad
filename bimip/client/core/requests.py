"""Requests and their answers, matched by `ref`."""

from collections.abc import Iterable

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


def _settle(pending: Pending, payload: betterproto2.Message) -> None:
    if isinstance(payload, ErrorMessage):
        pending.failure = Refused.by(payload)
    else:
        pending.answer = payload
    pending.done.set()


class Requests:
    def __init__(self) -> None:
        self._last_ref = 0
        self._pending: dict[int, Pending] = {}
        self._batches: dict[int, dict[str, Pending]] = {}  # ref -> by the ids of its parts
        self._messages: dict[int, str] = {}  # ref -> id of the message that it carried

    def next_ref(self) -> int:
        self._last_ref += 1
        return self._last_ref

    def open(self) -> tuple[int, Pending]:
        ref = self.next_ref()
        self._pending[ref] = pending = Pending()
        return ref, pending

    def open_batch(self, ids: Iterable[str]) -> tuple[int, list[Pending]]:
        """Open a request whose parts are answered each for itself, under the ref of all and an id of its own."""
        ref = self.next_ref()
        parts = self._batches[ref] = {part_id: Pending() for part_id in ids}
        return ref, list(parts.values())

    def close(self, ref: int) -> None:
        self._pending.pop(ref, None)
        self._batches.pop(ref, None)

    def answer(self, ref: int, payload: betterproto2.Message) -> bool:
        """Give a request its answer. Returns whether somebody waits for it."""
        if ref in self._batches:
            return self._answer_part(self._batches[ref], payload)
        pending = self._pending.pop(ref, None)
        if pending is None:
            return False
        _settle(pending, payload)
        return True

    @staticmethod
    def _answer_part(parts: dict[str, Pending], payload: betterproto2.Message) -> bool:
        """An error that names no part is the answer of all of them."""
        part_id = getattr(payload, "id", "")
        if part_id in parts:
            _settle(parts.pop(part_id), payload)
            return True
        if not isinstance(payload, ErrorMessage) or part_id:
            return False
        for pending in parts.values():
            _settle(pending, payload)
        parts.clear()
        return True

    def carried(self, ref: int, message_id: str) -> None:
        self._messages[ref] = message_id

    def message_of(self, ref: int) -> str:
        """Returns, once, the id of the message that this ref carried, or nothing."""
        return self._messages.pop(ref, "")

    def fail(self, failure: ClientError) -> None:
        """Fail all requests: the connection is gone, and with it all answers."""
        pending = [*self._pending.values(), *(part for batch in self._batches.values() for part in batch.values())]
        self._pending, self._batches = {}, {}
        self._messages.clear()
        for request in pending:
            request.failure = failure
            request.done.set()
