"""Whoever is killed at whatever moment: devices notice at worst a reconnect, and nobody else anything (I7).

"Nothing" is told in two ways: by the offsets that a device was sent, which are all there are, once each and in order;
and by the ranges that they came in, which join.
"""

from dataclasses import replace
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from bimip.client.wire import bimip as pb
from bimip.domain.core import operations as ops
from bimip.domain.core.decision import LogNews
from bimip.domain.core.operations import Barrier
from bimip.domain.core.records import Changes, LogTable, Table
from bimip.domain.decisions import OPERATIONS
from bimip.supervision import State
from bimip.testing.virtual import settings_for_tests
from bimip.users.session import LISTENERS, Session
from tests.kit.faults import Boom, FaultyStore, HeldWorker, StoreFault, raising, raising_for
from tests.kit.memory_server import Client, World, at, go_on, message, open_world, settle
from tests.kit.received import Received
from tests.scenarios.conftest import OpenStore


def joins(heard: Received, after: int, upto: int) -> bool:
    """Whether the ranges go on where the last one ended, from `after` to `upto`."""
    ranges = heard.ranges
    ends = [after, *(end for _, end in ranges)]
    return [begin for begin, _ in ranges] == ends[:-1] and ends[-1] == upto


async def watched(world: World) -> Client:
    """Somebody whom nothing of it concerns."""
    dave = await world.join("dave", "phone")
    await dave.heard()
    return dave


