"""Frames in every form: of later versions, in fragments, byte by byte."""

from typing import Final

from bimip.conformance.frames import CODECS
from bimip.conformance.play import Play, entry, own, sent
from bimip.conformance.proxy import Faults, Plan
from bimip.conformance.sequence import Sequence, sequence
from bimip.conformance.sequences.closing import frame
from bimip.wire import bimip_pb2 as pb

LATER: Final = "what-may-change"


@sequence("Fields that a client does not know are passed over, in whichever message they stand", LATER)
async def passes_over_unknown_fields(play: Play) -> None:
    connection = await play.begin(unknown=True)
    await connection.deliver(entry(1, "one"), unknown=True)
    await play.shows("one")
    await play.acked(connection, 1)
    play.expect(len(play.server.connections) == 1, "it ended a connection over a field that it does not know")


@sequence("A frame with a route that a client does not know is passed over", LATER)
async def passes_over_unknown_routes(play: Play) -> None:
    connection = await play.begin()
    await connection.send_data(CODECS[play.subprotocol].unknown_route())
    await connection.deliver(entry(1, "one"))
    await play.shows("one")
    play.expect(len(play.server.connections) == 1, "it ended a connection over a frame that it does not know")


@sequence(
    "What carries an unknown value of an enum is left aside: such a status is no SENT, such a turn shows nothing", LATER
)
async def leaves_unknown_values_aside(play: Play) -> None:
    connection = await play.begin()
    await play.send("m1")
    await play.message(connection, "m1")
    signal = sent(own(1, "m1"), connection.ref_of("m1"))
    signal.status = 99
    await connection.send(pb.Body(signals=[signal]))
    later = pb.Body(partition="chat", turn=99, messages=[entry(1, "of a later turn")])  # type: ignore[arg-type]
    await connection.send(later)
    await play.settled(connection)
    play.expect(not play.said("sent"), "a signal with an unknown status is taken for SENT")
    play.expect(not play.seen(), f"a batch with an unknown turn is shown: {play.seen()}")


@sequence("A message in fragments, with a ping between them, is one frame", "connecting")
async def joins_fragments(play: Play) -> None:
    connection = await play.begin()
    data, opcode = connection.body_of(entry(1, "Grüße 👋"), entry(2, "two"))
    connection.upto["chat"] = 2
    pieces = [data[at : at + 3] for at in range(0, len(data), 3)]  # which also cut characters in two
    last = len(pieces) - 1
    for number, piece in enumerate(pieces):
        if number == last // 2:
            await connection.send_raw(frame(9, b"between"))
        await connection.send_raw(frame(opcode if number == 0 else 0, piece, is_last=number == last))
    await play.shows("Grüße 👋", "two")
    await play.acked(connection, 2)


@sequence("Frames that come byte by byte are taken as if they came at once", "connecting")
async def takes_single_bytes(play: Play) -> None:
    connection = await play.begin()
    for number, text in enumerate(("one", "x" * 300), 1):
        data, opcode = connection.body_of(entry(number, text), after=number - 1)
        connection.upto["chat"] = number
        for byte in frame(opcode, data):
            await connection.send_raw(bytes([byte]))
    await play.shows("one", "x" * 300)
    await play.acked(connection, 2)


@sequence("A frame that comes twice is taken once", "showing-each-message-exactly-once")
async def takes_a_doubled_frame_once(play: Play) -> None:
    play.server.plan = Plan(down=Faults(duplicate=frozenset({1, 3})))
    connection = await play.begin()
    await connection.deliver(entry(1, "one"), entry(2, "two"))
    await connection.deliver(entry(3, "three"))
    await connection.deliver(entry(4, "four"), entry(5, "five"))
    await play.until("'five' is shown", lambda: "five" in play.shown() or None)
    await play.settled(connection)
    play.expect(play.seen() == ["one", "two", "three", "four", "five"], f"shown is {play.seen()}")


@sequence("A frame of nearly `max_frame_bytes` is taken", "limits")
async def takes_a_large_frame(play: Play) -> None:
    connection = await play.begin()
    text = "large " * 10_000
    await connection.deliver(*(entry(number, f"{number} {text}") for number in range(1, 12)))
    await play.until("'11 large …' is shown", lambda: len(play.shown()) == 11 or None)
    await play.acked(connection, 11)
    play.expect(len(play.server.connections) == 1, "it ended a connection over a frame of 700 KB")


SEQUENCES: Final[tuple[Sequence, ...]] = (
    passes_over_unknown_fields,
    passes_over_unknown_routes,
    leaves_unknown_values_aside,
    joins_fragments,
    takes_single_bytes,
    takes_a_doubled_frame_once,
    takes_a_large_frame,
)
