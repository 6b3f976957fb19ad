"""The newest message of each user and device, and how far a device is with what each other one wrote."""

from typing import Any

import pytest
from trio.testing import MockClock

from bimip.client.wire import bimip as pb
from tests.kit.memory_server import Client, World, at, begin, open_world
from tests.scenarios.conftest import OpenStore

HEADS, SYNCED = pb.FetchKind.HEADS, pb.FetchKind.SYNCED


async def fetch(client: Client, kind: pb.FetchKind, **fields: Any) -> pb.Body:
    client.send(fetch=pb.Fetch(kind=kind, partition="chat", **fields), ref=77)
    [body] = [body for body in (await client.heard()).bodies if body.ref == 77]
    return body


async def heads(client: Client, **fields: Any) -> list[bytes]:
    return [one.payload for one in (await fetch(client, HEADS, **fields)).messages]


async def synced(client: Client, device: str = "", **fields: Any) -> dict[str, tuple[int, int, int, str]]:
    """By origin: up to where, its newest, how many are missing, and the seq of the last that is there."""
    to = pb.Identity(connection_resource_id=device) if device else None
    body = await fetch(client, SYNCED, to=to, **fields)
    return {one.origin: (one.upto, one.head, one.missing, one.seq) for one in body.synced}


def identity(eid: str, device: str | None = None) -> pb.Identity:
    return pb.Identity(eid=eid, connection_resource_id=device)


async def written(world: World) -> tuple[Client, Client, Client]:
    """Alice's phone, laptop and tablet, whose log has 1 p1, 2 l1, 3 b1 (of Bob), 4 p2, 5 c1 (of Carol), 6 l2."""
    await world.register("alice", "phone", "laptop", "tablet")
    phone, laptop, tablet = [await world.join("alice", name, at(0)) for name in ("phone", "laptop", "tablet")]
    bob, carol = await world.join("bob", "phone"), await world.join("carol", "phone")
    await phone.post("bob", b"p1", "p1", seq="100:1:phone")
    await laptop.post("bob", b"l1", "l1", seq="110:1:laptop")
    await bob.post("alice", b"b1", "b1")
    await phone.post("bob", b"p2", "p2", seq="120:2:phone")
    await carol.post("alice", b"c1", "c1")
    await laptop.post("bob", b"l2", "l2")
    for device in (phone, laptop, tablet):
        await device.heard()
    return phone, laptop, tablet


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, [b"l2", b"c1", b"b1"]),
        ({"limit": 1}, [b"l2"]),
        ({"from_": identity("alice")}, [b"l2", b"p2"]),
        ({"from_": identity("alice"), "limit": 1}, [b"l2"]),
        ({"from_": identity("alice", "phone")}, [b"p2"]),
        ({"from_": identity("bob")}, [b"b1"]),
        ({"from_": identity("nobody")}, []),
        ({"offset": 4}, [b"p2", b"b1"]),
    ],
    ids=str,
)
async def test_the_newest_of_each_comes_once_and_the_newest_of_all_first(
    autojump_clock: MockClock, asked: dict[str, Any], expected: list[bytes]
) -> None:
    async with open_world() as world:
        phone, _, _ = await written(world)

        assert await heads(phone, **asked) == expected


async def test_heads_go_on_further_down(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone, _, _ = await written(world)
        first = await fetch(phone, HEADS, limit=2)
        second = await fetch(phone, HEADS, cursor=first.next_cursor)

        assert [one.payload for one in first.messages] == [b"l2", b"c1"]
        assert not first.complete
        assert [one.payload for one in second.messages] == [b"p2", b"b1"]  # of Alice the first page had the newest
        assert second.complete


async def test_what_is_for_another_device_alone_is_nobodys_head_here(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone, _, tablet = await written(world)
        only = [pb.DeviceAddress(identity=identity("alice", "tablet"))]
        await phone.post("alice", b"for the tablet", "t1", devices=only)

        assert (await heads(tablet))[0] == b"for the tablet"
        laptop = await world.join("alice", "laptop", at(6))
        assert (await heads(laptop))[0] == b"l2"


async def test_it_tells_how_far_each_device_is_with_each_other(
    autojump_clock: MockClock, open_store: OpenStore
) -> None:
    async with open_world(open_store=open_store) as world:
        phone, laptop, tablet = await written(world)
        tablet.acknowledge(3)
        laptop.acknowledge(4, 5)
        phone.acknowledge(0, 6)
        for device in (phone, laptop, tablet):
            await device.heard()

        assert await synced(tablet) == {"phone": (1, 4, 1, "100:1:phone"), "laptop": (2, 6, 1, "110:1:laptop")}
        assert await synced(laptop) == {"phone": (4, 4, 0, "120:2:phone")}
        assert await synced(phone) == {"laptop": (0, 6, 1, "")}  # 6 it has, 2 it lacks
        assert await synced(phone, "tablet") == await synced(tablet)
    async with open_world(open_store=open_store) as world:
        phone = await world.join("alice", "phone", at(6))

        assert await synced(phone, "tablet") == {"phone": (1, 4, 1, "100:1:phone"), "laptop": (2, 6, 1, "110:1:laptop")}


async def test_what_is_not_owed_is_not_missing(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone, _, tablet = await written(world)
        only = [pb.DeviceAddress(identity=identity("alice", "laptop"))]
        await phone.post("alice", b"for the laptop", "t1", devices=only)
        tablet.acknowledge(6)
        await tablet.heard()

        assert (await synced(tablet))["phone"] == (7, 7, 0, "")  # the floor passes over it
        assert (await synced(tablet, "laptop"))["phone"] == (0, 7, 3, "")


async def test_a_device_that_is_new_has_nothing_before_its_floor_to_catch_up_with(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await written(world)
        watch = await world.join("alice", "watch", begin(pb.Start.HEAD))

        assert {name: one[2] for name, one in (await synced(watch)).items()} == {"phone": 0, "laptop": 0}


async def test_nobody_asks_about_anybody_elses_device(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await written(world)
        mallory = await world.join("mallory", "burner")
        mallory.send(fetch=pb.Fetch(kind=SYNCED, partition="chat", to=identity("alice", "phone")), ref=1)
        mallory.send(fetch=pb.Fetch(kind=SYNCED, partition="chat", to=identity("", "tablet")), ref=2)
        errors = (await mallory.heard()).errors

        assert [(one.code.name, one.field) for one in errors] == [("NOT_FOUND", "to")] * 2
        assert await synced(mallory) == {}
