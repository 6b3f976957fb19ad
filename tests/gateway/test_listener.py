import errno
import os
from collections.abc import Awaitable, Callable, Sequence

import pytest
import trio
import trio.testing
from trio_websocket import open_websocket

from bimip.gateway.listener import Listener, open_tcp
from tests.gateway.harness import PING, SETTINGS, bearer, open_world, upgrade


async def run_until_started(listener: Listener, nursery: trio.Nursery) -> trio.CancelScope:
    scope = trio.CancelScope()
    started = trio.Event()

    async def run() -> None:
        with scope:
            await listener.run(lambda _port: started.set())

    nursery.start_soon(run)
    await started.wait()
    return scope


async def test_a_restart_disturbs_no_connection_and_opens_the_same_port() -> None:
    async with open_world() as world:
        listener = Listener(SETTINGS, world.serve, world.nursery)
        scope = await run_until_started(listener, world.nursery)
        port = listener.port
        async with open_websocket(
            "127.0.0.1", port, "/", use_ssl=False, subprotocols=["bimip.v1"], extra_headers=bearer()
        ) as websocket:
            scope.cancel()
            scope = await run_until_started(listener, world.nursery)
            await websocket.send_message(PING)

            assert await websocket.get_message() == PING
        async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
            await upgrade(stream)

        assert port == listener.port != 0


async def test_sockets_have_no_delay() -> None:
    served: trio.MemorySendChannel[trio.abc.Stream]
    served, seen = trio.open_memory_channel[trio.abc.Stream](1)
    async with trio.open_nursery() as nursery:
        listener = Listener(SETTINGS, served.send, nursery)
        await run_until_started(listener, nursery)
        async with await trio.open_tcp_stream("127.0.0.1", listener.port), await seen.receive() as stream:
            assert isinstance(stream, trio.SocketStream)
        nursery.cancel_scope.cancel()


class Full:
    """A supervisor that takes nobody for a while."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self.nursery = nursery
        self.full = True

    def start_soon(self, async_fn: Callable[..., Awaitable[object]], *args: object) -> None:
        if self.full:
            raise RuntimeError("no room")
        self.nursery.start_soon(async_fn, *args)


async def test_a_socket_that_nobody_takes_is_closed_and_the_next_is_served() -> None:
    async with open_world() as world:
        supervisor = Full(world.nursery)
        listener = Listener(SETTINGS, world.serve, supervisor)
        await run_until_started(listener, world.nursery)
        async with await trio.open_tcp_stream("127.0.0.1", listener.port) as stream:
            assert await stream.receive_some() == b""
        supervisor.full = False
        async with await trio.open_tcp_stream("127.0.0.1", listener.port) as stream:
            await upgrade(stream)

        assert listener.turned_away == 1


class Choking(trio.abc.Listener[trio.abc.Stream]):
    """Its first accepts fail for want of file descriptors."""

    def __init__(self, failures: int, stream: trio.abc.Stream) -> None:
        self.failures = failures
        self.stream: trio.abc.Stream | None = stream

    async def accept(self) -> trio.abc.Stream:
        await trio.lowlevel.checkpoint()
        if self.failures:
            self.failures -= 1
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        if self.stream is None:
            await trio.sleep_forever()
        stream, self.stream = self.stream, None
        assert stream is not None
        return stream

    async def aclose(self) -> None:
        await trio.lowlevel.checkpoint()


async def test_it_survives_to_have_no_file_descriptors_left(
    autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    ours, theirs = trio.testing.memory_stream_pair()
    choking = Choking(5, theirs)

    async def open_listeners(_host: str | None, _port: int) -> Sequence[trio.abc.Listener[trio.abc.Stream]]:
        await trio.lowlevel.checkpoint()
        return [choking]

    async with open_world() as world:
        listener = Listener(SETTINGS, world.serve, world.nursery, open_listeners=open_listeners)
        await run_until_started(listener, world.nursery)
        await upgrade(ours)

        assert choking.failures == 0


async def test_one_setting_listens_on_ipv4_and_ipv6() -> None:
    listeners = await open_tcp("::", 0)
    ports = {listener.socket.getsockname()[1] for listener in listeners}
    try:
        for host in ("127.0.0.1", "::1"):
            await (await trio.open_tcp_stream(host, ports.copy().pop())).aclose()
    finally:
        for listener in listeners:
            await listener.aclose()

    assert len(ports) == 1


async def test_a_port_that_is_taken_names_its_setting() -> None:
    (taken,) = await open_tcp("127.0.0.1", 0)
    port = taken.socket.getsockname()[1]
    with pytest.raises(OSError, match=rf"cannot listen on 127\.0\.0\.1:{port}: .*; set gateway\.port or gateway\.host"):
        await open_tcp("127.0.0.1", port)
    await taken.aclose()
