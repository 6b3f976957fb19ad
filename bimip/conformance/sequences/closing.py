"""Ends of connections: after which to come again, when, and after which not."""

from typing import Final

import trio

from bimip.conformance.play import Play, Skipped, entry
from bimip.conformance.sequence import Sequence, sequence
from bimip.conformance.server import Refusal

CODES: Final = "close-codes"


@sequence("After a cut, and after codes that say so or are unknown, the client connects again and goes on", CODES)
async def comes_again(play: Play) -> None:
    connection = await play.begin()
    for number, code in enumerate((0, 1001, 1011, 1013, 3500, 4000, 4001, 4002, 4050), 1):
        await connection.deliver(entry(number, f"text {number}"))
        await play.until(f"'text {number}' is shown", lambda: f"text {number}" in play.shown() or None)  # noqa: B023
        await play.acked(connection, number)
        if code:
            await connection.close(code, "try again")
        else:
            await connection.cut()
        connection = await play.welcomed()
        play.expect(connection.offset() == number, f"after {code or 'a cut'} Hello says offset {connection.offset()}")
    play.expect(not play.said("stopped"), f"it says that it stopped: {play.said('stopped')}")


@sequence(
    "After codes that say so, and unknown ones from 4100 to 4199, the client says that it stopped, and stays away",
    CODES,
)
async def stays_away(play: Play) -> None:
    await play.start()
    for code in (1000, 1002, 1003, 1007, 1009, 4101, 4102, 4103, 4104, 4105, 4106, 4107, 4108, 4150):
        connection = await play.welcomed()
        await connection.close(code, "not again")
        attempts = len(play.server.attempts)

        def told(code: int = code) -> bool | None:
            return any(one.get("code") == code for one in play.said("stopped")) or None

        await play.until(f"after {code} the client says that it stopped, with this code", told)
        play.expect(len(play.server.attempts) == attempts, f"after {code} it connected again by itself")
        await play.do("connect")
    await play.welcomed()


@sequence(
    "A frame that a cut leaves in part counts for nothing: its entries come again, and are shown once", "the-frame"
)
async def drops_a_frame_that_is_cut(play: Play) -> None:
    connection = await play.begin()
    await connection.deliver(entry(1, "one"))
    await play.shows("one")
    await play.acked(connection, 1)
    data, opcode = connection.body_of(entry(2, "two"), entry(3, "three"), after=1)
    await connection.send_raw(frame(opcode, data)[:-7])
    again = await play.again(connection)
    play.expect(again.offset() == 1, f"of two entries a part came, and Hello says offset {again.offset()}")
    await again.deliver(entry(2, "two"), entry(3, "three"))
    await play.shows("one", "two", "three")


@sequence("`again in N seconds` in the reason of 1001 and 1013 is obeyed", CODES)
async def waits_as_long_as_it_is_told(play: Play) -> None:
    connection = await play.begin()
    for code, reason in ((1001, "the server drains: again in 1 second"), (1013, "too many: come again in 1 seconds.")):
        closed = trio.current_time()
        await connection.close(code, reason)
        connection = await play.welcomed()
        waited = connection.opened - closed
        play.expect(waited >= 1.0, f"{code} says {reason!r}, and it came again after {waited:.2f} seconds")


@sequence("In the reason of another code, and as part of another word, `again in N seconds` means nothing", CODES)
async def reads_a_wait_where_it_stands_alone(play: Play) -> None:
    connection = await play.begin()
    for code, reason in (
        (4000, "again in 900 seconds"),
        (1013, "again in 900 secondsx"),
        (1001, "again in 900 minutes"),
    ):
        await connection.close(code, reason)
        connection = await play.welcomed()


@sequence("An attempt that fails is followed by the next with back-off, and not at once, again and again", CODES)
async def backs_off(play: Play) -> None:
    await play.start()
    connection = await play.connection()
    begun = trio.current_time()
    while trio.current_time() < begun + 1.0:
        await connection.cut()
        number = len(play.server.connections)
        with trio.move_on_after(max(0.0, begun + 1.0 - trio.current_time())):
            connection = await play.connection(within=play.patience)
        if len(play.server.connections) == number:
            break
    attempts = sum(at <= begun + 1.0 for at in play.server.attempts)
    play.expect(attempts <= 25, f"within a second it connected {attempts} times, each of which was cut")


@sequence(
    "An answer by HTTP with Retry-After is obeyed, and is not final; a 401 that begins with a code of 41xx is", CODES
)
async def obeys_http(play: Play) -> None:
    connection = await play.begin()
    if not connection.token:
        raise Skipped("the client shows its token in Hello, as browsers do, which see no answer by HTTP")
    play.server.refusals += [Refusal(503, "too many", retry_after=1), Refusal(401, "log in at the proxy")]
    attempts = len(play.server.attempts)
    connection = await play.again(connection)
    refused = play.server.attempts[attempts]
    waited = play.server.attempts[attempts + 1] - refused
    play.expect(waited >= 1.0, f"503 says Retry-After: 1, and it came again after {waited:.2f} seconds")
    play.server.refusals.append(Refusal(401, "4102 log in again"))
    await connection.cut()
    await play.until(
        "after a 401 that begins with 4102 the client says that it stopped, with this code",
        lambda: any(one.get("code") == 4102 for one in play.said("stopped")) or None,
    )


def frame(opcode: int, data: bytes, *, is_last: bool = True) -> bytes:
    """Makes a frame of WebSocket, as servers send it (RFC 6455, 5.2)."""
    length = len(data)
    if length < 126:
        head = bytes([length])
    elif length < 65536:
        head = b"\x7e" + length.to_bytes(2, "big")
    else:
        head = b"\x7f" + length.to_bytes(8, "big")
    return bytes([opcode | (0x80 if is_last else 0)]) + head + data


SEQUENCES: Final[tuple[Sequence, ...]] = (
    comes_again,
    stays_away,
    drops_a_frame_that_is_cut,
    waits_as_long_as_it_is_told,
    reads_a_wait_where_it_stands_alone,
    backs_off,
    obeys_http,
)
