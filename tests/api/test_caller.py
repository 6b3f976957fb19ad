"""Who asks by HTTP is a device as any other: what it does reaches connected devices, under the same limits."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import trio
from trio.testing import MockClock

from bimip.domain.accounts.barring import DisableUser, EnableUser, RevokeIssued
from bimip.operations import Operations
from bimip.testing.virtual import settings_for_tests, token
from bimip.wire import bimip_pb2 as pb
from bimip.wire import codec
from tests.api.kit import PREFIX
from tests.http.kit import Wire
from tests.kit.gateway_server import GatewayServer, open_gateway_server


class Memory:
    """A server in memory, under a virtual clock, by HTTP and by WebSocket."""

    def __init__(self, server: GatewayServer) -> None:
        self.server = server
        self._client = httpx.AsyncClient(transport=Wire(server.connect_raw), base_url=f"http://localhost{PREFIX}")

    async def ask(
        self, method: str, path: str, said: Any = None, *, user: str = "alice", device: str = "backend", jti: str = ""
    ) -> httpx.Response:
        content = None if said is None else json.dumps(said).encode()
        return await self.send(method, path, content, user=user, device=device, jti=jti)

    async def send(
        self, method: str, path: str, content: bytes | None, user: str = "alice", device: str = "backend", jti: str = ""
    ) -> httpx.Response:
        headers = {"authorization": f"Bearer {token(user, device, jti=jti)}"}
        return await self._client.request(method, path, headers=headers, content=content)

    async def write(self, text: str, **fields: object) -> httpx.Response:
        return await self.ask("POST", "/messages", {"to": {"eid": "bob"}, "type": 1, "text": text, **fields})


@asynccontextmanager
async def open_memory(**environment: str) -> AsyncIterator[Memory]:
    async with open_gateway_server(settings_for_tests(**environment)) as server:
        memory = Memory(server)
        await memory.ask("GET", "/devices", user="bob")
        yield memory


async def test_what_is_written_reaches_connected_devices_at_once_and_not_the_devices_own_socket(
    autojump_clock: MockClock,
) -> None:
    async with open_memory() as memory:
        phone = await memory.server.connect("bob", "phone")
        laptop = await memory.server.connect("alice", "laptop")
        own = await memory.server.connect("alice", "backend")
        await memory.write("Hello")
        heard = [await one.heard() for one in (phone, laptop, own)]
        payloads = [[one.payload for frame in each.frames for one in frame.body.messages] for each in heard]

    assert payloads == [[b"Hello"], [b"Hello"], []]


async def test_what_changes_is_state_for_the_devices_own_socket_too(autojump_clock: MockClock) -> None:
    async with open_memory() as memory:
        message = (await memory.write("Hello")).json()["messageId"]
        own = await memory.server.connect("alice", "backend")
        await memory.ask("PATCH", f"/messages/{message}", {"text": "Hello Bob"})
        heard = await own.heard()
        items = [item.message.payload for frame in heard.frames for state in frame.body.states for item in state.items]

    assert b"Hello Bob" in items


async def test_asking_takes_the_place_of_no_connection(autojump_clock: MockClock) -> None:
    async with open_memory() as memory:
        own = await memory.server.connect("alice", "backend")
        await memory.write("Hello")
        await memory.ask("GET", "/messages")
        heard = await own.heard()

        assert heard.close is None
        assert set(memory.server.server.users.connected("alice")) == {"backend"}


async def test_an_acknowledgement_by_http_lets_the_devices_socket_go_on(autojump_clock: MockClock) -> None:
    async with open_memory(BIMIP_LIMITS_WINDOW_ENTRIES="1") as memory:
        phone = await memory.server.connect("bob", "phone", partitions=[pb.Position(partition="chat", start=pb.FIRST)])
        await memory.write("1")
        await memory.write("2")
        before = await phone.heard()
        acked = await memory.ask(
            "POST", "/messages/acknowledgements", {"partition": "chat", "upto": 1}, user="bob", device="phone"
        )
        after = await phone.heard()
        told = [[one.payload for frame in each.frames for one in frame.body.messages] for each in (before, after)]

    assert acked.status_code == 204
    assert told == [[b"1"], [b"1", b"2"]]


async def test_a_device_has_one_budget_whichever_way_it_asks(autojump_clock: MockClock) -> None:
    async with open_memory(BIMIP_LIMITS_DEVICE_REQUESTS_PER_SECOND="1", BIMIP_LIMITS_RATE_BURST_SECONDS="3") as memory:
        own = await memory.server.connect("alice", "backend")
        for number in range(1, 7):
            await own.say(codec.encode(pb.PingPong(), ref=number))
        assert (await own.heard()).errors
        refused = await memory.write("too much")
        await trio.sleep(float(refused.headers["retry-after"]))
        accepted = await memory.write("later")

    assert (refused.status_code, refused.json()["code"]) == (429, "RATE_LIMITED")
    assert refused.json()["retry_after_ms"] > 0
    assert accepted.status_code == 201


LIMITED = {"BIMIP_LIMITS_RATE_BURST_SECONDS": "3", "BIMIP_LIMITS_DEVICE_REQUESTS_PER_SECOND": "1000"}


async def test_all_devices_of_a_user_have_one_budget_whichever_way_they_ask(autojump_clock: MockClock) -> None:
    async with open_memory(**LIMITED, BIMIP_LIMITS_USER_REQUESTS_PER_SECOND="1") as memory:
        phone = await memory.server.connect("alice", "phone")
        for number in range(1, 7):
            await phone.say(codec.encode(pb.PingPong(), ref=number))
        assert (await phone.heard()).errors
        refused = await memory.write("too much")
        await trio.sleep(20)
        for number in range(6):
            await memory.write(f"{number}")
        await phone.say(codec.encode(pb.PingPong(), ref=9))
        heard = await phone.heard()
        others = await memory.ask("GET", "/devices", user="bob")

    assert refused.status_code == 429
    assert [error.code for error in heard.errors if error.ref == 9] == [pb.RATE_LIMITED]
    assert others.status_code == 200


async def test_a_budget_outlives_connections(autojump_clock: MockClock) -> None:
    """What a user owes by HTTP a device owes that connects behind it, and the other way round."""
    async with open_memory(**LIMITED, BIMIP_LIMITS_USER_REQUESTS_PER_SECOND="1") as memory:
        for number in range(6):
            refused = await memory.write(f"{number}")
        phone = await memory.server.connect("alice", "phone")
        await phone.say(codec.encode(pb.PingPong(), ref=1))
        heard = await phone.heard()
        await phone.stream.aclose()
        after = await memory.write("still")

    assert refused.status_code == 429
    assert [error.code for error in heard.errors] == [pb.RATE_LIMITED]
    assert after.status_code == 429


@pytest.mark.parametrize(
    ("method", "path", "content"),
    [
        ("POST", "/messages", b"{"),
        ("POST", "/messages", b"{}"),
        ("POST", "/messages", b'{"to": {"eid": "bob"}, "nothing": 1}'),
        ("POST", "/messages/batch", b'{"messages": []}'),
        ("GET", "/messages?nothing=1", None),
        ("GET", "/messages?limit=x", None),
        ("GET", "/messages/none/delivery-state", None),
        ("GET", "/messages/id:none/delivery-state", None),
        ("GET", "/devices", None),
    ],
)
async def test_every_request_counts_whatever_is_wrong_with_it(
    method: str, path: str, content: bytes | None, autojump_clock: MockClock
) -> None:
    async with open_memory(**LIMITED, BIMIP_LIMITS_USER_REQUESTS_PER_SECOND="1") as memory:
        await memory.write("first")
        await trio.sleep(60)
        answers = [await memory.send(method, path, content) for _ in range(8)]

    statuses = [one.status_code for one in answers]
    assert statuses[0] != 429
    assert statuses[-3:] == [429] * 3, statuses
    assert answers[-1].headers["retry-after"]


async def test_devices_that_are_new_are_let_in_only_so_fast(autojump_clock: MockClock) -> None:
    async with open_memory(BIMIP_LIMITS_USER_LOGINS_PER_SECOND="1") as memory:
        answers = [await memory.ask("GET", "/devices", device=f"d{number}") for number in range(40)]
        known = await memory.ask("GET", "/devices", device="d0")

    statuses = [one.status_code for one in answers]
    assert statuses.index(429) >= 20
    assert answers[statuses.index(429)].headers["retry-after"]
    assert known.status_code == 200


async def test_a_quota_is_told_as_507_and_reading_goes_on(autojump_clock: MockClock) -> None:
    async with open_memory(BIMIP_LIMITS_MAX_STORED_BYTES_PER_USER="1000") as memory:
        answers = [await memory.write("x" * 300) for _ in range(6)]
        reading = await memory.ask("GET", "/messages")

    assert answers[-1].status_code == 507
    assert answers[-1].json()["code"] == "STORAGE_FULL"
    assert reading.status_code == 200


async def test_a_device_that_was_removed_begins_anew(autojump_clock: MockClock) -> None:
    async with open_memory() as memory:
        await memory.write("Hello", tempId="m1")
        await memory.ask("DELETE", "/devices/backend", device="laptop")
        again = await memory.write("Hello", tempId="m1")

    assert again.status_code == 201, "ids were the former device's"


async def test_a_device_that_leaves_by_http_is_closed(autojump_clock: MockClock) -> None:
    async with open_memory() as memory:
        own = await memory.server.connect("alice", "backend")
        left = await memory.ask("DELETE", "/devices/backend")
        heard = await own.heard()
        names = [one["name"] for one in (await memory.ask("GET", "/devices", device="laptop")).json()["devices"]]

    assert left.status_code == 204
    assert heard.close is not None
    assert names == ["laptop"]


async def test_a_token_that_is_revoked_ends_its_socket_and_asks_for_nothing_more(autojump_clock: MockClock) -> None:
    async with open_memory() as memory:
        own = await memory.server.connect("alice", "backend")
        revoked = await memory.ask("POST", "/token/revoke", {})
        heard = await own.heard()
        after = await memory.ask("GET", "/devices")
        other = await memory.ask("GET", "/devices", jti="another")

    assert revoked.json()["jti"] == "alice/backend"
    assert heard.close is not None
    assert heard.close[0] == 4102
    assert (after.status_code, other.status_code) == (401, 200)


async def test_a_newer_token_keeps_the_devices_socket(autojump_clock: MockClock) -> None:
    async with open_memory() as memory:
        own = memory.server.knock()
        await own.open("alice", "backend", shown=token("alice", "backend", seconds=10, jti="short"))
        await own.say(codec.encode(pb.Hello(), ref=1))
        await own.heard()
        newer = token("alice", "backend", seconds=3600, jti="long")
        refreshed = await memory.ask("POST", "/token/refresh", {"token": newer})
        await trio.sleep(20)
        heard = await own.heard()

    assert refreshed.json()["jti"] == "long"
    assert heard.close is None


async def test_who_is_disabled_asks_for_nothing_and_their_stream_ends(autojump_clock: MockClock) -> None:
    async with open_memory() as memory:
        await memory.write("before")
        await Operations(memory.server.server).bar_tokens(DisableUser("alice"))
        refused = await memory.write("too late")
        await Operations(memory.server.server).bar_tokens(EnableUser("alice"))
        again = await memory.write("again")
        await Operations(memory.server.server).bar_tokens(RevokeIssued("alice", "backend"))
        revoked = await memory.write("with an old token")
        other = await memory.ask("GET", "/devices", device="laptop")

    assert (refused.status_code, again.status_code, revoked.status_code) == (401, 201, 401)
    assert "keeps this user out" in refused.json()["detail"]
    assert "revoked" in revoked.json()["detail"]
    assert other.status_code == 200


async def test_who_asks_is_seen_though_not_connected(autojump_clock: MockClock) -> None:
    async with open_memory() as memory:
        await memory.ask("GET", "/devices")
        await trio.sleep(2 * 3600)
        await memory.ask("GET", "/messages")
        await trio.sleep(1)
        (device,) = (await memory.ask("GET", "/devices")).json()["devices"]

    assert int(device["last_seen"]) - int(device["created"]) >= 7_200_000
    assert "online" not in device


@pytest.mark.parametrize("most", ["1", "3"])
async def test_so_many_requests_of_a_device_are_answered_at_once(most: str, autojump_clock: MockClock) -> None:
    async with open_memory(BIMIP_LIMITS_UNANSWERED_REQUESTS=most) as memory:
        await memory.ask("GET", "/devices")
        statuses: list[int] = []

        async def ask() -> None:
            statuses.append((await memory.ask("GET", "/inbox")).status_code)

        async with trio.open_nursery() as nursery:
            for _ in range(8):
                nursery.start_soon(ask)
        after = await memory.ask("GET", "/inbox")

    assert sorted(set(statuses)) == [200, 429]
    assert statuses.count(200) >= int(most)
    assert after.status_code == 200
