"""A server that drains: over which time it closes whom, what it tells them, and who is let in."""

import signal
from collections.abc import AsyncIterator, Sequence
from random import Random
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from bimip import run
from bimip.domain.core.operations import Barrier, Operation, Result
from bimip.operations import Operations
from bimip.session.close import Close, named_wait
from bimip.supervision import State
from bimip.testing.virtual import settings_for_tests
from tests.api.test_caller import Memory
from tests.api.test_events import Stream
from tests.kit.gateway_server import Caller, GatewayServer, open_gateway_server

DEVICES = 10
AT_ONCE = "the server stops; please connect again"


async def joined(memory: GatewayServer, many: int = DEVICES) -> list[Caller]:
    return [await memory.connect(f"user{number}") for number in range(many)]


async def closed(caller: Caller) -> tuple[float, int, str]:
    """When a device was closed, with which code and reason. It answers, as clients do."""
    while not (heard := await caller.heard(0.01)).close:
        await trio.lowlevel.checkpoint()
    await caller.stream.aclose()
    return trio.current_time(), *heard.close


async def all_closed(callers: Sequence[Caller]) -> list[tuple[float, int, str]]:
    """How each device was closed, in their order."""
    found: dict[Caller, tuple[float, int, str]] = {}

    async def watch(caller: Caller) -> None:
        found[caller] = await closed(caller)

    async with trio.open_nursery() as nursery:
        for caller in callers:
            nursery.start_soon(watch, caller)
    return [found[caller] for caller in callers]


def draining_settings(seconds: float = 10.0, answers: float = 5.0) -> dict[str, str]:
    return {"BIMIP_GATEWAY_DRAIN_SPREAD_SECONDS": str(seconds), "BIMIP_GATEWAY_DRAIN_SECONDS": str(answers)}


async def test_devices_are_closed_one_after_the_other_and_come_back_one_after_the_other(
    autojump_clock: MockClock,
) -> None:
    async with open_gateway_server(settings_for_tests(**draining_settings(10))) as memory:
        callers = await joined(memory)
        began = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(memory.server.drain)
            ends = await all_closed(callers)
        drained = trio.current_time()
    gone = sorted(when - began for when, _, _ in ends)
    back = sorted(when - began + named_wait(code, reason) for when, code, reason in ends)

    assert {code for _, code, _ in ends} == {Close.GOING_AWAY}
    assert gone == pytest.approx(range(DEVICES), abs=0.3)
    assert all(10 <= when <= 21.5 for when in back)  # when it is over, and as long again at most; whole seconds
    assert len({round(when) for when in back}) > DEVICES // 3
    assert drained - began < 10 + 5


async def test_in_which_order_chance_decides(autojump_clock: MockClock) -> None:
    async with open_gateway_server(settings_for_tests()) as memory:
        await joined(memory)
        draining, orders = memory.server.draining, set()
        for seed in range(5):
            draining._random, left = Random(seed), list(memory.server.users.list_connections())
            numbers = {id(connection): number for number, connection in enumerate(left)}
            orders.add(tuple(numbers[id(draining._take_any(left))] for _ in range(DEVICES)))

    assert len(orders) == 5
    assert {tuple(sorted(order)) for order in orders} == {tuple(range(DEVICES))}


async def test_without_a_spread_all_are_closed_at_once_and_told_no_wait(autojump_clock: MockClock) -> None:
    async with open_gateway_server(settings_for_tests(**draining_settings(0))) as memory:
        callers = await joined(memory, 3)
        began = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(memory.server.drain)
            ends = await all_closed(callers)

    assert [(code, reason) for _, code, reason in ends] == [(Close.GOING_AWAY, AT_ONCE)] * 3
    assert max(when for when, _, _ in ends) - began < 0.5


