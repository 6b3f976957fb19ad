import os
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

import pytest
import trio
import trio.lowlevel
import trio.testing

from bimip.concurrency.shares import MUCH_SECONDS, Shares
from bimip.gateway.poller import MAX_READY, Poller
from tests.gateway.harness import PING, SETTINGS, open_world


class Reads:
    """Reads what is there, as often as it wants more."""

    whose = "somebody"

    def __init__(self, fd: int, times: int = 1_000_000) -> None:
        self.account = self.fd = fd
        self.times = times
        self.calls = 0
        self.data = b""

    def read_now(self, _now: float) -> bool:
        self.calls += 1
        self.data += os.read(self.fd, 100)
        self.times -= 1
        return self.times > 0


@asynccontextmanager
async def running(poller: Poller) -> AsyncIterator[trio.Nursery]:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(poller.run)
        yield nursery
        nursery.cancel_scope.cancel()


@pytest.fixture
def pair() -> tuple[socket.socket, socket.socket]:
    ours, theirs = socket.socketpair()
    ours.settimeout(0)
    return ours, theirs


async def test_what_arrives_is_read_at_once(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    poller, source = Poller(), Reads(pair[0].fileno())
    with ours, theirs:
        poller.add(ours.fileno(), source)
        async with running(poller):
            for text in (b"one", b"two"):
                theirs.send(text)
                await trio.testing.wait_all_tasks_blocked(0.01)
        poller.remove(ours.fileno())

    assert source.data == b"onetwo"
    assert source.calls == 2


async def test_who_wants_no_more_is_left_alone_until_added_again(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    poller, source = Poller(), Reads(pair[0].fileno(), times=1)
    with ours, theirs:
        poller.add(ours.fileno(), source)
        async with running(poller):
            theirs.send(b"a" * 100)
            await trio.testing.wait_all_tasks_blocked(0.01)
            theirs.send(b"b" * 100)
            theirs.close()  # the end of a stream would be reported again and again
            await trio.testing.wait_all_tasks_blocked(0.01)
            before = source.calls
            source.times = 2
            poller.add(ours.fileno(), source)
            await trio.testing.wait_all_tasks_blocked(0.01)

    assert before == 1
    assert source.data == b"a" * 100 + b"b" * 100
    assert len(poller) == 0


async def test_a_poller_that_was_killed_goes_on_where_it_stopped(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    poller, source = Poller(), Reads(pair[0].fileno())
    with ours, theirs:
        poller.add(ours.fileno(), source)
        async with running(poller):
            await trio.testing.wait_all_tasks_blocked(0.01)
        theirs.send(b"meanwhile")
        async with running(poller):
            await trio.testing.wait_all_tasks_blocked(0.01)
        poller.remove(ours.fileno())

    assert source.data == b"meanwhile"


class Busy(Reads):
    """Has more than it may handle in one turn."""

    def __init__(self, poller: Poller, fd: int, turns: int) -> None:
        super().__init__(fd)
        self.poller, self.turns = poller, turns

    def read_now(self, _now: float) -> bool:
        self.calls += 1
        self.turns -= 1
        if self.turns > 0:
            self.poller.again(self.fd)
        return self.turns > 0


async def test_who_has_more_than_a_turns_work_gets_others_behind_everybody_else(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    poller = Poller()
    ours, theirs = socket.socketpair()
    busy, other = Busy(poller, pair[0].fileno(), 1000), Reads(ours.fileno(), times=1)
    with pair[0], pair[1], ours, theirs:
        poller.add(busy.fd, busy)
        poller.add(other.fd, other)
        pair[1].send(b"x")
        theirs.send(b"y")
        async with running(poller):
            while not other.calls:
                await trio.lowlevel.checkpoint()
            before = busy.calls
            await trio.testing.wait_all_tasks_blocked(0.01)

    assert before < 10
    assert busy.calls == 1000


async def test_another_turn_needs_nothing_to_read(pair: tuple[socket.socket, socket.socket]) -> None:
    poller = Poller()
    busy = Busy(poller, pair[0].fileno(), 3)
    with pair[0], pair[1]:
        poller.add(busy.fd, busy)
        async with running(poller):
            await trio.testing.wait_all_tasks_blocked(0.01)
            asleep = busy.calls
            poller.again(busy.fd)
            await trio.testing.wait_all_tasks_blocked(0.01)

    assert asleep == 0
    assert busy.calls == 3


async def test_the_longest_turn_is_noted(pair: tuple[socket.socket, socket.socket]) -> None:
    poller = Poller()
    with pair[0], pair[1]:
        poller.add(pair[0].fileno(), Reads(pair[0].fileno()))
        async with running(poller):
            pair[1].send(b"x")
            await trio.testing.wait_all_tasks_blocked(0.01)
        poller.remove(pair[0].fileno())

    assert "(somebody)" in str(poller.turns.describe()["longest_turn"])


async def test_one_that_closes_another_in_the_same_round_hides_its_news() -> None:
    poller = Poller()
    pairs = [socket.socketpair() for _ in range(2)]
    removed: list[int] = []

    class Closes:
        account = whose = "somebody"

        def __init__(self, other: int) -> None:
            self.other = other

        def read_now(self, _now: float) -> bool:
            poller.remove(self.other)
            removed.append(self.other)
            return False

    fds = [ours.fileno() for ours, _ in pairs]
    poller.add(fds[0], Closes(fds[1]))
    poller.add(fds[1], Closes(fds[0]))
    for _, theirs in pairs:
        theirs.send(b"x")
    async with running(poller):
        await trio.testing.wait_all_tasks_blocked(0.01)
    for one in (one for pair in pairs for one in pair):
        one.close()

    assert len(removed) == 1
    assert len(poller) == 0


async def test_more_sockets_than_one_round_serves_all_have_their_turn() -> None:
    poller = Poller()
    pairs = [socket.socketpair() for _ in range(MAX_READY + 10)]
    sources = [Reads(ours.fileno()) for ours, _ in pairs]
    for source, (_, theirs) in zip(sources, pairs, strict=True):
        poller.add(source.fd, source)
        theirs.send(b"x")
    async with running(poller):
        await trio.testing.wait_all_tasks_blocked(0.01)
    for one in (one for pair in pairs for one in pair):
        one.close()

    assert [source.data for source in sources] == [b"x"] * len(sources)


async def test_a_defect_in_what_reads_is_that_connections_crash_and_nobody_elses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The poller serves all of them: what one of them raises must stay its own."""
    settings = replace(SETTINGS, close_seconds=0.2)
    async with open_world(settings, crashes=True) as world, AsyncExitStack() as streams:
        gate = await trio.open_tcp_listeners(0, host="127.0.0.1")
        world.nursery.start_soon(trio.serve_listeners, world.serve, gate)
        sockets = [
            await streams.enter_async_context(await trio.open_tcp_stream("127.0.0.1", port(gate))) for _ in range(2)
        ]
        first, second = [await world.connect(stream) for stream in sockets]
        await first.send_message(PING)
        await first.get_message()
        served = world.echo.attached[0][1]
        monkeypatch.setattr(type(served), "_on_bytes", broken_for(served, type(served)._on_bytes))  # type: ignore[attr-defined]
        await first.send_message(PING)
        with trio.fail_after(5), pytest.raises(Exception, match="1011"):
            await first.get_message()
        await world.first_end.wait()
        await second.send_message(PING)
        answer = await second.get_message()

    assert answer == PING
    assert ["a defect" in repr(crash) for crash in world.crashes] == [True]


def port(listeners: list[trio.SocketListener]) -> int:
    return int(listeners[0].socket.getsockname()[1])


def broken_for(connection: object, took: object) -> object:
    def broken(self: object, data: bytes) -> None:
        if self is connection and data:
            raise ValueError("a defect")
        took(self, data)  # type: ignore[operator]

    return broken


class Slow(Reads):
    """Takes its time, and always has more."""

    def __init__(self, fd: int, order: list[int], clock: list[float], seconds: float) -> None:
        super().__init__(fd)
        self.order, self.clock, self.seconds = order, clock, seconds

    def read_now(self, _now: float) -> bool:
        self.order.append(self.fd)
        self.clock[0] += self.seconds
        return True


async def test_who_asks_for_little_is_known_to_be_there_for_some_time(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = pair
    served = Shares()
    poller, source = Poller(served=served), Reads(pair[0].fileno())
    with ours, theirs:
        poller.add(ours.fileno(), source)
        async with running(poller):
            served[source.account] = 2 * MUCH_SECONDS
            served.due = trio.current_time() + 60
            theirs.send(b"much")
            await trio.testing.wait_all_tasks_blocked(0.01)
            before = served.little_until
            served[source.account] = 0
            theirs.send(b"little")
            await trio.testing.wait_all_tasks_blocked(0.01)

    assert before == 0
    assert trio.current_time() < served.little_until


async def test_who_was_served_least_comes_first_and_those_who_were_served_much_end_the_round_soon(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock, order = [0.0], list[int]()
    monkeypatch.setattr("bimip.gateway.poller.perf_counter", lambda: clock[0])
    pairs = [socket.socketpair() for _ in range(5)]
    poller = Poller()
    fds = [ours.fileno() for ours, _ in pairs]
    for fd in fds[:4]:
        poller.add(fd, Slow(fd, order, clock, MUCH_SECONDS))
    poller.add(fds[4], Slow(fds[4], order, clock, 0.0001))
    for _, theirs in pairs:
        theirs.send(b"x")
    async with running(poller):
        for _ in range(40):
            await trio.lowlevel.checkpoint()
    for fd in fds:
        poller.remove(fd)
    for one in pairs:
        one[0].close()
        one[1].close()
    poller.close()
    waits = [order[at + 1 :].index(fds[4]) for at, fd in enumerate(order[:-5]) if fd == fds[4]]

    assert max(waits[2:]) <= 1  # one turn of one of the others, though four of them always have more
    assert all(order.count(fd) > 1 for fd in fds)  # and these take turns too
