"""What one peer does to others: two pairs of users write at a steady rate, by turns alone and beside an attack.

The turns are short and many, and what is compared is all of the one kind with all of the other: whatever the machine
does now and then is in both.

Attackers come from an address of their own, which counts against the limits as one from outside does, and get the
processor time that the server and the others leave: theirs are other machines. What each attack sends is written down
below, in bytes; a server that is attacked is a new one each time.
"""

import itertools
import multiprocessing
import os
import socket
import time
from array import array
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any, NamedTuple

from scripts.benchmarks import server, wire
from scripts.benchmarks.device import Device, connect_all
from scripts.benchmarks.latency import paced
from scripts.benchmarks.ledger import Ledger, now, percentiles
from scripts.benchmarks.loop import Loop, oversleep_never
from scripts.benchmarks.throughput import Load, World, measured, quiet_collector

RATE = 100
SECONDS = 16.0
"""Alone, and as many beside the attack."""
TURNS = 4
SETTLE_SECONDS = 0.5
"""After an attack has begun, and after it has ended."""
LOGINS = 5
"""In each turn."""
PAUSE_SECONDS = 0.001
ATTACKERS = "127.0.0.2"
USERS = 64
FILLED = 20_000
FILLED_USERS = 4
WINDOW = 256


class Attack(NamedTuple):
    """What so many sockets do at once, each again and again; who is closed comes again."""

    sockets: int
    data: bytes = b""  # sent again and again
    first: bytes = b""  # sent once
    token: str = "valid"  # in the opening; "none", "false"
    subprotocol: str = "bimip.v1"
    filled: str = ""  # each of the attackers, who are few then, has a long log: "plain", or "addressed" to a device
    reads: bool = True
    leaves: bool = False  # once the first frame was answered


def measure(running: server.Server, name: str, seconds: float = SECONDS) -> dict[str, Any]:
    attack = ATTACKS[name]
    if attack.filled:
        for number in range(FILLED_USERS):
            _fill(running.port, f"attacker{number}", addressed=attack.filled == "addressed")
    return compared(running, lambda: beside(_attack, running.port, attack), seconds)


def compared(
    running: server.Server, attacked: Callable[[], AbstractContextManager[None]], seconds: float, users: str = ""
) -> dict[str, Any]:
    """What two pairs of users, whose names begin so, notice of what goes on within `attacked`."""
    world = World(running, Load(pairs=2, warm_seconds=1.0, users=users))
    quiet_collector()
    oversleep_never()
    pace = paced(world, RATE, now())
    world.loop.run(lambda: False, 1.0, pace)
    quiet, beside = _Stretches(world, running, pace, "quiet"), _Stretches(world, running, pace, "attacked")
    for _ in range(TURNS):
        quiet.measure(seconds / TURNS)
        with attacked():
            world.loop.run(lambda: False, SETTLE_SECONDS, pace)
            beside.measure(seconds / TURNS)
        world.loop.run(lambda: False, SETTLE_SECONDS, pace)
    world.close()
    before, result = quiet.figures(), beside.figures()
    ratio = result["last_device_ms"].get("p99", 0) / max(before["last_device_ms"].get("p99", 0), 1e-9)
    (turn, whose), (journal, _) = (running.longest_turn(path) for path in ("bimip/gateway/poller", "bimip/journal"))
    found: dict[str, Any] = {"quiet": before, "p99_ratio": ratio, "turn_ms": turn, "journal_turn_ms": journal}
    return {**result, **found, "limit": f"the longest turn: {whose}"}


