"""Traps that spring, and tell when they do not: else a fault that is never made would look like one that is borne."""

import pytest
from trio.testing import MockClock

from tests.kit.faults import FaultyStore, HeldWorker, StoreFault
from tests.kit.memory_server import open_world

IN_A_BATCH = sorted(set(StoreFault) - {StoreFault.REOPEN}, key=lambda fault: fault.name)


@pytest.mark.parametrize("fault", IN_A_BATCH)
async def test_a_fault_of_the_store_happens_to_a_message_that_is_sent(
    autojump_clock: MockClock, fault: StoreFault
) -> None:
    store = FaultyStore()
    async with open_world(store=store) as world:
        await world.register("bob")
        carol = await world.join("carol", "phone")
        store.arm(fault)
        carol.write("bob", b"1", "m1")
        heard = await carol.heard()

        assert [error.id for error in heard.errors] == ["m1"]
        assert store.sprung == {fault: 1}


async def test_a_store_that_cannot_be_opened_again_is_met_where_its_commit_failed(autojump_clock: MockClock) -> None:
    store = FaultyStore()
    async with open_world(store=store) as world:
        carol = await world.join("carol", "phone")
        store.arm(StoreFault.COMMIT, StoreFault.REOPEN)
        carol.write("carol", b"1", "m1")
        await carol.heard()

        assert store.sprung == {StoreFault.COMMIT: 1, StoreFault.REOPEN: 1}


def test_a_fault_that_never_happened_is_told() -> None:
    store = FaultyStore()
    store.arm(StoreFault.APPLY, StoreFault.COMMIT)
    store.disarm(StoreFault.COMMIT)

    with pytest.raises(AssertionError, match=r"never happened: \[<StoreFault.APPLY"):
        store.close()


def test_a_commit_that_never_came_to_be_held_is_told() -> None:
    worker = HeldWorker()
    worker.hold = "before"

    with pytest.raises(AssertionError, match="no commit came"):
        worker.close()
