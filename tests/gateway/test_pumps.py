from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio
from trio.testing import MemoryReceiveStream, MemorySendStream, MockClock, memory_stream_pair, wait_all_tasks_blocked

from bimip.gateway.pumps import Pumps

MemoryStream = trio.StapledStream[MemorySendStream, MemoryReceiveStream]


class Pumped:
    """A connection that notes what its pumps tell it."""

    def __init__(self) -> None:
        self.is_aborted = self.is_broken = False
        self.unsent: bytes | memoryview = b""
        self.wanted = trio.Event()
        self.came: list[bytes] = []

    async def wait_wanted(self) -> bool:
        await self.wanted.wait()
        return not self.is_aborted and b"" not in self.came

    def on_data(self, data: bytes) -> None:
        self.came.append(data)

    def on_all_sent(self) -> None:
        self.unsent = b""

    def on_broken(self) -> None:
        self.is_broken = True

    def abort(self) -> None:
        self.is_aborted = True
        self.wanted.set()
        self.pumps.stop()

    pumps: Pumps


@asynccontextmanager
async def open_pumps() -> AsyncIterator[tuple[Pumped, MemoryStream]]:
    ours, theirs = memory_stream_pair()
    connection = Pumped()
    connection.pumps = Pumps(ours)
    async with connection.pumps.open(connection):
        yield connection, theirs


async def test_nothing_is_read_before_it_is_wanted(autojump_clock: MockClock) -> None:
    async with open_pumps() as (connection, peer):
        await peer.send_all(b"one")
        await wait_all_tasks_blocked()
        assert connection.came == []
        connection.wanted.set()
        await wait_all_tasks_blocked()

        assert connection.came == [b"one"]


async def test_the_end_of_the_stream_is_told_once(autojump_clock: MockClock) -> None:
    async with open_pumps() as (connection, peer):
        connection.wanted.set()
        await peer.aclose()
        await wait_all_tasks_blocked()

        assert connection.came == [b""]


async def test_what_is_unsent_leaves_and_who_waits_for_that_goes_on(autojump_clock: MockClock) -> None:
    async with open_pumps() as (connection, peer):
        connection.unsent = b"a frame"
        connection.pumps.send_soon()
        await connection.pumps.wait_sent()

        assert await peer.receive_some() == b"a frame"
        assert connection.unsent == b""


async def test_a_dead_stream_is_told(autojump_clock: MockClock) -> None:
    async with open_pumps() as (connection, peer):
        peer.receive_stream.close()
        connection.unsent = b"a frame"
        connection.pumps.send_soon()
        await wait_all_tasks_blocked()

        assert connection.is_broken


async def test_who_waits_for_a_frame_that_cannot_leave_goes_on(autojump_clock: MockClock) -> None:
    async with open_pumps() as (connection, _), trio.open_nursery() as nursery:
        nursery.start_soon(connection.pumps.wait_sent)
        await wait_all_tasks_blocked()
        connection.pumps.stop_sending()


async def test_cancelling_from_outside_ends_them_by_closing_the_connection(autojump_clock: MockClock) -> None:
    with trio.move_on_after(1) as scope:
        async with open_pumps() as (connection, _):
            await trio.sleep_forever()

    assert scope.cancelled_caught
    assert connection.is_aborted
