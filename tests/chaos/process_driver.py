"""A real server in a process of its own, and what its peers and its operator see of it from outside."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from bimip.gateway.authentication import issue
from bimip.wire import bimip_pb2 as pb
from bimip.wire import codec
from tests.gateway.harness import frame

ROOT = Path(__file__).parents[2]
KEY = "K3Y-of-the-tests-which-nobody-may-read-in-a-log"
OPERATOR = "0PERATOR-token-which-nobody-may-read"
BINARY, CLOSE = 2, 8
PATIENCE = 120
"""Seconds, on a machine that does other things too."""


class Served:
    def __init__(self, folder: Path, **environ: str) -> None:
        given = {
            "BIMIP_GATEWAY_PORT": "0",
            "BIMIP_GATEWAY_HEARTBEAT_SECONDS": "600",  # these peers answer no pings
            "BIMIP_CONSOLE_PORT": "0",
            "BIMIP_CONSOLE_OPERATOR_TOKEN": OPERATOR,
            "BIMIP_LOGGING_FORMAT": "json",
            "BIMIP_LOGGING_LEVEL": "debug",
            "BIMIP_STORE_PATH": str(folder / "store"),
            "BIMIP_TOKENS_ALGORITHM": "HS256",
            "BIMIP_TOKENS_KEY": KEY,
            "BIMIP_USERS_ACCEPT_UNKNOWN_RECIPIENTS": "true",
            "PYTHONPATH": str(ROOT),
        }
        self.log = folder / "log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "bimip", "serve"],
                cwd=folder,
                env={**os.environ, **given, **environ},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.pid = self.process.pid
        try:
            serving = self.wait_for("serving")
        except AssertionError:
            self.process.kill()
            self.process.wait()
            raise
        self.port: int = serving["port"]
        self.console: int = serving["console"]

    def events(self) -> list[dict[str, Any]]:
        lines = self.log.read_text(errors="replace").split("\n")[:-1]
        return [json.loads(line) for line in lines if line.startswith("{")]

    def wait_for(self, event: str, count: int = 1) -> dict[str, Any]:
        """The `count`-th log entry of that name."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and self.process.poll() is None:
            found = [one for one in self.events() if one["event"] == event]
            if len(found) >= count:
                return found[count - 1]
            time.sleep(0.02)
        raise AssertionError(f"no {event!r} in the log:\n{self.log.read_text()[-3000:]}")

    def files(self) -> int:
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))

    def wait_for_files(self, most: int) -> int:
        """File descriptors, once there are no more than that, or it does not get better."""
        deadline = time.monotonic() + 15
        while self.files() > most and time.monotonic() < deadline:
            time.sleep(0.05)
        return self.files()

    def memory(self) -> int:
        """Bytes that are the process's own. LMDB's map is a file: the system's cache, and not what a peer costs."""
        for line in Path(f"/proc/{self.pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Anonymous:"):
                return int(line.split()[1]) * 1024
        raise AssertionError

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)


@contextmanager
def served(folder: Path, **environ: str) -> Iterator[Served]:
    server = Served(folder, **environ)
    try:
        yield server
        server.stop()
    finally:
        server.process.kill()
        server.process.wait()
    assert server.process.returncode == 0, server.log.read_text()[-3000:]


def token(eid: str, device: str = "phone", **changes: Any) -> str:
    given: dict[str, Any] = {
        "algorithm": "HS256",
        "signing_key": KEY,
        "eid": eid,
        "device": device,
        "now_ms": time.time_ns() // 1_000_000,
        "lifetime_seconds": 3600,
        "jti": f"{eid}/{device}",
    }
    return issue(**(given | changes))


def opening(shown: str, subprotocol: str = "bimip.v1") -> bytes:
    return (
        "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
        f"Sec-WebSocket-Protocol: {subprotocol}\r\nAuthorization: Bearer {shown}\r\n\r\n"
    ).encode()


class Phone:
    """A peer on a blocking socket, which does what a test says and nothing by itself."""

    def __init__(self, found: socket.socket) -> None:
        self.socket = found
        self._data = b""

    @classmethod
    def connect(cls, port: int, eid: str, device: str = "phone", *, receive_buffer: int = 0) -> Self:
        """As far as the answer to Hello."""
        found = socket.socket()
        if receive_buffer:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        found.settimeout(20)
        found.connect(("127.0.0.1", port))
        found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        phone = cls(found)
        phone.socket.sendall(opening(token(eid, device)))
        while b"\r\n\r\n" not in phone._data:
            phone._data += phone.socket.recv(4096)
        head, _, phone._data = phone._data.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 "), head
        phone.say(pb.Hello(partitions=[pb.Position(partition="chat")]))
        assert phone.hear().HasField("hello")
        return phone

    def say(self, payload: Any, ref: int = 0) -> None:
        self.socket.sendall(frame(BINARY, codec.encode(payload, ref)))

    def write(self, to: str, payload: bytes, message_id: str) -> None:
        self.say(pb.Message(id=message_id, to=pb.Identity(eid=to), type=1, payload=payload))

    def hear(self) -> pb.MessageScheme:
        """The next frame of the server."""
        while True:
            found = self._next()
            if found is not None:
                opcode, payload = found
                if opcode == BINARY:
                    return codec.decode(payload)
                assert opcode != CLOSE, payload
            else:
                more = self.socket.recv(1 << 18)
                assert more, "the server closed"
                self._data += more

    def wait_sent(self, count: int = 1) -> None:
        while count > 0:
            heard = self.hear().body
            assert not heard.errors, heard.errors
            count -= sum(signal.status == pb.SENT for signal in heard.signals)

    def acknowledge(self, upto: int) -> None:
        self.say(pb.Signal(status=pb.DELIVERED, partition="chat", upto=upto))

    def _next(self) -> tuple[int, bytes] | None:
        data = self._data
        if len(data) < 2:
            return None
        size, at = data[1], 2
        if size >= 126:
            wide = 2 if size == 126 else 8
            if len(data) < 2 + wide:
                return None
            size, at = int.from_bytes(data[2 : 2 + wide]), 2 + wide
        if len(data) < at + size:
            return None
        self._data = data[at + size :]
        return data[0] & 15, data[at : at + size]

    def close(self) -> None:
        self.socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
