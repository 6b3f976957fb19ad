import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
import trio
import trio.testing
from trio_websocket import ConnectionClosed, WebSocketConnection, serve_websocket, wrap_client_stream

from bimip.conformance.proxy import Faults, Plan, UnitReader, drawn_cut, open_proxy, relay

HEAD = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
SHORT = b"\x82\x03abc"
MASKED = b"\x82\x83keyzabc"
LONG = b"\x82\x7e\x01\x00" + b"x" * 256
HUGE = b"\x82\x7f" + (70_000).to_bytes(8, "big") + b"y" * 70_000
PARTS = [b"\x02\x01a", b"\x89\x01p", b"\x80\x01b"]
"""A message in two frames, with a ping between them."""


@pytest.mark.parametrize("size", [1, 2, 3, 1000, 1_000_000])
def test_units_are_whole_however_the_bytes_come(size: int) -> None:
    units = [HEAD, SHORT, MASKED, LONG, HUGE, *PARTS]
    data, reader = b"".join(units) + b"\x82", UnitReader()
    found = [unit for at in range(0, len(data), size) for unit in reader.feed(data[at : at + size])]

    assert [unit.data for unit in found] == units
    assert [unit.is_frame for unit in found] == [False] + [True] * 7
    assert [unit.ends_message for unit in found] == [False, True, True, True, True, False, False, True]
    assert reader.rest() == b"\x82"


async def carried(data: bytes, faults: Faults, chunk: int = 1_000_000) -> bytes:
    """What the other end gets of what one end says and then ends."""
    client, near = trio.testing.memory_stream_pair()
    far, server = trio.testing.memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(relay, near, far, Plan(up=faults))
        got = b""
        with suppress(trio.BrokenResourceError):  # it was cut
            for at in range(0, len(data), chunk):
                await client.send_all(data[at : at + chunk])
            await client.send_eof()
        while some := await server.receive_some():
            got += some
    return got


ALL = HEAD + SHORT + b"".join(PARTS) + LONG


@pytest.mark.parametrize(
    ("faults", "expected"),
    [
        (Faults(), ALL),
        (Faults(split=1), ALL),
        (Faults(cut_after_bytes=0), b""),
        (Faults(cut_after_bytes=40, split=7), ALL[:40]),
        (Faults(silent_after_bytes=40), ALL[:40]),
        (Faults(cut_after_frames=1), HEAD + SHORT),
        (Faults(cut_after_frames=2), HEAD + SHORT + PARTS[0]),
        (Faults(duplicate=frozenset({0})), HEAD + SHORT * 2 + b"".join(PARTS) + LONG),
        (Faults(duplicate=frozenset({1})), HEAD + SHORT + b"".join(PARTS) + PARTS[0] + PARTS[2] + LONG),
    ],
)
async def test_what_goes_through_has_the_faults_and_no_others(faults: Faults, expected: bytes) -> None:
    assert await carried(ALL, faults) == expected
    assert await carried(ALL, faults, chunk=3) == expected


async def test_a_frame_that_its_sender_left_in_part_goes_through_in_part() -> None:
    assert await carried(HEAD + LONG[:100], Faults()) == HEAD + LONG[:100]


async def test_each_unit_is_held_for_its_delay(autojump_clock: trio.testing.MockClock) -> None:
    begun = trio.current_time()
    await carried(HEAD + SHORT * 3, Faults(delay=2.0))

    assert trio.current_time() - begun == pytest.approx(8.0)


async def test_a_split_writes_no_more_at_once() -> None:
    client, near = trio.testing.memory_stream_pair()
    far, server = trio.testing.memory_stream_pair()
    written: list[int] = []
    original = far.send_all

    async def send_all(data: bytes | bytearray | memoryview) -> None:
        written.append(len(data))
        await original(data)

    far.send_all = send_all  # type: ignore[method-assign]  # to see how it is written
    async with trio.open_nursery() as nursery:
        nursery.start_soon(relay, near, far, Plan(up=Faults(split=5)))
        await client.send_all(HEAD + SHORT)
        await client.send_eof()
        while await server.receive_some():
            pass

    assert max(written) == 5
    assert sum(written) == len(HEAD + SHORT)


def test_a_drawn_cut_is_of_one_direction_and_within_its_bounds() -> None:
    dice = random.Random(7)
    plans = [drawn_cut(dice, 100) for _ in range(200)]
    cuts = [(plan.up.cut_after_bytes, plan.down.cut_after_bytes) for plan in plans]

    assert all((up is None) != (down is None) for up, down in cuts)
    assert all(0 <= (up if up is not None else down or 0) < 100 for up, down in cuts)
    assert {up is None for up, _ in cuts} == {True, False}


@asynccontextmanager
async def echo() -> AsyncIterator[int]:
    """The port of a WebSocket server that says what it hears."""

    async def handle(request: object) -> None:
        websocket: WebSocketConnection = await request.accept()  # type: ignore[attr-defined]
        try:
            while True:
                await websocket.send_message(await websocket.get_message())
        except ConnectionClosed:
            pass

    async with trio.open_nursery() as nursery:
        server = await nursery.start(
            lambda task_status: serve_websocket(handle, "127.0.0.1", 0, None, task_status=task_status)
        )
        yield server.port
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def websocket(port: int) -> AsyncIterator[WebSocketConnection]:
    """A client's; its socket is closed here, which the library leaves open where it was cut."""
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream, trio.open_nursery() as nursery:
        yield await wrap_client_stream(nursery, stream, "127.0.0.1", "/")
        nursery.cancel_scope.cancel()


async def test_a_websocket_goes_through_it_and_each_connection_has_its_own_plan() -> None:
    plans = [Plan(), Plan(up=Faults(duplicate=frozenset({0}))), Plan(down=Faults(cut_after_frames=1))]
    async with echo() as port, open_proxy("127.0.0.1", port, lambda number: plans[number]) as proxy:
        for expected in ([b"1", b"2"], [b"1", b"1", b"2"]):
            async with websocket(proxy.port) as socket:
                await socket.send_message(b"1")
                await socket.send_message(b"2")
                assert [await socket.get_message() for _ in expected] == expected
        async with websocket(proxy.port) as socket:
            await socket.send_message(b"1")
            assert await socket.get_message() == b"1"
            with pytest.raises(ConnectionClosed):
                await socket.get_message()

    assert proxy.connections == 3


async def test_all_that_goes_through_can_be_cut() -> None:
    async with (
        echo() as port,
        open_proxy("127.0.0.1", port) as proxy,
        websocket(proxy.port) as socket,
    ):
        await socket.send_message(b"1")
        await socket.get_message()
        proxy.cut_all()
        with pytest.raises(ConnectionClosed):
            await socket.get_message()


async def test_where_nobody_listens_the_client_is_cut() -> None:
    async with open_proxy("127.0.0.1", 1) as proxy, await trio.open_tcp_stream("127.0.0.1", proxy.port) as stream:
        assert await stream.receive_some() == b""
