"""The Python SDK as one client: what it sends and takes in a second, what that costs its process, and how a device
comes back after a month away.

The client is a process of its own with its SQLite file, so that its processor time and memory are its own; it writes to
a user who is not there, and takes what others wrote meanwhile.

    python -m scripts.benchmarks.sdk WHAT LOOP URL TOKEN FILE COUNT     is that process
"""

import json
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import anyio

from bimip.client import Client, Start, open_client
from bimip.client.events import Connected, Received
from scripts.benchmarks import server
from scripts.benchmarks.device import Device, connect_all
from scripts.benchmarks.ledger import Ledger
from scripts.benchmarks.loop import Loop
from scripts.benchmarks.peer.meter import Meter

LOOPS = ("asyncio", "trio")
SENT_TOGETHER, SENT_ALONE, TAKEN, AWAY = 5_000, 500, 5_000, 100_000
TOGETHER = 250
WINDOW = 250
PAYLOAD = b"x" * 150
TO, READER = "nobody-there", "away"
SECONDS = 600.0


def cases() -> list[tuple[str, Callable[[], dict[str, Any]]]]:
    """Lists what is measured."""
    found = [
        (f"{words}, {loop}", partial(_measure, what, loop, count))
        for words, what, count in (
            (f"sends {SENT_TOGETHER:,}, {TOGETHER} at a time", "together", SENT_TOGETHER),
            (f"sends {SENT_ALONE:,}, one after the other", "alone", SENT_ALONE),
            (f"takes {TAKEN:,}", "take", TAKEN),
        )
        for loop in LOOPS
    ]
    return [*found, (f"a month away, {AWAY:,}", partial(_measure, "take", LOOPS[0], AWAY))]


def _measure(what: str, loop: str, count: int) -> dict[str, Any]:
    with server.temporary_folder() as folder, server.running() as running:
        _be_there(running, TO)
        _be_there(running, READER)
        if what == "take":
            _fill(running, count)
        url, token = f"ws://127.0.0.1:{running.port}", server.token(READER, "phone")
        command = [server.python(), "-m", "scripts.benchmarks.sdk"]
        given = [what, loop, url, token, str(folder / "client.db"), str(count)]
        done = subprocess.run([*command, *given], capture_output=True, text=True, check=True, cwd=server.CHECKOUT)
        return dict(json.loads(done.stdout))


def _be_there(running: server.Server, eid: str) -> None:
    """A user exists once they were here."""
    loop = Loop()
    connect_all(loop, lambda _: Device(loop, running.port, server.token(eid, "phone")), 1)
    loop.close()


def _fill(running: server.Server, count: int) -> None:
    loop, ledger = Loop(), Ledger(1, 1)
    try:
        [writer] = connect_all(loop, lambda _: Device(loop, running.port, server.token("writer", "phone"), ledger), 1)
        writer.write_to(0, READER)
        for _ in range(count // WINDOW):
            writer.post(WINDOW)
        loop.run(lambda: ledger.accepted >= count // WINDOW * WINDOW, SECONDS)
    finally:
        loop.close()


async def _together(client: Client, count: int) -> dict[str, Any]:
    await client.wait_connected()
    meter = Meter()
    for _ in range(count // TOGETHER):
        await client.messages.send_many([(TO, PAYLOAD)] * TOGETHER)
    return meter.row(count)


async def _alone(client: Client, count: int) -> dict[str, Any]:
    await client.wait_connected()
    meter = Meter()
    for _ in range(count):
        await client.messages.send(TO, PAYLOAD)
    return meter.row(count)


async def _take(client: Client, count: int) -> dict[str, Any]:
    meter, began, hello = Meter(), time.perf_counter(), 0.0
    left = count
    async for event in client:
        if isinstance(event, Connected):
            hello = 1000 * (time.perf_counter() - began)
        left -= isinstance(event, Received)
        if not left:
            break
    return meter.row(count) | {"hello_ms": hello}


WHAT: dict[str, Callable[[Client, int], Awaitable[dict[str, Any]]]] = {
    "together": _together,
    "alone": _alone,
    "take": _take,
}


async def _program(what: str, url: str, token: str, file: Path, count: int) -> dict[str, Any]:
    partitions = ("chat",) if what == "take" else ()
    async with open_client(url, token=token, path=file, partitions=partitions, start=Start.FIRST) as client:
        return await WHAT[what](client, count)


def main(what: str, loop: str, url: str, token: str, file: str, count: str) -> None:
    """Does what it is told as one device, and prints what it measured."""
    print(json.dumps(anyio.run(_program, what, url, token, Path(file), int(count), backend=loop)))


if __name__ == "__main__":
    main(*sys.argv[1:])
