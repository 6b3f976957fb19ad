"""Entries of the log: showing each once, acknowledging, and telling in Hello what was shown."""

from typing import Final

from bimip.conformance.play import Play, entry
from bimip.conformance.sequence import Sequence, sequence
from bimip.conformance.server import Connection
from bimip.wire import bimip_pb2 as pb

SHOWING: Final = "showing-each-message-exactly-once"


@sequence("Hello names the partitions and brings the token; nothing else comes before it", "hello")
async def says_hello(play: Play) -> None:
    connection = await play.begin()
    named = [one.partition for one in connection.hello.partitions]
    play.expect(
        sorted(named) == ["chat", "notification"], f"Hello names the partitions {named}, and not those it is to"
    )
    play.expect(bool(connection.hello.agent), "Hello.agent is empty: software and version stand there")
    await play.settled(connection)


@sequence(
    "A batch in turn is shown in its order and acknowledged with its `upto`; jumps of offsets are no loss", "the-model"
)
async def shows_a_batch_in_order(play: Play) -> None:
    connection = await play.begin()
    await connection.deliver(entry(3, "one"), entry(4, "two"), entry(7, "three"), upto=10)
    await play.shows("one", "two", "three")
    await play.acked(connection, 10)
    again = await play.again(connection)
    play.expect(again.offset() == 10, f"after a batch up to 10 the next Hello says offset {again.offset()}")
    await play.settled(again)


@sequence("What is sent again (REDELIVERED) is not shown again, and is acknowledged again", "redelivery")
async def shows_what_is_redelivered_once(play: Play) -> None:
    connection = await play.begin()
    await connection.deliver(entry(1, "one"), entry(2, "two"))
    await play.shows("one", "two")
    await play.acked(connection, 2)
    acks = connection.acks()
    await connection.send(pb.Body(partition="chat", turn=pb.REDELIVERED, messages=[entry(2, "two")]))
    await play.until("what was sent again is acknowledged again", lambda: connection.acks() > acks or None)
    await play.settled(connection)
    play.expect(play.seen() == ["one", "two"], f"shown is {play.seen()}: what was sent again is shown again")


@sequence(
    "Hello says the position of what was shown, although the ack of it got lost; what comes again is not shown", SHOWING
)
async def keeps_its_position_over_a_lost_ack(play: Play) -> None:
    connection = await play.begin()
    await connection.deliver(entry(1, "one"), entry(2, "two"))
    await play.shows("one", "two")
    await play.acked(connection, 2)
    again = await play.again(connection, positions={"chat": 0})  # a server that never got the ack
    play.expect(again.offset() == 2, f"two entries were shown, and the next Hello says offset {again.offset()}")
    await again.deliver(entry(1, "one"), entry(2, "two"), entry(3, "three"))
    await play.shows("one", "two", "three")
    await play.acked(again, 3)


@sequence("A client that is killed and started again goes on where it was", SHOWING)
async def goes_on_after_a_kill(play: Play) -> None:
    connection = await play.begin()
    await connection.deliver(entry(1, "one"), entry(2, "two"))
    await play.shows("one", "two")
    await play.acked(connection, 2)
    await play.kill()
    again = await play.begin()
    play.expect(again.offset() == 2, f"after a kill Hello says offset {again.offset()}, and 2 was acknowledged before")
    play.expect(again.hello.epoch != 0, "after a kill Hello says no epoch: keep it with the positions")
    await again.deliver(entry(3, "three"))
    await play.shows("one", "two", "three")


@sequence("A client that is killed in the middle of a batch shows all of it in its two lives", SHOWING)
async def loses_nothing_in_a_kill(play: Play) -> None:
    texts = [f"text {number}" for number in range(1, 61)]
    connection = await play.begin()
    await connection.deliver(*(entry(number, text) for number, text in enumerate(texts, 1)))
    await play.until("the first message is shown", lambda: play.shown() or None)
    await play.kill()
    again = await play.begin()
    await again.deliver(*(entry(number, texts[number - 1]) for number in range(again.offset() + 1, 61)))
    await play.until(
        f"all 60 messages are shown, before the kill or behind it (Hello said offset {again.offset()})",
        lambda: set(texts) <= set(play.shown()) or None,
    )


@sequence("What comes out of turn is shown, held, said in Hello, and not shown again when its turn comes", SHOWING)
async def holds_what_comes_out_of_turn(play: Play) -> None:
    connection = await play.begin()
    await connection.send_out_of_turn(entry(5, "five"))
    await play.shows("five")
    await play.acked(connection, 5)
    again = await play.again(connection)
    play.expect(again.offset() == 0, f"only offset 5 came, out of turn, and Hello says offset {again.offset()}")
    play.expect(again.held() == [(5, 5)], f"offset 5 is held, and Hello says held {again.held()}")
    await again.deliver(entry(4, "four"), entry(5, "five"), entry(6, "six"))
    await play.shows("five", "four", "six")
    await play.acked(again, 6)
    last = await play.again(again)
    play.expect(last.offset() == 6, f"all up to 6 came, and Hello says offset {last.offset()}")
    play.expect(not last.held(), f"what `offset` reaches is absorbed, and Hello says held {last.held()}")


