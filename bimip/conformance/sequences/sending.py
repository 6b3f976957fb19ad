"""Messages that the client writes: under one id until they are answered, in their order, each answered once."""

from typing import Final

import trio

from bimip.conformance.play import Play, entry, own, sent
from bimip.conformance.sequence import Sequence, sequence
from bimip.conformance.server import Connection
from bimip.wire import bimip_pb2 as pb

AGAIN: Final = "errors"
SHOWING: Final = "showing-each-message-exactly-once"


async def _answer(connection: Connection, offset: int, message_id: str, *, duplicate: bool = False) -> None:
    """Answers a message with SENT. That says nothing of what lies before it in the log."""
    signal = sent(own(offset, message_id), connection.ref_of(message_id), duplicate=duplicate)
    if offset == connection.upto["chat"] + 1:
        connection.upto["chat"] = offset
    await connection.send(pb.Body(signals=[signal]))


async def _refuse(connection: Connection, message_id: str, code: int, retry_after_ms: int = 0) -> None:
    error = pb.ErrorMessage(
        code=code,  # type: ignore[arg-type]  # also one that is none yet
        message="refused by the sequence",
        id=message_id,
        ref=connection.ref_of(message_id),
        retry_after_ms=retry_after_ms,
    )
    await connection.send(pb.Body(errors=[error]))


@sequence("A message that was answered with SENT is told as sent, and is not sent again", "message")
async def sends_once_what_is_answered(play: Play) -> None:
    connection = await play.begin()
    await play.send("m1", "Grüße 👋")
    message = await play.message(connection, "m1")
    play.expect(message.to.eid == "alice@example.org", f"the message is to {message.to.eid!r}")
    play.expect(
        message.payload.decode() == "Grüße 👋", f"the payload is {message.payload!r}, and not the text in UTF-8"
    )
    play.expect(message.type == 1, f"the message's type is {message.type}, and not 1")
    await _answer(connection, 1, "m1")
    await play.is_sent("m1")
    again = await play.again(connection, heads={"chat": 1})
    await play.send("m2")
    await play.message(again, "m2")
    play.expect(not [one for one in again.messages if one.id == "m1"], "m1 was answered, and is sent again after a cut")


@sequence("A message that got no answer before a cut is sent again, under its id and as it was", AGAIN)
async def sends_again_what_is_not_answered(play: Play) -> None:
    connection = await play.begin()
    await play.send("m1", "the same")
    first = await play.message(connection, "m1")
    again = await play.again(connection)
    second = await play.message(again, "m1")
    same = (first.to, first.type, first.payload, first.partition) == (
        second.to,
        second.type,
        second.payload,
        second.partition,
    )
    play.expect(same, "m1 is sent again with other content: the server would answer CONFLICT")
    await _answer(again, 1, "m1", duplicate=True)
    await play.is_sent("m1")
    await play.settled(again)
    play.expect(play.sent_ids() == ["m1"], f"told as sent are {play.sent_ids()}: once is right, a duplicate too")


@sequence("What waits for its answer outlives a kill, and is sent in the order in which it was written", AGAIN)
async def keeps_what_is_not_answered_over_a_kill(play: Play) -> None:
    connection = await play.begin()
    for message_id in ("m1", "m2", "m3"):
        await play.send(message_id)
        await play.message(connection, message_id)
    await play.kill()
    again = await play.begin()
    await play.message(again, "m3")
    order = [one.id for one in again.messages][:3]
    play.expect(order == ["m1", "m2", "m3"], f"after a kill what was not answered is sent as {order}")
    for offset, message_id in enumerate(order, 1):
        await _answer(again, offset, message_id)
    await play.is_sent("m3")


@sequence("A SENT that comes twice is told once", "message")
async def tells_a_duplicate_sent_once(play: Play) -> None:
    connection = await play.begin()
    await play.send("m1")
    await play.message(connection, "m1")
    await _answer(connection, 1, "m1")
    await _answer(connection, 1, "m1")
    await play.is_sent("m1")
    await play.settled(connection)
    play.expect(play.sent_ids() == ["m1"], f"told as sent are {play.sent_ids()}, and SENT of m1 came twice")


