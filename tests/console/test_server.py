import pytest
import trio
from trio.testing import MockClock, memory_stream_pair

from bimip.console.server import READ_SECONDS, BoundedStream


class Socket:
    """A stream in memory, with what Hypercorn asks of a socket's."""

    def __init__(self) -> None:
        mine, self.peer = memory_stream_pair()
        self.socket = None
        self.receive_some = mine.receive_some
        self.send_all = mine.send_all
        self.send_eof = mine.send_eof
        self.aclose = mine.aclose


async def test_a_peer_that_says_nothing_is_cut(autojump_clock: MockClock) -> None:
    begun = trio.current_time()
    stream = BoundedStream(Socket())  # type: ignore[arg-type] # all that is used of a socket's
    with pytest.raises(trio.BrokenResourceError):
        await stream.receive_some(10)

    assert trio.current_time() - begun == READ_SECONDS


async def test_a_peer_that_is_being_answered_is_not(autojump_clock: MockClock) -> None:
    begun = trio.current_time()
    stream = BoundedStream(Socket())  # type: ignore[arg-type] # all that is used of a socket's

    async def send() -> None:
        for _ in range(9):
            await trio.sleep(READ_SECONDS / 2)
            await stream.send_all(b"a line\n")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(send)
        with pytest.raises(trio.BrokenResourceError):
            await stream.receive_some(10)

    assert trio.current_time() - begun == 5.5 * READ_SECONDS


async def test_what_a_peer_says_is_read() -> None:
    socket = Socket()
    stream = BoundedStream(socket)  # type: ignore[arg-type] # all that is used of a socket's
    await socket.peer.send_all(b"GET")

    assert await stream.receive_some(10) == b"GET"
