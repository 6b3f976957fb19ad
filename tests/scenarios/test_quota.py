"""Stored bytes count against their sender alone, for as long as they are kept."""

import trio
from trio.testing import MockClock

from bimip.client.wire import bimip as pb
from bimip.testing.virtual import settings_for_tests
from tests.kit.memory_server import Client, open_world

DAY = 24 * 60 * 60


async def refusal(client: Client, message_id: str) -> pb.ErrorMessage:
    client.send(message=pb.Message(id=message_id, to=pb.Identity(eid="bob"), type=1, payload=bytes(4000)))
    while True:
        body = await client.body()
        if body.errors:
            return body.errors[0]


async def test_who_has_stored_too_much_is_refused_and_nobody_else(autojump_clock: MockClock) -> None:
    settings = settings_for_tests(BIMIP_LIMITS_MAX_STORED_BYTES_PER_USER="10000")
    async with open_world(settings=settings) as world:
        alice, bob = world.connect("alice", "phone"), world.connect("bob", "phone")
        await alice.hello()
        await bob.hello()
        for number in range(2):
            await alice.post("bob", bytes(4000), f"m{number}")
        refused = await refusal(alice, "m2")
        answered = await bob.post("alice", bytes(4000), "b1")

        assert (refused.code, refused.id) == (pb.ErrorCode.STORAGE_FULL, "m2")
        assert refused.retry_after_ms > 0
        assert "10000 bytes" in refused.message
        assert answered.user_offset == 3


async def test_a_resend_is_answered_all_the_same(autojump_clock: MockClock) -> None:
    settings = settings_for_tests(BIMIP_LIMITS_MAX_STORED_BYTES_PER_USER="5000")
    async with open_world(settings=settings) as world:
        alice, bob = world.connect("alice", "phone"), world.connect("bob", "phone")
        await alice.hello()
        await bob.hello()
        first = await alice.post("bob", bytes(4000), "m0")
        again = await alice.post("bob", bytes(4000), "m0")

        assert again.duplicate
        assert again.signal_offset == first.signal_offset


async def test_what_expires_makes_room(autojump_clock: MockClock) -> None:
    settings = settings_for_tests(
        BIMIP_LIMITS_MAX_STORED_BYTES_PER_USER="5000",
        BIMIP_RETENTION_HISTORY_DAYS="chat=1,notification=1,feed=1,sync=1",
    )
    async with open_world(settings=settings) as world:
        alice, bob = world.connect("alice", "phone"), world.connect("bob", "phone")
        await alice.hello()
        await bob.hello()
        await alice.post("bob", bytes(4000), "m0")
        before = await refusal(alice, "m1")
        await trio.sleep(DAY + 300)
        world_later = world.connect("alice", "laptop")
        await world_later.hello()
        after = await world_later.post("bob", bytes(4000), "m2")

        assert before.code == pb.ErrorCode.STORAGE_FULL
        assert after.user_offset == 2