@sequence("A batch in turn that begins beyond the position is not taken: Hello is said again", SHOWING)
async def takes_no_batch_behind_a_hole(play: Play) -> None:
    connection = await play.begin()
    await connection.deliver(entry(1, "one"))
    await play.shows("one")
    await play.acked(connection, 1)
    connection.upto["chat"] = 5
    await connection.deliver(entry(6, "six"))
    await play.until(
        "a batch in turn with after 5, where 1 is held, ends the connection", lambda: connection.end is not None or None
    )
    again = await play.welcomed()
    play.expect(again.offset() == 1, f"a batch that does not join moved the position to {again.offset()}")
    await again.deliver(entry(2, "two"), entry(6, "six"))
    await play.shows("one", "two", "six")


@sequence("A gap is told, with its reason, and counts as held, in a batch and in Hello", "a-gap")
async def passes_gaps(play: Play) -> None:
    connection = await play.begin()
    for number, reason in enumerate((pb.EXPIRED, pb.SKIPPED, pb.DAMAGED)):
        first = 1 + number * 10
        await connection.deliver(entry(first + 9, f"behind {first}"), gaps=[_gap(first, first + 8, reason)])
    await play.shows("behind 1", "behind 11", "behind 21")
    await play.acked(connection, 30)
    again = await play.again(connection, positions={"chat": 40}, gaps=[_gap(31, 40, pb.EXPIRED)])
    play.expect(again.offset() == 30, f"all up to 30 came or is a gap, and Hello says offset {again.offset()}")
    await again.deliver(entry(41, "behind 31"))
    await play.shows("behind 1", "behind 11", "behind 21", "behind 31")
    expected = [(1, 9, "EXPIRED"), (11, 19, "SKIPPED"), (21, 29, "DAMAGED"), (31, 40, "EXPIRED")]
    await play.until("four gaps are told", lambda: len(play.said("gap")) >= 4 or None)
    told = [(one.get("from"), one.get("to"), one.get("reason")) for one in play.said("gap")]
    play.expect(told == expected, f"the gaps told are {told}, and not {expected}")


@sequence("Each partition has a position and acks of its own, however their batches interleave", "the-model")
async def keeps_partitions_apart(play: Play) -> None:
    connection = await play.begin()
    await connection.deliver(entry(1, "chat 1"), entry(2, "chat 2"))
    await connection.deliver(entry(1, "notification 1", partition="notification"), partition="notification")
    await connection.deliver(entry(3, "chat 3"))
    await connection.deliver(entry(5, "notification 5", partition="notification"), partition="notification")
    await connection.deliver(entry(4, "chat 4"))
    await play.until(
        lambda: f"six messages are shown; shown are {play.shown()}", lambda: len(play.shown()) >= 6 or None
    )
    for partition, last in (("chat", 4), ("notification", 5)):
        await play.acked(connection, last, partition)
        ours = [text for text in play.shown() if text.startswith(partition)]
        play.expect(ours == sorted(ours), f"the messages of {partition} are shown as {ours}")
    again = await play.again(connection)
    said = (again.offset("chat"), again.offset("notification"))
    play.expect(said == (4, 5), f"Hello says the offsets {said} of chat and notification, and not (4, 5)")


@sequence(
    "A client acknowledges before the window is full, so that delivery never stands still", "window-and-grace-period"
)
async def acknowledges_within_the_window(play: Play) -> None:
    connection = await play.begin()
    for first in (1, 101, 201):
        await connection.deliver(*(entry(one, f"text {one}") for one in range(first, min(first + 100, 257))))
    await play.acked(connection, 128)
    await connection.deliver(*(entry(one, f"text {one}") for one in range(257, 301)))
    await play.shows(*(f"text {one}" for one in range(1, 301)))
    await play.acked(connection, 300)


@sequence(
    "What is read is told with READ, and again after a cut, since nothing tells whether it was taken", "acknowledging"
)
async def says_again_what_was_read(play: Play) -> None:
    connection = await play.begin()
    await connection.deliver(entry(1, "one"), entry(2, "two"))
    await play.shows("one", "two")
    await play.do("read", conversation="c1", upto=2)
    await _reads(play, connection)
    again = await play.again(connection)
    await _reads(play, again)


async def _reads(play: Play, connection: Connection) -> None:
    await play.until(
        f"READ of c1 up to 2 comes over connection {connection.number + 1}",
        lambda: (
            any(one.status == pb.READ and one.conversation == "c1" and one.upto == 2 for one in connection.signals)
            or None
        ),
    )


def _gap(first: int, last: int, reason: pb.GapReason) -> pb.Gap:
    gap = pb.Gap(partition="chat", to=last, reason=reason)
    setattr(gap, "from", first)
    return gap


SEQUENCES: Final[tuple[Sequence, ...]] = (
    says_hello,
    shows_a_batch_in_order,
    shows_what_is_redelivered_once,
    keeps_its_position_over_a_lost_ack,
    goes_on_after_a_kill,
    loses_nothing_in_a_kill,
    holds_what_comes_out_of_turn,
    takes_no_batch_behind_a_hole,
    passes_gaps,
    keeps_partitions_apart,
    acknowledges_within_the_window,
    says_again_what_was_read,
)
