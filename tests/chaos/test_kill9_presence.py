"""`kill -9` of a server while users are there: what they said of themselves stands, and nobody is shown who is not."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import trio

from bimip.client import Client, open_client
from bimip.domain.core.records import Status
from tests.chaos.server import ServerProcess, token

PATIENCE = 60.0


@asynccontextmanager
async def connected(server: ServerProcess, eid: str) -> AsyncIterator[Client]:
    async with open_client(f"ws://127.0.0.1:{server.port}/", token=token(eid), partitions=()) as client:
        with trio.fail_after(PATIENCE):
            await client.wait_connected()
        yield client


async def until(met: Callable[[], bool]) -> None:
    with trio.fail_after(PATIENCE):
        while not met():  # noqa: ASYNC110 - what a client knows changes without an event of trio's
            await trio.sleep(0.02)


async def test_intents_and_when_users_were_last_there_outlive_it_and_nobody_is_a_ghost(
    tmp_path: Path,
) -> None:
    server = ServerProcess(tmp_path, BIMIP_LOGGING_LEVEL="warning", BIMIP_PRESENCE_OFFLINE_DELAY_SECONDS="0.2")
    try:
        server.load_ahead(2)
        await server.start_up()
        began = int(time.time() * 1000)
        async with connected(server, "alice") as alice, connected(server, "bob") as bob:
            await alice.contacts.request("bob", mutual=True)
            await bob.contacts.accept("alice", mutual=True)
            await alice.presence.set_intent(Status.BUSY)
            await until(lambda: bob.presence.known().get("alice", (None,))[0] is Status.BUSY)
            server.kill()
        killed = int(time.time() * 1000)
        await server.start_up()
        async with connected(server, "bob") as bob:
            asked = await bob.presence.ask("alice")
            ghosts = {eid: one for eid, one in bob.presence.known().items() if one.status is not Status.OFFLINE}
            async with connected(server, "alice") as alice:
                await until(lambda: bob.presence.known().get("alice", (None,))[0] is Status.BUSY)
                await until(lambda: alice.presence.intent.status is Status.BUSY)
            await until(lambda: bob.presence.known().get("alice", (Status.OFFLINE,))[0] is Status.OFFLINE)
            gone = await bob.presence.ask("alice")
    finally:
        server.close()

    assert asked.status is Status.OFFLINE
    assert began <= asked.last_seen <= killed
    assert ghosts == {}
    assert gone.last_seen > killed