async def test_the_fetcher_dies_between_reading_and_sending(
    autojump_clock: MockClock, open_store: OpenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_world(open_store=open_store) as world:
        bob, dave = await world.join("bob", "phone"), await watched(world)
        await world.fill("bob", 1, 2)
        connection = bob.peer.connection
        monkeypatch.setattr(connection, "send_nowait", raising(Boom("before sending"), connection.send_nowait))
        await world.fill("bob", 3, 4, 5)
        heard = await bob.heard()

        assert heard.offsets == [1, 2, 3, 4, 5]
        assert joins(heard, 0, 5)
        assert bob.is_connected
        assert (await dave.heard()).frames == []


async def test_a_frame_that_cannot_be_sent_does_not_damage_the_entry_behind_it(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_world() as world:
        await world.register("bob")
        carol = await world.join("carol", "phone")
        for number in range(1, 5):
            await carol.post("bob", bytes(40_000), f"m{number}")
        bob = world.connect("bob", "phone")
        connection = bob.peer.connection
        greeted = connection.send_nowait
        monkeypatch.setattr(connection, "send_nowait", lambda frame: b"bimip/" in frame and greeted(frame))
        await bob.hello(at(0))
        monkeypatch.setattr(connection, "send_nowait", raising(Boom("before sending"), greeted, times=2))
        await trio.sleep(60)
        heard = await bob.heard()

        assert heard.gaps == []
        assert sorted(set(heard.offsets)) == [1, 2, 3, 4]


async def test_the_fetcher_is_killed_while_a_send_blocks(autojump_clock: MockClock, open_store: OpenStore) -> None:
    async with open_world(open_store=open_store) as world:
        await world.register("bob")
        await world.fill("bob", *range(1, 101))
        bob = world.connect("bob", "phone", room=1)
        bob.send(hello=pb.Hello(partitions=[at(0)]))
        heard: list[pb.MessageScheme] = []
        for number in range(101, 111):
            await world.fill("bob", number)
            await world.kill("users/bob/phone/fetcher")
            heard += (await bob.heard()).frames
            await trio.sleep(2.5)  # not more often than its supervisor forgives
        heard += (await bob.heard_slowly()).frames

        assert Received(heard).offsets == list(range(1, 111))
        assert joins(Received(heard), 0, 110)
        assert bob.is_connected


async def test_the_fetcher_is_killed_between_sending_and_the_ack(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await world.register("bob")
        await world.fill("bob", 1, 2, 3)
        bob = await world.join("bob", "phone", at(0))
        first = await bob.heard()
        await world.kill("users/bob/phone/fetcher")
        second = await bob.heard()
        bob.acknowledge(3)
        await trio.sleep(200)
        await world.fill("bob", 4)
        third = await bob.heard()

        assert (first.offsets, second.offsets, third.offsets) == ([1, 2, 3], [], [4])
        assert bob.is_connected


async def test_a_killed_fetcher_still_delivers_again_what_stays_unacknowledged(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await world.register("bob")
        await world.fill("bob", 1, 2)
        bob = await world.join("bob", "phone", at(0))
        await world.kill("users/bob/phone/fetcher")
        await trio.sleep(31)

        assert (await bob.heard()).offsets == [1, 2, 1, 2]


@pytest.mark.parametrize(
    "path", ["users/bob/phone/reader", "users/bob/phone", "users/bob", "users", "users/bob/phone/fetcher"]
)
async def test_what_is_killed_between_messages_costs_at_worst_a_reconnect(
    autojump_clock: MockClock, open_store: OpenStore, path: str
) -> None:
    async with open_world(open_store=open_store) as world:
        bob, carol = await world.join("bob", "phone"), await world.join("carol", "phone")
        dave = await watched(world)
        await carol.post("bob", b"1", "m1")
        heard = await bob.heard()
        await world.kill(path)
        position = heard.ranges[-1][1]
        if not carol.is_connected:
            carol = await world.join("carol", "phone", go_on())
        await carol.post("bob", b"2", "m2")
        if not bob.is_connected:
            assert await bob.closed() == 1011
            bob = await world.join("bob", "phone", at(position))
        rest = await bob.heard()

        assert (heard.offsets, rest.offsets) == ([1], [2])
        assert joins(rest, 1, 2)
        assert (await dave.heard()).frames == []
        assert dave.is_connected == (path != "users")
        assert world.server.users.statistics()["devices"] == len(
            [client for client in (bob, carol, dave) if client.is_connected]
        )


@pytest.mark.parametrize(
    "path",
    [
        "timers",
        "health",
        "journal",
        "push",
        "webhooks",
        "retention",
        "gateway/poller",
        "gateway/listener",
        "gateway/connections",
        "console",
    ],
)
async def test_what_no_device_hangs_on_is_killed_and_no_device_notices(
    autojump_clock: MockClock, open_store: OpenStore, path: str
) -> None:
    async with open_world(open_store=open_store) as world:
        bob, carol = await world.join("bob", "phone"), await world.join("carol", "phone")
        for number in range(1, 4):
            carol.write("bob", b"%d" % number, f"m{number}")
            await world.kill(path)
        await settle()
        carol.write("bob", b"4", "m4")
        heard = await bob.heard()
        sent = (await carol.heard()).sent

        assert bob.is_connected
        assert carol.is_connected
        assert sorted(set(heard.offsets)) == heard.offsets == [1, 2, 3, 4]
        assert joins(heard, 0, 4)
        assert [one.id for one in sent] == ["m1", "m2", "m3", "m4"]


@pytest.mark.parametrize("hold", ["before", "after"])
async def test_the_journal_dies_in_the_middle_of_a_batch(
    autojump_clock: MockClock, open_store: OpenStore, hold: str
) -> None:
    """What it had taken is tried again by the next one. Where it was on disk already, the answer says duplicate."""
    worker = HeldWorker()
    async with open_world(open_store=open_store, open_worker=lambda: worker) as world:
        bob, carol = await world.join("bob", "phone"), await world.join("carol", "phone")
        await carol.post("bob", b"0", "m0")
        await carol.heard()
        worker.hold = "before" if hold == "before" else "after"
        carol.send(body=pb.Body(messages=[message("bob", b"1", "m1"), message("bob", b"2", "m2")]))
        await worker.wait_held()
        carol.write("bob", b"3", "m3")
        await world.kill("journal")
        sent = (await carol.heard()).sent
        heard = await bob.heard()
        await carol.post("bob", b"4", "m4")
        later = await bob.heard()

        assert [(one.id, one.user_offset) for one in sent] == [("m1", 2), ("m2", 3), ("m3", 4)]
        assert [one.duplicate for one in sent] == [hold == "after"] * 2 + [False]
        assert heard.payloads == [b"0", b"1", b"2", b"3"]
        assert joins(heard, 0, 4)
        assert (later.payloads, later.ranges, later.gaps) == ([b"4"], [(4, 5)], [])


@pytest.mark.parametrize("hold", ["before", "after"])
async def test_receipts_of_a_batch_in_which_the_journal_dies_are_told(autojump_clock: MockClock, hold: str) -> None:
    worker = HeldWorker()
    async with open_world(open_worker=lambda: worker) as world:
        bob, carol = await world.join("bob", "phone"), await world.join("carol", "phone")
        for number in range(1, 4):
            await carol.post("bob", b"%d" % number, f"m{number}")
        await carol.heard()
        worker.hold = "before" if hold == "before" else "after"
        bob.acknowledge(0, 1)
        await worker.wait_held()
        await world.kill("journal")
        bob.acknowledge(0, 3)
        receipts = {(run.first, run.last) for run in (await carol.heard()).receipts}

        assert {offset for first, last in receipts for offset in range(first, last + 1)} == {1, 3}


async def test_an_operation_that_ends_the_journal_twice_is_set_aside(autojump_clock: MockClock) -> None:
    worker = HeldWorker()
    async with open_world(open_worker=lambda: worker) as world:
        bob, carol = await world.join("bob", "phone"), await world.join("carol", "phone")
        carol.write("bob", b"deadly", "m1")
        worker.hold = "before"
        for _ in range(3):  # in its batch, and then twice alone
            await worker.wait_held()
            worker.held, worker.hold, worker.skip = trio.Event(), "before", 1  # the start record comes first
            await world.kill("journal")
        worker.hold = ""
        errors = (await carol.heard()).errors
        await carol.post("bob", b"harmless", "m2")

        assert [(error.code, error.id) for error in errors] == [(pb.ErrorCode.UNKNOWN_OUTCOME, "m1")]
        assert (await bob.heard()).payloads == [b"harmless"]
        assert world.server.journal_statistics.set_aside == 1


async def test_an_entry_that_crashes_the_fetcher_twice_is_told_as_damaged_and_the_rest_goes_on(
    autojump_clock: MockClock, open_store: OpenStore
) -> None:
    async with open_world(open_store=open_store) as world:
        await world.register("bob", "phone", "laptop")
        await world.fill("bob", *range(1, 6))
    poison(open_store, 3)
    async with open_world(open_store=open_store) as world:
        carol = await world.join("carol", "phone", go_on())
        bob = await world.join("bob", "phone", at(0))
        heard = await bob.heard()
        laptop = await world.join("bob", "laptop", at(0))
        also = await laptop.heard()
        bob.acknowledge(5)
        receipts = (await carol.heard()).receipts

        assert heard.payloads == also.payloads == [b"1", b"2", b"4", b"5"]
        assert heard.gaps == also.gaps == [(3, 3, pb.GapReason.DAMAGED)]
        assert joins(heard, 0, 5)
        assert bob.is_connected
        assert {offset for run in receipts for offset in range(run.first, run.last + 1)} >= {1, 2, 4, 5}


def poison(open_store: OpenStore, offset: int) -> None:
    """Lose the message of one entry of bob's log."""
    store = open_store()
    with store.snapshot() as view:
        user = view.get(Table.USERS, ("bob",)).number
        [(_, entry)] = view.read(LogTable.ENTRIES, (user, "chat"), offset - 1, limit=1)
    store.begin()
    store.apply(Changes(puts={Table.BODIES: {(entry.stamp,): None}}))
    store.commit()
    store.close()


async def test_a_decision_with_a_defect_costs_its_sender_an_error_and_nobody_else_anything(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = OPERATIONS[ops.Append]
    monkeypatch.setitem(OPERATIONS, ops.Append, replace(kind, decide=raising_for("odd", kind.decide)))
    async with open_world() as world:
        bob, carol = await world.join("bob", "phone"), await world.join("carol", "phone")
        carol.send(body=pb.Body(messages=[message("bob", b"%d" % n, i) for n, i in enumerate(["m0", "odd", "m2"])]))
        heard = await carol.heard()

        assert [(error.code, error.id) for error in heard.errors] == [(pb.ErrorCode.INTERNAL, "odd")]
        assert [one.id for one in heard.sent] == ["m0", "m2"]
        assert (await bob.heard()).payloads == [b"0", b"2"]
        assert carol.is_connected


async def test_a_reply_that_fails_hurts_no_other(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        bob, carol = await world.join("bob", "phone"), await world.join("carol", "phone")
        world.server.queue.submit(Barrier(), raising(Boom("reply"), print))
        carol.write("bob", b"1", "m1")

        assert [one.id for one in (await carol.heard()).sent] == ["m1"]
        assert (await bob.heard()).payloads == [b"1"]


async def test_a_session_that_cannot_be_told_of_a_commit_is_ended_and_hurts_no_other(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_world() as world:
        bob, alice = await world.join("bob", "phone"), await world.join("alice", "phone")
        carol = await world.join("carol", "phone")
        fail_once = raising(Boom("told"), Session.log_grew)

        def log_grew(session: Session, news: LogNews) -> None:
            (fail_once if session.eid == "alice" else Session.log_grew)(session, news)

        monkeypatch.setitem(LISTENERS, LogNews, log_grew)
        carol.send(body=pb.Body(messages=[message("alice", b"1", "a"), message("bob", b"1", "b")]))
        sent, heard = (await carol.heard()).sent, await bob.heard()
        code = await alice.closed()
        alice = await world.join("alice", "phone", at(0))

        assert [one.id for one in sent] == ["a", "b"]
        assert heard.payloads == [b"1"]
        assert code == 1011
        assert (await alice.heard()).payloads == [b"1"]


@pytest.mark.parametrize("fault", [StoreFault.STORED, StoreFault.LOST])
async def test_an_unknown_outcome_is_said_and_a_resend_finds_it_out(
    autojump_clock: MockClock, fault: StoreFault
) -> None:
    store = FaultyStore()
    async with open_world(store=store) as world:
        bob, carol = await world.join("bob", "phone"), await world.join("carol", "phone")
        await carol.post("bob", b"0", "m0")
        store.arm(fault)
        carol.write("bob", b"1", "m1")
        errors = (await carol.heard()).errors
        again = await carol.post("bob", b"1", "m1")
        await carol.post("bob", b"2", "m2")
        heard = await bob.heard()

        assert [(error.code, error.id) for error in errors] == [(pb.ErrorCode.UNKNOWN_OUTCOME, "m1")]
        assert (again.duplicate, again.user_offset) == (fault is StoreFault.STORED, 2)
        assert heard.payloads == [b"0", b"1", b"2"]
        assert joins(heard, 0, 3)
        assert heard.gaps == []
        assert world.server.journal_statistics.reopened == 1
        assert world.server.readiness() == []


async def test_while_the_store_cannot_be_opened_writes_are_refused_and_then_it_heals(
    autojump_clock: MockClock,
) -> None:
    store = FaultyStore()
    async with open_world(store=store) as world:
        bob, carol = await world.join("bob", "phone"), await world.join("carol", "phone")
        store.arm(StoreFault.COMMIT, *[StoreFault.REOPEN] * 3)
        carol.write("bob", b"1", "m1")
        await trio.sleep(0.25)
        ready = world.server.readiness()
        carol.write("bob", b"2", "m2")
        await trio.sleep(10)
        errors = (await carol.heard()).errors
        await carol.post("bob", b"3", "m3")

        assert [(error.code, error.id) for error in errors] == [
            (pb.ErrorCode.UNAVAILABLE, "m1"),
            (pb.ErrorCode.UNAVAILABLE, "m2"),
        ]
        assert ready != []
        assert world.server.readiness() == []
        assert (await bob.heard()).payloads == [b"3"]


async def test_the_consoles_tokens_are_read_once(autojump_clock: MockClock, tmp_path: Path) -> None:
    """Files that are taken away while the server runs end nothing, however often the console starts."""
    files = [tmp_path / name for name in ("operator", "metrics")]
    for file in files:
        file.write_text("k" * 32)
    names = ("BIMIP_CONSOLE_OPERATOR_TOKEN_FILE", "BIMIP_CONSOLE_METRICS_TOKEN_FILE")
    given = dict(zip(names, map(str, files), strict=True))
    async with open_world(settings=settings_for_tests(BIMIP_CONSOLE_OPERATOR_TOKEN="", **given)) as world:
        for file in files:
            file.unlink()
        await world.kill("console")
        await trio.sleep(8)
        tree = world.server.processes
        assert tree is not None

        [console] = [one for one in tree.snapshot(folded=True).walk() if one.path == "bimip/console"]
        assert console.state is State.RUNNING
