"""Devices that are not connected are told what waits for them, by a gateway."""

from collections.abc import Mapping
from typing import Any

import trio
from trio.testing import MockClock

from bimip.client.wire import bimip as pb
from bimip.push.posting import PostError, Response
from tests.kit.memory_server import Client, World, go_on, open_world
from tests.kit.push import GATEWAY, MemoryGateway
from tests.kit.server import settings_for_tests

SETTINGS = {"BIMIP_PUSH_GATEWAYS": GATEWAY}
SOON = 5
"""Seconds in which what is to be pushed was pushed."""


async def subscribe(client: Client, **fields: Any) -> pb.PushNotification:
    client.send(push_notification=pb.PushNotification(**({"id": "p", "platform": "fcm", "token": "t"} | fields)), ref=4)
    while True:
        frame = await client.receive()
        if frame.push_notification is not None:
            return frame.push_notification


async def bob_away(world: World) -> tuple[Client, Client]:
    """Ann's phone; and bob's, which has subscribed and is gone."""
    ann, bob = await world.join("ann", "phone"), await world.join("bob", "phone", go_on())
    await subscribe(bob)
    bob.cut()
    await trio.sleep(SOON)
    return ann, bob


def told(gateway: MemoryGateway) -> list[tuple[str, int]]:
    return [(one["kind"], one.get("messages", 0)) for one in gateway.take()]


async def test_who_is_away_is_told_of_each_message_and_of_many_together(autojump_clock: MockClock) -> None:
    gateway = MemoryGateway()
    async with open_world(settings=settings_for_tests(**SETTINGS), gateway=gateway) as world:
        ann, _ = await bob_away(world)
        for number in range(3):
            await ann.post("bob", b"hello", f"m{number}")
            await trio.sleep(SOON)
        assert told(gateway) == [("message", 1), ("message", 2), ("message", 3)]
        for number in range(3, 8):
            await ann.post("bob", b"hello", f"m{number}")
        await trio.sleep(60)
        assert told(gateway) == [("summary", 8)]
        await ann.post("bob", b"hello", "m8")
        await trio.sleep(SOON)
        assert told(gateway) == [("summary", 9)]


async def test_who_is_there_is_told_nothing(autojump_clock: MockClock) -> None:
    gateway = MemoryGateway()
    async with open_world(settings=settings_for_tests(**SETTINGS), gateway=gateway) as world:
        ann, _ = await bob_away(world)
        laptop = await world.join("bob", "laptop")
        await ann.post("bob", b"hello", "m1")
        await laptop.heard()
        laptop.acknowledge(1)
        await trio.sleep(SOON)
        laptop.cut()
        await trio.sleep(SOON)
        assert told(gateway) == []
