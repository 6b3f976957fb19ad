import pytest
import trio
from trio.testing import MockClock

from bimip.session.close import Close
from bimip.users.connection import ConnectionClosedError
from bimip.wire import bimip_pb2 as pb
from bimip.wire import codec
from tests.gateway.harness import PING, close_code_in, close_of, frame, hello, open_world, read_all, upgrade


async def test_frames_go_both_ways_whole_and_in_order(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        websocket = await world.connect()
        sent = [codec.encode(pb.PingPong(), ref=n) for n in range(1, 50)] + [bytes(1 << 20)]
        async with trio.open_nursery() as nursery:
            for each in sent:
                nursery.start_soon(websocket.send_message, each)
                await trio.testing.wait_all_tasks_blocked()
            got = [await websocket.get_message() for _ in sent]

        assert sent == got


async def test_a_frame_is_declined_while_another_is_unfinished(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        world.echo.serve = False
        stream = world.dial()
        await upgrade(stream)
        connection = world.echo.connection
        took = [connection.send_nowait(b"a"), connection.send_nowait(b"b")]
        await connection.wait_sendable()

        assert took == [True, False]
        assert connection.send_nowait(b"b")


async def test_text_on_the_binary_subprotocol_closes_with_1003(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        websocket = await world.connect()
        await websocket.send_message("text")

        assert (await close_of(websocket))[0] == Close.UNSUPPORTED_DATA


async def test_binary_on_the_json_subprotocol_closes_with_1003(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        websocket = await world.connect(subprotocol="bimip.v1.json")
        await websocket.send_message(PING)

        assert (await close_of(websocket))[0] == Close.UNSUPPORTED_DATA
        assert world.echo.ends[0][0] == Close.UNSUPPORTED_DATA


async def test_json_is_the_same_frames_as_text(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        websocket = await world.connect(subprotocol="bimip.v1.json")
        await websocket.send_message('{"route":"3","ping_pong":{},"ref":"7"}')

        assert isinstance(answer := await websocket.get_message(), str)
        assert '"ref":"7"' in answer


async def test_text_that_is_no_frame_is_answered_and_too_much_of_it_closes(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        websocket = await world.connect(subprotocol="bimip.v1.json")
        answers = []
        for _ in range(8):
            await websocket.send_message("nonsense")
            answers.append(await websocket.get_message())
        await websocket.send_message("nonsense")

        assert all("MALFORMED" in str(answer) for answer in answers)
        assert (await close_of(websocket))[0] == Close.TOO_MANY_ERRORS


async def test_only_what_cannot_be_understood_in_a_row_counts(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        websocket = await world.connect(subprotocol="bimip.v1.json")
        for _ in range(3):
            for text in ["nonsense"] * 8 + ['{"route":"3","ping_pong":{}}']:
                await websocket.send_message(text)
                await websocket.get_message()

        assert websocket.closed is None


async def test_a_reader_learns_of_a_close_without_waiting_for_the_peer(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await upgrade(world.dial())
        await trio.testing.wait_all_tasks_blocked()
        world.echo.connection.close(Close.REPLACED, "newer")
        await trio.testing.wait_all_tasks_blocked()

        assert world.echo.ends == [(Close.REPLACED, "newer")]


async def test_a_closed_connection_takes_everything_and_says_so_to_its_reader(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        websocket = await world.connect()
        connection = world.echo.connection
        connection.close(Close.REPLACED, "newer")
        connection.close(Close.LOGGED_OUT, "later")
        await connection.wait_closed()

        assert connection.send_nowait(PING)
        assert world.echo.ends == [(Close.REPLACED, "newer")]
        assert await close_of(websocket) == (Close.REPLACED, "newer")


async def test_what_arrived_before_the_peers_close_is_handed_over(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        world.echo.serve = False
        stream = world.dial()
        await upgrade(stream)
        await stream.send_all(frame(2, b"one") + frame(2, b"two") + frame(8, b"\x03\xe8"))
        await trio.sleep(1)
        connection = world.echo.connection
        got = await connection.receive()

        assert got == [b"one", b"two"]


async def test_a_peer_that_is_silent_for_two_heartbeats_is_closed_with_4001(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        stream = world.dial()
        await upgrade(stream)
        began = trio.current_time()
        data = await read_all(stream)

        assert close_code_in(data) == Close.SILENT
        assert trio.current_time() - began == 60 + 3


async def test_a_peer_that_answers_pings_lives(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        websocket = await world.connect()
        await trio.sleep(3600)
        await websocket.send_message(PING)

        assert await websocket.get_message() == PING


async def test_a_peer_that_we_do_not_listen_to_is_not_silent(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        world.echo.serve = False
        websocket = await world.connect()
        for _ in range(3):
            await websocket.send_message(PING)
        await trio.sleep(3600)

        assert websocket.closed is None


async def test_a_frame_that_does_not_leave_in_time_ends_the_connection(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        world.echo.serve = False
        stream = world.dial(lockstep=True)
        await upgrade(stream)
        await trio.testing.wait_all_tasks_blocked()
        connection = world.echo.connection
        began = trio.current_time()
        assert connection.send_nowait(PING)
        await connection.wait_closed()

        assert trio.current_time() - began == 30


async def test_a_peer_that_never_answers_a_close_is_cut(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        stream = world.dial()
        await upgrade(stream)
        began = trio.current_time()
        world.echo.connection.close(Close.REPLACED, "newer")
        await world.echo.connection.wait_closed()

        assert trio.current_time() - began == 3


async def test_pings_and_messages_while_closing_disturb_nothing(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        stream = world.dial()
        await upgrade(stream)
        world.echo.connection.close(Close.REPLACED, "newer")
        await trio.sleep(1)
        await stream.send_all(frame(9, b"ping") + frame(2, PING) * 5 + frame(9, b"ping") + frame(8, b"\x03\xe8"))
        began = trio.current_time()
        data = await read_all(stream)

        assert close_code_in(data) == Close.REPLACED
        assert len(data) == 2 + 2 + len("newer")
        assert trio.current_time() == began


async def test_a_close_waits_for_the_pong_that_is_leaving(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        stream = world.dial(lockstep=True)
        await upgrade(stream)
        await stream.send_all(frame(9, b"ping"))
        await trio.testing.wait_all_tasks_blocked()
        world.echo.connection.close(Close.REPLACED, "newer")
        await trio.testing.wait_all_tasks_blocked()
        data = bytes(await stream.receive_some())
        data += bytes(await stream.receive_some())

        assert data == b"\x8a\x04ping" + b"\x88\x07" + Close.REPLACED.to_bytes(2) + b"newer"


async def test_a_reader_whose_answer_cannot_leave_learns_that_the_peer_is_gone(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        stream = world.dial(lockstep=True)
        await upgrade(stream, Sec_WebSocket_Protocol="bimip.v1.json")
        await stream.send_all(frame(1, b"nonsense") + frame(1, b"nonsense"))
        await trio.testing.wait_all_tasks_blocked()
        await stream.aclose()
        await world.first_end.wait()
        await trio.testing.wait_all_tasks_blocked()

        assert [code for code, _ in world.echo.ends] == [1006]


async def test_what_a_closed_connection_takes_goes_nowhere(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        stream = world.dial()
        await upgrade(stream)
        await trio.testing.wait_all_tasks_blocked()
        connection = world.echo.connection
        assert connection.send_nowait(PING)
        connection.close(Close.REPLACED, "newer")

        assert connection.sendable
        assert connection.send_nowait(hello())
        assert (await read_all(stream)).startswith(b"\x82" + bytes([len(PING)]) + PING + b"\x88\x07")


async def test_waiting_to_send_ends_with_the_connection(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        world.echo.serve = False
        stream = world.dial(lockstep=True)
        await upgrade(stream)
        await trio.testing.wait_all_tasks_blocked()
        connection = world.echo.connection
        assert connection.send_nowait(PING)
        with pytest.raises(ConnectionClosedError, match="4002"):
            await connection.wait_sendable()


async def test_receiving_and_waiting_can_be_cancelled_without_loss(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        world.echo.serve = False
        websocket = await world.connect()
        await trio.testing.wait_all_tasks_blocked()
        connection = world.echo.connection
        for wait in (connection.receive, connection.wait_closed):
            with trio.move_on_after(1) as scope:
                await wait()
            assert scope.cancelled_caught
        await websocket.send_message(PING)

        assert await connection.receive() == [PING]


async def test_a_hello_token_serves_as_well_as_the_header(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        websocket = await world.connect(shown="")
        await websocket.send_message(hello())
        await trio.sleep(1)
        claims, _, frames = world.echo.attached[0]

        assert (claims.eid, claims.device) == ("alice@example.org", "phone")
        assert frames == [hello()]


async def test_cancelling_closes_with_1001(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        websocket = await world.connect()
        await trio.testing.wait_all_tasks_blocked()
        world.stop()

        assert (await close_of(websocket))[0] == Close.GOING_AWAY
        await world.first_end.wait()
        assert trio.current_time() == 0  # the peer's answer was heard
