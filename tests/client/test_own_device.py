import anyio
import pytest

from bimip.client.errors import NotConnected
from bimip.client.events import Connected, Disconnected
from bimip.client.wire.bimip import Logout
from bimip.session.close import Close
from tests.client.support import FakeServer, a_client, both_backends


@both_backends
async def test_logging_out_ends_the_client() -> None:
    server = FakeServer()
    async with a_client(server) as client, anyio.create_task_group() as tasks:
        peer = await server.accept()
        await peer.greet()

        async def serve() -> None:
            logout, ref = await peer.expect(Logout)
            assert logout == Logout(forget=True, revoke=True)
            peer.send(logout, ref)
            peer.close(Close.NORMAL)

        tasks.start_soon(serve)
        await client.logout(forget=True, revoke=True)
        events = [type(event) async for event in client]

        assert Connected in events
        assert server.attempts == 1
        with pytest.raises(NotConnected):
            await client.ping()


@both_backends
async def test_a_close_that_is_faster_than_the_answer_to_logout() -> None:
    server = FakeServer()
    async with a_client(server) as client, anyio.create_task_group() as tasks:
        peer = await server.accept()
        await peer.greet()

        async def serve() -> None:
            await peer.expect(Logout)
            peer.close(Close.NORMAL)

        tasks.start_soon(serve)
        await client.logout()

        assert Disconnected not in [type(event) async for event in client]
