"""The whole server in memory, as whoever tests with it sees it."""

from collections.abc import AsyncIterator

import pytest
import trio
from trio.testing import MockClock

from bimip.client import Backoff, Client
from bimip.client.errors import Stopped
from bimip.client.events import Connected, Disconnected, Received
from bimip.session.close import Close
from bimip.testing import MemoryServer, open_memory_server

ALICE, BOB = "alice@example.org", "bob@example.org"
QUICK = Backoff(base=0.1, longest=1.0)


@pytest.fixture
def bimip_settings() -> dict[str, str]:
    return {"BIMIP_USERS_ACCEPT_UNKNOWN_RECIPIENTS": "true"}


async def next_payload(client: Client) -> bytes:
    async for event in client:
        if isinstance(event, Received):
            return event.message.payload
    raise AssertionError


async def next_end(client: Client) -> Disconnected:
    async for event in client:
        if isinstance(event, Disconnected):
            return event
    raise AssertionError


async def test_what_was_acknowledged_outlives_a_kill_and_a_stop(
    bimip_memory_server: MemoryServer, autojump_clock: MockClock
) -> None:
    server = bimip_memory_server
    async with server.client(ALICE) as alice:
        await alice.messages.send(BOB, b"one")
        await server.kill()
        alice.messages.send_nowait(BOB, b"two")
        with pytest.raises(trio.TooSlowError), trio.fail_after(60):
            await alice.wait_connected()
        await server.start()
        await alice.messages.send(BOB, b"three")
        await server.restart()
        async with server.client(BOB) as bob:
            texts = [await next_payload(bob) for _ in range(3)]

    assert texts == [b"one", b"two", b"three"]


async def test_who_is_stopped_is_told_and_who_is_killed_or_cut_is_not(
    bimip_memory_server: MemoryServer, autojump_clock: MockClock
) -> None:
    server = bimip_memory_server
    ends = []
    async with server.client(ALICE, backoff=QUICK) as alice:
        for end in (server.restart, server.kill):
            await alice.wait_connected()
            await end()
            ends.append((await next_end(alice)).code)
        await server.start()
        await alice.wait_connected()
        server.cut(ALICE)
        ends.append((await next_end(alice)).code)

    assert ends == [Close.GOING_AWAY, 1006, 1006]


async def test_a_cut_is_of_one_device_where_it_says_so(
    bimip_memory_server: MemoryServer, autojump_clock: MockClock
) -> None:
    server = bimip_memory_server
    async with server.client(ALICE, "phone") as phone, server.client(ALICE, "laptop") as laptop:
        await phone.wait_connected()
        await laptop.wait_connected()
        server.cut(ALICE, "laptop")
        server.cut(BOB)
        await next_end(laptop)

        assert phone.connected


async def test_tokens_count_by_virtual_time(autojump_clock: MockClock) -> None:
    async with open_memory_server() as server:
        short = server.token(ALICE, seconds=60)
        async with server.client(ALICE, token=short, backoff=QUICK) as alice:
            await alice.wait_connected()
            begun = server.now()
            with pytest.raises(Stopped) as stopped:
                async for _ in alice:
                    pass

            assert stopped.value.code == Close.TOKEN_EXPIRED
            assert 59_000 <= server.now() - begun <= 61_000


async def test_push_is_told_to_the_test(autojump_clock: MockClock) -> None:
    gateways = '{"own": {"url": "https://push.example.org", "secret": "a secret of the gateway"}}'
    async with open_memory_server(BIMIP_PUSH_GATEWAYS=gateways, BIMIP_PUSH_DELAY_SECONDS="0") as server:
        async with server.client(BOB) as bob:
            await bob.wait_connected()
            await bob.push.subscribe("own", "a token of Bob's")
        async with server.client(ALICE) as alice:
            await alice.messages.send(BOB, b"Hello")
            await trio.sleep(60)

        assert [one["token"] for one in server.pushed.take()] == ["a token of Bob's"]


async def test_the_same_seed_draws_the_same(autojump_clock: MockClock) -> None:
    ids = []
    for seed in (1, 1, 2):
        async with open_memory_server(seed=seed) as server, server.client(ALICE) as alice:
            events = [event async for event in first_events(alice)]
            ids.append(alice.messages.send_nowait(BOB, b"Hello"))

            assert len(events) == 1

    assert ids[0] == ids[1] != ids[2]


async def first_events(client: Client) -> AsyncIterator[Connected]:
    async for event in client:
        if isinstance(event, Connected):
            yield event
            return
