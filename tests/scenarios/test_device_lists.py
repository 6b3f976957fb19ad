"""A message with a payload for each device: one that came between the list and the message is told, nothing is lost."""

import pytest
from trio.testing import MockClock

from bimip.client.wire import bimip as pb
from tests.kit.memory_server import Client, World, at, begin, go_on, open_world
from tests.scenarios.conftest import OpenStore

CONFLICT, FORBIDDEN = pb.ErrorCode.CONFLICT, pb.ErrorCode.FORBIDDEN
NOT_FOUND, INVALID = pb.ErrorCode.NOT_FOUND, pb.ErrorCode.INVALID


async def correspond(world: World) -> tuple[Client, Client]:
    """Ann's phone and bob's, who have written to each other."""
    ann, bob = await world.join("ann", "phone"), await world.join("bob", "phone")
    await ann.post("bob", b"hello", "h1")
    await bob.post("ann", b"hello", "h2")
    await ann.heard()
    await bob.heard()
    return ann, bob


def sealed(*devices: str) -> list[pb.DeviceAddress]:
    """For each, as eid/device, a payload of its own."""
    return [
        pb.DeviceAddress(
            identity=pb.Identity(eid=name.split("/")[0], connection_resource_id=name.split("/")[1]),
            payload=f"for {name}".encode(),
        )
        for name in devices
    ]


def send(client: Client, *devices: str, to: str = "bob", ref: int = 7) -> None:
    message = pb.Message(id="sealed", to=pb.Identity(eid=to), type=1, devices=sealed(*devices), devices_complete=True)
    client.send(message=message, ref=ref)


def names(identities: list[pb.Identity]) -> list[str]:
    return [f"{one.eid}/{one.connection_resource_id}" for one in identities]


async def test_each_device_gets_its_own_payload_and_no_other(autojump_clock: MockClock, open_store: OpenStore) -> None:
    async with open_world(open_store=open_store) as world:
        ann, bob = await correspond(world)
        laptop, tablet = await world.join("ann", "laptop", go_on()), await world.join("bob", "tablet", go_on())
        send(ann, "ann/laptop", "bob/phone", "bob/tablet")

        assert [signal.ref for signal in (await ann.heard()).sent] == [7]
        for device, name in ((laptop, "ann/laptop"), (bob, "bob/phone"), (tablet, "bob/tablet")):
            assert (await device.heard()).payloads == [f"for {name}".encode()]


async def test_a_device_that_came_between_the_list_and_the_message_is_told_and_nothing_is_lost(
    autojump_clock: MockClock, open_store: OpenStore
) -> None:
    async with open_world(open_store=open_store) as world:
        ann, bob = await correspond(world)
        tablet = await world.join("bob", "tablet", go_on())
        await tablet.heard()
        send(ann, "bob/phone", "bob/watch")
        (error,) = (await ann.heard()).errors

        assert (error.code, error.field, error.id, error.ref) == (CONFLICT, "devices", "sealed", 7)
        assert (names(error.missing), names(error.extra)) == (["bob/tablet"], ["bob/watch"])
        assert (await bob.heard()).messages == (await tablet.heard()).messages == []
        send(ann, "bob/phone", "bob/tablet")

        assert len((await ann.heard()).sent) == 1
        assert (await bob.heard()).payloads == [b"for bob/phone"]
        assert (await tablet.heard()).payloads == [b"for bob/tablet"]
    async with open_world(open_store=open_store) as world:  # and what was stored outlives the server
        tablet = await world.join("bob", "tablet", at(2))

        assert (await tablet.heard()).payloads == [b"for bob/tablet"]


async def test_an_own_device_that_the_sender_does_not_know_of_is_told_too(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        ann, _ = await correspond(world)
        await world.join("ann", "laptop", begin(pb.Start.HEAD))
        send(ann, "bob/phone")

        assert [names(error.missing) for error in (await ann.heard()).errors] == [["ann/laptop"]]


@pytest.mark.parametrize("devices", [("bob/phone",), ("bob/phone", "bob/tablet"), ("bob/none",)])
async def test_who_has_not_been_written_to_learns_nothing_by_guessing(
    autojump_clock: MockClock, devices: tuple[str, ...]
) -> None:
    async with open_world() as world:
        await world.register("bob", "phone", "tablet")
        mallory = await world.join("mallory", "phone")
        await mallory.post("bob", b"hello?", "h1")
        await mallory.heard()
        send(mallory, *devices)
        (error,) = (await mallory.heard()).errors

        assert (error.code, error.field, error.missing, error.extra) == (FORBIDDEN, "devices_complete", [], [])


async def ask(client: Client, eid: str) -> tuple[list[str], list[tuple[pb.ErrorCode, str, str]]]:
    """The names that are told, or the errors."""
    client.send(devices=pb.Devices(action=pb.DevicesAction.LIST, eid=eid), ref=9)
    heard = await client.heard()
    listed = [frame.devices for frame in heard.frames if frame.devices is not None]
    told = [device for page in listed for device in page.devices]
    assert all(device == pb.DeviceState(name=device.name) for device in told)
    return [device.name for device in told], [(error.code, error.field, error.message) for error in heard.errors]


async def test_correspondents_are_told_the_names_and_strangers_are_answered_as_of_nobody(
    autojump_clock: MockClock,
) -> None:
    async with open_world() as world:
        ann, _ = await correspond(world)
        await world.register("bob", "tablet")
        mallory = await world.join("mallory", "phone")
        await mallory.post("bob", b"hello?", "h1")
        await mallory.heard()

        assert await ask(ann, "bob") == (["phone", "tablet"], [])
        of_bob, of_nobody = await ask(mallory, "bob"), await ask(mallory, "nobody")
        assert of_bob == of_nobody
        assert [(code, field) for code, field, _ in of_bob[1]] == [(NOT_FOUND, "eid")]


async def test_a_list_that_is_empty_is_no_list_and_others_devices_are_not_changed(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        ann, _ = await correspond(world)
        send(ann)
        ann.send(devices=pb.Devices(action=pb.DevicesAction.REMOVE, eid="bob", name="phone"), ref=8)

        assert [(error.code, error.field, error.ref) for error in (await ann.heard()).errors] == [
            (INVALID, "devices", 7),
            (INVALID, "eid", 8),
        ]


async def test_in_a_group_all_members_devices_are_compared(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        ann, bob = await correspond(world)
        await world.register("bob", "tablet")
        create = pb.Conversation(
            action=pb.ConversationAction.CREATE, title="us", members=[pb.Member(eid="bob")], request_id="g1"
        )
        ann.send(conversation=create, ref=3)
        heard = await ann.heard()
        (group,) = [frame.conversation.id for frame in heard.frames if frame.conversation is not None]
        send(ann, "bob/phone", to=group)
        before = [error.code for error in (await ann.heard()).errors]
        await ann.post(group, b"hi", "g2")
        await bob.post(group, b"hi", "g3")
        await ann.heard()
        send(ann, "bob/phone", to=group)
        (error,) = (await ann.heard()).errors
        send(ann, "bob/phone", "bob/tablet", to=group)

        assert before == [FORBIDDEN]
        assert (error.code, names(error.missing), error.extra) == (CONFLICT, ["bob/tablet"], [])
        assert len((await ann.heard()).sent) == 1
