"""What a device asks for counts against its rate, also what is refused."""

import pytest
from trio.testing import MockClock

from bimip.client.wire import bimip as pb
from bimip.session.close import Close
from tests.harness.world import begin, go_on, open_world, settings_for_tests

SLOW = {"BIMIP_LIMITS_DEVICE_REQUESTS_PER_SECOND": "10", "BIMIP_LIMITS_RATE_BURST_SECONDS": "1"}
HELLO = bytes(pb.MessageScheme(route=13, ref=2, hello=pb.Hello(partitions=[go_on()])))
NOISE = b"\xff\xff"
EMPTY = bytes(pb.MessageScheme(route=10, ref=2, body=pb.Body()))


@pytest.mark.parametrize("frame", [HELLO, EMPTY], ids=["a second Hello", "an empty batch"])
async def test_what_is_refused_or_empty_is_charged(autojump_clock: MockClock, frame: bytes) -> None:
    async with open_world(settings=settings_for_tests(**SLOW)) as world:
        phone = await world.join("bob", "phone")
        for _ in range(30):
            phone.peer.send(frame)
        heard = await phone.heard()

        assert heard.codes.count(pb.ErrorCode.RATE_LIMITED) == 20
        assert all(error.retry_after_ms for error in heard.errors if error.code == pb.ErrorCode.RATE_LIMITED)


async def test_what_cannot_be_decoded_is_charged(autojump_clock: MockClock) -> None:
    async with open_world(settings=settings_for_tests(**SLOW)) as world:
        phone = await world.join("bob", "phone")
        for _ in range(20):
            phone.peer.send(NOISE)
            phone.send(ping_pong=pb.PingPong(), ref=3)
        heard = await phone.heard()

        assert heard.codes.count(pb.ErrorCode.MALFORMED) == 20
        assert heard.codes.count(pb.ErrorCode.RATE_LIMITED) >= 14


async def test_who_connects_too_often_is_told_when_to_come_again(autojump_clock: MockClock) -> None:
    async with open_world(settings=settings_for_tests(BIMIP_LIMITS_USER_LOGINS_PER_SECOND="1")) as world:
        for _ in range(21):
            (await world.join("bob", "phone", begin(pb.Start.HEAD))).cut()
        late = world.connect("bob", "laptop")
        code = await late.closed()
        assert late.peer.connection.closed is not None
        reason = late.peer.connection.closed[1]
        other = await world.join("alice", "phone")

        assert (code, reason) == (
            Close.TRY_AGAIN_LATER,
            "devices of this user connect too often; try again in 1 second",
        )
        assert other.is_connected
