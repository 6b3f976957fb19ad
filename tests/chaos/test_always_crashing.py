"""What crashes again and again costs whoever it belongs to, and nobody else anything."""

from dataclasses import replace
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from bimip import parts, processes
from bimip.client.wire import bimip as pb
from bimip.domain.core import operations as ops
from bimip.domain.core.records import Changes, LogTable, Table
from bimip.domain.decisions import OPERATIONS
from bimip.storage.memory import MemoryStore
from bimip.testing.virtual import settings_for_tests
from bimip.users import intake
from bimip.users.device import Device
from tests.kit.faults import Boom, FaultyStore, StoreFault, raising_for
from tests.kit.memory_server import Client, World, at, message, open_world, settle
from tests.kit.received import Received

TIMES = 100


@pytest.fixture(autouse=True)
def _silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """A traceback for each of hundreds of defects takes longer than all the rest."""
    for module in (parts, processes):
        monkeypatch.setattr(module, "report", lambda _what, _error: None)


class DeadlyStore(MemoryStore):
    """Its commit raises what no commit should, for one kind of message; or does the same when that is on disk."""

    def __init__(self, *, stored: bool) -> None:
        super().__init__()
        self.stored = stored
        self.crashes = 0
        self._deadly = False

    def apply(self, changes: Changes) -> None:
        super().apply(changes)
        self._deadly = any(b"deadly" in (body or b"") for body in changes.puts.get(Table.BODIES, {}).values())

    def commit(self) -> None:
        deadly, self._deadly = self._deadly, False
        if deadly and not self.stored:
            self.crashes += 1
            raise Boom("a commit with a defect")
        super().commit()
        if deadly:
            self.crashes += 1
            raise Boom("a commit with a defect, when all was done")


def budgets_spent(world: World) -> dict[str, int]:
    assert world.server.processes is not None
    return {path: budget.restarts for path, budget in world.server.processes.budgets().items() if budget.restarts}


