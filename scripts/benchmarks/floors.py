"""What this machine takes for the pieces that no server can do without: the floors under every figure.

python -m scripts.benchmarks.floors
"""

import os
import queue
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from scripts.benchmarks import results, server
from scripts.benchmarks.wire import Author

PAGE = 4096


def timed(once: Callable[[], object], times: int) -> dict[str, Any]:
    """Median and 99th percentile in µs."""
    found = []
    for _ in range(times):
        began = time.perf_counter()
        once()
        found.append(time.perf_counter() - began)
    found.sort()
    return {"median_us": 1e6 * found[times // 2], "p99_us": 1e6 * found[times * 99 // 100]}


def sync() -> dict[str, Any]:
    """Writing a page of a file and having it on disk: half of what LMDB's commit does."""
    with server.temporary_folder() as folder:
        file = os.open(folder / "file", os.O_RDWR | os.O_CREAT)
        page = os.urandom(PAGE)
        os.pwrite(file, bytes(64 * PAGE), 0)
        os.fsync(file)

        def once() -> None:
            os.pwrite(file, page, 0)
            os.fdatasync(file)

        found = timed(once, 200)
        os.close(file)
        return found


def commit(messages: int) -> dict[str, Any]:
    """An LMDB transaction with as many bodies of 300 bytes, synced."""
    import lmdb  # noqa: PLC0415 - the rest runs without the server's libraries

    with server.temporary_folder() as folder:
        number = 0
        with lmdb.open(str(folder), map_size=1 << 30) as environment:

            def once() -> None:
                nonlocal number
                with environment.begin(write=True) as transaction:
                    for _ in range(messages):
                        number += 1
                        transaction.put(number.to_bytes(8, "big"), bytes(300), append=True)

            return timed(once, 100)


def checkpoint() -> dict[str, Any]:
    """A task of trio gives way and goes on, with nothing else to run."""
    import trio  # noqa: PLC0415 - see commit

    async def many() -> float:
        began = time.perf_counter()
        for _ in range(20_000):
            await trio.lowlevel.checkpoint()
        return 1e6 * (time.perf_counter() - began) / 20_000

    found = sorted(trio.run(many) for _ in range(5))
    return {"median_us": found[2], "p99_us": found[-1]}


def task_switch() -> dict[str, Any]:
    """A task of trio wakes another one, and waits for it to do the same."""
    import trio  # noqa: PLC0415 - see commit

    async def many() -> float:
        rounds = 5_000
        there, back = trio.Event(), trio.Event()

        async def other() -> None:
            nonlocal there
            for _ in range(rounds):
                await there.wait()
                there = trio.Event()
                back.set()

        began = time.perf_counter()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(other)
            for _ in range(rounds):
                there.set()
                await back.wait()
                back = trio.Event()
        return 1e6 * (time.perf_counter() - began) / rounds / 2

    found = sorted(trio.run(many) for _ in range(5))
    return {"median_us": found[2], "p99_us": found[-1]}


def thread_hop() -> dict[str, Any]:
    """Handing something to another thread and waiting for its answer."""
    there: queue.SimpleQueue[bool] = queue.SimpleQueue()
    back: queue.SimpleQueue[bool] = queue.SimpleQueue()

    def echo() -> None:
        while there.get():
            back.put(True)  # noqa: FBT003 - what it is does not matter

    thread = threading.Thread(target=echo)
    thread.start()

    def once() -> None:
        there.put(True)  # noqa: FBT003 - see above
        back.get()

    found = timed(once, 2_000)
    there.put(False)  # noqa: FBT003 - see above
    thread.join()
    return found


def loopback() -> dict[str, Any]:
    """A frame over TCP to another thread and back."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        near = socket.create_connection(listener.getsockname())
        far, _ = listener.accept()

    def echo() -> None:
        while data := far.recv(PAGE):
            far.sendall(data)

    thread = threading.Thread(target=echo)
    thread.start()
    frame = Author(0, "b0000").alone(0)
    for one in (near, far):
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def once() -> None:
        near.sendall(frame)
        near.recv(PAGE)

    found = timed(once, 2_000)
    near.close()
    thread.join()
    far.close()
    return found


def system_call() -> dict[str, Any]:
    """The cheapest send and receive: one process, both ends of a socket."""
    one, other = socket.socketpair()
    frame = Author(0, "b0000").alone(0)
    found = timed(lambda: (one.send(frame), other.recv(PAGE)), 5_000)
    one.close()
    other.close()
    return found


def codec() -> dict[str, Any]:
    """What upb takes: it decodes a message and encodes it again."""
    from bimip.wire import bimip_pb2 as pb  # noqa: PLC0415 - see commit

    message = Author(0, "b0000").message(0)
    return timed(lambda: pb.Message.FromString(message).SerializeToString(), 5_000)


def interpreter() -> dict[str, Any]:
    """1,000 rounds of the simplest loop: tells an optimised build of Python from another."""

    def loop() -> int:
        total = 0
        for number in range(1_000):
            total += number * 2
        return total

    return timed(loop, 1_000)


FLOORS: dict[str, Callable[[], dict[str, Any]]] = {
    "a page written and synced": sync,
    "LMDB commit, 1 message": lambda: commit(1),
    "LMDB commit, 100 messages": lambda: commit(100),
    "trio checkpoint": checkpoint,
    "trio: another task and back, each way": task_switch,
    "another thread and back": thread_hop,
    "TCP to another thread and back": loopback,
    "send and receive, system calls alone": system_call,
    "upb: decode and encode a message": codec,
    "1,000 rounds of an empty loop": interpreter,
}


def main(folder: Path = server.CHECKOUT) -> None:
    lines = []
    for name, floor in FLOORS.items():
        found = floor()
        lines.append([name, f"{found['median_us']:.2f}", f"{found['p99_us']:.2f}"])
    about = results.about(folder)
    print(about["machine"], about["store"])
    print(results.table(["", "µs", "p99"], lines))


if __name__ == "__main__":
    main()
