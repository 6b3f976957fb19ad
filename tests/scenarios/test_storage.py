"""A full disk refuses what needs room and nothing else; what is old goes, and says so."""

import trio
from trio.testing import MockClock

from bimip.client.wire import bimip as pb
from bimip.config import Settings
from bimip.domain.core.records import LogTable, Table
from bimip.storage.memory import MemoryStore
from bimip.testing.virtual import settings_for_tests
from tests.kit.memory_server import Client, World, at, begin, go_on, message, open_world
from tests.scenarios.conftest import OpenStore

DAY = 24 * 60 * 60
FULL = pb.ErrorCode.STORAGE_FULL


async def fill_up(store: MemoryStore, world: World) -> tuple[Client, Client]:
    """Bob's and carol's phones, on a store that has no room left after three messages from her to him."""
    bob, carol = await world.join("bob", "phone"), await world.join("carol", "phone")
    for number in range(1, 4):
        await carol.post("bob", b"%d" % number, f"m{number}")
    await bob.heard()
    await carol.heard()
    store._quota_bytes = 1
    return bob, carol


async def test_a_full_store_refuses_messages_and_says_when_to_try_again(autojump_clock: MockClock) -> None:
    store = MemoryStore()
    async with open_world(store=store) as world:
        bob, carol = await fill_up(store, world)
        carol.write("bob", b"4", "m4")
        [error] = (await carol.heard()).errors

        assert (error.code, error.id) == (FULL, "m4")
        assert error.retry_after_ms > 0
        assert (await bob.heard()).frames == []


async def test_reading_and_acknowledging_go_on_while_the_store_is_full(autojump_clock: MockClock) -> None:
    store = MemoryStore()
    async with open_world(store=store) as world:
        bob, carol = await fill_up(store, world)
        bob.acknowledge(2)
        receipts = (await carol.heard()).receipts
        laptop = await world.join("bob", "laptop", begin(pb.Start.FIRST))

        assert [(run.first, run.last) for run in receipts] == [(1, 2)]
        assert (await laptop.heard()).payloads == [b"1", b"2", b"3"]


async def test_an_ack_in_one_batch_with_a_message_is_not_refused_with_it(autojump_clock: MockClock) -> None:
    store = MemoryStore()
    async with open_world(store=store) as world:
        bob, carol = await fill_up(store, world)
        ack = pb.Signal(status=2, partition="chat", upto=2)
        written = [message("carol", b"4", "m4"), message("nobody", b"5", "m5")]
        bob.send(body=pb.Body(messages=written, signals=[ack]))
        carol.send(message=message("bob", b"1", "m1"))
        answers, again = await bob.heard(), await carol.heard()

        assert sorted((error.code, error.id) for error in answers.errors) == [
            (pb.ErrorCode.NOT_FOUND, "m5"),
            (FULL, "m4"),
        ]
        assert [(one.id, one.duplicate) for one in again.sent] == [("m1", True)]
        assert [(run.first, run.last) for run in again.receipts] == [(1, 2)]


async def test_who_wrote_offline_may_connect_to_a_full_store(autojump_clock: MockClock) -> None:
    store = MemoryStore()
    async with open_world(store=store) as world:
        bob, _ = await fill_up(store, world)
        bob.cut()
        bob = await world.join("bob", "phone", at(2), messages=[message("carol", b"4", "m4")])

        assert [result.error.code for result in bob.welcome.results if result.error is not None] == [FULL]
        assert (await bob.heard()).payloads == [b"3"]


async def test_it_recovers_without_a_restart_when_room_returns(autojump_clock: MockClock) -> None:
    store = MemoryStore()
    async with open_world(store=store) as world:
        bob, carol = await fill_up(store, world)
        carol.write("bob", b"4", "m4")
        await carol.heard()
        ready = world.server.readiness()
        store._quota_bytes = 0
        sent = await carol.post("bob", b"4", "m4")

        assert ready != []
        assert world.server.readiness() == []
        assert (sent.user_offset, sent.duplicate) == (4, False)
        assert (await bob.heard()).payloads == [b"4"]


def keeping(days: int = 1, dedup: int = 1, **more: str) -> Settings:
    history = ",".join(f"{name}={days}" for name in ("chat", "notification", "feed", "sync"))
    return settings_for_tests(
        BIMIP_RETENTION_HISTORY_DAYS=history,
        BIMIP_RETENTION_DEDUP_DAYS=str(dedup),
        BIMIP_RETENTION_OFFLINE_DAYS="1",
        BIMIP_RETENTION_EVERY_SECONDS="3600",
        **more,
    )


async def test_a_device_that_asks_below_what_is_kept_is_told_of_the_gap(
    autojump_clock: MockClock, open_store: OpenStore
) -> None:
    async with open_world(settings=keeping(), open_store=open_store) as world:
        await world.register("bob")
        await world.fill("bob", 1, 2, 3)
        await trio.sleep(DAY)
        await world.fill("bob", 4, 5)
        await trio.sleep(DAY / 2)
        bob = await world.join("bob", "phone", at(1))
        heard = await bob.heard()
        [log] = bob.welcome.logs
        [gap] = bob.welcome.gaps

        assert (log.first, log.head, log.position) == (4, 5, 3)
        assert (gap.partition, gap.from_, gap.to, gap.reason) == ("chat", 2, 3, pb.GapReason.EXPIRED)
        assert (heard.payloads, heard.ranges) == ([b"4", b"5"], [(3, 5)])


