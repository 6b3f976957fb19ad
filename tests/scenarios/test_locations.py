"""Where somebody is, is shown to whom they share it with, while they do, and to nobody else."""

from contextlib import AbstractContextManager
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from bimip.client.wire import bimip as pb
from bimip.domain.core.records import Reader, Table
from tests.kit.memory_server import Client, World, befriend, go_on, open_world, settle
from tests.kit.received import Received
from tests.scenarios.conftest import OpenStore

HERE, THERE = (52.5, 13.4), (48.1, 11.6)


async def ask(client: Client, **fields: Any) -> pb.LocationStream:
    """Says this, and returns the answer."""
    client.send(location_stream=pb.LocationStream(**fields), ref=5)
    while True:
        frame = await client.receive()
        if frame.ref == 5:
            assert frame.location_stream is not None, frame
            return frame.location_stream


async def share(client: Client, eid: str, seconds: float = 60, **fields: Any) -> pb.LocationStream:
    until = client.welcome.server_time + int((trio.current_time() + seconds) * 1000)
    return await ask(client, to=pb.Identity(eid=eid), enabled=True, expires_at=until, **fields)


async def be(client: Client, place: tuple[float, float]) -> pb.LocationStream:
    return await ask(client, latitude=place[0], longitude=place[1], has_position=True)


def places(heard: Received) -> list[tuple[str, tuple[float, float] | bool]]:
    """Who is where, or, without a place, whether they share it."""
    told = [location for body in heard.bodies for location in body.locations]
    assert all(one.from_ is not None for one in told)
    return [
        (one.from_.eid if one.from_ else "", (one.latitude, one.longitude) if one.has_position else one.enabled)
        for one in told
    ]


async def friends(world: World) -> tuple[Client, Client, Client]:
    """Ann, bob, who are contacts, and carol, who is nobody's."""
    ann, bob, carol = [await world.join(eid, "phone") for eid in ("ann", "bob", "carol")]
    await befriend(ann, bob)
    for client in (ann, bob, carol):
        await client.heard()
    return ann, bob, carol


