"""A log in the order of its clients' own `seq`: `timestamp:localSeq:device`."""

from typing import Any

import pytest
from trio.testing import MockClock

from bimip.client.wire import bimip as pb
from tests.kit.memory_server import Client, World, open_world

BY_SEQ = pb.FetchKind.BY_SEQ


async def written(world: World) -> tuple[Client, Client, Client]:
    """Alice's phone and laptop write in turn, as they find a connection; Bob answers her."""
    phone, laptop = await world.join("alice", "phone"), await world.join("alice", "laptop")
    bob = await world.join("bob", "phone")
    await phone.post("bob", b"p1", "p1", seq="100:1:phone")
    await laptop.post("bob", b"l1", "l1", seq="150:1:laptop")
    await bob.post("alice", b"b1", "b1", seq="160:1:phone")
    await phone.post("bob", b"p3", "p3", seq="300:3:phone")
    await phone.post("bob", b"none", "none")
    await laptop.post("bob", b"l0", "l0", seq="90:7:laptop")  # written offline
    await phone.post("bob", b"p2", "p2", seq="100:2:phone")
    return phone, laptop, bob


async def fetch(client: Client, **fields: Any) -> pb.Body:
    client.send(fetch=pb.Fetch(kind=BY_SEQ, partition="chat", **fields), ref=77)
    (body,) = [body for body in (await client.heard()).bodies if body.ref == 77]
    return body


def payloads(body: pb.Body) -> list[bytes]:
    return [one.payload for one in body.messages]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, [b"l0", b"p1", b"p2", b"l1", b"p3"]),
        ({"seq_from": "100:2:phone"}, [b"p2", b"l1", b"p3"]),
        ({"seq_to": "100:2:phone"}, [b"l0", b"p1", b"p2"]),
        ({"seq_from": "100:1:x", "seq_to": "150:1:x"}, [b"p1", b"p2", b"l1"]),
        ({"seq_from": "301:0:x"}, []),
        ({"from_": pb.Identity(eid="alice", connection_resource_id="laptop")}, [b"l0", b"l1"]),
        ({"from_": pb.Identity(eid="bob")}, []),
        ({"backwards": True, "limit": 2}, [b"p3", b"l1"]),
        ({"backwards": True, "limit": 1}, [b"p3"]),
    ],
    ids=str,
)
async def test_what_ones_devices_wrote_comes_in_the_order_in_which_they_wrote_it(
    autojump_clock: MockClock, asked: dict[str, Any], expected: list[bytes]
) -> None:
    async with open_world() as world:
        phone, _, _ = await written(world)
        body = await fetch(phone, **asked)

        assert payloads(body) == expected
        assert body.turn == pb.Turn.TURN_FETCH
        assert body.complete == ("limit" not in asked)


async def test_asked_the_same_again_it_goes_on(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone, _, _ = await written(world)
        pages = [await fetch(phone, limit=2) for _ in range(4)]
        again = await fetch(phone, limit=2, offset=0)

        assert [payloads(page) for page in pages] == [[b"l0", b"p1"], [b"p2", b"l1"], [b"p3"], []]
        assert [page.complete for page in pages] == [False, False, True, True]
        assert payloads(again) == [b"l0", b"p1"]


async def test_nobody_reads_anothers_log_by_seq(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        _, _, bob = await written(world)

        assert payloads(await fetch(bob, from_=pb.Identity(eid="alice"))) == []
        assert payloads(await fetch(bob)) == [b"b1"]


async def test_what_was_refused_or_sent_again_is_in_it_once(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone, _, _ = await written(world)
        phone.write("bob", b"p1", "p1", seq="100:1:phone")
        phone.write("nobody", b"x", "x", seq="100:9:phone")
        await phone.heard()

        assert payloads(await fetch(phone)) == [b"l0", b"p1", b"p2", b"l1", b"p3"]
