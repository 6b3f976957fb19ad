"""Many peers, silent peers, slow peers, against a real server in a process of its own: what they cost it and others.

BIMIP_CHURN=30000 makes the churn ten times as long.
"""

import os
import socket
import statistics
import struct
import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path

import trio

from bimip.wire import bimip_pb2 as pb
from bimip.wire import codec
from scripts.benchmarks.device import Device, connect_all
from scripts.benchmarks.loop import Loop
from tests.chaos.process_driver import Phone, Served, opening, served, token
from tests.gateway.harness import frame

MIB = 1 << 20
KIB = 1 << 10
CHURN = int(os.environ.get("BIMIP_CHURN", "3000"))
AT_ONCE = 40
BINARY, CLOSE = 2, 8


def report(line: str) -> None:
    """What was measured, for whoever runs this with -s."""
    print(line)  # noqa: T201 - it is what somebody asked for


# Connects and disconnects.


async def hear(stream: trio.SocketStream, what: bytes) -> None:
    """Until it was said, or the server ends, or says that it does."""
    heard = b""
    with trio.fail_after(20):
        while what not in heard and b"this device connected again" not in heard:
            more = bytes(await stream.receive_some())
            if not more:
                return
            heard += more


async def knock(port: int, number: int) -> None:
    """One of the ways to come and go."""
    stream = await trio.open_tcp_stream("127.0.0.1", port)
    said = opening(token(f"user{number % 50}", f"device{number % 3}"))
    hello = frame(BINARY, codec.encode(pb.Hello(partitions=[pb.Position(partition="chat")])))
    try:
        match number % 10:
            case 0:
                pass
            case 1:
                await stream.send_all(said[: number % len(said)])
            case 2:
                await stream.send_all(b"\x16\x03\x01" + bytes(number % 500))
            case 3:
                await stream.send_all(said)
            case 4:
                await stream.send_all(opening("no.token.atall"))
                await stream.receive_some()
            case 5:
                await stream.send_all(said + hello[: number % len(hello)])
                await stream.receive_some()
            case 6:
                await stream.send_all(said + hello + frame(BINARY, b"\xff" * 9) * 9)
                await hear(stream, b"too many frames")
            case _:
                await stream.send_all(said + hello)
                await hear(stream, b"bimip/")
                if number % 10 == 8:
                    await stream.send_all(frame(CLOSE, b"\x03\xe8"))
                    await hear(stream, b"\x88\x02\x03\xe8")
    except trio.BrokenResourceError:
        pass
    finally:
        if number % 3 == 0:
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        stream.socket.close()


async def churn(port: int, count: int) -> None:
    numbers = iter(range(count))

    async def some() -> None:
        for number in numbers:
            await knock(port, number)

    async with trio.open_nursery() as nursery:
        for _ in range(AT_ONCE):
            nursery.start_soon(some)


def test_connects_and_disconnects_leave_nothing_behind(tmp_path: Path) -> None:
    with served(tmp_path) as server:
        with Phone.connect(server.port, "bob") as bob:
            files = server.files()
            trio.run(churn, server.port, 200)  # whatever is loaded and made at the first one of each kind
            began = time.monotonic()
            trio.run(churn, server.port, CHURN)
            first_files, first = server.wait_for_files(files), server.memory()
            trio.run(churn, server.port, CHURN)
            second_files, second = server.wait_for_files(files), server.memory()
            seconds = time.monotonic() - began
            bob.say(pb.PingPong(id="still here"))
            while not (answer := bob.hear()).HasField("ping_pong"):
                pass
        errors = [one for one in server.events() if one["level"] == "error"]

    report(
        f"churn: 2 x {CHURN} connections in {seconds:.1f} s; files {files}, {first_files}, {second_files}; "
        f"memory {first / MIB:.2f}, {second / MIB:.2f} MiB ({100 * (second / first - 1):+.1f} %)"
    )
    assert answer.ping_pong.id == "still here"
    assert max(first_files, second_files) <= files
    assert second <= first * 1.05
    assert errors == []


# Devices that are there and do nothing.


