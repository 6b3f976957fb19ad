"""BIMIP for a harness that measures several message servers alike: name this folder in PEERBENCH_PATH.

The harness imports this module, and brings `common`: its client loop, its counters and its workloads. So what is
counted, and when, is the same for all; the bytes are those of our own benchmarks.
"""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import common  # type: ignore[import-not-found]

sys.path.append(str(Path(__file__).resolve().parents[3]))

from scripts.benchmarks import posting, server, wire

VARIANTS: dict[str, dict[str, Any]] = {"bimip": {}, "bimip-rest": {"rest": True}}
"""With `rest`, senders write by HTTP; those who receive are the same."""
PULLS = ("log", "log", "log")
UPGRADED = re.compile(rb"^HTTP/1\.1 101 .*?\r\n\r\n", re.DOTALL)
ANSWERED = re.compile(rb"(?=\x82)")  # the Hello's answer has begun to arrive; feed takes the frame itself


def start(variant: str, datadir: str) -> Any:  # noqa: ANN401 - the harness's own
    port = server.free_port()
    config = server.write_config(Path(datadir), port, console_port=0)
    started = common.Server(server.command(config), port, datadir, cwd=str(server.CHECKOUT))
    started.opts = VARIANTS[variant]
    return started


def prepare(_server: Any, _users: list[str]) -> None:  # noqa: ANN401 - the harness's own
    """Users exist once they connected."""


def w4_prepare(running: Any, users: list[str]) -> None:  # noqa: ANN401 - the harness's own
    """Those who will come back say Hello once, and leave."""
    loop = common.Loop()
    common.login_all(loop, lambda index: Device(loop, running, users[index], 1), len(users), 20)
    loop.close_all()


def Device(  # noqa: N802 - the harness calls it so
    loop: Any,  # noqa: ANN401 - the harness's own
    running: Any,  # noqa: ANN401 - the harness's own
    user: str,
    dev: int,
    sender: bool = False,  # noqa: FBT001, FBT002 - as the harness calls it
    pull: str | None = None,
) -> Any:  # noqa: ANN401 - the harness's own
    """A device by WebSocket, or, of a sender of `bimip-rest`, by HTTP."""
    if sender and running.opts.get("rest"):
        return Poster(loop, running, user, dev)
    return Socket(loop, running, user, dev, pull)


class Socket(common.Conn):  # type: ignore[misc]  # the harness has no types
    def __init__(
        self,
        loop: Any,  # noqa: ANN401 - the harness's own
        running: Any,  # noqa: ANN401 - the harness's own
        user: str,
        dev: int,
        pull: str | None = None,
    ) -> None:
        self._opening = wire.opening(running.port, server.token(user, f"device{dev}"))
        self._hello = wire.hello(0 if pull else None)
        self._frames = wire.Frames()
        self._position = 0
        self._flying = 0
        super().__init__(loop, running.port)

    def steps(self) -> Iterator[tuple[bytes, re.Pattern[bytes]]]:
        yield self._opening, UPGRADED
        yield self._hello, ANSWERED

    def target(self, sid: int, user: str) -> None:
        self.sid = sid
        self._author = wire.Author(sid, user)

    def post(self, n: int) -> None:
        first = self.hub.sending(self.sid, n)
        self._flying += n
        self.send(self._author.alone(first) if n == 1 else self._author.together(first, n))

    def inflight(self) -> int:
        return self._flying

    def feed(self, data: bytes) -> None:
        accepted, marks = 0, []
        for opcode, frame in self._frames.feed(data):
            if opcode == wire.PING:
                self.send(wire.masked(frame, wire.PONG))
            elif opcode == wire.CLOSE:
                self.fail("closed with " + wire.close_of(frame))
            elif (body := wire.body(frame)) is not None:
                accepted += body.accepted
                marks += body.marks
                self._position = max(self._position, body.upto)
                for error in body.errors:
                    self.loop.errors[repr(error)[:200]] += 1
        if marks:
            self.send(wire.acknowledgement(self._position))
            self.hub.delivered(marks)
        if accepted:
            self._flying -= accepted
            self.hub.accepted(self.sid, accepted)
            self.on_accept(self, accepted)


class Poster(posting.HarnessSender, common.Conn):  # type: ignore[misc]  # the harness has no types
    """Posts messages over one connection, as a back end."""

    def __init__(self, loop: Any, running: Any, user: str, dev: int) -> None:  # noqa: ANN401 - the harness's own
        self._stem = f"{user}-"
        self._head = posting.head(running.port, f"Authorization: Bearer {server.token(user, f'device{dev}')}")
        super().__init__(loop, running.port)

    def target(self, sid: int, user: str) -> None:
        self.sid, self._to = sid, user

    def asked(self, number: int) -> bytes:
        said = posting.message(f"{self._stem}{number}", self._to, common.body(self.sid, number).decode())
        return posting.request(f"{posting.PREFIX}/messages", self._head, json.dumps(said).encode())

    def is_accepted(self, status: int, _content: bytes) -> bool:
        return status == 201
