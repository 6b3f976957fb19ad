"""A user sees which devices they have and how far behind each is, gives them labels, and removes one that is gone."""

from dataclasses import replace
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from bimip.client.wire import bimip as pb
from bimip.session.close import Close
from bimip.testing.virtual import settings_for_tests
from tests.kit.memory_server import Client, World, at, begin, go_on, open_world
from tests.scenarios.conftest import OpenStore

DAY = 86_400


async def ask(client: Client, action: pb.DevicesAction = pb.DevicesAction.LIST, **fields: Any) -> pb.Devices:
    """What `Devices` is answered with; that it is an error fails the test."""
    client.send(devices=pb.Devices(action=action, **fields), ref=9)
    heard = await client.heard()
    assert not heard.errors, heard.errors
    [answer] = [frame for frame in heard.frames if frame.devices is not None]
    assert answer.ref == 9
    assert answer.devices is not None
    return answer.devices


async def refused(client: Client, action: pb.DevicesAction, **fields: Any) -> tuple[pb.ErrorCode, str]:
    client.send(devices=pb.Devices(action=action, **fields), ref=9)
    [error] = (await client.heard()).errors
    assert error.ref == 9
    return error.code, error.field


def told(client: Client, heard: Any) -> list[tuple[str, str, bool]]:
    """The devices that state brought: name, label, whether it is gone."""
    del client
    items = [item for state in heard.states for item in state.items if item.device is not None]
    return [(item.device.name, item.device.label, item.removed) for item in items]


async def two_devices(world: World) -> tuple[Client, Client]:
    """Bob's phone and laptop. Each was told of the other."""
    phone = await world.join("bob", "phone")
    await phone.heard()
    laptop = await world.join("bob", "laptop", go_on())
    assert ("laptop", "", False) in told(phone, await phone.heard())
    assert {name for name, _, _ in told(laptop, await laptop.heard())} == {"phone", "laptop"}
    return phone, laptop


async def test_the_list_tells_who_is_there_and_how_far_behind_each_is(
    autojump_clock: MockClock, open_store: OpenStore
) -> None:
    async with open_world(open_store=open_store) as world:
        phone, laptop = await two_devices(world)
        await world.fill("bob", 1, 2, 3, 4, 5)
        await phone.heard()
        await laptop.heard()
        phone.acknowledge(5)
        laptop.acknowledge(2)
        await phone.heard()
        laptop.cut()
        listed = (await ask(phone)).devices

        assert [(one.name, one.online, one.asking, one.stale) for one in listed] == [
            ("laptop", False, False, False),
            ("phone", True, True, False),
        ]
        assert [[(log.partition, log.head, log.floor, log.lag) for log in one.logs] for one in listed] == [
            [("chat", 5, 2, 3)],
            [("chat", 5, 5, 0)],
        ]
        assert all(one.created <= one.last_seen for one in listed)


