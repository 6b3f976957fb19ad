from dataclasses import replace

import pytest
import trio
import trio.lowlevel
from trio.testing import MockClock, memory_stream_pair

from bimip.domain.core.identity import Claims
from bimip.gateway.framing import BINARY
from bimip.gateway.serving import refuse
from bimip.gateway.upgrade_policy import UpgradeRefusedError
from bimip.session.close import Close
from bimip.supervision import ChildSpec, DynamicSupervisor, Supervisor, current_child, open_tree
from bimip.users.connection import Connection, RefusedError
from tests.gateway.harness import PING, close_code_in, close_of, frame, hello, open_world, read_all, token, upgrade

PARTS = Supervisor([ChildSpec("connections", DynamicSupervisor())])


async def test_a_hello_that_comes_in_time_attaches_its_device(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        websocket = await world.connect(shown="")
        await trio.sleep(4.9)
        await websocket.send_message(hello())
        await trio.sleep(10)
        await websocket.send_message(PING)

        assert await websocket.get_message() == PING
        assert [(claims.device, frames) for claims, _, frames in world.echo.attached] == [("phone", [hello()])]


async def test_with_a_token_in_the_header_no_frame_is_awaited(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await world.connect()
        await trio.testing.wait_all_tasks_blocked()

        assert [(claims.device, frames) for claims, _, frames in world.echo.attached] == [("phone", [])]


@pytest.mark.parametrize(
    ("first", "code"),
    [
        (None, Close.HELLO_EXPECTED),
        (PING, Close.HELLO_EXPECTED),
        (b"", Close.HELLO_EXPECTED),
        (b"\xff\xff\xff", Close.HELLO_EXPECTED),
        (hello(""), Close.UNAUTHENTICATED),
        (hello("x.y.z"), Close.UNAUTHENTICATED),
        (hello(token(signing_key="another secret, which is as long as that")), Close.UNAUTHENTICATED),
        (hello(token(now_ms=0)), Close.TOKEN_EXPIRED),
        ("text", Close.UNSUPPORTED_DATA),
    ],
)
async def test_who_does_not_say_who_it_is_is_not_attached(
    first: bytes | str | None, code: Close, autojump_clock: MockClock
) -> None:
    async with open_world() as world:
        websocket = await world.connect(shown="")
        if first is not None:
            await websocket.send_message(first)
        began = trio.current_time()

        assert (await close_of(websocket))[0] == code
        assert trio.current_time() - began == (5 if first is None else 0)
        assert world.echo.attached == []


async def test_who_is_refused_gets_the_code_and_the_reason(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        world.echo.refusal = RefusedError(Close.TOKEN_REVOKED, "log in again")
        websocket = await world.connect()

        assert await close_of(websocket) == (Close.TOKEN_REVOKED, "log in again")


@pytest.mark.parametrize("shown", [None, ""])
async def test_a_crash_while_attaching_closes_with_1011_and_is_raised(
    shown: str | None, autojump_clock: MockClock
) -> None:
    async with open_world(crashes=True) as world:
        world.echo.refusal = RuntimeError("a defect")
        websocket = await world.connect(shown=shown)
        if shown == "":
            await websocket.send_message(hello())

        assert (await close_of(websocket))[0] == Close.INTERNAL_ERROR
        await world.first_end.wait()
        assert trio.current_time() == 0
    assert [type(error) for error in world.crashes] == [ExceptionGroup]
    assert "a defect" in repr(world.crashes[0].exceptions)  # type: ignore[attr-defined]


async def test_a_frame_that_cannot_be_translated_is_our_defect(autojump_clock: MockClock) -> None:
    async with open_world(crashes=True) as world:
        world.echo.serve = False
        websocket = await world.connect(subprotocol="bimip.v1.json")
        await trio.testing.wait_all_tasks_blocked()
        world.echo.connection.send_nowait(b"\xff\xff\xff")

        assert (await close_of(websocket))[0] == Close.INTERNAL_ERROR
        await world.first_end.wait()
        assert trio.current_time() == 0
    assert len(world.crashes) == 1


@pytest.mark.parametrize("authorization", [None, f"Bearer {token()}"])
async def test_attaching_ends_when_the_peer_leaves(authorization: str | None, autojump_clock: MockClock) -> None:
    cancelled = trio.Event()

    async def attach(_claims: Claims, _connection: Connection, _frames: list[bytes]) -> None:
        try:
            await trio.sleep_forever()
        finally:
            cancelled.set()

    async with open_world() as world:
        world.gateway = replace(world.gateway, attach=attach)
        stream = world.dial()
        await upgrade(stream, Authorization=authorization)
        if authorization is None:
            await stream.send_all(frame(BINARY, hello()))
        await trio.testing.wait_all_tasks_blocked()
        await stream.aclose()
        await cancelled.wait()
        await trio.testing.wait_all_tasks_blocked()

        assert world.ended == 1


@pytest.mark.parametrize("shown", [None, ""])
async def test_what_is_asked_while_it_is_attached_is_answered_afterwards(
    shown: str | None, autojump_clock: MockClock
) -> None:
    async with open_world() as world:

        async def attach(claims: Claims, connection: Connection, frames: list[bytes]) -> None:
            await trio.sleep(2)
            await world.echo.attach(claims, connection, frames)

        world.gateway = replace(world.gateway, attach=attach)
        websocket = await world.connect(shown=shown)
        if shown == "":
            await websocket.send_message(hello())
        with trio.fail_after(3):
            await websocket.ping()
        await websocket.send_message(PING)

        assert await websocket.get_message() == PING


async def test_a_stop_finishes_the_frame_that_was_taken(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        stream = world.dial(lockstep=True)
        await upgrade(stream)
        await trio.testing.wait_all_tasks_blocked()
        world.echo.connection.send_nowait(PING)
        await trio.testing.wait_all_tasks_blocked()
        world.stop()
        await trio.testing.wait_all_tasks_blocked()
        data = await read_all(stream)

        assert data.startswith(b"\x82" + bytes([len(PING)]) + PING)
        assert close_code_in(data) == Close.GOING_AWAY


async def test_a_stop_does_not_wait_for_a_peer_that_does_not_read(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        stream = world.dial(lockstep=True)
        await upgrade(stream)
        await trio.testing.wait_all_tasks_blocked()
        world.echo.connection.send_nowait(PING)
        await trio.testing.wait_all_tasks_blocked()
        began = trio.current_time()
        world.stop()
        await world.echo.connection.wait_closed()

        assert trio.current_time() - began <= 3


@pytest.mark.parametrize("how", ["terminate", "kill", "restart"])
async def test_however_its_supervisor_ends_it_the_peer_is_told_to_come_back(
    how: str, autojump_clock: MockClock
) -> None:
    async with open_world() as world, open_tree(PARTS) as tree:
        gateway = replace(world.gateway, grace=lambda: current_child().grace())
        ours, theirs = trio.testing.memory_stream_pair()
        tree.children("bimip/connections").start_soon(gateway.serve_connection, theirs)
        websocket = await world.connect(ours)
        await trio.testing.wait_all_tasks_blocked()
        match how:
            case "terminate":
                await tree.terminate("bimip/connections/1")
            case "kill":
                await tree.kill("bimip/connections/1")
            case _:
                await tree.restart("bimip/connections")

        assert (await close_of(websocket))[0] == Close.GOING_AWAY
        assert world.echo.ends == [(Close.GOING_AWAY, "the server stops; please connect again")]


async def test_who_is_refused_and_goes_on_sending_is_not_read_for_ever(autojump_clock: MockClock) -> None:
    ours, theirs = memory_stream_pair()
    sent = 0

    async def send_for_ever() -> None:
        nonlocal sent
        while True:
            await theirs.send_all(bytes(1000))
            sent += 1000
            await trio.sleep(0.001)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(send_for_ever)
        await refuse(ours, UpgradeRefusedError(429, "Too many."), 60.0, 10_000)
        nursery.cancel_scope.cancel()

    assert sent <= 12_000
    assert (await theirs.receive_some(1000)).startswith(b"HTTP/1.1 429 ")
