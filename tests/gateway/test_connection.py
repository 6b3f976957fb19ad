import json
from contextlib import suppress
from dataclasses import replace

import pytest
import trio
from trio.testing import MockClock

from bimip.gateway.framing import FRAMES_AT_ONCE
from bimip.session.close import Close
from bimip.users.connection import ConnectionClosedError
from bimip.wire import bimip_pb2 as pb
from bimip.wire import codec
from bimip.wire.limits import Limits
from tests.gateway.harness import (
    PING,
    SETTINGS,
    close_code_in,
    close_of,
    frame,
    hello,
    open_port,
    open_world,
    read_all,
    token,
    upgrade,
)


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


async def test_the_error_of_a_text_stands_in_a_body_as_that_of_a_frame_does(autojump_clock: MockClock) -> None:
    """PROTOCOL.md, "Answers": alone stands only what takes the place of the answer to Hello."""
    async with open_world() as world:
        websocket = await world.connect(subprotocol="bimip.v1.json")
        await websocket.send_message('{"route":"3","ping_pong":{"nonsense":1},"ref":"7"}')
        answer = json.loads(await websocket.get_message())

        assert answer["route"] == "10"
        assert [(error["code"], error["ref"]) for error in answer["body"]["errors"]] == [("MALFORMED", "7")]


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