async def test_a_device_that_starts_at_the_first_is_told_of_no_gap(autojump_clock: MockClock) -> None:
    async with open_world(settings=keeping()) as world:
        await world.register("bob")
        await world.fill("bob", 1, 2)
        await trio.sleep(DAY)
        await world.fill("bob", 3)
        await trio.sleep(DAY / 2)
        bob = await world.join("bob", "laptop", begin(pb.Start.FIRST))

        assert bob.welcome.gaps == []
        assert (await bob.heard()).ranges == [(2, 3)]


async def test_what_expires_before_a_connected_device_got_it_is_told_as_a_gap(autojump_clock: MockClock) -> None:
    settings = keeping(BIMIP_LIMITS_WINDOW_ENTRIES="2", BIMIP_LIMITS_GRACE_SECONDS="86400")
    async with open_world(settings=settings) as world:
        await world.register("bob")
        await world.fill("bob", *range(1, 101))
        carol = await world.join("carol", "phone", go_on())
        bob = await world.join("bob", "phone", at(0))
        first = await bob.heard()
        await trio.sleep(1.5 * DAY)
        await bob.heard()
        bob.acknowledge(2)
        heard = await bob.heard()
        receipts = (await carol.heard()).receipts

        assert first.offsets == [1, 2]
        assert (heard.gaps, heard.ranges) == ([(3, 100, pb.GapReason.EXPIRED)], [(2, 100)])
        assert [(run.first, run.last) for run in receipts] in ([(1, 2)], [])


async def test_offsets_are_never_used_again_also_after_an_emptied_log_and_a_restart(
    autojump_clock: MockClock, open_store: OpenStore
) -> None:
    async with open_world(settings=keeping(), open_store=open_store) as world:
        await world.register("bob")
        await world.fill("bob", 1, 2, 3)
        await trio.sleep(1.5 * DAY)
        await world.fill("bob", 4)
        await trio.sleep(1.5 * DAY)
    async with open_world(settings=keeping(), open_store=open_store) as world:
        bob = await world.join("bob", "phone", begin(pb.Start.FIRST))
        await world.fill("bob", 5)
        heard = await bob.heard()
        [got] = heard.messages

        assert (bob.welcome.logs[0].first, bob.welcome.logs[0].head) == (5, 4)
        assert (got.user_offset, got.conversation_offset, heard.ranges) == (5, 5, [(4, 5)])


def counted(world: World) -> list[int]:
    """Of messages to bob: bodies, what deduplication knows, entries of his log, places in the history."""
    with world.server.store.snapshot() as view:
        bodies = view.scan(Table.BODIES, (0,), (1 << 64,), limit=10)
        seen = view.scan(Table.SEEN, (0,), (1 << 32,), limit=10)
        number = view.get(Table.USERS, ("bob",)).number
        entries = view.read(LogTable.ENTRIES, (number, "chat"), 0, limit=10)
        return [len(bodies), len(seen), len(entries), len(view.read(LogTable.HISTORY, (1,), 0, limit=10))]


async def test_bodies_and_history_go_with_the_last_log(autojump_clock: MockClock, open_store: OpenStore) -> None:
    async with open_world(settings=keeping(), open_store=open_store) as world:
        bob, carol = await world.join("bob", "phone"), await world.join("carol", "phone")
        sent = await carol.post("bob", b"1", "m1")
        before = counted(world)
        await trio.sleep(1.5 * DAY)
        after = counted(world)
        laptop = await world.join("bob", "laptop", go_on())
        laptop.send(fetch=pb.Fetch(kind=pb.FetchKind.HISTORY, conversation=sent.conversation))
        [answer] = [body for body in (await laptop.heard()).bodies if body.turn == pb.Turn.TURN_FETCH]

        assert (before, after) == ([1, 1, 1, 1], [0, 0, 0, 0])
        assert (answer.messages, answer.complete) == ([], True)
        assert not bob.is_connected  # it never acknowledged


async def test_a_message_id_outlives_its_entry(autojump_clock: MockClock, open_store: OpenStore) -> None:
    async with open_world(settings=keeping(days=1, dedup=4), open_store=open_store) as world:
        await world.register("bob")
        carol = await world.join("carol", "phone")
        first = await carol.post("bob", b"1", "m1")
        await trio.sleep(3 * DAY)
        again = await carol.post("bob", b"1", "m1")
        await trio.sleep(2 * DAY)
        new = await carol.post("bob", b"1", "m1")

        assert (again.duplicate, again.signal_offset) == (True, first.signal_offset)
        assert (new.duplicate, new.user_offset) == (False, 2)


async def test_what_is_kept_for_ever_stays(autojump_clock: MockClock) -> None:
    settings = settings_for_tests(
        BIMIP_RETENTION_HISTORY_DAYS="chat=0,notification=1", BIMIP_RETENTION_EVERY_SECONDS="3600"
    )
    async with open_world(settings=settings) as world:
        await world.register("bob")
        await world.fill("bob", 1)
        await world.fill("bob", 2, partition="notification")
        await trio.sleep(40 * DAY)
        bob = await world.join("bob", "phone", at(0), at(0, partition="notification"))
        heard = await bob.heard()

        assert heard.payloads == [b"1"]
        assert [(gap.partition, gap.from_, gap.to) for gap in bob.welcome.gaps] == [("notification", 1, 1)]