class _Stretches:
    """All stretches of one kind."""

    def __init__(self, world: World, running: server.Server, pace: Callable[[float], float], newcomers: str) -> None:
        self._world, self._running, self._pace = world, running, pace
        self._newcomers = newcomers
        self._last: dict[str, Any] = {}
        self._until_last, self._until_accepted, self._logins = array("d"), array("d"), array("d")

    def measure(self, seconds: float) -> None:
        ledger = self._world.ledger
        del ledger.until_last[:]
        del ledger.until_accepted[:]
        self._last = measured(self._world, self._running, seconds, self._pace)
        self._until_last += ledger.until_last
        self._until_accepted += ledger.until_accepted
        first = len(self._logins)
        for number in range(first, first + LOGINS):
            self._logins.append(_login(self._running.port, f"{self._newcomers}{number}"))

    def figures(self) -> dict[str, Any]:
        """Of all of them; what the server takes is that of the last."""
        pooled = {"last_device_ms": self._until_last, "accepted_ms": self._until_accepted}
        logins = sorted(self._logins)
        took = {"median": logins[len(logins) // 2] * 1000, "longest": logins[-1] * 1000}
        return {**self._last, **{name: percentiles(each) for name, each in pooled.items()}, "login_ms": took}


def _fill(port: int, eid: str, *, addressed: bool) -> None:
    """Write a long log to somebody, of which nothing is acknowledged."""
    laptop = wire.field(b"\x0a", wire.field(b"\x0a", eid.encode()) + b"\x12\x06laptop")
    more = wire.field(b"\x82\x01", laptop) if addressed else b""
    loop, ledger = Loop(), Ledger(1, 1)
    try:
        connect_all(loop, lambda _: Device(loop, port, server.token(eid, "laptop")), 1)
        [writer] = connect_all(loop, lambda _: Device(loop, port, server.token(f"writer of {eid}", "phone"), ledger), 1)
        writer.write_to(0, eid, more)
        for _ in range(FILLED // WINDOW):
            writer.post(WINDOW)
        loop.run(lambda: ledger.accepted >= FILLED // WINDOW * WINDOW, 120.0)
    finally:
        loop.close()


def _login(port: int, eid: str) -> float:
    loop, began = Loop(), now()
    try:
        connect_all(loop, lambda _: Device(loop, port, server.token(eid, "phone")), 1)
        return now() - began
    finally:
        loop.close()


@contextmanager
def beside(attack: Callable[..., None], *given: Any) -> Iterator[None]:  # noqa: ANN401 - the attack's
    """Runs an attack in a process of its own, which knows no end."""
    process = multiprocessing.get_context("fork").Process(target=attack, args=given, daemon=True)
    process.start()
    try:
        yield
    finally:
        process.kill()
        process.join()


def leave_the_processor() -> None:
    """From now on this process runs where no other wants to, and gives way at once: the least of nice values has its
    slice to the end, and another machine takes none of the server's.
    """
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def _attack(port: int, attack: Attack) -> None:
    """As fast as the sockets take it."""
    leave_the_processor()
    names = itertools.cycle(range(FILLED_USERS if attack.filled else USERS))
    open_ones: list[socket.socket | None] = [None] * attack.sockets
    while True:
        sent = 0
        for index, one in enumerate(open_ones):
            try:
                if one is None:
                    one = open_ones[index] = _open(port, attack, f"attacker{next(names)}", f"device{index}")  # noqa: PLW2901
                    sent += one.send(attack.first) if attack.first else 0
                sent += _go_on(one, attack)
            except BlockingIOError:
                pass
            except OSError:
                if one is not None:
                    one.close()
                open_ones[index] = None
        if not sent:
            time.sleep(PAUSE_SECONDS)


def _go_on(one: socket.socket, attack: Attack) -> int:
    """How many bytes were sent. Raises ConnectionError where this one is to come again."""
    sent = one.send(attack.data) if attack.data else 0
    if attack.leaves:
        one.settimeout(10.0)
        one.recv(1 << 16)
        raise ConnectionError
    if attack.reads and not one.recv(1 << 16):
        raise ConnectionError
    return sent


def _open(port: int, attack: Attack, eid: str, device: str) -> socket.socket:
    token = server.token(eid, device)
    if attack.token == "false":
        token = token[:-4] + "AAAA"
    opening = wire.opening(port, token).replace(b"bimip.v1\r", attack.subprotocol.encode() + b"\r")
    if attack.token == "none":
        opening = b"\r\n".join(line for line in opening.split(b"\r\n") if not line.startswith(b"Authorization"))
    one = socket.create_connection(("127.0.0.1", port), 10, source_address=(ATTACKERS, 0))
    one.sendall(opening)
    with suppress(TimeoutError):
        one.recv(4096)
    one.setblocking(False)  # noqa: FBT003 - positional in the standard library
    return one


def _filled(head: bytes, one: bytes, size: int) -> bytes:
    return wire.masked(wire.field(head, one * (size // len(one))))


def _fetch(*fields: bytes) -> bytes:
    return wire.masked(wire.field(b"\x08\x11\x8a\x01", b"".join(fields)))


def _signal(*fields: bytes) -> bytes:
    return wire.masked(wire.field(b"\x08\x07\x3a", b"".join(fields)))


PINGS = wire.masked(b"", wire.PING) * 10_000
FRAGMENTS = b"\x02\x80\0\0\0\0" + b"\0\x80\0\0\0\0" * 10_000
TEXT = b'{"route":"10","body":{"messages":[' + b",".join([b'{"id":"m"}'] * 4000) + b"]}}"
HELLO = wire.hello(0)
MANY = wire.masked(
    wire.field(b"\x08\x0d\x6a", b"".join(wire.field(b"\x12", wire.field(b"\x0a", b"p%d" % n)) for n in range(64)))
)
CHAT, LIMIT, NOBODY = b"\x12\x04chat", b"\x28\x40", b"\x1a\x06\x0a\x04quiet"
LOG, BY_SEQ, HISTORY, BACKWARDS, BEGIN = b"\x08\x01", b"\x08\x04", b"\x08\x02", b"\x40\x01", b"\x30\x01"
NOTHING_BY_SEQ = _fetch(BY_SEQ, CHAT, NOBODY, BEGIN)
RANGES = b"".join(wire.field(b"\x72", b"\x08" + wire.varint(n) + b"\x10" + wire.varint(n)) for n in range(2, 512, 2))
JSON = "bimip.v1.json"
ATTACKS: dict[str, Attack] = {
    "pings, 4 unknown sockets": Attack(4, PINGS, token="none"),
    "pings, 64 unknown sockets": Attack(64, PINGS, token="none"),
    "pongs": Attack(16, wire.masked(b"", wire.PONG) * 10_000, HELLO),
    "fragments": Attack(16, FRAGMENTS, HELLO),
    "Hello of empty messages": Attack(8, _filled(b"\x08\x0d\x6a", b"\x3a\x00", 1_000_000), token="none"),
    "large frames of empty messages": Attack(8, _filled(b"\x08\x0a\x52", b"\x2a\x00", 1_000_000), HELLO),
    "JSON": Attack(8, wire.masked(TEXT, 1), subprotocol=JSON),
    "undecodable frames": Attack(16, wire.masked(b"\xff") * 5_000, HELLO),
    "undecodable first frames": Attack(16, wire.masked(b"\xff"), token="none"),
    "second Hellos": Attack(8, HELLO * 100, HELLO),
    "openings without a token": Attack(16, wire.masked(b"\xff"), token="none"),
    "false tokens": Attack(16, token="false"),
    "logins": Attack(16, first=HELLO, leaves=True),
    "Hellos of many partitions": Attack(8, first=MANY, leaves=True),
    "messages, as fast as they go": Attack(8, wire.Author(0, "nobody").together(0, 100) * 10, HELLO),
    "Fetch of a long log": Attack(8, _fetch(LOG, CHAT, LIMIT, BEGIN) * 64, HELLO, filled="plain"),
    "Fetch of a long log, backwards": Attack(8, _fetch(LOG, CHAT, LIMIT, BACKWARDS) * 64, HELLO, filled="plain"),
    "Fetch BY_SEQ of nothing": Attack(8, NOTHING_BY_SEQ * 64, HELLO, filled="plain"),
    "acks of a long log": Attack(
        8, wire.acknowledgement(FILLED // WINDOW * WINDOW), HELLO, filled="plain", leaves=True
    ),
    "acks of many ranges": Attack(8, _signal(b"\x28\x02", b"\x3a\x04chat", RANGES) * 20, HELLO, filled="plain"),
    "READ of a long conversation": Attack(
        8, _signal(b"\x28\x03", b"\x52\x02c2", b"\x68" + wire.varint(FILLED)) * 64, HELLO, filled="plain"
    ),
    "readers of a log for another device": Attack(8, first=HELLO, filled="addressed", leaves=True),
    "slow readers of a long log": Attack(8, first=HELLO, filled="plain", reads=False),
    "readers of a long log": Attack(8, first=HELLO, filled="plain", leaves=True),
}
