"""One epoll loop for all of a client's sockets: thousands of devices for a few microseconds each."""

import ctypes
import select
import socket
from collections import Counter
from collections.abc import Callable

from scripts.benchmarks import tls
from scripts.benchmarks.ledger import now

PR_SET_TIMERSLACK = 29
READ_BYTES = 256 << 10
STEP_SECONDS = 0.05


class Loop:
    def __init__(self) -> None:
        self.answering: list[Socket] = []
        """What arrived at them is to be answered once all has been noted that arrived meanwhile: devices are machines
        of their own, and none waits for what another one sends."""
        self.poller = select.epoll()
        self.sockets: dict[int, Socket] = {}
        self.failures: Counter[str] = Counter()
        """Why connections ended that nobody closed here, and what the server refused."""

    def run(self, until: Callable[[], bool], seconds: float, tick: Callable[[float], float] | None = None) -> bool:
        """Serve the sockets until `until()` is true; False after `seconds`.

        `tick(now)` is called each time round and returns the seconds to its next call. epoll counts in whole
        milliseconds, so with a tick it is select that waits, for the poller itself.
        """
        deadline = now() + seconds
        while not until():
            at = now()
            if at >= deadline:
                return False
            wait = min(STEP_SECONDS, deadline - at)
            if tick is not None:
                wait = max(0.0, min(wait, tick(at)))
                select.select([self.poller], (), (), wait)
                wait = 0.0
            for number, events in self.poller.poll(wait, 1024):
                found = self.sockets.get(number)
                if found is None:
                    continue
                if events & select.EPOLLOUT:
                    found.flush()
                if events & ~select.EPOLLOUT:
                    found.readable()
            answering, self.answering = self.answering, []
            for one in answering:
                one.answer()
        return True

    def rest(self, seconds: float) -> None:
        self.run(lambda: False, seconds)

    def close(self) -> None:
        for one in list(self.sockets.values()):
            one.close()
        self.poller.close()


def oversleep_never() -> None:
    """Linux wakes a sleeper up to 50 µs late to save power, and a message that left late would count that."""
    ctypes.CDLL(None).prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0)


class Socket:
    """A non-blocking connection to a port of this machine, over TLS where the server speaks it. What comes after is a
    subclass's: connected, received.
    """

    def __init__(self, loop: Loop, port: int) -> None:
        self.loop = loop
        self._tls = tls.Secured(tls.context) if tls.context is not None else None
        self.closed = False
        self._connecting = True
        self._out = b""
        self._socket = socket.socket()
        self._socket.setblocking(False)  # noqa: FBT003 - positional in the standard library
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._number = self._socket.fileno()
        self._socket.connect_ex(("127.0.0.1", port))
        loop.sockets[self._number] = self
        loop.poller.register(self._number, select.EPOLLIN | select.EPOLLOUT)

    def connected(self) -> None:
        raise NotImplementedError

    def received(self, data: bytes) -> None:
        raise NotImplementedError

    def answer(self) -> None:
        """Called for what is in the loop's `answering`."""
        raise NotImplementedError

    def send(self, data: bytes) -> None:
        if self.closed:
            return
        self._put(data if self._tls is None else self._tls.encrypt(data))

    def _put(self, data: bytes) -> None:
        """Sends what is to be on the wire."""
        if self._out or self._connecting:
            self._out += data
            return
        try:
            sent = self._socket.send(data)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            self.fail(str(error))
            return
        if sent < len(data):
            self._out = data[sent:]
            self.loop.poller.modify(self._number, select.EPOLLIN | select.EPOLLOUT)

    def flush(self) -> None:
        if self._connecting:
            self._connecting = False
            error = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if error:
                self.fail(f"connecting failed: {error}")
                return
            if self._tls is None:
                self.connected()
            else:
                self._shake_hands(self._tls, b"")
        if self._out:
            waiting, self._out = self._out, b""
            self._put(waiting)
        if not self._out and not self.closed:
            self.loop.poller.modify(self._number, select.EPOLLIN)

    def readable(self) -> None:
        try:
            data = self._socket.recv(READ_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            self.fail(str(error))
            return
        if not data:
            self.fail("the server closed the socket")
        elif self._tls is None:
            self.received(data)
        elif self._tls.is_open:
            if data := self._tls.decrypt(data):
                self.received(data)
        else:
            self._shake_hands(self._tls, data)

    def _shake_hands(self, secured: tls.Secured, came: bytes) -> None:
        self._put(secured.shake_hands(came))
        if secured.is_open:
            self.connected()

    def fail(self, why: str) -> None:
        if not self.closed:
            self.loop.failures[why[:200]] += 1
        self.close()

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self.loop.sockets.pop(self._number, None)
            self.loop.poller.unregister(self._number)
            self._socket.close()
