"""Bytes that nobody thought of. Whatever comes, the connection ends in time or lives, and nothing is raised."""

import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from tests.gateway.harness import PING, Stream, frame, open_world, opening, upgrade

OPCODES = st.integers(0, 15)
frames = st.builds(
    lambda opcode, payload, first, masked: frame(opcode, payload, first=first, mask=masked),
    OPCODES,
    st.one_of(st.binary(max_size=130), st.just(PING), st.just(bytes(70_000))),
    st.sampled_from([0x80, 0x80, 0x80, 0x00, 0x40, 0xC0, 0xF0]),
    st.sampled_from([True, True, True, True, False]),
)
pieces = st.lists(st.one_of(frames, st.binary(max_size=20)), max_size=8)


@given(pieces, st.sampled_from(["bimip.v1", "bimip.v1.json"]), st.sampled_from(["closes", "stays"]))
@settings(max_examples=300, deadline=None)
def test_any_frames(said: list[bytes], subprotocol: str, end: str) -> None:
    async def converse() -> None:
        async with open_world() as world:
            stream = world.dial()
            await upgrade(stream, Sec_WebSocket_Protocol=subprotocol)
            await say(stream, said)
            if end == "closes":
                await stream.aclose()
            await world.first_end.wait()

            assert trio.current_time() < 120

    trio.run(converse, clock=MockClock(autojump_threshold=0))


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_any_opening(data: st.DataObject) -> None:
    """A good handshake with some bytes changed, dropped or put in."""
    said = bytearray(opening())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(said) - 1))
        said[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))

    async def converse() -> None:
        async with open_world() as world:
            stream = world.dial()
            await say(stream, [bytes(said), frame(8)])
            await world.first_end.wait()

            assert trio.current_time() < 120

    trio.run(converse, clock=MockClock(autojump_threshold=0))


async def say(stream: Stream, said: list[bytes]) -> None:
    try:
        for each in said:
            await stream.send_all(each)
            await trio.testing.wait_all_tasks_blocked()
    except trio.BrokenResourceError:
        pass
