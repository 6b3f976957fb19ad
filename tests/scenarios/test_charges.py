"""What a device asks for counts against its rate, also what is refused."""

from itertools import count

import pytest
import trio
from trio.testing import MockClock

from bimip.client.wire import bimip as pb
from bimip.journal.worker import InlineWorker
from bimip.requests.message import write
from bimip.requests.route import Rest
from bimip.session.close import Close
from bimip.testing.virtual import settings_for_tests
from bimip.users import intake
from bimip.users.device import Device
from bimip.users.intake import SECONDS_AT_ONCE, WEIGHT_AT_ONCE, Intake
from tests.kit.memory_server import begin, go_on, open_world

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


MANY = [pb.OffsetRange(from_=at, to=at) for at in range(1, 321, 4)]
ACK = pb.Signal(status=pb.MessageStatus.DELIVERED, partition="chat", offsets=MANY)
READ = pb.Signal(status=pb.MessageStatus.READ, to=pb.Identity(eid="alice"), offsets=MANY)
NAMES = pb.Message(id="m", to=pb.Identity(eid="alice"), type=1, payload=b"x", mentions=[f"u{n}" for n in range(40)])


@pytest.mark.parametrize(
    "scheme",
    [
        pb.MessageScheme(route=7, ref=2, signal=ACK),
        pb.MessageScheme(route=7, ref=2, signal=READ),
        pb.MessageScheme(route=6, ref=2, message=NAMES),
    ],
    ids=["an ack of many ranges", "a READ of many ranges", "a message that mentions many"],
)
async def test_what_names_many_counts_for_several(autojump_clock: MockClock, scheme: pb.MessageScheme) -> None:
    """Each of these looks at as much as eleven requests do, as PROTOCOL.md has it; there are ten at once."""
    async with open_world(settings=settings_for_tests(**SLOW)) as world:
        await world.register("alice")
        phone = await world.join("bob", "phone", begin(pb.Start.HEAD))
        await trio.sleep(2)
        for _ in range(3):
            phone.peer.send(bytes(scheme))
        heard = await phone.heard()

        assert (
            heard.codes.count(pb.ErrorCode.RATE_LIMITED) == 2
        )  # the first one is refused for another reason, or taken


async def test_many_small_frames_that_hold_much_are_handled_in_slices(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of them alone is little enough for one turn."""
    taken: list[int] = []

    def counted(device: Device) -> None:
        taken.append(len(device.checked))
        write(device)

    monkeypatch.setattr(intake, "write", counted)
    async with open_world() as world:
        await world.register("alice")
        phone = await world.join("bob", "phone")
        number = 0
        for _ in range(40):
            messages = []
            for _ in range(30):
                number += 1
                messages.append(pb.Message(id=f"m{number}", to=pb.Identity(eid="alice"), type=1, payload=b"x"))
            phone.peer.send(bytes(pb.MessageScheme(route=10, ref=2, body=pb.Body(messages=messages))))
        heard = await phone.heard_slowly()

        assert [signal.id for signal in heard.sent] == [f"m{at}" for at in range(1, number + 1)]
        assert max(taken) <= 2 * WEIGHT_AT_ONCE


async def test_small_frames_that_take_long_are_handled_in_slices(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However little they weigh: two of these take as long as one may hold up all others."""
    seconds, turns = 0.0, list[int]()
    receive, handle = Intake.receive, intake.handle

    def begin_turn(self: Intake, frames: list[bytes], now: float, **how: bool) -> bool:
        turns.append(0)
        return receive(self, frames, now, **how)

    def count(device: Device, frame: bytes) -> Rest | None:
        nonlocal seconds
        seconds += 0.6 * SECONDS_AT_ONCE
        turns[-1] += 1
        return handle(device, frame)

    monkeypatch.setattr(InlineWorker, "clock", lambda _self: seconds)
    monkeypatch.setattr(Intake, "receive", begin_turn)
    monkeypatch.setattr(intake, "handle", count)
    async with open_world() as world:
        phone = await world.join("bob", "phone")
        for _ in range(20):
            phone.send(ping_pong=pb.PingPong(), ref=3)
        await phone.heard()

        assert sum(turns) >= 20
        assert max(turns) == 2


async def test_what_is_done_for_a_device_counts_for_its_connection(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is read of it and what is sent to it: nobody else is held back for it."""
    seconds = count(0.0, 0.0001)
    monkeypatch.setattr(InlineWorker, "clock", lambda _self: next(seconds))
    async with open_world() as world:
        await world.register("alice")
        bob, alice = world.connect("bob", "phone"), world.connect("alice", "phone")
        monkeypatch.setattr(bob.peer.connection, "account", "his")
        monkeypatch.setattr(alice.peer.connection, "account", "hers")
        await bob.hello()
        for number in range(200):
            bob.write("alice", str(number).encode(), f"m{number}")
        await bob.heard()
        await alice.hello(begin(pb.Start.FIRST))
        await alice.heard()
        served = world.server.services.slices.served

        assert served["hers"] > 0
        assert served["his"] > 0
        assert None not in served
