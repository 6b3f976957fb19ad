"""Requests by HTTP/1.1 over one connection that is kept, made and read by hand, as cheaply as frames are in `wire.py`:
what the client costs is not what is measured. It needs nothing installed, so that the harness of the peers has it too.
"""

import base64
import re
from collections.abc import Callable, Iterator
from typing import Any, Final

PREFIX: Final = "/api/v1"
"""Of our own paths."""

_LENGTH: Final = re.compile(rb"\r\ncontent-length: *([0-9]+)\r\n", re.IGNORECASE)


def head(port: int, *more: str) -> str:
    """What the heads of all requests of a connection have in common, behind their first line."""
    lines = (f"Host: 127.0.0.1:{port}", "Content-Type: application/json", *more)
    return "".join(f"{line}\r\n" for line in lines)


def request(path: str, common: str, content: bytes) -> bytes:
    """A POST of JSON."""
    return f"POST {path} HTTP/1.1\r\n{common}Content-Length: {len(content)}\r\n\r\n".encode() + content


def message(message_id: str, to: str, text: str) -> dict[str, Any]:
    """A message as our REST API takes it."""
    return {"id": message_id, "to": {"eid": to}, "type": 1, "payload": base64.b64encode(text.encode()).decode()}


class Answers:
    """Reads what is answered: each answer says how long it is, as those of all servers that are measured do."""

    def __init__(self) -> None:
        self._data = b""

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """The status and the body of each answer that is whole."""
        self._data += data
        while (end := self._data.find(b"\r\n\r\n")) >= 0:
            found = _LENGTH.search(self._data, 0, end + 2)
            behind = end + 4 + (int(found[1]) if found is not None else 0)
            if len(self._data) < behind:
                return
            answer, self._data = self._data[:behind], self._data[behind:]
            yield int(answer[9:12]), answer[end + 4 :]


class Line:
    """One request at a time on a connection: what waits for its turn leaves as soon as the one before is answered."""

    def __init__(self) -> None:
        self._waiting: list[bytes] = []
        self._is_asking = False

    def next(self, *more: bytes) -> bytes:
        """Takes what is to be asked, and returns what may leave now; nothing where an answer is awaited."""
        self._waiting += more
        if self._is_asking or not self._waiting:
            return b""
        self._is_asking = True
        return self._waiting.pop(0)

    def answered(self) -> bytes:
        """The same, once an answer has come."""
        self._is_asking = False
        return self.next()


class HarnessSender:
    """Posts one message after the other, for the harness of the peers: what a sender does there beside its `Conn`."""

    hub: Any
    loop: Any
    on_accept: Any
    sid: int
    send: Callable[[bytes], None]

    def __init__(self, loop: Any, port: int) -> None:  # noqa: ANN401 - the harness's own
        self._line = Line()
        self._answers = Answers()
        self._flying = 0
        super().__init__(loop, port)  # type: ignore[call-arg]  # the harness's Conn

    def steps(self) -> Iterator[Any]:
        """Nothing is to be said before."""
        return iter(())

    def asked(self, number: int) -> bytes:
        """The request that sends this message."""
        raise NotImplementedError

    def is_accepted(self, status: int, content: bytes) -> bool:
        raise NotImplementedError

    def post(self, n: int) -> None:
        first = self.hub.sending(self.sid, n)
        self._flying += n
        self._leave(self._line.next(*(self.asked(number) for number in range(first, first + n))))

    def inflight(self) -> int:
        return self._flying

    def feed(self, data: bytes) -> None:
        for status, content in self._answers.feed(data):
            self._leave(self._line.answered())
            if not self.is_accepted(status, content):
                self.loop.errors[f"{status} {content[:160]!r}"] += 1
                continue
            self._flying -= 1
            self.hub.accepted(self.sid, 1)
            self.on_accept(self, 1)

    def _leave(self, out: bytes) -> None:
        if out:
            self.send(out)