def test_an_idle_device_costs_little(tmp_path: Path) -> None:
    with served(tmp_path, BIMIP_GATEWAY_HANDSHAKE_SECONDS="60") as server, closing(Loop()) as loop:

        def make(index: int) -> Device:
            return Device(loop, server.port, token(f"user{index // 2}", f"device{index % 2}"), offset=None)

        connect_all(loop, lambda index: make(index + 10_000), 50)
        before = server.memory()
        connect_all(loop, make, 2000)
        loop.rest(1)
        each = (server.memory() - before) / 2000
        failures = dict(loop.failures)

    report(f"idle: {each / KIB:.1f} KiB for each of 2000 devices")
    assert each <= 60 * KIB
    assert failures == {}


# Devices that do not read.


def write_much(server: Served, to: str, megabytes: int, name: str) -> None:
    """Four users write to one, each below the rate of one."""
    with ExitStack() as stack:
        senders = [stack.enter_context(Phone.connect(server.port, f"{name}{n}")) for n in range(4)]
        for number in range(megabytes * 20 // 4):
            for sender in senders:
                sender.write(to, bytes(50_000), f"{name}.{number}")
            for sender in senders:
                sender.wait_sent()


def test_a_device_that_never_reads_costs_a_constant_amount(tmp_path: Path) -> None:
    """Whether 10 or 100 million bytes wait for it."""
    with served(tmp_path) as server, Phone.connect(server.port, "bob", receive_buffer=4096) as bob:
        write_much(server, "bob", 10, "a")
        before = server.memory()
        write_much(server, "bob", 90, "b")
        after = server.memory()
        bob.socket.settimeout(5)
        heard = [bob.hear() for _ in range(3)]

    report(f"never reads: 10 MB wait {before / MIB:.1f} MiB, 100 MB wait {after / MIB:.1f} MiB")
    assert after - before <= 6 * MIB
    assert any(one.body.messages for one in heard)


def latencies(alice: Phone, bob: Phone, seconds: float, position: int) -> tuple[list[float], int]:
    """From alice's write to bob's receipt, at 100 messages a second."""
    found = []
    deadline = time.perf_counter() + seconds
    while time.perf_counter() < deadline:
        began = time.perf_counter()
        alice.write("bob", b"a message of everyday length" * 5, f"l{position}")
        while True:
            body = bob.hear().body
            if body.messages:
                break
        found.append(time.perf_counter() - began)
        position = body.upto
        bob.acknowledge(position)
        alice.wait_sent()
        time.sleep(max(0.0, 0.01 - (time.perf_counter() - began)))
    return found, position


def p99(found: Sequence[float]) -> float:
    """Of each second the 99th percentile, and of those the middle one: other work on this machine comes in bursts."""
    seconds = [found[at : at + 100] for at in range(0, len(found) - 99, 100)]
    return statistics.median(statistics.quantiles(one, n=100)[98] for one in seconds)


def test_200_devices_that_stop_reading_do_not_slow_the_others(tmp_path: Path) -> None:
    with (
        served(tmp_path) as server,
        Phone.connect(server.port, "alice") as alice,
        Phone.connect(server.port, "bob") as bob,
        Phone.connect(server.port, "flooder") as flooder,
    ):
        _, at = latencies(alice, bob, 1, 0)
        before, at = latencies(alice, bob, 5, at)
        with ExitStack() as stack:
            for number in range(200):
                stack.enter_context(
                    Phone.connect(server.port, f"stuck{number // 50}", f"device{number}", receive_buffer=4096)
                )
            for number in range(40):  # 2 MB for each: more than a window, a socket and a peer hold
                for user in range(4):
                    flooder.write(f"stuck{user}", bytes(50_000), f"f{number}.{user}")
                flooder.wait_sent(4)
            time.sleep(1)
            with_them, at = latencies(alice, bob, 5, at)
            memory = server.memory()
            for number in range(40, 160):  # and more comes all the time
                for user in range(4):
                    flooder.write(f"stuck{user}", bytes(10_000), f"f{number}.{user}")
                flooder.wait_sent(4)
                if number % 12 == 0:
                    more, at = latencies(alice, bob, 0.3, at)
                    with_them += more
            grown = server.memory() - memory
        time.sleep(1)
        after, at = latencies(alice, bob, 5, at)

    without = max(p99(before), p99(after))
    report(
        f"p99: without {1000 * p99(before):.1f} and {1000 * p99(after):.1f} ms, beside 200 that do not read "
        f"{1000 * p99(with_them):.1f} ms; memory grew by {grown / KIB:.0f} KiB while 4.8 MB more came for them"
    )
    assert p99(with_them) <= 2 * without + 0.005
    assert grown <= 6 * MIB
