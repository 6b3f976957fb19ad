"""Another epoch: an older copy of the server's store was put back."""

from typing import Final

from bimip.conformance.play import Play, entry
from bimip.conformance.sequence import Sequence, sequence
from bimip.conformance.server import EPOCH

RESTORE: Final = "after-a-restore"
OTHER: Final = EPOCH + 4096


@sequence(
    "Another epoch drops the positions, is told, and shows what is not known by `signal_id`, and that alone", RESTORE
)
async def goes_on_in_another_epoch(play: Play) -> None:
    connection = await play.begin()
    await connection.deliver(entry(1, "one", number=1), entry(2, "two", number=2), entry(3, "lost", number=3))
    await play.shows("one", "two", "lost")
    await play.acked(connection, 3)
    await connection.cut()
    again = await play.connection()
    play.expect(again.hello.epoch == EPOCH, f"Hello says epoch {again.hello.epoch}, and the server's was {EPOCH}")
    await again.welcome(epoch=OTHER, positions={"chat": 1, "notification": 0}, heads={"chat": 3})
    await again.deliver(entry(2, "two", number=2), entry(3, "new", number=9))
    await play.shows("one", "two", "lost", "new")
    await play.acked(again, 3)
    epochs = [str(one.get("epoch")) for one in play.said("reset")]
    play.expect(epochs == [str(OTHER)], f"told as new epochs are {epochs}, and not {[str(OTHER)]}")
    last = await play.again(again, epoch=OTHER)
    play.expect(last.hello.epoch == OTHER, f"Hello says epoch {last.hello.epoch}, and the server's is {OTHER} now")
    play.expect(last.offset() == 3, f"in the new epoch all up to 3 came, and Hello says offset {last.offset()}")


@sequence("What was shown is known by `signal_id` after a kill, too, when another epoch begins", RESTORE)
async def knows_what_it_showed_after_a_kill(play: Play) -> None:
    connection = await play.begin()
    await connection.deliver(entry(1, "one", number=1), entry(2, "two", number=2))
    await play.shows("one", "two")
    await play.acked(connection, 2)
    await play.kill()
    again = await play.begin(epoch=OTHER, positions={"chat": 0, "notification": 0})
    await again.deliver(entry(1, "one", number=1), entry(2, "two", number=2), entry(3, "three", number=5))
    await play.shows("one", "two", "three")


@sequence("Held ranges are another epoch's, too, and said no more", RESTORE)
async def drops_held_ranges_of_another_epoch(play: Play) -> None:
    connection = await play.begin(positions={"chat": 0})
    connection.upto["chat"] = 0
    await connection.send_out_of_turn(entry(9, "nine", number=1))
    await play.shows("nine")
    await play.acked(connection, 9)
    again = await play.again(connection, epoch=OTHER, positions={"chat": 0, "notification": 0})
    await again.deliver(entry(9, "another nine", number=2))
    await play.shows("nine", "another nine")
    last = await play.again(again, epoch=OTHER)
    play.expect(not last.held(), f"in the new epoch nothing is held beyond 9, and Hello says held {last.held()}")


@sequence("The epoch, beyond 2^53, comes back digit by digit", "the-frame")
async def keeps_numbers_of_64_bits(play: Play) -> None:
    greatest = 2**63 - 1
    connection = await play.begin(epoch=greatest, state_version=0)
    await connection.deliver(entry(1, "one"))
    await play.shows("one")
    shown = play.said("shown")[0]
    play.expect(
        shown.get("signal_id") == entry(1, "one").signal_id, f"shown with the signal_id {shown.get('signal_id')!r}"
    )
    again = await play.again(connection, epoch=greatest)
    play.expect(again.hello.epoch == greatest, f"the epoch is {greatest}, and Hello says {again.hello.epoch}")
    await play.settled(again)
    play.expect(not play.said("reset"), "it found another epoch where there was none")


SEQUENCES: Final[tuple[Sequence, ...]] = (
    goes_on_in_another_epoch,
    knows_what_it_showed_after_a_kill,
    drops_held_ranges_of_another_epoch,
    keeps_numbers_of_64_bits,
)
