"""Messages by HTTP: what one costs beside one by WebSocket in the same run, and what others notice of those who post.

A poster is a back end: one connection that is kept, one request at a time, with a message or many in it. Who receives
is connected by WebSocket, as in `throughput`, so the ledger counts both alike.
"""

import json
import os
import socket
import time
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final

from scripts.benchmarks import fairness, posting, server, throughput, wire
from scripts.benchmarks.device import Device, connect_all
from scripts.benchmarks.ledger import Ledger
from scripts.benchmarks.loop import Loop
from scripts.benchmarks.posting import PREFIX, message
from scripts.benchmarks.throughput import Load

SLOW_CONNECTIONS: Final = 200
SLOW_SECONDS: Final = 1.0
"""Between two bytes."""
POSTERS: Final = 8
_PAD = "x" * (wire.PAYLOAD_BYTES - 15)


class Poster(Device):
    """Posts one request after the other over one connection. What waits for its turn leaves as soon as it may."""

    def __init__(self, loop: Loop, port: int, token: str, ledger: Ledger | None = None) -> None:
        super().__init__(loop, port, token, ledger)
        self._head = posting.head(port, f"Authorization: Bearer {token}")
        self._to = ""
        self._line = posting.Line()
        self._asked: list[int] = []  # how many messages each request has that waits for its answer or its turn
        self._answers = posting.Answers()

    def write_to(self, sender: int, eid: str, more: bytes = b"") -> None:
        assert not more
        self._sender, self._to = sender, eid
        self._stem = os.urandom(8).hex()

    def post(self, count: int, at: float | None = None, *, together: bool = True) -> None:
        assert self._ledger is not None
        first = self._ledger.send(self._sender, count, at)
        messages = [self._message(number) for number in range(first, first + count)]
        if together and count > 1:
            self._ask("/messages/batch", {"messages": messages}, count)
        else:
            for message in messages:
                self._ask("/messages", message, 1)

    def _message(self, number: int) -> dict[str, Any]:
        text = f"@{self._sender:04d}:{number:08d}@{_PAD}"
        return message(f"{self._stem}{self._sender:04d}{number:08d}", self._to, text)

    def _ask(self, path: str, body: dict[str, Any], count: int) -> None:
        self._asked.append(count)
        request = posting.request(f"{PREFIX}{path}", self._head, json.dumps(body).encode())
        if out := self._line.next(request):
            self.send(out)

    def connected(self) -> None:
        self._welcomed = True
        self.on_ready()

    def received(self, data: bytes) -> None:
        assert self._ledger is not None
        for status, body in self._answers.feed(data):
            count = self._asked.pop(0)
            if out := self._line.answered():
                self.send(out)
            refused = count if status not in {200, 201} else body.count(b'"error"')
            if refused:
                self.loop.failures[f"refused: {status} {body[:160].decode(errors='replace')}"] += refused
            self._ledger.accept(self._sender, count - refused)
            self.on_accepted(count - refused)


class PostingWorld(throughput.World):
    writes_by = Poster


def measure(running: server.Server, load: Load) -> dict[str, Any]:
    """Messages by HTTP, `load.window` in a request, and then as many by WebSocket on the same server."""
    found = throughput.measure(running, replace(load, users=f"{load.users}rest-"), PostingWorld)
    beside = throughput.measure(running, replace(load, users=f"{load.users}socket-"))
    for name in ("unaccepted", "undelivered", "duplicates"):
        found[name] += beside[name]
    found["failures"] |= beside["failures"]
    ratio = found["server_us_per_message"] / max(beside["server_us_per_message"], 1e-9)
    return {**found, "requests_per_s": found["accepted_per_s"] / load.window, "socket": beside, "us_ratio": ratio}


def loads(seconds: float) -> list[Load]:
    """One message in a request over one connection and over 16; and 100 in each."""
    usual = Load(seconds=seconds, warm_seconds=min(3.0, seconds / 3))
    return [replace(usual, pairs=pairs, window=window) for pairs, window in ((1, 1), (16, 1), (16, 100))]


def describe(load: Load) -> str:
    messages = "a message" if load.window == 1 else f"{load.window} messages"
    return f"{load.pairs} connections, {messages} in a request"


def measure_beside(running: server.Server, name: str, seconds: float) -> dict[str, Any]:
    """What devices that are connected notice of somebody."""
    attack = BESIDE[name]
    found = fairness.compared(running, lambda: fairness.beside(attack, running.port), seconds, f"{attack.__name__}-")
    alone, beside = found["quiet"]["last_device_ms"], found["last_device_ms"]
    return {"p99_alone": alone.get("p99", 0.0), "p99_beside": beside.get("p99", 0.0), **found}


def post_on(port: int) -> None:
    """Post over several connections, each as fast as it is answered."""
    fairness.leave_the_processor()
    loop, ledger = Loop(), Ledger(POSTERS, 1)
    posters = connect_all(loop, lambda n: Poster(loop, port, server.token(f"poster{n}", "backend"), ledger), POSTERS)
    for number, poster in enumerate(posters):
        poster.write_to(number, f"reader{number}")
        poster.on_accepted = poster.post
        poster.post(1)
    while True:
        loop.rest(60.0)


def trickle(port: int) -> None:
    """Hold many connections, of which each says a byte a second: half of them of a head, half of a body."""
    fairness.leave_the_processor()
    open_ones: list[socket.socket | None] = [None] * SLOW_CONNECTIONS
    while True:
        began = time.perf_counter()
        for index, one in enumerate(open_ones):
            try:
                if one is None:
                    one = open_ones[index] = _begun(port, index)  # noqa: PLW2901
                one.send(b" ")
                with suppress(BlockingIOError):
                    if not one.recv(1 << 16, socket.MSG_DONTWAIT):
                        raise ConnectionError
            except OSError:  # it was cut: it comes again
                if one is not None:
                    one.close()
                open_ones[index] = None
        time.sleep(max(0.0, began + SLOW_SECONDS - time.perf_counter()))


def _begun(port: int, index: int) -> socket.socket:
    one = socket.create_connection(("127.0.0.1", port), 10, source_address=(fairness.ATTACKERS, 0))
    one.sendall(b"POST /api/v1/messages HTTP/1.1\r\nHost: x\r\n")
    if index % 2:
        shown = server.token(f"slow{index}", "backend")
        one.sendall(f"Authorization: Bearer {shown}\r\nContent-Length: 100000\r\n\r\n".encode())
    else:
        one.sendall(b"X-Slow:")
    return one


BESIDE: Final = {
    f"sockets beside {SLOW_CONNECTIONS} connections that say a byte a second": trickle,
    f"sockets beside {POSTERS} connections that post as fast as they are answered": post_on,
}
