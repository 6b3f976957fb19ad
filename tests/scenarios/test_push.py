"""Devices that are not connected are told what waits for them, by a gateway."""

from collections.abc import Callable
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from bimip.client.wire import bimip as pb
from bimip.config import Settings
from bimip.operations import Operations
from bimip.push.posting import PostError, Request, Response
from bimip.storage.memory import MemoryStore
from bimip.testing.push import MemoryGateway
from bimip.testing.virtual import BEGIN, settings_for_tests
from tests.kit.memory_server import Client, World, go_on, open_world
from tests.kit.push import GATEWAY
from tests.scenarios.conftest import OpenStore
from tests.scenarios.test_calls import RING_SECONDS, ann_calls
from tests.scenarios.test_presence import say

SOON = 5
"""Seconds in which what is to be pushed was pushed."""


def with_push(**settings: str) -> Settings:
    return settings_for_tests(
        BIMIP_PUSH_GATEWAYS=GATEWAY, **{f"BIMIP_PUSH_{key}": text for key, text in settings.items()}
    )


async def subscribe(client: Client, **fields: Any) -> pb.PushNotification:
    return await ask_push(client, **({"id": "p", "platform": "fcm", "token": "t"} | fields))


async def ask_push(client: Client, **fields: Any) -> pb.PushNotification:
    client.send(push_notification=pb.PushNotification(**fields), ref=4)
    while True:
        frame = await client.receive()
        if frame.push_notification is not None:
            assert frame.ref == 4
            return frame.push_notification


async def bob_away(world: World, **fields: Any) -> Client:
    """Ann's phone. Bob's has subscribed, and is gone."""
    ann, bob = await world.join("ann", "phone"), await world.join("bob", "phone", go_on())
    await subscribe(bob, **fields)
    bob.cut()
    await trio.sleep(SOON)
    return ann


def told(gateway: MemoryGateway) -> list[tuple[str, int]]:
    return [(one["kind"], one.get("messages", 0)) for one in gateway.take()]


def millis() -> int:
    """The server's time."""
    return BEGIN + int(trio.current_time() * 1000)


def failing(*answers: int) -> Callable[[Request], Response]:
    """A gateway that answers so, and then takes all; 0: it cannot be reached."""
    left = list(answers)

    def answer(_request: Request) -> Response:
        status = left.pop(0) if left else 201
        if not status:
            raise PostError("nobody is there")
        return Response(status)

    return answer


async def test_who_is_away_is_told_of_each_message_and_of_many_together(autojump_clock: MockClock) -> None:
    gateway = MemoryGateway()
    async with open_world(settings=with_push(), gateway=gateway) as world:
        ann = await bob_away(world)
        for number in range(3):
            await ann.post("bob", b"hello", f"m{number}")
            await trio.sleep(SOON)

        assert told(gateway) == [("message", 1), ("message", 2), ("message", 3)]
        for number in range(3, 8):
            await ann.post("bob", b"hello", f"m{number}")
        await trio.sleep(60)
        assert told(gateway)[-1] == ("summary", 8)
        await ann.post("bob", b"hello", "m8")
        await trio.sleep(60)
        assert told(gateway) == [("summary", 9)]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("nothing", {}),
        ("sender", {"conversation": "c1", "sender": "ann"}),
        ("message", {"conversation": "c1", "sender": "ann", "payload": "aGVsbG8="}),
    ],
)
async def test_it_says_no_more_than_is_configured(
    autojump_clock: MockClock, content: str, expected: dict[str, str]
) -> None:
    gateway = MemoryGateway()
    async with open_world(settings=with_push(CONTENT=content), gateway=gateway) as world:
        ann = await bob_away(world)
        await ann.post("bob", b"hello", "m1")
        await trio.sleep(SOON)
        [one] = gateway.take()
        payload = one.get("message", {}).get("payload")
        found = {"conversation": one.get("conversation"), "sender": one.get("sender"), "payload": payload}

        assert {name: value for name, value in found.items() if value is not None} == expected
        assert (one["platform"], one["token"], one["kind"], one["messages"]) == ("fcm", "t", "message", 1)