async def test_an_operation_whose_decision_always_fails_costs_its_sender_an_error_each_time(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = OPERATIONS[ops.Append]
    monkeypatch.setitem(OPERATIONS, ops.Append, replace(kind, decide=raising_for("odd", kind.decide)))
    async with open_world() as world:
        bob, carol = await world.join("bob", "phone"), await world.join("carol", "phone")
        mallory = await world.join("mallory", "phone")
        for number in range(TIMES):
            mallory.write("bob", b"odd", "odd")
            await carol.post("bob", b"%d" % number, f"m{number}")
        errors = (await mallory.heard()).errors

        assert [error.code for error in errors] == [pb.ErrorCode.INTERNAL] * TIMES
        assert (await bob.heard()).payloads == [b"%d" % number for number in range(TIMES)]
        assert budgets_spent(world) == {}
        assert world.server.readiness() == []
        assert carol.is_connected
        assert mallory.is_connected


async def test_an_operation_that_always_crashes_the_journal_is_answered_and_spends_no_restart(
    autojump_clock: MockClock,
) -> None:
    store = DeadlyStore(stored=False)
    async with open_world(store=store) as world:
        bob, carol = await world.join("bob", "phone"), await world.join("carol", "phone")
        mallory = await world.join("mallory", "phone")
        for number in range(TIMES):
            mallory.write("mallory", b"deadly", f"deadly {number}")
            carol.write("bob", b"%d" % number, f"m{number}")
            if number % 10 == 0:
                await settle()
        errors = (await mallory.heard()).errors
        sent = (await carol.heard()).sent

        assert [error.code for error in errors] == [pb.ErrorCode.UNKNOWN_OUTCOME] * TIMES
        assert [error.id for error in errors] == [f"deadly {number}" for number in range(TIMES)]
        assert [one.id for one in sent] == [f"m{number}" for number in range(TIMES)]
        assert (await bob.heard()).payloads == [b"%d" % number for number in range(TIMES)]
        assert store.crashes >= 2 * TIMES
        assert budgets_spent(world) == {}
        assert world.server.readiness() == []
        assert len(world.server.queue) == 0


async def test_a_message_that_always_crashes_the_journal_costs_those_that_arrived_with_it_nothing(
    autojump_clock: MockClock,
) -> None:
    store = DeadlyStore(stored=False)
    async with open_world(store=store) as world:
        bob, carol = await world.join("bob", "phone"), await world.join("carol", "phone")
        texts = [b"1", b"deadly", b"3"]
        carol.send(body=pb.Body(messages=[message("bob", text, f"m{at}") for at, text in enumerate(texts)]), ref=7)
        heard = await carol.heard()

        assert [(error.code, error.id, error.ref) for error in heard.errors] == [
            (pb.ErrorCode.UNKNOWN_OUTCOME, "m1", 7)
        ]
        assert [(one.id, one.ref) for one in heard.sent] == [("m0", 7), ("m2", 7)]
        assert (await bob.heard()).payloads == [b"1", b"3"]
        assert store.crashes == 1 + 2  # with the batch, and alone
        assert len(world.server.queue) == 0


async def test_a_commit_that_fails_when_all_was_done_is_found_out_and_nothing_is_stored_twice(
    autojump_clock: MockClock,
) -> None:
    store = DeadlyStore(stored=True)
    async with open_world(store=store) as world:
        bob, carol = await world.join("bob", "phone"), await world.join("carol", "phone")
        carol.send(body=pb.Body(messages=[message("bob", b"1", "m1"), message("bob", b"deadly", "m2")]))
        heard = await carol.heard()

        assert heard.errors == []
        assert [(one.id, one.duplicate) for one in heard.sent] == [("m1", True), ("m2", True)]
        assert (await bob.heard()).payloads == [b"1", b"deadly"]
        assert budgets_spent(world) == {}


async def test_a_disk_that_fails_as_the_journal_starts_is_waited_for_and_spends_no_restarts(
    autojump_clock: MockClock,
) -> None:
    store = FaultyStore()
    async with open_world(store=store) as world:
        bob, carol = await world.join("bob", "phone"), await world.join("carol", "phone")
        store.arm(StoreFault.LOST, *[StoreFault.REOPEN] * 30)
        await world.kill("journal")
        carol.write("bob", b"refused", "m1")
        await trio.sleep(20)
        ready = world.server.readiness()
        await trio.sleep(200)
        await carol.heard()
        await carol.post("bob", b"taken", "m2")

        assert ready != []
        assert world.server.readiness() == []
        assert (await bob.heard()).payloads == [b"taken"]
        assert carol.is_connected
        assert world.server.processes is not None
        assert world.server.processes.snapshot("bimip/journal").restarts == 1


async def catch_up(world: World, position: int, head: int) -> tuple[list[Received], Client]:
    """Connect as a client does, again whenever the connection is lost."""
    heard: list[Received] = []
    while True:
        bob = await world.join("bob", "phone", at(position))
        heard.append(await bob.heard())
        position = max([position, *(upto for _, upto in heard[-1].ranges)])
        if position == head and bob.is_connected:
            return heard, bob


async def test_fifty_entries_that_always_crash_the_fetcher_are_fifty_gaps_and_no_loop(
    autojump_clock: MockClock,
) -> None:
    store = MemoryStore()
    async with open_world(store=store) as world:
        await world.register("bob")
        await world.fill("bob", *range(1, 101))
    store.reopen()
    with store.snapshot() as view:
        user = view.get(Table.USERS, ("bob",)).number
        entries = view.read(LogTable.ENTRIES, (user, "chat"), 0, limit=100)
    store.begin()
    store.apply(Changes(puts={Table.BODIES: {(entry.stamp,): None for offset, entry in entries if offset % 2}}))
    store.commit()
    async with open_world(store=store) as world:
        dave = await world.join("dave", "phone")
        await dave.heard()
        heard, bob = await catch_up(world, 0, 100)
        began = trio.current_time()

        gaps = [gap for one in heard for gap in one.gaps]
        assert gaps == [(offset, offset, pb.GapReason.DAMAGED) for offset in range(1, 101, 2)]
        assert [payload for one in heard for payload in one.payloads] == [b"%d" % n for n in range(2, 101, 2)]
        assert len(heard) <= 51
        assert (await dave.heard()).frames == []
        assert set(budgets_spent(world)) <= {"bimip/users/bob/phone"}
        assert bob.is_connected
        assert trio.current_time() - began < 1


@pytest.mark.parametrize("way", ["its reader raises at each frame", "its fetcher raises at each step", "its session"])
async def test_a_user_whose_session_gives_up_again_and_again_costs_nobody_else_anything(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    handle, step = intake.handle, Device.send_some

    def handle_or_raise(device: Device, frame: bytes) -> Any:
        if device.session.eid == "mallory":
            raise Boom("a frame")
        return handle(device, frame)

    def step_or_raise(device: Device, now: float) -> None:
        if device.session.eid == "mallory":
            raise Boom("a step")
        step(device, now)

    if "reader" in way:
        monkeypatch.setattr(intake, "handle", handle_or_raise)
    elif "fetcher" in way:
        monkeypatch.setattr(Device, "send_some", step_or_raise)
    async with open_world(settings=settings_for_tests(BIMIP_LIMITS_USER_LOGINS_PER_SECOND="0")) as world:
        bob, carol = await world.join("bob", "phone"), await world.join("carol", "phone")
        for number in range(TIMES):
            storm = [world.connect("mallory", f"device {which}") for which in range(3)]
            for mallory in storm:
                mallory.send(hello=pb.Hello(partitions=[at(0)]))
            await trio.sleep(0.01)
            if way == "its session":
                await world.kill("users/mallory")
            await carol.post("bob", b"%d" % number, f"m{number}")
            codes = [await mallory.closed() for mallory in storm]
            assert set(codes) <= {1011}, codes
        await settle()

        assert (await bob.heard()).payloads == [b"%d" % number for number in range(TIMES)]
        assert bob.is_connected
        assert carol.is_connected
        assert budgets_spent(world) == {}
        assert world.server.users.statistics() == {"users": 2, "devices": 2}
        assert world.server.readiness() == []
