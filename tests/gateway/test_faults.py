"""Whatever one peer does, over real sockets: it gets the right end, its connection is gone soon, and a healthy one
beside it, and the listener, do not notice.
"""

import gc
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
import trio
from trio_websocket import open_websocket

from bimip.session.close import Close
from bimip.wire.limits import Limits
from tests.gateway.harness import (
    PING,
    SETTINGS,
    bearer,
    close_code_in,
    frame,
    open_port,
    open_world,
    opening,
    read_all,
    reset,
    upgrade,
)

Fault = Callable[[trio.SocketStream], Awaitable[None]]

OFTEN = Limits(heartbeat_seconds=0.3)
QUICK = replace(SETTINGS, handshake_seconds=0.3, send_seconds=0.3, close_seconds=0.1)
TEXT, BINARY, CONTINUATION, CLOSE, PING_FRAME, PONG = 1, 2, 0, 8, 9, 10
FIN, MORE, RSV1 = 0x80, 0x00, 0xC0


def sends(
    *data: bytes, code: int | None = None, subprotocol: str = "bimip.v1", ends: bool = True
) -> Callable[[trio.SocketStream], Awaitable[None]]:
    """After the handshake, that; the server closes with `code` (None: there is no close frame)."""

    async def fault(stream: trio.SocketStream) -> None:
        await upgrade(stream, Sec_WebSocket_Protocol=subprotocol)
        with suppress(trio.BrokenResourceError):  # the server may have heard enough
            for each in data:
                await stream.send_all(each)
        if ends:
            assert close_code_in(await read_all(stream)) == code

    return fault


async def says_nothing(stream: trio.SocketStream) -> None:
    assert await read_all(stream) == b""


async def closes_at_once(stream: trio.SocketStream) -> None:
    await stream.aclose()


async def resets_at_once(stream: trio.SocketStream) -> None:
    reset(stream)


async def garbage(stream: trio.SocketStream) -> None:
    await stream.send_all(bytes(range(256)) * 300)
    await read_all(stream)


async def half_a_handshake_and_eof(stream: trio.SocketStream) -> None:
    await stream.send_all(opening()[:60])
    await stream.send_eof()
    await read_all(stream)


async def a_handshake_and_a_reset(stream: trio.SocketStream) -> None:
    await stream.send_all(opening())
    reset(stream)


async def a_handshake_and_frames_before_the_answer(stream: trio.SocketStream) -> None:
    await stream.send_all(opening() + frame(BINARY, PING) * 3)
    await stream.send_eof()
    await read_all(stream)


async def resets_in_traffic(stream: trio.SocketStream) -> None:
    await upgrade(stream)
    await stream.send_all(frame(BINARY, PING) * 50)
    reset(stream)


async def resets_in_the_middle_of_a_frame(stream: trio.SocketStream) -> None:
    await upgrade(stream)
    await stream.send_all(frame(BINARY, bytes(70_000))[:1000])
    reset(stream)


async def resets_while_closing(stream: trio.SocketStream) -> None:
    await upgrade(stream)
    await stream.send_all(frame(CLOSE, b"\x03\xe8"))
    reset(stream)


async def leaves_without_a_close(stream: trio.SocketStream) -> None:
    await upgrade(stream)
    await stream.send_eof()
    await read_all(stream)


async def pings_while_closing(stream: trio.SocketStream) -> None:
    await upgrade(stream)
    await stream.send_all(frame(CLOSE, b"\x03\xe8") + frame(PING_FRAME) * 100)
    assert close_code_in(await read_all(stream)) == 1000


async def is_silent(stream: trio.SocketStream) -> None:
    await upgrade(stream)
    assert close_code_in(await read_all(stream)) == Close.SILENT


async def never_reads_what_comes_back(stream: trio.SocketStream) -> None:
    stream.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_RCVBUF, 4096)
    await upgrade(stream)
    with suppress(trio.BrokenResourceError):
        while True:
            await stream.send_all(frame(BINARY, bytes(100_000)))


