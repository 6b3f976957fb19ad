"""An operator looks at one device: what it is connected by, how far it is, and what waits for it."""

from typing import Any

import pytest
import trio
from trio.testing import MockClock

from bimip.client.wire import bimip as pb
from bimip.domain.core.ids import Offset
from bimip.gateway import serving
from bimip.gateway.framing import PONG
from bimip.operations import Operations
from bimip.testing.virtual import settings_for_tests, virtual_millis
from bimip.users import intake, recorder
from bimip.users.batches import BatchBuilder
from tests.gateway.harness import frame
from tests.kit.gateway_server import open_gateway_server
from tests.kit.memory_server import World, at, open_world, settle
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


async def events_of(world: World, eid: str, device: str) -> list[tuple[str, str]]:
    return [(one["what"], one["said"]) for one in (await look_at(world, eid, device))["events"]]


async def test_what_happened_to_a_device_of_late_is_known_also_when_it_is_gone(
    autojump_clock: MockClock, open_store: OpenStore
) -> None:
    settings = settings_for_tests(BIMIP_LIMITS_GRACE_SECONDS="10", BIMIP_LIMITS_REDELIVERY_ROUNDS="1")
    async with open_world(open_store=open_store, settings=settings) as world:
        phone = await world.join("bob", "phone", agent="an app")
        phone.send(ping_pong=pb.PingPong(id="x" * 200), ref=2)
        await world.fill("bob", 1, 2, 3)
        await phone.closed()
        await trio.sleep(1)
        gone = await events_of(world, "bob", "phone")
        await world.join("bob", "phone", agent="an app")
        again = await events_of(world, "bob", "phone")

        assert gone == [
            ("connected", "from 192.0.2.7"),
            ("hello", "current; chat up to 0, 0 in flight; client 'an app'"),
            ("refused", "TOO_LARGE"),
            ("sent", "chat up to 3, 3 in flight"),
            ("sent again", "chat"),
            ("closed", "4000 3 entries of chat stayed unacknowledged; the log keeps them"),
        ]
        assert again[: len(gone)] == gone
        assert [what for what, _ in again[len(gone) :]] == ["connected", "hello"]


async def test_why_a_connection_ended_is_known_whoever_ended_it(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await world.join("bob", "phone")
        await world.join("bob", "phone")
        await settle()
        replaced = await events_of(world, "bob", "phone")
        await world.kill("users/bob/phone/fetcher")
        phone = await world.join("bob", "phone")
        phone.cut()
        await settle()
        ended = await events_of(world, "bob", "phone")

        begins = ["connected", "hello"]
        assert [what for what, _ in replaced if what != "closed"] == [*begins, "replaced", *begins]
        assert ended[-1][0] == "closed"
        assert ended[-1][1].startswith("1006")


async def test_how_far_a_device_was_sent_is_noted_now_and_then_as_one_event(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.join("bob", "phone")
        for number in range(1, 6):
            await world.fill("bob", number)
            phone.acknowledge(number)
            await trio.sleep(60)
        events = (await look_at(world, "bob", "phone"))["events"]

        assert [one["what"] for one in events] == ["connected", "hello", "sent"]
        assert events[-1]["said"] == "chat up to 5, 0 in flight"
        assert events[-1]["times"] >= 5


async def test_a_crash_is_noted_where_it_happened(autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_world() as world:
        phone = await world.join("bob", "phone")
        fill, times = BatchBuilder.fill, iter([broken])

        def broken_once(batch: BatchBuilder, head: Offset) -> None:
            next(times, fill)(batch, head)

        monkeypatch.setattr(BatchBuilder, "fill", broken_once)
        phone.write("bob", b"to myself", "m0")
        heard = await phone.heard()
        with monkeypatch.context() as patch:
            patch.setattr(intake, "write", broken)
            phone.write("carol", b"x", "m1")
            await phone.closed()
        await settle()
        noted = [event for event in await events_of(world, "bob", "phone") if event[0] == "crashed"]

        assert [one.id for one in heard.sent] == ["m0"]
        assert noted[0] == ("crashed", "sending: ValueError; it goes on where it stopped")
        assert noted[-1] == ("crashed", "reading: ValueError")


def broken(*_about: object) -> None:
    raise ValueError("broken for this test")


async def test_of_the_devices_that_are_gone_only_so_many_are_remembered(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "MOST_GONE", 1)
    async with open_world() as world:
        await world.register("bob", "first", "second")
        await settle()

        assert await events_of(world, "bob", "first") == []
        assert [what for what, _ in await events_of(world, "bob", "second")] == ["connected", "hello", "closed"]


async def test_a_peer_that_took_nothing_for_long_is_noted(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        slow = world.connect("bob", "phone", room=1)
        slow.send(hello=pb.Hello(partitions=[at(0)]))
        await world.fill("bob", 1, 2, 3)
        await trio.sleep(30)
        await slow.heard_slowly()
        noted = dict(await events_of(world, "bob", "phone"))

        assert noted["took no bytes"].startswith("for 3")


async def test_a_flood_of_what_is_refused_is_one_event(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.join("bob", "phone")
        for number in range(200):
            phone.send(ping_pong=pb.PingPong(id="x" * 200), ref=number)
        await phone.heard()
        event = (await look_at(world, "bob", "phone"))["events"][-1]

        assert (event["what"], event["said"], event["times"]) == ("refused", "TOO_LARGE", 200)


async def test_a_sender_that_is_held_up_is_named_with_the_cause(autojump_clock: MockClock) -> None:
    async with open_world(settings=settings_for_tests(BIMIP_LIMITS_DEVICE_REQUESTS_PER_SECOND="1")) as world:
        await world.register("ann")
        hasty = await world.join("bob", "hasty")
        wrong = await world.join("carol", "wrong")
        wrong.send(ping_pong=pb.PingPong(id="x" * 200), ref=2)
        for number in range(10):
            hasty.write("ann", b"x", f"m{number}")
        await hasty.heard()
        during = findings_of(world, "bob")
        await trio.sleep(60)
        later, other = findings_of(world, "bob"), findings_of(world, "carol")
        await trio.sleep(700)

        assert during == ["nothing", "asks_too_fast"]
        assert later == other == ["nothing", "requests_refused"]
        assert findings_of(world, "bob") == ["nothing"]
        assert findings_of(world, "carol") == ["nothing"]


def findings_of(world: World, eid: str) -> list[str]:
    told: Any = Operations(world.server).diagnose(eid, "")
    return [one["finding"] for one in told["findings"]]