async def test_who_is_there_is_told_nothing_and_what_they_had_neither(autojump_clock: MockClock) -> None:
    gateway = MemoryGateway()
    async with open_world(settings=with_push(), gateway=gateway) as world:
        ann = await bob_away(world)
        laptop = await world.join("bob", "laptop")
        await ann.post("bob", b"hello", "m1")
        await ann.post("bob", b"hello", "m2")
        await laptop.heard()
        laptop.acknowledge(1)
        await trio.sleep(SOON)

        assert told(gateway) == []
        laptop.cut()
        await trio.sleep(SOON)
        assert told(gateway) == [("message", 1)]


async def test_what_was_there_when_it_subscribed_is_not_told(autojump_clock: MockClock) -> None:
    gateway = MemoryGateway()
    async with open_world(settings=with_push(), gateway=gateway) as world:
        await world.register("bob")
        ann = await world.join("ann", "phone")
        await ann.post("bob", b"hello", "m1")
        bob = await world.join("bob", "phone", go_on("sync"))
        await subscribe(bob)
        bob.cut()
        await trio.sleep(SOON)

        assert told(gateway) == []
        await ann.post("bob", b"hello", "m2")
        await trio.sleep(SOON)
        assert told(gateway) == [("message", 1)]


async def test_what_was_read_or_deleted_before_it_was_taken_is_not_sent_any_more(autojump_clock: MockClock) -> None:
    gateway = MemoryGateway()
    async with open_world(settings=with_push(), gateway=gateway) as world:
        ann = await bob_away(world)
        gateway.answer = failing(*[503] * 1000)
        await ann.post("bob", b"hello", "m1")
        deleted = await ann.post("bob", b"hello", "m2")
        await trio.sleep(SOON)
        gateway.take()
        laptop = await world.join("bob", "laptop", go_on("sync"))
        laptop.read("c1", 1)
        ann.send(
            command=pb.Command(
                id="d", kind=pb.CommandKind.DELETE_FOR_EVERYONE, target=deleted.signal_offset, conversation="c1"
            )
        )
        await ann.heard()
        await laptop.heard()
        laptop.cut()
        gateway.answer = failing()
        await trio.sleep(600)

        assert [one for one in gateway.take() if one["kind"] != "clear"] == []


async def test_when_it_is_read_it_is_taken_away_again(autojump_clock: MockClock) -> None:
    gateway = MemoryGateway()
    async with open_world(settings=with_push(), gateway=gateway) as world:
        ann = await bob_away(world)
        await ann.post("bob", b"hello", "m1")
        await trio.sleep(SOON)
        [shown] = gateway.take()
        laptop = await world.join("bob", "laptop")
        await laptop.heard()
        laptop.acknowledge(1)
        await trio.sleep(SOON)
        assert told(gateway) == []
        laptop.read("c1", 1)
        await trio.sleep(SOON)
        [clear] = gateway.take()

        assert (clear["kind"], clear["collapse_key"]) == ("clear", shown["collapse_key"])
        await trio.sleep(SOON)
        assert told(gateway) == []


async def test_where_nothing_is_cleared_it_is_counted_anew_all_the_same(autojump_clock: MockClock) -> None:
    gateway = MemoryGateway()
    async with open_world(settings=with_push(CLEAR_ON_READ="false"), gateway=gateway) as world:
        ann = await bob_away(world)
        await ann.post("bob", b"hello", "m1")
        await trio.sleep(SOON)
        laptop = await world.join("bob", "laptop")
        await laptop.heard()
        laptop.read("c1", 1)
        await trio.sleep(SOON)
        laptop.cut()
        await ann.post("bob", b"hello", "m2")
        await trio.sleep(SOON)

        assert told(gateway) == [("message", 1), ("message", 1)]


