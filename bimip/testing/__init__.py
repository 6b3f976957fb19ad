"""Floor 5: servers for the tests of those who build on BIMIP, as a plugin of pytest: `pip install 'bimip[testing]'`.

`bimip_server` is a real server in a process of its own, on a free port, with its store in the test's folder. It serves
tests of any kind, under any event loop or none; `kill` is `kill -9`, and what was acknowledged before it is there after
`start`:

    import asyncio

    from bimip.client import open_client
    from bimip.client.events import Received


    def test_what_is_acknowledged_is_there_after_a_kill(bimip_server):
        async def scenario():
            server = bimip_server
            async with open_client(server.url, token=server.token("bob@example.org")) as bob:
                await bob.wait_connected()  # a user exists once they were here
                async with open_client(server.url, token=server.token("alice@example.org")) as alice:
                    await alice.messages.send("bob@example.org", b"Hello Bob")
                await asyncio.to_thread(server.kill)
                await asyncio.to_thread(server.start)
                async for event in bob:
                    if isinstance(event, Received):
                        return event.message.payload

        assert asyncio.run(scenario()) == b"Hello Bob"

`bimip_memory_server` is the whole server in memory, in the thread of a test that runs on trio. Beside `autojump_clock`
of pytest-trio time is virtual: an hour passes in no time, and no busy machine makes a test fail:

    import pytest
    import trio


    @pytest.mark.trio
    async def test_a_client_is_connected_again_after_an_hour_without_a_server(bimip_memory_server, autojump_clock):
        async with bimip_memory_server.client("alice@example.org") as alice:
            await alice.wait_connected()
            await bimip_memory_server.stop()
            await trio.sleep(3600)
            assert not alice.connected
            await bimip_memory_server.start()
            await alice.wait_connected()

Settings are given by their names in the environment (`config/bimip.toml` has them all), by a fixture of that name:

    import pytest


    @pytest.fixture
    def bimip_settings():
        return {"BIMIP_USERS_ACCEPT_UNKNOWN_RECIPIENTS": "true"}


    @pytest.mark.trio
    async def test_messages_to_users_who_were_never_here_are_taken(bimip_memory_server):
        async with bimip_memory_server.client("alice@example.org") as alice:
            sent = await alice.messages.send("bob@example.org", b"Hello Bob")
            assert sent.signal_id

Each test has a server of its own, which takes half a second for a process to start and a tenth for one in memory. For
one that many tests share, make a fixture of `ServerProcess(folder, **settings)`, and give each test users of its own.

    plugin.py    the fixtures
    process.py   ServerProcess: start, stop, kill; runner.py: what runs in it
    memory.py    MemoryServer: connect, cut, stop, kill
    virtual.py   the whole server under virtual time, taken apart, for the project's own tests
    push.py      what takes what a server in memory pushes; tokens.py: tokens

`open_memory_server()` is the same server for those who have no pytest-trio, and `trio.run` takes a `MockClock` too.
"""

import importlib
import typing

if typing.TYPE_CHECKING:
    from bimip.testing.memory import MemoryServer, open_memory_server
    from bimip.testing.process import ServerFailedError, ServerProcess, free_port
    from bimip.testing.push import MemoryGateway

__all__ = [
    "MemoryGateway",
    "MemoryServer",
    "ServerFailedError",
    "ServerProcess",
    "free_port",
    "open_memory_server",
]

_HOMES = {
    "MemoryGateway": "push",
    "MemoryServer": "memory",
    "ServerFailedError": "process",
    "ServerProcess": "process",
    "free_port": "process",
    "open_memory_server": "memory",
}
"""These are imported once they are asked for: whoever runs tests loads the plugin, and a server must start quickly."""


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