async def test_a_heartbeat_that_is_answered_tells_how_long_the_way_is(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        stream = world.dial()
        await upgrade(stream)
        await stream.send_all(frame(10, b"nobody asked"))
        await trio.sleep(30.25)
        before = world.echo.connection.round_trip_seconds
        await stream.send_all(frame(10, b""))
        await trio.sleep(1)
        answered = world.echo.connection.round_trip_seconds
        await stream.send_all(frame(10, b"nobody asked"))
        await trio.sleep(1)

        assert before is None
        assert answered == pytest.approx(0.25)
        assert world.echo.connection.round_trip_seconds == answered


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


async def test_a_message_that_stops_arriving_is_closed_when_its_time_is_over(autojump_clock: MockClock) -> None:
    """In silence as in a trickle, and not for silence: it is too slow, whatever the heartbeat is."""
    async with open_world(replace(SETTINGS, message_seconds=10.0), Limits(heartbeat_seconds=100.0)) as world:
        stream = world.dial()
        await upgrade(stream)
        began = trio.current_time()
        await stream.send_all(frame(2, b"half")[:-1])
        code = close_code_in(await read_all(stream))

        assert code == Close.TOO_SLOW
        assert began + 10 <= trio.current_time() <= began + 10 + SETTINGS.close_seconds


@pytest.mark.parametrize("heartbeat", [1.0, 10.0, 30.0])
async def test_an_unfinished_message_is_not_taken_for_silence(autojump_clock: MockClock, heartbeat: float) -> None:
    async with open_world(
        replace(SETTINGS, message_seconds=2 * heartbeat - 0.1), Limits(heartbeat_seconds=heartbeat)
    ) as world:
        stream = world.dial()
        await upgrade(stream)
        await stream.send_all(frame(2, b"half", first=0))

        assert close_code_in(await read_all(stream)) == Close.TOO_SLOW


async def test_a_message_that_arrives_in_time_is_not_held_against_the_next(autojump_clock: MockClock) -> None:
    async with open_world(replace(SETTINGS, message_seconds=10.0), Limits(heartbeat_seconds=1000.0)) as world:
        stream = world.dial()
        await upgrade(stream)
        for _ in range(5):
            await stream.send_all(frame(2, b"half")[:-1])
            await trio.sleep(9)
            await stream.send_all(frame(2, b"half")[-1:])
        await trio.sleep(100)

        assert world.echo.ends == []


FLOODS = {"pings": frame(9), "pongs": frame(10), "fragments": frame(2, first=0) + frame(0, first=0) * 500 + frame(0)}


@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS)
@pytest.mark.parametrize("shown", [None, ""], ids=["authenticated", "unknown"])
async def test_a_flood_of_frames_that_ask_for_nothing_is_closed(
    autojump_clock: MockClock, flood: bytes, shown: str | None
) -> None:
    async with open_world() as world:
        stream = world.dial()
        await upgrade(stream, **({} if shown is None else {"Authorization": shown or None}))
        await stream.send_all(flood * (4000 // (len(flood) // 6)))

        assert close_code_in(await read_all(stream)) == Close.TOO_MANY_ERRORS


async def test_who_showed_no_token_may_send_fewer_of_them(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        stream = world.dial()
        await upgrade(stream, Authorization=None)
        await stream.send_all(frame(9) * 200)

        assert close_code_in(await read_all(stream)) == Close.TOO_MANY_ERRORS


async def test_a_ping_now_and_then_is_no_flood(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        stream = world.dial()
        await upgrade(stream)
        for _ in range(30):
            await stream.send_all(frame(9) * 200)
            await stream.receive_some(65536)
            await trio.sleep(1)

        assert world.echo.ends == []


async def test_what_a_flood_goes_on_with_is_not_read_for_ever(autojump_clock: MockClock) -> None:
    async with open_world(replace(SETTINGS, close_seconds=1000.0), Limits(heartbeat_seconds=100.0)) as world:
        stream = world.dial()
        await upgrade(stream)
        with trio.move_on_after(50) as patience, suppress(trio.BrokenResourceError):
            while True:
                await stream.send_all(frame(9) * 2000)
                await trio.sleep(0.01)

        assert not patience.cancelled_caught


async def test_a_read_of_many_frames_is_handed_over_in_parts_and_in_order() -> None:
    async with open_world() as world, open_port(world) as port:
        world.echo.serve = False
        async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
            await upgrade(stream)
            sent = [b"%06d" % number for number in range(2 * FRAMES_AT_ONCE + 10)]
            await stream.send_all(b"".join(frame(2, one) for one in sent))
            got: list[list[bytes]] = []
            with trio.fail_after(30):
                while sum(map(len, got)) < len(sent):
                    got.append(await world.echo.connection.receive())

        assert [one for part in got for one in part] == sent
        assert max(map(len, got)) <= FRAMES_AT_ONCE


@pytest.mark.parametrize("limit", [{}, {"max_frame_bytes": 20_000}])
async def test_before_a_token_is_known_a_message_is_small(autojump_clock: MockClock, limit: dict[str, int]) -> None:
    async with open_world(limits=Limits(**limit)) as world:
        websocket = await world.connect(shown="")
        await websocket.send_message(bytes(65537))

        assert (await close_of(websocket))[0] == 1009


async def test_what_follows_a_hello_with_a_token_may_be_as_large_as_any(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        stream = world.dial()
        await upgrade(stream, Authorization=None)
        large = bytes(1 << 20)
        await stream.send_all(frame(2, hello()) + frame(2, large) + frame(2, PING))
        await trio.testing.wait_all_tasks_blocked()
        with trio.fail_after(10):
            data = b""
            while PING not in data[-100:]:
                data += bytes(await stream.receive_some(65536))

        assert world.echo.attached[0][2] == [hello()]
        assert large in data


async def test_a_text_that_is_no_hello_may_be_followed_by_one(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        websocket = await world.connect(subprotocol="bimip.v1.json", shown="")
        await websocket.send_message("nonsense")
        answer = await websocket.get_message()
        await websocket.send_message(json.dumps({"route": "13", "hello": {"token": token()}}))
        await trio.testing.wait_all_tasks_blocked()

        assert "MALFORMED" in str(answer)
        assert len(world.echo.attached) == 1


LARGE_TEXT = json.dumps({"route": "10", "body": {"messages": [{"id": "m"}] * 1000}})


async def test_texts_stay_in_order_whatever_their_size(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        world.echo.serve = False
        stream = world.dial()
        await upgrade(stream, Sec_WebSocket_Protocol="bimip.v1.json")
        small = json.dumps({"route": "3", "ping_pong": {}, "ref": "7"})
        texts = [small, LARGE_TEXT, small, LARGE_TEXT, small]
        await stream.send_all(b"".join(frame(1, text.encode()) for text in texts) + frame(8, b"\x03\xe8"))
        got: list[bytes] = []
        with suppress(ConnectionClosedError):
            while True:
                got += await world.echo.connection.receive()

        assert [len(one) > 1000 for one in got] == [text is LARGE_TEXT for text in texts]


async def test_much_json_is_converted_no_faster_than_is_allowed(autojump_clock: MockClock) -> None:
    async with open_world(replace(SETTINGS, json_objects_per_second=1000)) as world:
        websocket = await world.connect(subprotocol="bimip.v1.json")
        began = trio.current_time()
        for _ in range(10):
            await websocket.send_message(LARGE_TEXT)
        for _ in range(10):
            await websocket.get_message()

        assert 6 <= trio.current_time() - began <= 10  # a thousand objects each, and two seconds' worth at once


async def test_every_text_that_is_no_frame_is_answered(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        stream = world.dial()
        await upgrade(stream, Sec_WebSocket_Protocol="bimip.v1.json")
        await stream.send_all(frame(1, b"nonsense") * 5)
        await trio.testing.wait_all_tasks_blocked()

        assert bytes(await stream.receive_some(65536)).count(b"MALFORMED") == 5