async def test_what_is_muted_or_archived_is_not_told_but_a_mention_is(autojump_clock: MockClock) -> None:
    gateway = MemoryGateway()
    async with open_world(settings=with_push(), gateway=gateway) as world:
        ann = await bob_away(world)
        await ann.post("bob", b"hello", "m1")
        laptop = await world.join("bob", "laptop")
        await laptop.heard()
        laptop.acknowledge(1)
        mute = pb.Command(id="k1", kind=pb.CommandKind.MUTE, conversation="c1", until=10**13)
        laptop.send(command=mute)
        await laptop.heard()
        laptop.cut()
        await trio.sleep(SOON)
        gateway.take()
        await ann.post("bob", b"hello", "m2")
        await trio.sleep(SOON)
        assert told(gateway) == []
        await ann.post("bob", b"hello bob", "m3", mentions=["bob"])
        await trio.sleep(SOON)
        [one] = gateway.take()
        assert (one["kind"], one["mention"]) == ("message", True)


@pytest.mark.parametrize("status", [pb.AwarenessStatus.DND, pb.AwarenessStatus.BUSY])
async def test_who_wants_to_be_left_alone_is_told_when_that_ends(
    autojump_clock: MockClock, status: pb.AwarenessStatus
) -> None:
    gateway = MemoryGateway()
    async with open_world(settings=with_push(), gateway=gateway) as world:
        ann, bob = await world.join("ann", "phone"), await world.join("bob", "phone", go_on())
        await subscribe(bob)
        await say(bob, status, until=millis() + 300_000)
        bob.cut()
        await ann.post("bob", b"hello", "m1")
        await trio.sleep(280)
        assert told(gateway) == []
        await trio.sleep(60)
        assert told(gateway) == [("message", 1)]


async def test_who_no_longer_wants_to_be_left_alone_is_told_at_once(autojump_clock: MockClock) -> None:
    gateway = MemoryGateway()
    async with open_world(settings=with_push(), gateway=gateway) as world:
        ann = await bob_away(world)
        laptop = await world.join("bob", "laptop")
        await say(laptop, pb.AwarenessStatus.DND)
        laptop.cut()
        await ann.post("bob", b"hello", "m1")
        await trio.sleep(600)
        assert told(gateway) == []
        laptop = await world.join("bob", "laptop", go_on("sync"))
        await say(laptop, pb.AwarenessStatus.AWAY)
        laptop.cut()
        await trio.sleep(SOON)
        assert told(gateway) == [("message", 1)]


async def test_who_is_left_alone_is_left_alone_after_a_restart_too(
    autojump_clock: MockClock, open_store: OpenStore
) -> None:
    gateway = MemoryGateway()
    async with open_world(settings=with_push(), open_store=open_store, gateway=gateway) as world:
        ann, bob = await world.join("ann", "phone"), await world.join("bob", "phone", go_on())
        await subscribe(bob)
        await say(bob, pb.AwarenessStatus.DND, until=millis() + 300_000)
        bob.cut()
        await ann.post("bob", b"hello", "m1")
        await trio.sleep(SOON)
    async with open_world(settings=with_push(), open_store=open_store, gateway=gateway):
        await trio.sleep(200)
        assert told(gateway) == []
        await trio.sleep(160)
        assert told(gateway) == [("message", 1)]


async def test_who_looks_at_no_device_is_told_of_what_comes_then_and_not_of_what_they_had(
    autojump_clock: MockClock,
) -> None:
    """What a device acknowledges while nobody looks at it does not count, whatever it does meanwhile."""
    gateway = MemoryGateway()
    async with open_world(settings=with_push(), gateway=gateway) as world:
        ann, bob = await world.join("ann", "phone"), await world.join("bob", "phone", go_on())
        laptop = await world.join("bob", "laptop", go_on())
        await subscribe(bob)
        await ann.post("bob", b"hello", "m1")
        for device in (bob, laptop):
            await device.heard()
            device.acknowledge(1)
        await trio.sleep(SOON)
        await say(bob, pb.AwarenessStatus.ONLINE, inactive=True)
        await ann.post("bob", b"hello", "m2")
        await laptop.heard()
        laptop.acknowledge(2)
        await trio.sleep(SOON)
        await say(laptop, pb.AwarenessStatus.ONLINE, inactive=True)
        await trio.sleep(SOON)
        assert told(gateway) == []  # they looked at the laptop when it came
        await ann.post("bob", b"hello", "m3")
        await bob.heard()
        bob.acknowledge(3)
        await trio.sleep(SOON)
        assert told(gateway) == [("message", 1)]
        await say(laptop, pb.AwarenessStatus.ONLINE)
        await ann.post("bob", b"hello", "m4")
        await trio.sleep(SOON)
        assert told(gateway) == []
        await say(laptop, pb.AwarenessStatus.OFFLINE)
        await trio.sleep(SOON)
        assert told(gateway) == [("message", 2)]