async def test_nobody_sees_anybody_elses(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await two_devices(world)
        mallory = await world.join("mallory", "burner")
        await mallory.heard()

        assert [one.name for one in (await ask(mallory)).devices] == ["burner"]
        for action in (pb.DevicesAction.REMOVE, pb.DevicesAction.RENAME):
            assert await refused(mallory, action, name="laptop") == (pb.ErrorCode.NOT_FOUND, "name")
            assert await refused(mallory, action, name="no such") == (pb.ErrorCode.NOT_FOUND, "name")


async def test_a_label_is_told_to_all_of_them_also_later(autojump_clock: MockClock, open_store: OpenStore) -> None:
    async with open_world(open_store=open_store) as world:
        phone, laptop = await two_devices(world)
        version = laptop.welcome.state_version
        await ask(phone, pb.DevicesAction.RENAME, name="laptop", label="at work")

        assert told(laptop, await laptop.heard()) == [("laptop", "at work", False)]
        laptop.cut()
        await ask(phone, pb.DevicesAction.RENAME, name="laptop", label="at home")
        await ask(phone, pb.DevicesAction.RENAME, name="laptop", label="at home")  # changes nothing
    async with open_world(open_store=open_store) as world:
        laptop = await world.join("bob", "laptop", at(0), state_version=version)

        assert told(laptop, await laptop.heard()) == [("laptop", "at home", False)]
        assert [one.label for one in (await ask(laptop)).devices] == ["at home", ""]


async def test_a_device_that_is_removed_is_closed_and_forgotten(
    autojump_clock: MockClock, open_store: OpenStore
) -> None:
    async with open_world(open_store=open_store) as world:
        phone, laptop = await two_devices(world)
        tablet = await world.join("bob", "tablet", begin(pb.Start.HEAD))
        version = tablet.welcome.state_version
        tablet.cut()
        await ask(phone, pb.DevicesAction.REMOVE, name="laptop")

        assert await laptop.closed() == Close.LOGGED_OUT
        assert told(phone, await phone.heard()) == []  # it came with the answer
        assert [one.name for one in (await ask(phone)).devices] == ["phone", "tablet"]
        assert await refused(phone, pb.DevicesAction.REMOVE, name="laptop") == (pb.ErrorCode.NOT_FOUND, "name")
    async with open_world(open_store=open_store) as world:  # who was away is told, after a restart too
        tablet = await world.join("bob", "tablet", at(0), state_version=version)

        assert told(tablet, await tablet.heard()) == [("laptop", "", True)]
        watch = await world.join("bob", "watch", go_on())  # of a whole state what is gone is no part

        assert {name for name, _, _ in told(watch, await watch.heard())} == {"phone", "tablet", "watch"}


async def test_with_a_token_that_counts_it_is_a_new_device(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone, laptop = await two_devices(world)
        await ask(phone, pb.DevicesAction.RENAME, name="laptop", label="old")
        await world.fill("bob", 1, 2)
        laptop.acknowledge(1)
        await laptop.heard()
        await ask(phone, pb.DevicesAction.REMOVE, name="laptop")
        await phone.heard()
        again = await world.join("bob", "laptop", go_on())

        assert again.welcome.logs[0].position == 2  # a further device begins at the head
        assert ("laptop", "", False) in told(phone, await phone.heard())
        assert [one.label for one in (await ask(phone)).devices] == ["", ""]


async def test_a_list_of_many_comes_in_pages(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.join("bob", "phone")
        names = [f"d{number:03}" for number in range(70)]
        for name in names:
            (await world.join("bob", name)).cut()
            await trio.sleep(1)
        await phone.heard()
        first = await ask(phone)
        second = await ask(phone, name=first.devices[-1].name)

        assert (len(first.devices), first.complete, second.complete) == (64, False, True)
        assert [one.name for one in (*first.devices, *second.devices)] == [*names, "phone"]


async def test_a_device_that_is_long_unseen_is_stale(autojump_clock: MockClock) -> None:
    settings = settings_for_tests()
    settings = replace(settings, retention=replace(settings.retention, offline_days=2))
    async with open_world(settings=settings) as world:
        phone, laptop = await two_devices(world)
        laptop.cut()
        await trio.sleep(1.5 * DAY)
        early = [one.stale for one in (await ask(phone)).devices]
        await trio.sleep(1 * DAY)
        late = [one.stale for one in (await ask(phone)).devices]

        assert (early, late) == ([False, False], [True, False])


WRONG = [
    (pb.DevicesAction(9), {}, pb.ErrorCode.INVALID, "action"),
    (pb.DevicesAction.LIST, {"name": "x" * 65}, pb.ErrorCode.TOO_LARGE, "name"),
    (pb.DevicesAction.LIST, {"name": "\n"}, pb.ErrorCode.INVALID, "name"),
    (pb.DevicesAction.REMOVE, {}, pb.ErrorCode.INVALID, "name"),
    (pb.DevicesAction.REMOVE, {"name": "phone"}, pb.ErrorCode.INVALID, "name"),
    (pb.DevicesAction.REMOVE, {"name": "x" * 65}, pb.ErrorCode.TOO_LARGE, "name"),
    (pb.DevicesAction.REMOVE, {"name": "nothing"}, pb.ErrorCode.NOT_FOUND, "name"),
    (pb.DevicesAction.RENAME, {}, pb.ErrorCode.INVALID, "name"),
    (pb.DevicesAction.RENAME, {"name": "nothing", "label": "x"}, pb.ErrorCode.NOT_FOUND, "name"),
    (pb.DevicesAction.RENAME, {"name": "phone", "label": "x" * 65}, pb.ErrorCode.TOO_LARGE, "label"),
    (pb.DevicesAction.RENAME, {"name": "phone", "label": "\u202e"}, pb.ErrorCode.INVALID, "label"),
]


@pytest.mark.parametrize(("action", "fields", "code", "field"), WRONG)
async def test_what_is_wrong_is_refused_with_the_field_at_fault(
    autojump_clock: MockClock, action: pb.DevicesAction, fields: dict[str, str], code: pb.ErrorCode, field: str
) -> None:
    async with open_world() as world:
        phone = await world.join("bob", "phone")
        await phone.heard()

        assert await refused(phone, action, **fields) == (code, field)
        assert phone.is_connected