@sequence(
    "An own entry whose SENT got lost is known by its id: it is told as sent, not shown, and not sent again", SHOWING
)
async def knows_its_own_entry(play: Play) -> None:
    connection = await play.begin()
    await play.send("m1", "mine")
    await play.message(connection, "m1")
    again = await play.again(connection, heads={"chat": 1}, result=pb.UNKNOWN_OUTCOME)
    await again.deliver(own(1, "m1", "mine"))
    await play.is_sent("m1")
    if any(one.id == "m1" for one in again.messages):  # it came before the entry did
        await _answer(again, 1, "m1")
    await play.settled(again)
    play.expect("mine" not in play.shown(), "its own message is shown as if it were another's")
    play.expect(play.sent_ids() == ["m1"], f"told as sent are {play.sent_ids()}")
    last = await play.again(again)
    await play.settled(last)
    play.expect(not last.messages, "m1 stood in the log, and is sent again")


@sequence("SENT's `user_offset` is held: it is said in Hello, and absorbed when the range reaches it", SHOWING)
async def holds_what_it_wrote(play: Play) -> None:
    connection = await play.begin()
    await play.send("m1")
    await play.message(connection, "m1")
    await _answer(connection, 3, "m1")
    await play.is_sent("m1")
    again = await play.again(connection)
    play.expect(again.held() == [(3, 3)], f"m1 lies at offset 3, and Hello says held {again.held()}")
    await again.deliver(entry(2, "two"))
    await play.shows("two")
    await play.acked(again, 2)
    last = await play.again(again)
    play.expect(last.offset() == 3, f"up to 2 came, 3 is its own, and Hello says offset {last.offset()}")


@sequence("What was refused for the moment is sent again under its id, not before `retry_after_ms` is over", AGAIN)
async def sends_again_what_was_refused_for_the_moment(play: Play) -> None:
    connection = await play.begin()
    await play.send("m1")
    codes = (pb.RATE_LIMITED, pb.STORAGE_FULL, pb.UNAVAILABLE, pb.UNKNOWN_OUTCOME)
    for number, code in enumerate(codes, 1):
        await play.message(connection, "m1", number)
        refused = trio.current_time()
        await _refuse(connection, "m1", code, 400 if code == pb.RATE_LIMITED else 1)
        await play.message(connection, "m1", number + 1)
        if code == pb.RATE_LIMITED:
            waited = trio.current_time() - refused
            play.expect(waited >= 0.4, f"m1 is to wait 400 ms, and is sent again after {waited * 1000:.0f}")
    await _answer(connection, 1, "m1")
    await play.is_sent("m1")
    play.expect(not play.said("refused"), "m1 is told as refused, and was to be sent again")


@sequence("What was refused for good is told so, with its code, and is not sent again; an unknown code is one", AGAIN)
async def gives_up_what_was_refused_for_good(play: Play) -> None:
    connection = await play.begin()
    codes = {"m1": pb.NOT_FOUND, "m2": pb.FORBIDDEN, "m3": pb.CONFLICT, "m4": pb.INVALID, "m5": 99}
    for message_id, code in codes.items():
        await play.send(message_id)
        await play.message(connection, message_id)
        await _refuse(connection, message_id, code)
    await play.until(
        lambda: f"five messages are told as refused; told are {play.said('refused')}",
        lambda: {str(one.get("id")) for one in play.said("refused")} == set(codes) or None,
    )
    told = {one.get("id"): one.get("code") for one in play.said("refused")}
    expected = {"m1": "NOT_FOUND", "m2": "FORBIDDEN", "m3": "CONFLICT", "m4": "INVALID"}
    for message_id, name in expected.items():
        play.expect(
            told[message_id] == name, f"{message_id} was refused with {name}, and is told with {told[message_id]}"
        )
    again = await play.again(connection)
    await play.send("m6")
    await play.message(again, "m6")
    ids = [one.id for one in again.messages]
    play.expect(ids == ["m6"], f"after a cut {ids} are sent: what was refused is given up")


SEQUENCES: Final[tuple[Sequence, ...]] = (
    sends_once_what_is_answered,
    sends_again_what_is_not_answered,
    keeps_what_is_not_answered_over_a_kill,
    tells_a_duplicate_sent_once,
    knows_its_own_entry,
    holds_what_it_wrote,
    sends_again_what_was_refused_for_the_moment,
    gives_up_what_was_refused_for_good,
)