@pytest.mark.parametrize("answers", [(500,), (503, 500, 502), (429,), (408, 425), (0, 0), (404,)])
async def test_a_gateway_that_fails_is_tried_again_with_the_same_id(
    autojump_clock: MockClock, answers: tuple[int, ...]
) -> None:
    gateway = MemoryGateway()
    gateway.answer = failing(*answers)
    async with open_world(settings=with_push(), gateway=gateway) as world:
        ann = await bob_away(world)
        await ann.post("bob", b"hello", "m1")
        await trio.sleep(120)
        said = gateway.said

        assert len(said) == len(answers) + 1
        assert len({one["id"] for one in said}) == 1
        assert len({dict(request.headers)["Idempotency-Key"] for request in gateway.requests}) == 1


async def test_it_waits_as_long_as_the_gateway_says(autojump_clock: MockClock) -> None:
    gateway = MemoryGateway()
    answers = [Response(429, "100")]
    gateway.answer = lambda _request: answers.pop() if answers else Response(201)
    async with open_world(settings=with_push(), gateway=gateway) as world:
        ann = await bob_away(world)
        await ann.post("bob", b"hello", "m1")
        await trio.sleep(99)
        assert len(gateway.requests) == 1
        await trio.sleep(60)
        assert len(gateway.requests) == 2


async def test_what_a_gateway_refuses_is_dropped_and_what_follows_is_sent(autojump_clock: MockClock) -> None:
    gateway = MemoryGateway()
    gateway.answer = failing(400, 301)
    async with open_world(settings=with_push(), gateway=gateway) as world:
        ann = await bob_away(world)
        for number in range(3):
            await ann.post("bob", b"hello", f"m{number}")
            await trio.sleep(SOON)

        assert len({one["id"] for one in gateway.said}) == len(gateway.said) == 3


async def test_a_subscription_that_is_gone_goes(autojump_clock: MockClock) -> None:
    gateway = MemoryGateway()
    gateway.answer = failing(410)
    async with open_world(settings=with_push(), gateway=gateway) as world:
        ann = await bob_away(world)
        for number in range(2):
            await ann.post("bob", b"hello", f"m{number}")
            await trio.sleep(SOON)
        assert len(gateway.requests) == 1
        bob = await world.join("bob", "phone")
        listed = await ask_push(bob, query=True)

        assert (listed.subscriptions, listed.platforms) == ([], ["fcm"])


async def test_all_of_a_users_devices_are_listed_and_any_of_them_removes_one(autojump_clock: MockClock) -> None:
    async with open_world(settings=with_push()) as world:
        phone, laptop = await world.join("bob", "phone"), await world.join("bob", "laptop")
        await subscribe(phone, token="the phone's")
        await subscribe(laptop, token="the laptop's")
        await subscribe(laptop, token="another")
        listed = await ask_push(laptop, query=True)
        await ask_push(laptop, id="p", remove=True, device="phone")

        assert [(one.device, one.token) for one in listed.subscriptions] == [
            ("phone", "the phone's"),
            ("laptop", "another"),
        ]
        assert [one.device for one in (await ask_push(phone, query=True)).subscriptions] == ["laptop"]


async def test_a_device_that_is_forgotten_is_told_no_more(autojump_clock: MockClock) -> None:
    gateway = MemoryGateway()
    async with open_world(settings=with_push(), gateway=gateway) as world:
        ann = await bob_away(world)
        laptop = await world.join("bob", "laptop")
        laptop.send(devices=pb.Devices(action=pb.DevicesAction.REMOVE, name="phone"), ref=5)
        await laptop.heard()
        laptop.cut()
        await trio.sleep(SOON)
        await ann.post("bob", b"hello", "m1")
        await trio.sleep(SOON)

        assert told(gateway) == []


