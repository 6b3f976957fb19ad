"""An operator looks at one device: what it is connected by, how far it is, and what waits for it."""

from typing import Any

import pytest
import trio
from trio.testing import MockClock

from bimip.gateway import serving
from bimip.gateway.framing import PONG
from bimip.operations import Operations
from tests.gateway.harness import frame
from tests.kit.gateway_server import open_gateway_server
from tests.kit.memory_server import World, open_world
from tests.kit.server import virtual_millis
from tests.scenarios.conftest import OpenStore


async def look_at(world: World, eid: str, device: str) -> Any:
    told: Any = await Operations(world.server).describe_user(eid, device)
    return None if told is None else told["devices"][device]


async def test_what_waits_is_told_in_messages_bytes_and_seconds(
    autojump_clock: MockClock, open_store: OpenStore
) -> None:
    async with open_world(open_store=open_store) as world:
        phone = await world.join("bob", "phone", agent="an app 1.2")
        joined = virtual_millis()
        await world.fill("bob", 1, 2, 3)
        await trio.sleep(40)
        phone.acknowledge(1)
        phone.write("bob", b"my own", "m1")
        await phone.heard()
        await trio.sleep(20)
        one = await look_at(world, "bob", "phone")

        log, connection = one["committed"]["chat"], one["connection"]
        assert (log["floor"], log["head"], log["lag"], log["waiting"]) == (1, 4, 3, 2)  # its own does not wait for it
        assert 60 <= log["waiting_seconds"] <= 61
        assert 2 <= log["waiting_bytes"] < 400
        assert (connection["agent"], connection["address"]) == ("an app 1.2", "192.0.2.7")
        assert connection["partitions"]["chat"]["in_flight"] == 2
        assert abs(connection["since"] - joined) <= 200
        assert await look_at(world, "bob", "watch") is None
        assert await look_at(world, "nobody", "phone") is None


async def test_where_a_peer_is_and_how_long_its_way_is(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "address_of", lambda _stream: "192.0.2.9")
    async with open_gateway_server() as gate:
        caller = await gate.connect("bob", "phone")
        await trio.sleep(30)
        await caller.stream.send_all(frame(PONG, b""))
        await trio.sleep(1)
        told: Any = await Operations(gate.server).describe_user("bob")
        connection = told["devices"]["phone"]["connection"]

        assert (connection["address"], connection["agent"]) == ("192.0.2.9", "")
        assert 0 <= connection["round_trip_ms"] <= 1000