async def test_what_was_asked_is_answered_before_anybody_is_closed(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_gateway_server(settings_for_tests(**draining_settings(0))) as memory:
        (caller,) = await joined(memory, 1)
        queue, written = memory.server.queue, trio.Event()
        execute = queue.execute

        async def slowly(operation: Operation, **more: Any) -> Result:
            if isinstance(operation, Barrier):
                await written.wait()
            return await execute(operation, **more)

        monkeypatch.setattr(queue, "execute", slowly)
        memory.server.draining.begin(0)
        before = await caller.heard(1)
        written.set()
        after = await caller.heard()

    assert before.close is None
    assert after.close == (Close.GOING_AWAY, AT_ONCE)


async def test_nobody_is_let_in_until_it_is_cancelled(autojump_clock: MockClock) -> None:
    async with open_gateway_server(settings_for_tests()) as memory:
        operations, sockets = Operations(memory.server), len(memory.server.connections)
        early = memory.knock()  # a socket that is there already, and has no device yet
        await trio.sleep(0.1)
        operations.drain(30.0)
        await early.open("late", "phone")
        refused = await early.heard()
        waiting = memory.knock()
        await waiting.open("waiting", "phone")
        unheard = await waiting.heard()
        reasons = memory.server.readiness()
        await memory.server.draining.wait_drained()
        drained, drained_reasons = operations.describe_draining(), memory.server.readiness()
        operations.cancel_drain()
        opened = await waiting.heard()

        assert sockets == 0
        assert refused.close is not None
        assert refused.close[0] == Close.GOING_AWAY
        assert 30 <= named_wait(*refused.close) <= 60
        assert (unheard.status, opened.status) == (0, 101)
        assert drained == {"state": "drained", "connections": 0, "devices": 0, "seconds_left": 0.0}
        assert "the server drains: 1 connections are left" in reasons[0]
        assert "nobody can connect" in drained_reasons[0]
        assert memory.server.readiness() == []


async def test_a_drain_that_is_cancelled_leaves_those_who_are_still_there(autojump_clock: MockClock) -> None:
    async with open_gateway_server(settings_for_tests()) as memory:
        callers = await joined(memory)
        memory.server.draining.begin(10)
        await trio.sleep(4.5)
        memory.server.draining.cancel()
        await trio.sleep(20)
        closes = [(await caller.heard()).close for caller in callers]

        assert 4 <= sum(close is not None for close in closes) <= 6
        assert memory.server.draining.state == "serving"
        await memory.connect("new")


async def test_a_listener_that_is_killed_goes_on_draining(autojump_clock: MockClock) -> None:
    async with open_gateway_server(settings_for_tests()) as memory:
        callers = await joined(memory)
        memory.server.draining.begin(10)
        assert memory.server.processes is not None
        await trio.sleep(3)
        await memory.server.processes.kill("bimip/gateway/listener")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(all_closed, callers)
            with trio.fail_after(10):
                await memory.server.draining.wait_drained()

        assert len(memory.server.connections) == 0
        assert memory.server.processes.snapshot("bimip/gateway/listener").state is State.RUNNING


async def test_a_stream_of_events_ends_with_the_time_to_come_again(autojump_clock: MockClock) -> None:
    async with open_gateway_server(settings_for_tests()) as server:
        memory = Memory(server)
        stream = await Stream(memory).open()
        blocks = await stream.blocks()
        server.server.draining.begin(5)
        blocks += await stream.blocks()
        wait = int(blocks[-1]["retry"])
        assert blocks[0]["retry"] == "3000"  # a browser keeps to what an earlier stream was told
        assert blocks[-1]["event"] == "close"
        assert 5000 <= wait <= 10_000
        assert f"again in {wait // 1000} second" in blocks[-1]["data"]
        assert stream.is_over


async def test_a_connection_for_http_is_hung_up_and_a_stream_on_it_is_refused(autojump_clock: MockClock) -> None:
    async with open_gateway_server(settings_for_tests()) as server:
        memory = Memory(server)
        stream = Stream(memory)
        await trio.sleep(0.1)
        server.server.draining.begin(5)
        await stream.open()
        await stream.heard()
        await server.server.draining.wait_drained()

        assert stream.status == 503
        assert 5 <= int(stream.headers["retry-after"]) <= 10


async def test_another_signal_ends_the_draining_at_once(autojump_clock: MockClock) -> None:
    send, receive = trio.open_memory_channel[int](2)

    async def signals() -> AsyncIterator[int]:
        async for number in receive:
            yield number

    async with open_gateway_server(settings_for_tests(**draining_settings(600))) as memory:
        callers = await joined(memory, 3)
        began = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(run.drain, memory.server, signals())
            await trio.sleep(5)
            send.send_nowait(signal.SIGHUP)
            send.send_nowait(signal.SIGTERM)
            ends = await all_closed(callers)

        assert 5 <= trio.current_time() - began < 10
        assert ends[-1][2] == AT_ONCE or ends[0][2] == AT_ONCE


async def test_a_disk_that_hangs_holds_a_stop_up_for_no_longer_than_answers_may_take(autojump_clock: MockClock) -> None:
    async with open_gateway_server(settings_for_tests(**draining_settings(10, answers=2))) as memory:
        callers = await joined(memory, 5)
        asked: list[float] = []

        async def hang() -> None:
            asked.append(trio.current_time())
            await trio.sleep_forever()

        memory.server.draining._answer = hang
        began = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(memory.server.drain)
            ends = await all_closed(callers)

    assert len(asked) == 1
    assert 2 <= min(when for when, _, _ in ends) - began < 3
    assert max(when for when, _, _ in ends) - began < 11


async def test_many_devices_are_closed_in_slices(autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bimip.gateway.draining.CLOSED_AT_ONCE", 2)
    async with open_gateway_server(settings_for_tests(**draining_settings(0))) as memory:
        callers = await joined(memory, 7)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(memory.server.drain)
            ends = await all_closed(callers)

    assert len(ends) == 7