async def test_a_slow_gateway_holds_up_no_other_one(autojump_clock: MockClock) -> None:
    two = GATEWAY[:-1] + ', "slow": {"url": "https://slow.example.org", "secret": "a secret of the gateway"}}'
    gateway = MemoryGateway()
    settings = settings_for_tests(BIMIP_PUSH_GATEWAYS=two)
    async with open_world(settings=settings, gateway=gateway) as world:
        slow = trio.Event()
        post = gateway.post

        async def slowly(request: Request) -> Response:
            if "slow" in request.url:
                await slow.wait()
            return await post(request)

        gateway.post = slowly  # type: ignore[method-assign]
        ann = await world.join("ann", "phone")
        for number in range(50):
            carol = await world.join(f"carol{number}", "phone", go_on())
            await subscribe(carol, platform="slow")
            carol.cut()
        bob = await world.join("bob", "phone", go_on())
        await subscribe(bob)
        bob.cut()
        await trio.sleep(SOON)
        await world.kill("push")  # so that it begins with the gateway as it is now
        await trio.sleep(SOON)
        for number in range(50):
            ann.write(f"carol{number}", b"hello", f"c{number}")
        await ann.heard()
        await ann.post("bob", b"hello", "m1")
        await trio.sleep(SOON)
        assert [one["platform"] for one in gateway.take()] == ["fcm"]
        slow.set()
        await trio.sleep(SOON)
        assert len(gateway.take()) == 50


async def test_what_comes_while_a_gateway_takes_its_time_waits_for_what_came_before(autojump_clock: MockClock) -> None:
    gateway = MemoryGateway()
    async with open_world(settings=with_push(), gateway=gateway) as world:
        ann = await bob_away(world)
        gateway.seconds = 3.0
        await ann.post("bob", b"hello", "m1")
        await trio.sleep(2)
        await ann.post("bob", b"hello", "m2")
        await trio.sleep(1.5)
        assert [one["messages"] for one in gateway.said] == [1]
        await trio.sleep(10)
        assert [one["messages"] for one in gateway.said] == [1, 2]


async def test_after_a_restart_nothing_is_lost_and_nothing_is_told_twice(
    autojump_clock: MockClock, open_store: OpenStore
) -> None:
    gateway = MemoryGateway()
    async with open_world(settings=with_push(), open_store=open_store, gateway=gateway) as world:
        ann = await bob_away(world)
        await ann.post("bob", b"hello", "m1")
        await trio.sleep(SOON)
        assert told(gateway) == [("message", 1)]
        gateway.answer = failing(*[503] * 1000)
        await ann.post("bob", b"hello", "m2")
        await trio.sleep(SOON)
    gateway.take()
    gateway = MemoryGateway()
    async with open_world(settings=with_push(), open_store=open_store, gateway=gateway) as world:
        await trio.sleep(SOON)

        assert told(gateway) == [("message", 2)]


async def test_what_was_taken_and_not_noted_is_known_by_its_id(autojump_clock: MockClock) -> None:
    gateway, store = MemoryGateway(), MemoryStore()
    async with open_world(settings=with_push(), store=store, gateway=gateway) as world:
        ann = await bob_away(world)
        gateway.seconds = 1.0
        await ann.post("bob", b"hello", "m1")
        await trio.sleep(1.5)  # it was asked then, and has not answered
        await world.kill("push")
        gateway.seconds = 0.0
        await trio.sleep(SOON)

        assert [one["messages"] for one in gateway.said] == [1, 1]
        assert len({one["id"] for one in gateway.said}) == 1