async def pings_and_never_reads(stream: trio.SocketStream) -> None:
    stream.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_RCVBUF, 4096)
    await upgrade(stream)
    with suppress(trio.BrokenResourceError):
        while True:
            await stream.send_all(frame(PING_FRAME, bytes(125)) * 1000)


async def never_answers_a_close(stream: trio.SocketStream) -> None:
    await upgrade(stream)
    await stream.send_all(frame(TEXT, b"text"))
    with suppress(trio.BrokenResourceError):  # after some time it is cut
        while True:
            await stream.send_all(frame(BINARY, PING))
            await trio.sleep(0.01)
    assert close_code_in(await read_all(stream)) == Close.UNSUPPORTED_DATA


JSON = "bimip.v1.json"
MIB = 1 << 20

FAULTS: dict[str, Fault] = {
    fault.__name__: fault
    for fault in (
        says_nothing,
        closes_at_once,
        resets_at_once,
        garbage,
        half_a_handshake_and_eof,
        a_handshake_and_a_reset,
        a_handshake_and_frames_before_the_answer,
        resets_in_traffic,
        resets_in_the_middle_of_a_frame,
        resets_while_closing,
        leaves_without_a_close,
        pings_while_closing,
        is_silent,
        never_reads_what_comes_back,
        pings_and_never_reads,
        never_answers_a_close,
    )
} | {
    "text_on_binary": sends(frame(TEXT, b"text"), code=1003),
    "binary_on_json": sends(frame(BINARY, PING), code=1003, subprotocol=JSON),
    "a_message_that_is_too_big": sends(frame(BINARY, bytes(MIB + 1)), code=1009),
    "a_message_that_is_much_too_big": sends(frame(BINARY, bytes(20 * MIB)), code=1009),
    "a_frame_that_would_be_too_big": sends(
        frame(BINARY, bytes(2 * MIB), length=b"\x7f" + (1 << 62).to_bytes(8)), code=1009
    ),
    "fragments_that_are_too_big": sends(
        frame(BINARY, bytes(MIB), first=MORE), frame(CONTINUATION, bytes(MIB)), code=1009
    ),
    "broken_utf8": sends(frame(TEXT, b"\xff\xfe"), code=1007, subprotocol=JSON),
    "broken_utf8_in_fragments": sends(
        frame(TEXT, b"\xc3", first=MORE), frame(CONTINUATION, b"\x28"), code=1007, subprotocol=JSON
    ),
    "broken_utf8_in_a_close": sends(frame(CLOSE, b"\x03\xe8\xff"), code=1007),
    "an_unmasked_frame": sends(frame(BINARY, PING, mask=False), code=1002),
    "an_unknown_opcode": sends(frame(3, b"x"), code=1002),
    "an_unknown_control_opcode": sends(frame(15), code=1002),
    "a_reserved_bit": sends(frame(BINARY, PING, first=RSV1), code=1002),
    "a_continuation_of_nothing": sends(frame(CONTINUATION, b"x"), code=1002),
    "a_message_within_a_message": sends(frame(BINARY, b"x", first=MORE), frame(BINARY, b"y"), code=1002),
    "a_fragmented_ping": sends(frame(PING_FRAME, b"x", first=MORE), code=1002),
    "a_ping_that_is_too_long": sends(frame(PING_FRAME, bytes(126)), code=1002),
    "a_length_in_too_many_bytes": sends(frame(BINARY, b"x", length=b"\x7e\x00\x01"), code=1002),
    "a_length_below_zero": sends(frame(BINARY, b"x", length=b"\x7f" + b"\xff" * 8), code=1002),
    "a_close_of_one_byte": sends(frame(CLOSE, b"\x03"), code=1002),
    "a_close_with_a_code_of_nobody": sends(frame(CLOSE, (999).to_bytes(2)), code=1002),
    "a_close_with_a_code_that_is_never_sent": sends(frame(CLOSE, (1006).to_bytes(2)), code=1002),
    "a_close_with_a_code_too_high": sends(frame(CLOSE, (5000).to_bytes(2)), code=1002),
    "a_close_without_a_code": sends(frame(CLOSE), code=0),
    "a_close_with_a_private_code": sends(frame(CLOSE, (4999).to_bytes(2) + b"bye"), code=4999),
    "garbage_frames": sends(b"\xff" * 100_000, code=1002),
    "pongs_of_nothing": sends(frame(PONG, b"x") * 1000, frame(CLOSE, b"\x03\xe8"), code=1000),
    "pings_in_a_message": sends(
        frame(BINARY, b"x", first=MORE) + frame(PING_FRAME, b"p"), frame(CLOSE, b"\x03\xe8"), code=1000
    ),
    "empty_fragments": sends(
        frame(BINARY, b"x", first=MORE), frame(CONTINUATION, first=MORE) * 1000, frame(CLOSE, b"\x03\xe8"), code=1000
    ),
    "too_many_empty_fragments": sends(frame(BINARY, first=MORE), frame(CONTINUATION, first=MORE) * 20_000, code=1009),
    "half_a_message_and_nothing_more": sends(frame(BINARY, bytes(1000), first=MORE), code=Close.SILENT),
    "nonsense_in_json": sends(*[frame(TEXT, b"{")] * 9, code=Close.TOO_MANY_ERRORS, subprotocol=JSON),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
async def test_one_peers_fault_is_nobody_elses(fault: Fault) -> None:
    async with open_world(QUICK, OFTEN) as world, open_port(world) as port:
        with trio.fail_after(20):
            async with open_websocket(
                "127.0.0.1", port, "/", use_ssl=False, subprotocols=["bimip.v1"], extra_headers=bearer()
            ) as healthy:
                await healthy.send_message(PING)
                assert await healthy.get_message() == PING

                stream = await trio.open_tcp_stream("127.0.0.1", port)
                try:
                    await fault(stream)
                    await world.first_end.wait()
                finally:
                    stream.socket.close()
                await healthy.send_message(PING)

                assert await healthy.get_message() == PING
                assert world.ended == 1

            stream = await trio.open_tcp_stream("127.0.0.1", port)
            await upgrade(stream)
            await stream.aclose()


def conversation() -> bytes:
    message = frame(BINARY, PING)
    return message + frame(PING_FRAME, b"p") + frame(BINARY, PING, first=MORE) + frame(CONTINUATION) + frame(CLOSE)


@pytest.mark.parametrize("end", ["eof", "reset"])
async def test_a_cut_at_every_byte_of_a_conversation(end: str) -> None:
    patient = replace(QUICK, handshake_seconds=10.0)  # a busy machine must not end what is to be cut
    async with open_world(patient, OFTEN) as world, open_port(world) as port:
        said = opening() + conversation()
        files = open_files()
        places = [*range(0, len(opening()), 9), *range(len(opening()), len(said) + 1)]
        for place in places:
            stream = await trio.open_tcp_stream("127.0.0.1", port)
            await stream.send_all(said[: min(place, len(opening()))])
            if place > len(opening()):
                await read_head(stream)
                await stream.send_all(said[len(opening()) : place])
            if end == "reset":
                reset(stream)
            else:
                await stream.aclose()
        with trio.fail_after(20):
            while world.ended < len(places):  # noqa: ASYNC110 -- real sockets end when they end
                await trio.sleep(0.01)

        assert world.ended == len(places)
        assert open_files() == files


def open_files() -> int:
    gc.collect()  # sockets of tests that ran before are none of this one's
    return len(list(Path("/dev/fd").iterdir()))


async def read_head(stream: trio.SocketStream) -> None:
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        some = bytes(await stream.receive_some(1))
        assert some, f"the server closed after {head!r}"
        head += some
