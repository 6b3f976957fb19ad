"""Retention removes what a device is being sent: the moment between its commit and its news."""

from trio.testing import MockClock

from bimip.client.wire import bimip as pb
from bimip.domain.core.clock import earliest_stamp
from bimip.domain.core.ids import Millis
from bimip.domain.core.operations import ExpireLog
from bimip.domain.core.records import Table
from bimip.testing.virtual import virtual_millis
from tests.kit.faults import HeldWorker
from tests.kit.memory_server import at, open_world, settle


async def test_what_expires_while_it_is_being_sent_is_told_as_expired_before_the_session_knows(
    autojump_clock: MockClock,
) -> None:
    worker = HeldWorker()
    async with open_world(open_worker=lambda: worker) as world:
        await world.register("bob")
        carol = await world.join("carol", "phone")
        for number in range(1, 5):
            await carol.post("bob", bytes(40_000), f"m{number}", partition="notification")
        bob = world.connect("bob", "phone", room=1)
        bob.send(hello=pb.Hello(partitions=[at(0, partition="notification")]))
        await settle()
        with world.server.store.snapshot() as view:
            number = view.get(Table.USERS, ("bob",)).number
        worker.hold = "after"  # on disk, and nobody was told
        world.server.queue.submit(ExpireLog(number, "notification", earliest_stamp(Millis(virtual_millis() + 1000))))
        await worker.wait_held()
        heard = await bob.heard_slowly()

        assert heard.offsets == [1]
        assert heard.gaps == [(2, 4, pb.GapReason.EXPIRED)]
