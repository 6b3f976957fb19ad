"""A removal is told for as long as a device may be away; who comes later is sent the whole state."""

from dataclasses import replace
from typing import Any

import trio
from trio.testing import MockClock

from bimip.client.wire import bimip as pb
from bimip.config import Settings
from bimip.domain.core.records import Cursor, Table
from bimip.storage.care.check import check
from bimip.storage.memory import MemoryStore
from bimip.testing.virtual import settings_for_tests
from tests.kit.memory_server import Client, at, begin, go_on, open_world
from tests.scenarios.conftest import OpenStore
from tests.scenarios.test_groups import ask, groups, trip

DAY = 86_400


def settings() -> Settings:
    whole = settings_for_tests(BIMIP_RETENTION_EVERY_SECONDS="3600")
    return replace(whole, retention=replace(whole.retention, offline_days=2))


async def remove(client: Client, name: str) -> None:
    client.send(devices=pb.Devices(action=pb.DevicesAction.REMOVE, name=name), ref=9)
    assert (await client.heard()).errors == []


def told(heard: Any) -> list[tuple[str, bool]]:
    items = [item for state in heard.states for item in state.items if item.device is not None]
    return [(item.device.name, item.removed) for item in items]


async def test_within_the_offline_period_a_removal_is_told_and_later_all_that_is_there(
    autojump_clock: MockClock, open_store: OpenStore
) -> None:
    async with open_world(open_store=open_store, settings=settings()) as world:
        phone = await world.join("bob", "phone")
        await world.join("bob", "laptop", begin(pb.Start.HEAD))
        tablet = await world.join("bob", "tablet", begin(pb.Start.HEAD))
        await tablet.heard()
        version = tablet.welcome.state_version
        tablet.cut()
        await remove(phone, "laptop")
        newer = (await world.join("bob", "watch", begin(pb.Start.HEAD))).welcome.state_version
        await trio.sleep(1.9 * DAY)
        early = await world.join("bob", "tablet", at(0), state_version=version)
        heard = await early.heard()
        early.cut()
        await trio.sleep(0.3 * DAY)
        late = await world.join("bob", "tablet", at(0), state_version=version)
        whole = await late.heard()
        late.cut()

        assert ("laptop", True) in told(heard)
        assert [(state.reset, state.complete) for state in whole.states] == [(True, True)]
        assert sorted(told(whole)) == [("phone", False), ("tablet", False), ("watch", False)]
        behind = await world.join("bob", "tablet", at(0), state_version=newer)
        assert not any(state.reset for state in (await behind.heard()).states)  # it was told of the removal
    store = open_store()
    assert list(check(store)) == []
    store.close()


async def test_who_left_a_group_is_told_while_a_device_may_be_away_and_later_not_that_it_ever_was(
    autojump_clock: MockClock, open_store: OpenStore
) -> None:
    async with open_world(open_store=open_store, settings=settings()) as world:
        (_, bob), group = await trip(world, "ann", "bob")
        version = (await world.join("bob", "tablet", begin(pb.Start.HEAD))).welcome.state_version
        await ask(bob, pb.ConversationAction.LEAVE, group)
        await trio.sleep(1.9 * DAY)
        early = await world.join("bob", "tablet", at(0), state_version=version)
        soon = await early.heard()
        early.cut()
        await trio.sleep(0.3 * DAY)
        late = await world.join("bob", "tablet", at(0), state_version=version)
        whole = await late.heard()

        assert groups(soon) == [("", "gone", [])]
        assert [(state.reset, state.complete) for state in whole.states] == [(True, True)]
        assert groups(whole) == []
        assert told(whole) == [("phone", False), ("tablet", False)]
        again = await world.join("ann", "phone", go_on())
        await ask(again, pb.ConversationAction.INVITE, group, "bob")
        assert groups(await late.heard()) == [("trip", "member", [("ann", "owner"), ("bob", "member")])]
    store = open_store()
    assert list(check(store)) == []
    store.close()


async def test_where_nothing_was_removed_who_comes_after_a_year_catches_up(autojump_clock: MockClock) -> None:
    whole = settings()
    slow = replace(whole, retention=replace(whole.retention, every_seconds=86_400.0))
    async with open_world(settings=slow) as world:
        phone = await world.join("bob", "phone")
        version = phone.welcome.state_version
        phone.cut()
        await trio.sleep(30 * DAY)
        await world.join("bob", "laptop", go_on())
        again = await world.join("bob", "phone", at(0), state_version=version)
        heard = await again.heard()

        assert [(state.reset, told(heard)) for state in heard.states] == [(False, [("laptop", False)])]


async def test_a_cursor_without_a_device_goes(autojump_clock: MockClock) -> None:
    """An acknowledgement that was on its way when its device was forgotten leaves one."""
    store = MemoryStore()
    async with open_world(store=store, settings=settings()) as world:
        phone = await world.join("bob", "phone")
        laptop = await world.join("bob", "laptop", begin(pb.Start.HEAD))
        await world.fill("bob", 1)
        await remove(phone, "laptop")
        assert await laptop.closed() == 4104
        world.server.queue.submit(_late_ack(store))
        await trio.sleep(1)
        before = cursors(store)
        await trio.sleep(2 * 3600)

        assert len(before) == len(cursors(store)) + 1


def _late_ack(store: MemoryStore) -> Any:
    from bimip.domain.core.ids import Offset  # noqa: PLC0415
    from bimip.domain.core.operations import Acknowledge  # noqa: PLC0415

    with store.snapshot() as view:
        user = view.get(Table.USERS, ("bob",))
        [number] = [
            key[0]
            for key, owner in view.scan(Table.DEVICE_OWNERS, (), (1 << 32,), limit=99)
            if owner == (user.number, "laptop")
        ]
    return Acknowledge(user.number, number, "chat", Offset(1))


def cursors(store: MemoryStore) -> list[tuple[Any, Cursor]]:
    with store.snapshot() as view:
        return view.scan(Table.CURSORS, (), (1 << 32,), limit=99)
