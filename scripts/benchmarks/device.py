"""A device of a benchmark: connects, says Hello, sends if it is a sender, and acknowledges what it gets."""

from collections.abc import Callable

from scripts.benchmarks import wire
from scripts.benchmarks.ledger import Ledger
from scripts.benchmarks.loop import Loop, Socket

LOGIN_SECONDS = 60.0
LOGINS_AT_ONCE = 64


class Device(Socket):
    def __init__(
        self, loop: Loop, port: int, token: str, ledger: Ledger | None = None, *, offset: int | None = 0
    ) -> None:
        super().__init__(loop, port)
        self.on_ready: Callable[[], None] = _nothing
        self.on_accepted: Callable[[int], None] = _ignore
        self.on_other: Callable[[bytes], None] = _ignore
        """Takes a frame that is no Body."""
        self.position = 0
        """The offset up to which everything owed has come."""
        self._ledger = ledger
        self._opening = wire.opening(port, token)
        self._hello = wire.hello(offset)
        self._frames = wire.Frames()
        self._answer: bytes | None = b""  # to the opening, as far as it has come
        self._welcomed = False
        self._sender = -1
        self._author: wire.Author | None = None

    @property
    def is_in(self) -> bool:
        """Its Hello was answered."""
        return self._welcomed

    def write_to(self, sender: int, eid: str, more: bytes = b"") -> None:
        """From now on this device is the `sender`-th, and writes to `eid`. `more`: see `wire.Author`."""
        self._sender, self._author = sender, wire.Author(sender, eid, more)

    def post(self, count: int, at: float | None = None, *, together: bool = True) -> None:
        """Send messages: in one frame, or each in a frame of its own."""
        assert self._ledger is not None
        assert self._author is not None
        first = self._ledger.send(self._sender, count, at)
        if count == 1:
            self.send(self._author.alone(first))
        elif together:
            self.send(self._author.together(first, count))
        else:
            self.send(b"".join([self._author.alone(number) for number in range(first, first + count)]))

    def connected(self) -> None:
        self.send(self._opening)

    def received(self, data: bytes) -> None:
        if self._answer is not None:
            self._answer += data
            head, end, data = self._answer.partition(b"\r\n\r\n")
            if not end:
                return
            if not head.startswith(b"HTTP/1.1 101 "):
                self.fail("the opening was refused: " + self._answer[:160].decode(errors="replace"))
                return
            self._answer = None
            self.send(self._hello)
        marks: list[tuple[bytes, bytes]] = []
        before, accepted = self.position, 0
        for opcode, frame in self._frames.feed(data):
            if opcode == wire.BINARY:
                body = wire.body(frame)
                if body is not None:
                    accepted += body.accepted
                    marks += body.marks
                    self._check(body)
                elif not self._welcomed:
                    self._welcome(frame)
                else:
                    self.on_other(frame)
            elif opcode == wire.PING:
                self.send(wire.masked(frame, wire.PONG))
            elif opcode == wire.CLOSE:
                self.fail("closed with " + wire.close_of(frame))
        self._count(marks, accepted, before)

    def _count(self, marks: list[tuple[bytes, bytes]], accepted: int, before: int) -> None:
        if self._ledger is not None and marks:
            self._ledger.deliver(marks)
        if marks and self.position > before:
            self.loop.answering.append(self)
        if accepted:
            if self._ledger is not None:
                self._ledger.accept(self._sender, accepted)
            self.on_accepted(accepted)

    def answer(self) -> None:
        self.send(wire.acknowledgement(self.position))

    def _check(self, body: wire.Body) -> None:
        """Ranges in turn join, or something was left out."""
        for error in body.errors:
            self.loop.failures[f"refused: {error!r}"[:200]] += 1
        if body.in_turn and body.upto > body.after:
            if body.after != self.position:
                self.loop.failures[f"a hole: ({body.after}, {body.upto}] came after {self.position}"] += 1
            self.position = body.upto

    def _welcome(self, frame: bytes) -> None:
        if not frame.startswith(b"\x08\x0d"):
            self.fail(f"no Hello: {frame!r}")
            return
        self._welcomed = True
        self.on_ready()


def _nothing() -> None:
    pass


def _ignore(_what: object) -> None:
    pass


def connect_all(loop: Loop, make: Callable[[int], Device], count: int, at_once: int = LOGINS_AT_ONCE) -> list[Device]:
    """`count` devices, `at_once` at a time; each is in when its Hello was answered."""
    devices: list[Device] = []
    ready = 0

    def one_more() -> None:
        if len(devices) < count:
            device = make(len(devices))
            device.on_ready = one_is_in
            devices.append(device)

    def one_is_in() -> None:
        nonlocal ready
        ready += 1
        one_more()

    for _ in range(at_once):
        one_more()
    before = loop.failures.total()
    loop.run(lambda: ready >= count or loop.failures.total() > before, LOGIN_SECONDS + count * 0.02)
    if ready < count:
        raise RuntimeError(f"{ready} of {count} devices got in; {dict(loop.failures)}")
    return devices
