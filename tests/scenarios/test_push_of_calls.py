"""A call that rings is pushed to whose devices nobody sits before, for as long as it rings."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
import trio
from trio.testing import MockClock

from bimip.client.wire import bimip as pb
from bimip.push.posting import Request, Response
from bimip.testing.push import MemoryGateway
from tests.kit.memory_server import Client, World, befriend, go_on, open_world, settle
from tests.kit.push import BROWSER, VAPID_KEY
from tests.scenarios.test_calls import ANSWER, CANDIDATE, HANG_UP, OFFER, RING_SECONDS, say, steps
from tests.scenarios.test_presence import say as say_of_user
from tests.scenarios.test_push import SOON, failing, millis, subscribe, with_push

CALLS = 10
"""More than one user may let ring at another within a minute."""


def kinds(gateway: MemoryGateway) -> list[str]:
    return [one["kind"] for one in gateway.take()]


@asynccontextmanager
async def bob_is_away(gateway: MemoryGateway, **settings: str) -> AsyncIterator[tuple[World, Client]]:
    """Ann's phone. Bob's phone has subscribed, and is gone, as his laptop is."""
    async with open_world(settings=with_push(**settings), gateway=gateway) as world:
        ann, phone = await world.join("ann", "phone"), await world.join("bob", "phone", go_on())
        laptop = await world.join("bob", "laptop", go_on())
        await befriend(ann, phone)
        await subscribe(phone)
        for client in (ann, phone, laptop):
            await client.heard()
        phone.cut()
        laptop.cut()
        await trio.sleep(SOON)
        yield world, ann


async def test_a_call_that_rings_is_told_and_who_comes_by_that_finds_it_ringing_and_answers(
    autojump_clock: MockClock,
) -> None:
    gateway = MemoryGateway()
    async with bob_is_away(gateway) as (world, ann):
        say(ann, "bob", OFFER, b"offer")
        began = millis()
        await trio.sleep(SOON)
        say(ann, "bob", CANDIDATE, b"candidate")
        [ring] = gateway.take()

        assert (ring["kind"], ring["sender"], ring["call"], ring["token"]) == ("call", "ann", "x", "t")
        assert (ring["time"], ring["rings_until"]) == (began, began + RING_SECONDS * 1000)
        assert RING_SECONDS - SOON <= ring["ttl"] < RING_SECONDS
        phone = await world.join("bob", "phone")
        assert steps(await phone.heard()) == [(OFFER, b"offer"), (CANDIDATE, b"candidate")]
        say(phone, "ann", ANSWER, b"answer")
        assert steps(await ann.heard()) == [(ANSWER, b"answer")]
        await trio.sleep(SOON)
        [clear] = gateway.take()
        assert (clear["kind"], clear["call"]) == ("clear", "x")
        assert clear["collapse_key"] == ring["collapse_key"]
        assert clear["id"] != ring["id"]


@pytest.mark.parametrize("content", ["nothing", "sender", "message"])
async def test_it_says_no_more_of_a_call_than_is_configured(autojump_clock: MockClock, content: str) -> None:
    gateway = MemoryGateway()
    async with bob_is_away(gateway, CONTENT=content) as (_world, ann):
        say(ann, "bob", OFFER, b"offer")
        await trio.sleep(SOON)
        [ring] = gateway.take()

        assert ring.keys() & {"sender", "call"} == (set() if content == "nothing" else {"sender", "call"})
        assert "offer" not in str(ring)


async def test_browsers_are_told_at_once_for_as_long_as_it_rings_and_the_end_takes_its_place(
    autojump_clock: MockClock,
) -> None:
    gateway = MemoryGateway()
    keys = {"VAPID_KEY": VAPID_KEY, "VAPID_SUBJECT": "mailto:push@example.org"}
    async with open_world(settings=with_push(**keys), gateway=gateway) as world:
        ann, bob = await world.join("ann", "phone"), await world.join("bob", "phone", go_on())
        await subscribe(bob, **BROWSER)
        bob.cut()
        await trio.sleep(SOON)
        say(ann, "bob", OFFER, b"offer", ttl_ms=20_000)
        await trio.sleep(SOON)
        say(ann, "bob", HANG_UP)
        await trio.sleep(SOON)
        ring, clear, missed = (request.headers for request in gateway.requests)

        assert (ring["Urgency"], clear["Urgency"]) == ("high", "high")
        assert 20 - SOON <= int(ring["TTL"]) < 20 < int(clear["TTL"])
        assert ring["Topic"] == clear["Topic"]
        assert "Topic" not in missed


async def test_a_call_that_has_ended_before_it_was_told_is_told_to_nobody(autojump_clock: MockClock) -> None:
    gateway = MemoryGateway()
    async with bob_is_away(gateway) as (_world, ann):
        say(ann, "bob", OFFER, b"offer")
        await settle()
        say(ann, "bob", HANG_UP)
        await trio.sleep(SOON)

        assert kinds(gateway) == ["message"]  # that it was missed


async def test_a_call_that_is_not_taken_before_its_end_is_told_to_ring_no_more(autojump_clock: MockClock) -> None:
    """It may have been shown: an answer that is lost tells nobody."""
    gateway = MemoryGateway()
    gateway.answer = failing(*[0] * 3)
    async with bob_is_away(gateway) as (_world, ann):
        say(ann, "bob", OFFER, b"offer", ttl_ms=2000)
        await trio.sleep(60)
        said = gateway.said

        assert [one["kind"] for one in said].count("call") <= 3
        assert len({one["id"] for one in said if one["kind"] == "call"}) == 1
        assert [one["kind"] for one in said][-2:] == ["clear", "message"]


async def test_what_rings_no_more_does_not_overtake_that_it_rings(autojump_clock: MockClock) -> None:
    gateway = MemoryGateway()
    gateway.seconds = 3.0
    taken: list[str] = []

    def take(request: Request) -> Response:
        taken.append("clear" if b'"clear"' in request.body else "other")
        return Response(201)

    gateway.answer = take
    async with bob_is_away(gateway) as (_world, ann):
        say(ann, "bob", OFFER, b"offer")
        await trio.sleep(2)
        say(ann, "bob", HANG_UP)
        await trio.sleep(1)
        assert len(gateway.requests) == 1
        await trio.sleep(10)

        assert taken == ["other", "clear", "other"]


async def test_who_sits_before_a_device_is_told_of_no_call_until_they_go(autojump_clock: MockClock) -> None:
    gateway = MemoryGateway()
    async with bob_is_away(gateway) as (world, ann):
        laptop = await world.join("bob", "laptop", go_on())
        say(ann, "bob", OFFER, b"offer")
        await trio.sleep(SOON)
        assert kinds(gateway) == []
        await say_of_user(laptop, pb.AwarenessStatus.ONLINE, inactive=True)
        await trio.sleep(SOON)
        assert kinds(gateway) == ["call"]
        await trio.sleep(RING_SECONDS)
        assert kinds(gateway) == ["clear", "message"]


@pytest.mark.parametrize("status", [pb.AwarenessStatus.DND, pb.AwarenessStatus.BUSY])
async def test_who_wants_to_be_left_alone_is_told_of_no_call(
    autojump_clock: MockClock, status: pb.AwarenessStatus
) -> None:
    gateway = MemoryGateway()
    async with bob_is_away(gateway) as (world, ann):
        laptop = await world.join("bob", "laptop", go_on())
        await say_of_user(laptop, status)
        laptop.cut()
        await trio.sleep(SOON)
        say(ann, "bob", OFFER, b"offer")
        await trio.sleep(RING_SECONDS + SOON)

        assert kinds(gateway) == []


async def mute(world: World) -> None:
    laptop = await world.join("bob", "laptop", go_on())
    laptop.send(command=pb.Command(id="k", kind=pb.CommandKind.MUTE, conversation="c1", until=10**13))
    await laptop.heard()
    laptop.cut()


async def archive(world: World) -> None:
    laptop = await world.join("bob", "laptop", go_on())
    laptop.send(command=pb.Command(id="k", kind=pb.CommandKind.ARCHIVE, conversation="c1", value=True))
    await laptop.heard()
    laptop.cut()


async def block(world: World) -> None:
    laptop = await world.join("bob", "laptop", go_on())
    laptop.send(contact=pb.Contact(action=pb.ContactAction.BLOCK, eid="ann"))
    await laptop.heard()
    laptop.cut()


@pytest.mark.parametrize("quieten", [mute, archive, block])
async def test_of_whom_nothing_is_to_be_heard_no_call_is_told(
    autojump_clock: MockClock, quieten: Callable[[World], object]
) -> None:
    """Also where that is said while it rings."""
    gateway = MemoryGateway()
    async with bob_is_away(gateway) as (world, ann):
        await ann.post("bob", b"hello", "m1")
        await trio.sleep(SOON)
        gateway.take()
        say(ann, "bob", OFFER, b"offer")
        await quieten(world)  # type: ignore[misc]
        await trio.sleep(RING_SECONDS + SOON)

        assert [kind for kind in kinds(gateway) if kind == "call"] == []


async def test_who_calls_again_and_again_is_told_of_a_few_times(autojump_clock: MockClock) -> None:
    gateway = MemoryGateway()
    async with bob_is_away(gateway) as (world, ann):
        carl = await world.join("carl", "phone")
        for number in range(CALLS):
            say(ann, "bob", OFFER, b"offer", call=f"x{number}")
            await trio.sleep(2)
            say(ann, "bob", HANG_UP, call=f"x{number}")
            await ann.heard()
        say(carl, "bob", OFFER, b"offer", call="y")
        await trio.sleep(SOON)
        rings = [one["sender"] for one in gateway.take() if one["kind"] == "call"]

        assert rings.count("carl") == 1
        assert 3 <= rings.count("ann") <= 4


async def test_what_is_too_often_is_told_later_if_it_still_rings(autojump_clock: MockClock) -> None:
    gateway = MemoryGateway()
    async with bob_is_away(gateway) as (_world, ann):
        for number in range(4):
            say(ann, "bob", OFFER, b"offer", call=f"x{number}")
            await trio.sleep(2)
            if number < 3:
                say(ann, "bob", HANG_UP, call=f"x{number}")
                await ann.heard()
        assert [one["call"] for one in gateway.take() if one["kind"] == "call"] == ["x0", "x1", "x2"]
        await trio.sleep(20)
        assert [one["call"] for one in gateway.take() if one["kind"] == "call"] == ["x3"]


async def test_what_many_others_let_ring_is_held_to_a_rate_too(autojump_clock: MockClock) -> None:
    gateway = MemoryGateway()
    async with bob_is_away(gateway) as (world, _ann):
        for number in range(20):
            caller = await world.join(f"carl{number}", "phone")
            say(caller, "bob", OFFER, b"offer", ttl_ms=1500)
            await trio.sleep(1.2)
            say(caller, "bob", HANG_UP)
            await caller.heard()

        assert 10 <= kinds(gateway).count("call") < 18


async def test_a_push_process_that_dies_tells_it_again_by_the_same_id_and_that_it_rings_no_more(
    autojump_clock: MockClock,
) -> None:
    gateway = MemoryGateway()
    async with bob_is_away(gateway) as (world, ann):
        gateway.seconds = 2.0
        say(ann, "bob", OFFER, b"offer")
        await trio.sleep(2)
        await world.kill("push")
        gateway.seconds = 0.0
        await trio.sleep(SOON)
        assert [one["kind"] for one in gateway.said] == ["call", "call"]
        assert len({one["id"] for one in gateway.said}) == 1
        gateway.take()
        await world.kill("calls")  # the server lost it
        await trio.sleep(SOON)
        assert kinds(gateway) == ["clear"]


async def test_messages_of_whom_a_call_rings_at_go_before_nobody_elses(autojump_clock: MockClock) -> None:
    gateway = MemoryGateway()
    async with bob_is_away(gateway, BURST="9", MAX_SENDS_PER_HOST="1") as (world, ann):
        cid = await world.join("cid", "phone", go_on())
        await subscribe(cid, token="c")
        cid.cut()
        await trio.sleep(SOON)
        say(ann, "bob", OFFER, b"offer")
        await trio.sleep(SOON)
        assert kinds(gateway) == ["call"]
        gateway.seconds = 1.0
        for number, name in enumerate(("bob", "bob", "bob", "cid")):
            await ann.post(name, b"x", f"m{number}")
        await trio.sleep(SOON + 5)

        assert [one["token"] for one in gateway.take()] == ["t", "c", "t", "t"]


async def test_a_subscription_that_is_gone_leaves_nothing_behind(autojump_clock: MockClock) -> None:
    gateway = MemoryGateway()
    gateway.answer = failing(410)
    async with bob_is_away(gateway) as (world, ann):
        say(ann, "bob", OFFER, b"offer")
        await trio.sleep(RING_SECONDS + 600)
        laptop = await world.join("ann", "laptop", go_on())
        say(laptop, "bob", OFFER, b"offer", call="y")
        await trio.sleep(RING_SECONDS + SOON)

        assert kinds(gateway) == ["call"]
        assert len(world.server.rings) == 0
