"""Servers that are slow, that say nothing, and pings of both kinds."""

from typing import Final

import trio

from bimip.conformance.play import Play, entry
from bimip.conformance.sequence import Sequence, sequence
from bimip.wire import bimip_pb2 as pb

CONNECTING: Final = "connecting"


@sequence("A server that greets slowly is waited for", "hello")
async def waits_for_a_slow_hello(play: Play) -> None:
    await play.start()
    connection = await play.connection()
    await trio.sleep(0.5)
    await connection.welcome()
    await play.settled(connection)
    play.expect(len(play.server.connections) == 1, "it gave up a server that took half a second for its Hello")


@sequence("A server that never greets is given up after a while, and another connection is tried", CONNECTING)
async def gives_up_a_server_without_hello(play: Play) -> None:
    await play.start()
    connection = await play.connection()
    await play.until("the connection without Hello ends", lambda: connection.end is not None or None, within=60.0)
    again = await play.welcomed()
    await play.settled(again)


@sequence("A server of which nothing is heard for two heartbeats is left, and not before", CONNECTING)
async def leaves_a_silent_server(play: Play) -> None:
    connection = await play.begin(heartbeat_ms=200)
    connection.line.is_silent = True
    silent = trio.current_time()
    again = await play.welcomed()
    waited = again.opened - silent
    play.expect(waited >= 0.2, f"the heartbeat is 200 ms, and a silent server was left after {waited * 1000:.0f} ms")
    await play.settled(again)


@sequence("A server that says nothing but pongs is not left", CONNECTING)
async def stays_with_a_quiet_server(play: Play) -> None:
    connection = await play.begin(heartbeat_ms=1000)  # long enough for a busy machine
    for _ in range(6):  # a server pings too
        await trio.sleep(0.5)
        await connection.ping(b"", play.patience)
    play.expect(len(play.server.connections) == 1, "it left a server that pinged and answered its pings")
    await play.settled(connection)


@sequence("A ping of WebSocket is answered with a pong, and PingPong PING with PONG and the same id", "pingpong")
async def answers_pings(play: Play) -> None:
    connection = await play.begin()
    is_answered = await connection.ping(b"are you there", play.patience)
    play.expect(is_answered, "a ping of WebSocket got no pong")
    await connection.send(pb.PingPong(kind=pb.PingPong.PING, id="p1"))
    await play.until(
        "PingPong PONG with the id p1 comes",
        lambda: (
            any(
                scheme.ping_pong.kind == pb.PingPong.PONG and scheme.ping_pong.id == "p1"
                for scheme in connection.frames
            )
            or None
        ),
    )
    await connection.deliver(entry(1, "one"))
    await play.shows("one")


SEQUENCES: Final[tuple[Sequence, ...]] = (
    waits_for_a_slow_hello,
    gives_up_a_server_without_hello,
    leaves_a_silent_server,
    stays_with_a_quiet_server,
    answers_pings,
)
