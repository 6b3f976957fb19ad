"""A server over a store whose bytes may be anything, and what two users' devices are told. In a process apart."""

import json
import sys
from functools import partial
from typing import Any

import trio
from trio.testing import MockClock

from bimip.client.wire import bimip as pb
from bimip.storage.errors import StorageError
from bimip.storage.lmdb import snapshot
from bimip.storage.lmdb.store import LmdbStore
from bimip.storage.seals import content
from bimip.users.connection import ConnectionClosedError
from tests.kit.memory_server import Client, at, open_world

MAP_BYTES = 1 << 28
USERS = {"bob": 150, "alice": 40}
"""Who was written to, and how often."""
MOST_BATCHES = 500


def write_all(folder: str) -> None:
    async def run() -> None:
        async with open_world(open_store=partial(LmdbStore, folder, map_bytes=MAP_BYTES)) as world:
            await world.register("carol")
            for user, count in USERS.items():
                await world.register(user)
                await world.fill(user, *range(1, count + 1))

    trio.run(run, clock=MockClock(autojump_threshold=0))


def trust() -> None:
    """Has the store believe every value, wherever it looks at seals when it reads."""
    for name, believing in {
        "is_whole": lambda _key, _sealed: True,
        "unseal_all": lambda _keys, sealed: [one and content(one) for one in sealed],
    }.items():
        assert name in vars(snapshot)
        setattr(snapshot, name, believing)


def read_all(folder: str, *, trusting: bool = False) -> None:
    """Print what each user's device was told: offsets with payloads, gaps, the close code. `trusting`: a server that
    does not look at seals, which the campaign has to find.
    """
    if trusting:
        trust()
    try:
        told = trio.run(_read_all, folder, clock=MockClock(autojump_threshold=0))
    except* StorageError as error:
        told = {"refused": repr(error.exceptions)}
    json.dump(told, sys.stdout)
    sys.stdout.flush()


async def _read_all(folder: str) -> dict[str, Any]:
    async with open_world(open_store=partial(LmdbStore, folder, map_bytes=MAP_BYTES)) as world:
        told: dict[str, Any] = {}
        for user in USERS:
            client = world.connect(user, "phone")
            told[user] = await _read(client)
            client.cut()
        return told


async def _read(client: Client) -> dict[str, Any]:
    messages: list[tuple[int | None, str]] = []
    gaps: list[tuple[int, int]] = []
    errors: list[str] = []
    code = 0
    try:
        welcome = await client.hello(at(0))
        gaps += [(gap.from_, gap.to) for gap in welcome.gaps]
        for _ in range(MOST_BATCHES):
            heard = await client.heard()
            messages += [(one.user_offset, one.payload.decode(errors="replace")) for one in heard.messages]
            gaps += [(first, last) for first, last, _ in heard.gaps]
            errors += [error.message for error in heard.errors]
            if not heard.ranges:
                break
            client.send(signal=pb.Signal(status=pb.MessageStatus.DELIVERED, partition="chat", upto=heard.ranges[-1][1]))
    except (ConnectionClosedError, trio.TooSlowError, AssertionError):
        code = client.peer.connection.closed[0] if client.peer.connection.closed else -1
    return {"messages": messages, "gaps": gaps, "errors": errors, "code": code}
