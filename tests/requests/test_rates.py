from contextlib import AbstractAsyncContextManager

import pytest
import trio
from trio.testing import MockClock

from bimip.client.wire import bimip as pb
from bimip.concurrency.buckets import Rate
from bimip.domain.core.ids import DeviceId, UserId
from bimip.requests.rates import MAX_USERS, RateLimiter
from bimip.testing.virtual import settings_for_tests
from tests.kit.memory_server import Client, World, message, open_world

PHONE, LAPTOP = DeviceId(1), DeviceId(2)
BOB = UserId(1)


def test_devices_have_their_own_and_share_their_users() -> None:
    rates = RateLimiter(Rate(10, burst_seconds=1), Rate(15, burst_seconds=1)).of(BOB)
    phone, laptop = rates.of(PHONE), rates.of(LAPTOP)
    from_phone = sum(phone.take(1, 1, 0.0) == 0 for _ in range(50))
    from_laptop = sum(laptop.take(1, 1, 0.0) == 0 for _ in range(50))

    assert (from_phone, from_laptop) == (11, 5)
    assert phone.take(1, 1, 0.0) == pytest.approx(0.1)


def test_connecting_again_pays_nothing() -> None:
    book = RateLimiter(Rate(10, burst_seconds=1), Rate(0))
    while not book.of(BOB).of(PHONE).take(1, 1, 0.0):
        pass

    assert book.of(BOB).of(PHONE).take(1, 1, 0.0) > 0


def test_users_who_were_not_seen_for_long_are_forgotten() -> None:
    book = RateLimiter()
    for number in range(MAX_USERS + 1000):
        book.of(UserId(number)).of(PHONE)

    assert len(book._users._found) == MAX_USERS


# In the whole server.


def slow() -> AbstractAsyncContextManager[World]:
    limits = {
        "BIMIP_LIMITS_DEVICE_REQUESTS_PER_SECOND": "10",
        "BIMIP_LIMITS_USER_REQUESTS_PER_SECOND": "15",
        "BIMIP_LIMITS_RATE_BURST_SECONDS": "1",
    }
    return open_world(settings=settings_for_tests(**limits))


def ids(signals: list[pb.Signal]) -> list[str]:
    return [signal.id for signal in signals]


async def flood(client: Client, name: str, count: int = 30) -> None:
    for number in range(count):
        client.write("bob", b"x", f"{name}{number}")


async def test_what_is_too_fast_is_refused_not_stored_and_taken_later(autojump_clock: MockClock) -> None:
    async with slow() as world:
        bob = await world.join("bob", "phone")
        alice = await world.join("alice", "phone")
        await trio.sleep(10)
        await flood(alice, "m")
        heard = await alice.heard()
        wait = max(error.retry_after_ms for error in heard.errors) / 1000
        await trio.sleep(wait)
        alice.write("bob", b"x", "m29")
        later = await alice.heard()

        assert ids(heard.sent) == [f"m{n}" for n in range(11)]
        assert [error.id for error in heard.errors] == [f"m{n}" for n in range(11, 30)]
        assert set(heard.codes) == {pb.ErrorCode.RATE_LIMITED}
        assert 0 < wait <= 0.2
        assert ids(later.sent) == ["m29"]
        assert len((await bob.heard()).messages) == 12
        assert alice.is_connected


async def test_all_devices_of_a_user_together_have_a_rate_and_other_users_theirs(autojump_clock: MockClock) -> None:
    async with slow() as world:
        await world.register("bob")
        phone, laptop = await world.join("alice", "phone"), await world.join("alice", "laptop")
        carol = await world.join("carol", "phone")
        await trio.sleep(10)
        await flood(phone, "p")
        await flood(laptop, "l")
        await flood(carol, "c")

        assert len((await phone.heard()).sent) + len((await laptop.heard()).sent) == 16
        assert len((await carol.heard()).sent) == 11


async def test_each_message_of_a_refused_batch_is_answered(autojump_clock: MockClock) -> None:
    async with slow() as world:
        await world.register("bob")
        alice = await world.join("alice", "phone")
        await trio.sleep(10)
        batches = [[message("bob", b"x", f"{batch}{n}") for n in range(20)] for batch in "ab"]
        for batch in batches:
            alice.send(body=pb.Body(messages=batch), ref=4)
        heard = await alice.heard()

        assert ids(heard.sent) == [one.id for one in batches[0]]  # whole, into debt
        assert [(error.id, error.ref, error.code) for error in heard.errors] == [
            (one.id, 4, pb.ErrorCode.RATE_LIMITED) for one in batches[1]
        ]


async def test_hello_is_answered_but_its_messages_are_refused(autojump_clock: MockClock) -> None:
    async with slow() as world:
        await world.register("bob")
        alice = await world.join("alice", "phone")
        await flood(alice, "m", 100)
        again = await world.join("alice", "phone", messages=[message("bob", b"x", "late")])

        assert [result.error.code for result in again.welcome.results if result.error] == [pb.ErrorCode.RATE_LIMITED]


@pytest.mark.parametrize("kind", ["ping_pong", "signal", "fetch", "token_authority"])
async def test_every_request_counts(kind: str, autojump_clock: MockClock) -> None:
    payload = {
        "ping_pong": pb.PingPong(),
        "signal": pb.Signal(status=pb.MessageStatus.DELIVERED, partition="chat", upto=0, user_offset=1),
        "fetch": pb.Fetch(kind=pb.FetchKind.LOG, partition="chat"),
        "token_authority": pb.TokenAuthority(action=pb.TokenAuthorityAction.REFRESH, token="x"),
    }[kind]
    async with slow() as world:
        alice = await world.join("alice", "phone")
        await trio.sleep(10)
        for number in range(30):
            alice.send(ref=number + 1, **{kind: payload})
        refused = [error for error in (await alice.heard()).errors if error.code == pb.ErrorCode.RATE_LIMITED]

        assert [error.ref for error in refused] == list(range(12, 31))


async def test_by_default_a_thousand_messages_a_second_and_more_are_taken(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await world.register("bob")
        alice = await world.join("alice", "phone")
        sent = errors = 0
        for second in range(5):
            await flood(alice, f"{second}.", 2000)
            heard = await alice.heard()
            sent, errors = sent + len(heard.sent), errors + len(heard.errors)
            await trio.sleep(0.9)

        assert (sent, errors) == (10_000, 0)


async def test_fetches_are_answered_one_after_another_to_who_reads_nothing(autojump_clock: MockClock) -> None:
    """64 answers of half a MiB each would otherwise wait in memory."""
    async with open_world() as world:
        alice = await world.join("alice", "phone")
        for number in range(20):
            await alice.post("alice", bytes(60_000), f"m{number}")
        alice.cut()
        reader = world.connect("alice", "phone", room=1)
        reader.send(hello=pb.Hello(), ref=1)
        for number in range(60):
            reader.send(fetch=pb.Fetch(kind=pb.FetchKind.LOG, partition="chat", offset=1), ref=100 + number)
        await trio.sleep(1)
        device = world.server.users._sessions["alice"].devices["phone"]
        waiting = len(device.frames)  # type: ignore[attr-defined]
        heard = await reader.heard_slowly()

        assert waiting <= 1
        assert [body.ref for body in heard.bodies if body.ref] == list(range(100, 160))