async def test_a_contact_is_shown_where_somebody_is_until_it_ends(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        ann, bob, carol = await friends(world)
        assert (await be(ann, HERE)).enabled is False
        shared = await share(ann, "bob", 60)
        assert (shared.enabled, shared.version > 0) == (True, True)
        assert (await be(ann, HERE)).enabled is True

        assert places(await bob.heard())[-1] == ("ann", HERE)
        await be(ann, THERE)
        assert places(await bob.heard()) == [("ann", THERE)]
        await trio.sleep(60)
        assert places(await bob.heard()) == [("ann", False)]
        assert (await be(ann, HERE)).enabled is False
        assert (await bob.heard()).frames == []
        assert (await carol.heard()).frames == []


async def test_who_stops_sharing_is_shown_no_more_at_once(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        ann, bob, _ = await friends(world)
        await share(ann, "bob", latitude=HERE[0], longitude=HERE[1], has_position=True)
        assert places(await bob.heard())[-1] == ("ann", HERE)
        assert (await ask(ann, to=pb.Identity(eid="bob"))).enabled is False
        assert places(await bob.heard()) == [("ann", False)]


async def test_the_end_of_what_was_never_shared_is_told_to_nobody(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        ann, bob, carol = await friends(world)
        for eid in ("bob", "carol"):
            assert (await ask(ann, to=pb.Identity(eid=eid))).enabled is False

        assert (await bob.heard()).frames == (await carol.heard()).frames == []


async def test_a_share_that_ends_after_its_process_died_is_told_to_be_over(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        ann, bob, _ = await friends(world)
        await share(ann, "bob", 600)
        await bob.heard()
        await world.kill("locations")
        await trio.sleep(5)
        await ask(ann, to=pb.Identity(eid="bob"))

        assert places(await bob.heard()) == [("ann", False)]


async def test_a_contact_who_is_removed_is_shown_no_more(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        ann, bob, _ = await friends(world)
        await share(ann, "bob", 600)
        await be(ann, HERE)
        ann.send(contact=pb.Contact(action=pb.ContactAction.REMOVE, eid="bob"), ref=6)
        await settle()
        await bob.heard()
        await ann.heard()
        await be(ann, THERE)

        assert places(await bob.heard()) == []


async def test_a_device_that_comes_is_told_the_last_position_and_only_while_it_is_shared(
    autojump_clock: MockClock,
) -> None:
    async with open_world() as world:
        ann, _, _ = await friends(world)
        await share(ann, "bob", 60)
        await be(ann, HERE)
        await settle()
        laptop = await world.join("bob", "laptop", go_on())
        assert places(await laptop.heard()) == [("ann", HERE)]
        await trio.sleep(60)
        tablet = await world.join("bob", "tablet", go_on())
        assert places(await tablet.heard()) == []


async def test_a_device_that_comes_is_told_by_a_share_that_began_after_the_position_too(
    autojump_clock: MockClock,
) -> None:
    async with open_world() as world:
        ann, _, carol = await friends(world)
        await befriend(ann, carol)
        await share(ann, "bob", 60)
        await be(ann, HERE)
        await share(ann, "carol", 60)
        await settle()
        laptop = await world.join("carol", "laptop", go_on())

        assert places(await laptop.heard()) == [("ann", HERE)]


async def test_who_is_shown_nothing_of_it_costs_no_work_so_that_nobody_learns_that_others_are(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_world() as world:
        ann, _, _ = await friends(world)
        await share(ann, "bob", 60)
        await be(ann, HERE)
        await settle()
        with world.server.store.snapshot() as view:
            numbers = {eid: view.get(Table.USERS, (eid,)).number for eid in ("ann", "bob", "carol")}
        looks: list[str] = []
        snapshot = world.server.store.snapshot

        def look() -> AbstractContextManager[Reader]:
            looks.append("a look")
            return snapshot()

        monkeypatch.setattr(world.server.store, "snapshot", look)
        position_of = world.server.locations.position_of

        assert position_of(numbers["ann"], numbers["carol"]) is None
        assert looks == []
        assert position_of(numbers["ann"], numbers["bob"]) is not None
        assert looks == ["a look"]


async def test_a_group_is_shown_it_and_who_left_it_is_not(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        ann, bob, carol = await friends(world)
        created = pb.Conversation(
            action=pb.ConversationAction.CREATE, title="trip", members=[pb.Member(eid="bob"), pb.Member(eid="carol")]
        )
        ann.send(conversation=created, ref=6)
        await settle()
        await ann.heard()
        assert (await ask(ann, conversation="c1", enabled=True)).conversation == "c1"
        await be(ann, HERE)
        for client in (bob, carol):
            told = [one for body in (await client.heard()).bodies for one in body.locations]
            assert (told[-1].conversation, told[-1].latitude) == ("c1", HERE[0])
        carol.send(conversation=pb.Conversation(action=pb.ConversationAction.LEAVE, id="c1"), ref=6)
        await settle()
        await carol.heard()
        await be(ann, THERE)
        assert places(await bob.heard()) == [("ann", THERE)]
        assert places(await carol.heard()) == []


@pytest.mark.parametrize("how", ["blocks", "is blocked", "is invisible"])
async def test_who_blocks_is_blocked_or_is_invisible_shows_nothing(how: str, autojump_clock: MockClock) -> None:
    async with open_world() as world:
        ann, bob, _ = await friends(world)
        await share(ann, "bob", 60)
        await be(ann, HERE)
        if how == "is invisible":
            ann.send(awareness_visibility=pb.AwarenessVisibility(visible=False), ref=6)
        else:
            blocker, other = (ann, "bob") if how == "blocks" else (bob, "ann")
            blocker.send(contact=pb.Contact(action=pb.ContactAction.BLOCK, eid=other), ref=6)
        await settle()
        await bob.heard()
        await ann.heard()
        await be(ann, THERE)

        assert places(await bob.heard()) == []
        laptop = await world.join("bob", "laptop", go_on())
        assert places(await laptop.heard()) == []


async def test_after_a_restart_the_share_is_there_and_the_position_is_not(
    autojump_clock: MockClock, open_store: OpenStore
) -> None:
    async with open_world(open_store=open_store) as world:
        ann, _, _ = await friends(world)
        await share(ann, "bob", 600)
        await be(ann, HERE)
    async with open_world(open_store=open_store) as world:
        bob, ann = await world.join("bob", "phone", go_on()), await world.join("ann", "phone", go_on())
        shares = [item.location_share for state in (await ann.heard()).states for item in state.items]
        told = [one for one in shares if one is not None]

        assert [(one.to, one.enabled) for one in told] == [(pb.Identity(eid="bob"), True)]
        assert places(await bob.heard()) == []
        await be(ann, THERE)
        assert places(await bob.heard()) == [("ann", THERE)]


async def test_a_process_that_dies_forgets_positions_and_no_shares(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        ann, bob, _ = await friends(world)
        await share(ann, "bob", 600)
        await be(ann, HERE)
        await bob.heard()
        await world.kill("locations")
        await trio.sleep(5)
        laptop = await world.join("bob", "laptop", go_on())

        assert places(await laptop.heard()) == []
        await be(ann, THERE)
        assert places(await bob.heard()) == places(await laptop.heard()) == [("ann", THERE)]


async def test_of_a_burst_the_last_position_is_told(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        ann, bob, _ = await friends(world)
        await share(ann, "bob", 600)
        await bob.heard()
        for number in range(20):
            here = pb.LocationStream(latitude=float(number), longitude=1.0, has_position=True)
            ann.send(location_stream=here, ref=100 + number)
        told = places(await bob.heard())

        assert told[-1] == ("ann", (19.0, 1.0))
        assert len(told) <= 20