async def test_an_operator_tries_subscriptions_and_nothing_follows_from_it(autojump_clock: MockClock) -> None:
    """Also where the gateway says that nobody is there any more."""
    gateway = MemoryGateway()
    gateway.answer = failing(201, 410, 0, 400, 503)
    async with open_world(settings=with_push(), gateway=gateway) as world:
        ann = await bob_away(world)
        outcomes = []
        for _ in range(5):
            told: Any = await Operations(world.server).try_push("bob", "", "")
            (one,) = told["subscriptions"]
            outcomes.append((one["outcome"], one["status"]))
        said = gateway.take()

        assert outcomes == [("taken", 201), ("gone", 410), ("unreachable", 0), ("refused", 400), ("again", 503)]
        assert {(one["kind"], one["token"]) for one in said} == {("test", "t")}
        assert len(said) == 5
        assert "message" not in str(said)
        assert (await Operations(world.server).try_push("bob", "laptop", "")) == {"eid": "bob", "subscriptions": []}
        assert (await Operations(world.server).try_push("bob", "", "q")) == {"eid": "bob", "subscriptions": []}
        assert (await Operations(world.server).try_push("nobody", "", "")) is None
        assert (await Operations(world.server).try_push("\n", "", "")) is None
        await ann.post("bob", b"hello", "m1")
        await trio.sleep(SOON)
        assert told_kinds(gateway) == ["message"]


def told_kinds(gateway: MemoryGateway) -> list[str]:
    return [one["kind"] for one in gateway.take()]


async def test_a_group_is_told_and_what_happened_in_it_is_not(autojump_clock: MockClock) -> None:
    gateway = MemoryGateway()
    async with open_world(settings=with_push(), gateway=gateway) as world:
        ann = await bob_away(world)
        made = pb.Conversation(
            action=pb.ConversationAction.CREATE, request_id="r", title="trip", members=[pb.Member(eid="bob")]
        )
        ann.send(conversation=made, ref=3)
        await ann.heard()
        await trio.sleep(SOON)
        assert told(gateway) == []
        await ann.post("c1", b"hello", "m1")
        await trio.sleep(SOON)
        [one] = gateway.take()

        assert (one["sender"], one["title"], one["conversation"]) == ("ann", "trip", "c1")


async def test_a_call_that_nobody_answered_is_told(autojump_clock: MockClock) -> None:
    gateway = MemoryGateway()
    async with open_world(settings=with_push(), gateway=gateway) as world:
        _, phone, laptop = await ann_calls(world)
        await subscribe(phone)
        phone.cut()
        laptop.cut()
        await trio.sleep(RING_SECONDS + SOON)
        one = gateway.take()[-1]

        assert (one["kind"], one["sender"], one["missed_call"]) == ("message", "ann", True)


async def test_what_disappears_is_not_told_afterwards(autojump_clock: MockClock) -> None:
    gateway = MemoryGateway()
    gateway.answer = failing(*[503] * 3)
    async with open_world(settings=with_push(), gateway=gateway) as world:
        ann = await bob_away(world)
        await ann.post("bob", b"hello", "m1", ttl_ms=2000)
        await trio.sleep(600)
        tries = gateway.said

        assert 1 <= len(tries) <= 3
        assert all(one["ttl"] <= 2 for one in tries)


async def test_what_is_for_other_devices_or_partitions_is_not_told(autojump_clock: MockClock) -> None:
    gateway = MemoryGateway()
    async with open_world(settings=with_push(), gateway=gateway) as world:
        await world.register("bob", "phone", "laptop")
        ann = await bob_away(world)
        laptop = pb.DeviceAddress(identity=pb.Identity(eid="bob", connection_resource_id="laptop"))
        phone = pb.DeviceAddress(identity=pb.Identity(eid="bob", connection_resource_id="phone"), payload=b"for you")
        await ann.post("bob", b"hello", "m1", devices=[laptop])
        await ann.post("bob", b"hello", "m2", partition="sync")
        await trio.sleep(SOON)
        assert told(gateway) == []
        await ann.post("bob", b"hello", "m3", devices=[phone])
        await trio.sleep(SOON)
        assert told(gateway) == [("message", 1)]


async def test_what_is_too_old_is_not_told(autojump_clock: MockClock) -> None:
    gateway = MemoryGateway()
    gateway.answer = failing(*[503] * 8)
    async with open_world(settings=with_push(MAX_AGE_SECONDS="20"), gateway=gateway) as world:
        ann = await bob_away(world)
        await ann.post("bob", b"hello", "m1")
        await trio.sleep(60)
        tries = len(gateway.requests)
        assert tries < 8
        await ann.post("bob", b"hello", "m2")
        gateway.answer = failing()
        await trio.sleep(SOON)
        assert len(gateway.requests) == tries + 1
