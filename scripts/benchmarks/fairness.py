"""What one peer's bytes do to others: two pairs of users write at a steady rate, first alone, then beside an attack."""

import itertools
import multiprocessing
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from scripts.benchmarks import server, wire
from scripts.benchmarks.device import Device, connect_all
from scripts.benchmarks.latency import paced
from scripts.benchmarks.ledger import now
from scripts.benchmarks.loop import Loop, oversleep_never
from scripts.benchmarks.throughput import Load, World, measured, quiet_collector

RATE = 100
SECONDS = 4.0
LOGINS = 10
PAUSE_SECONDS = 0.001


def measure(running: server.Server, attack: str, seconds: float = SECONDS) -> dict[str, Any]:
    world = World(running, Load(pairs=2, warm_seconds=1.0))
    quiet_collector()
    oversleep_never()
    pace = paced(world, RATE, now())
    world.loop.run(lambda: False, 1.0, pace)
    before = _figures(world, running, seconds, pace, "quiet")
    with attacked(running.port, attack):
        world.loop.run(lambda: False, 0.5, pace)
        result = _figures(world, running, seconds, pace, "attacked")
    world.close()
    ratio = result["last_device_ms"].get("p99", 0) / max(before["last_device_ms"].get("p99", 0), 1e-9)
    return result | {"quiet": before, "p99_ratio": ratio}


def _figures(world: World, running: server.Server, seconds: float, pace: Callable[[float], float], user: str) -> Any:  # noqa: ANN401
    del world.ledger.until_last[:]
    del world.ledger.until_accepted[:]
    found = measured(world, running, seconds, pace)
    took = [_login(running.port, f"{user}{number}") for number in range(LOGINS)]
    return found | {"login_ms": {"median": sorted(took)[LOGINS // 2] * 1000, "longest": max(took) * 1000}}


def _login(port: int, eid: str) -> float:
    loop, began = Loop(), now()
    try:
        connect_all(loop, lambda _: Device(loop, port, server.token(eid, "phone")), 1)
        return now() - began
    finally:
        loop.close()


@contextmanager
def attacked(port: int, attack: str) -> Iterator[None]:
    process = multiprocessing.get_context("fork").Process(target=_attack, args=(port, *ATTACKS[attack]), daemon=True)
    process.start()
    try:
        yield
    finally:
        process.kill()
        process.join()


def _attack(port: int, sockets: int, shown: bool, subprotocol: str, first: bytes, data: bytes) -> None:  # noqa: FBT001
    """Push `data` over so many sockets as fast as they take it; who is closed comes again."""
    names = itertools.count()
    open_ones: list[socket.socket | None] = [None] * sockets
    while True:
        sent = 0
        for index, one in enumerate(open_ones):
            try:
                if one is None:
                    one = open_ones[index] = _open(port, shown, subprotocol, f"attacker{next(names) % 64}")  # noqa: PLW2901
                    one.send(first)
                sent += one.send(data)
                one.recv(1 << 16)
            except BlockingIOError:
                pass
            except OSError:
                if one is not None:
                    one.close()
                open_ones[index] = None
        if not sent:
            time.sleep(PAUSE_SECONDS)


def _open(port: int, shown: bool, subprotocol: str, eid: str) -> socket.socket:  # noqa: FBT001
    opening = wire.opening(port, server.token(eid, "phone")).replace(b"bimip.v1\r", subprotocol.encode() + b"\r")
    if not shown:
        opening = b"\r\n".join(line for line in opening.split(b"\r\n") if not line.startswith(b"Authorization"))
    one = socket.create_connection(("127.0.0.1", port), 10)
    one.sendall(opening)
    with suppress(TimeoutError):
        one.recv(4096)
    one.setblocking(False)  # noqa: FBT003 - positional in the standard library
    return one


def _filled(head: bytes, one: bytes, size: int) -> bytes:
    return wire.masked(wire.field(head, one * (size // len(one))))


PINGS = wire.masked(b"", wire.PING) * 10_000
FRAGMENTS = b"\x02\x80\0\0\0\0" + b"\0\x80\0\0\0\0" * 10_000
TEXT = b'{"route":"10","body":{"messages":[' + b",".join([b'{"id":"m"}'] * 4000) + b"]}}"
HELLO = wire.hello(0)
FETCH = wire.masked(b"\x08\x11\x8a\x01\x0a\x08\x01\x12\x04chat\x28\x40")
JSON, BINARY = "bimip.v1.json", "bimip.v1"
ATTACKS: dict[str, tuple[int, bool, str, bytes, bytes]] = {
    "pings, 4 unknown sockets": (4, False, BINARY, b"", PINGS),
    "pings, 64 unknown sockets": (64, False, BINARY, b"", PINGS),
    "pongs": (16, True, BINARY, HELLO, wire.masked(b"", wire.PONG) * 10_000),
    "fragments": (16, True, BINARY, HELLO, FRAGMENTS),
    "Hello of empty messages": (8, False, BINARY, b"", _filled(b"\x08\x0d\x6a", b"\x3a\x00", 1_000_000)),
    "large frames of empty messages": (8, True, BINARY, HELLO, _filled(b"\x08\x0a\x52", b"\x2a\x00", 1_000_000)),
    "JSON": (8, True, JSON, b"", wire.masked(TEXT, 1)),
    "undecodable frames": (16, True, BINARY, HELLO, wire.masked(b"\xff") * 5_000),
    "second Hellos": (8, True, BINARY, HELLO, HELLO * 100),
    "Fetches": (8, True, BINARY, HELLO, FETCH * 64),
    "openings without a token": (16, False, BINARY, b"", wire.masked(b"\xff")),
}
"""By name: sockets, whether they show a token, subprotocol, what is sent first, and what again and again."""
