"""Growth: what appending and catching up cost when the store is large, or has many users. Through the store, no server.

Restart: how long a server that is started on a large store takes until it accepts connections.
"""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import trio

from bimip.reading.log import read_segments
from bimip.users.device import FRAME_BYTES
from bimip.users.session import READ_AHEAD
from scripts.benchmarks import accounting, server
from scripts.benchmarks.offline import Filling, open_filling

ENTRIES = (10_000, 1_000_000)
USERS = (100, 10_000, 100_000)
USERS_WHILE_ENTRIES_GROW = 10_000
ENTRIES_WHILE_USERS_GROW = 200_000
APPENDS, PER_BATCH = 2_000, 100
PULLS = 200


def by_entries(sizes: Sequence[int] = ENTRIES, users: int = USERS_WHILE_ENTRIES_GROW) -> list[dict[str, Any]]:
    """One store that grows, measured at each size."""

    async def fill(folder: Path) -> list[dict[str, Any]]:
        async with open_filling(folder) as filling:
            await filling.register(users)
            return [await _measured_at(filling, folder, size) for size in sizes]

    with server.temporary_folder() as folder:
        return trio.run(fill, folder)


def by_users(sizes: Sequence[int] = USERS, entries: int = ENTRIES_WHILE_USERS_GROW) -> list[dict[str, Any]]:
    return [row for users in sizes for row in by_entries((entries,), users)]


async def _measured_at(filling: Filling, folder: Path, entries: int) -> dict[str, Any]:
    began, had = time.process_time(), filling.messages
    await filling.append(max(0, (entries - filling.entries) // 2))
    filled = filling.messages - had
    fill_us = 1e6 * (time.process_time() - began) / max(filled, 1)
    size = {
        "entries": filling.entries,
        "users": len(filling.users),
        "fill_us_per_message": fill_us,
        "disk_bytes_per_message": accounting.disk_bytes(folder) / max(filling.messages, 1),
    }
    return size | await _appending(filling) | _catching_up(filling)


async def _appending(filling: Filling) -> dict[str, Any]:
    began, wall = time.process_time(), time.perf_counter()
    for _ in range(APPENDS // PER_BATCH):
        await filling.append(PER_BATCH)
    return {
        "append_us_per_message": 1e6 * (time.process_time() - began) / APPENDS,
        "append_wall_us_per_message": 1e6 * (time.perf_counter() - wall) / APPENDS,
    }


def _catching_up(filling: Filling) -> dict[str, Any]:
    """Users read their whole logs, as a fetcher does that is below the tail."""
    pulled, began = 0, time.process_time()
    for user in filling.some(PULLS):
        after = 0
        while True:
            segments = read_segments(filling.store, user, "chat", after, READ_AHEAD, FRAME_BYTES)
            if not segments:
                break
            pulled += sum(map(len, segments))
            after = segments[-1].last
    return {"pull_us_per_entry": 1e6 * (time.process_time() - began) / max(pulled, 1), "pulled": pulled}


def restart(entries: int = 1_000_000, users: int = 10_000, times: int = 3) -> dict[str, Any]:
    """Seconds from the command to a connection that is taken."""

    async def fill(folder: Path) -> None:
        async with open_filling(folder) as filling:
            await filling.register(users)
            await filling.append(entries // 2)

    with server.temporary_folder() as empty:
        nothing = _ready_seconds(empty, times)
    with server.temporary_folder() as folder:
        trio.run(fill, folder)
        full = _ready_seconds(folder, times)
        return {
            "entries": entries,
            "users": users,
            "ready_s": full,
            "ready_empty_s": nothing,
            "store_mib": accounting.disk_bytes(folder) / (1 << 20),
        }


def _ready_seconds(folder: Path, times: int) -> float:
    found = []
    for _ in range(times):
        with server.running(folder) as running:
            found.append(running.ready_seconds)
    return sorted(found)[len(found) // 2]
