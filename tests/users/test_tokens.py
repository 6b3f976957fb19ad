"""Tokens over a connection's life, and those that come again."""

import json
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from bimip.audit import AuditTrail
from bimip.client.wire import bimip as pb
from bimip.domain.accounts.barring import DisableUser, EnableUser
from bimip.domain.core.ids import Millis
from bimip.domain.core.records import Table
from bimip.gateway.authentication import issue
from bimip.operations import Operations
from bimip.testing.tokens import KEY
from bimip.testing.virtual import BEGIN, settings_for_tests, token, virtual_millis
from bimip.wire import bimip_pb2 as server_pb
from bimip.wire import codec
from tests.kit.gateway_server import open_gateway_server
from tests.kit.memory_server import Client, open_world

REFRESH, REVOKE = pb.TokenAuthorityAction.REFRESH, pb.TokenAuthorityAction.REVOKE
LEEWAY = 30
PATIENT = settings_for_tests(BIMIP_TOKENS_LEEWAY_SECONDS=str(LEEWAY))


async def revoke(client: Client, text: str = "") -> None:
    client.send(token_authority=pb.TokenAuthority(action=REVOKE, token=text), ref=5)
    heard = await client.heard()
    assert [frame.ref for frame in heard.frames if frame.token_authority is not None] == [5], heard.errors


async def test_another_device_of_the_user_revokes_it_and_it_ends_at_once(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone, laptop = await world.join("bob", "phone"), await world.join("bob", "laptop")
        await revoke(laptop, token("bob", "phone"))

        assert await phone.closed() == 4102
        assert laptop.is_connected


async def test_revoked_while_its_device_is_away_it_does_not_come_in(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        laptop = await world.join("bob", "laptop")
        await revoke(laptop, token("bob", "phone"))
        phone = world.connect("bob", "phone")

        assert await phone.closed() == 4102


async def test_revoked_it_refreshes_nothing(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone, laptop = await world.join("bob", "phone"), await world.join("bob", "laptop")
        await revoke(laptop, token("bob", "phone", jti="leaked"))
        phone.send(token_authority=pb.TokenAuthority(action=REFRESH, token=token("bob", "phone", jti="leaked")))

        assert (await phone.heard()).codes == [pb.ErrorCode.UNAUTHENTICATED]
        assert phone.is_connected


async def test_a_token_that_was_replaced_can_still_be_revoked_and_the_connection_goes_on(
    autojump_clock: MockClock,
) -> None:
    async with open_world() as world:
        phone = await world.join("bob", "phone")
        phone.send(token_authority=pb.TokenAuthority(action=REFRESH, token=token("bob", "phone", jti="second")), ref=1)
        await phone.heard()
        await revoke(phone, token("bob", "phone"))
        was_connected = phone.is_connected
        await revoke(phone, token("bob", "phone", jti="second"))

        assert was_connected
        assert await phone.closed() == 4102


async def test_whenever_it_is_revoked_while_its_device_connects_it_is_out(autojump_clock: MockClock) -> None:
    """Between the check and the device's start there was a moment in which nobody would have closed it."""
    for wait in range(60):
        async with open_world(seed=wait) as world:
            laptop = await world.join("bob", "laptop")
            phone = world.connect("bob", "phone")
            phone.send(hello=pb.Hello())
            for _ in range(wait):
                await trio.lowlevel.checkpoint()
            laptop.send(token_authority=pb.TokenAuthority(action=REVOKE, token=token("bob", "phone")))

            assert await phone.closed() == 4102


async def test_a_revoked_token_is_remembered_for_as_long_as_it_would_count(autojump_clock: MockClock) -> None:
    """Its expiry and the leeway: clocks may differ."""
    async with open_world(settings=PATIENT) as world:
        phone, laptop = await world.join("bob", "phone"), await world.join("bob", "laptop")
        shown = token("bob", "phone", seconds=100, jti="short")
        await revoke(laptop, shown)
        await trio.sleep(100 + LEEWAY - 2)
        claims = world.server.services.verify(shown)
        again = world.connect("bob", "phone", expires_at=claims.expires_at, jti=claims.jti)
        code = await again.closed()

        assert code == 4102
        assert phone.is_connected


async def test_a_clock_that_is_ahead_does_not_end_a_connection_that_began(autojump_clock: MockClock) -> None:
    """A token that expired some seconds ago by this server's clock is taken, and counts until the leeway ends."""
    async with open_gateway_server(PATIENT) as gate:
        mallory = gate.knock()
        await mallory.open(
            shown=issue(
                algorithm="HS256",
                signing_key=KEY,
                eid="mallory",
                device="phone",
                now_ms=virtual_millis() - 80_000,
                lifetime_seconds=60,
                jti="old",
            )
        )
        await mallory.say(codec.encode(server_pb.Hello()))
        first = await mallory.heard()
        early = await mallory.heard(5)
        late = await mallory.heard(10)

        assert first.frames[0].HasField("hello")
        assert early.close is None
        assert late.close is not None
        assert late.close[0] == 4101


@pytest.mark.parametrize("times", [2, 10])
async def test_a_token_that_is_shown_again_is_one_device(times: int, autojump_clock: MockClock) -> None:
    """Whoever replays a token is that device: the older connection is told, so its owner notices."""
    async with open_world() as world:
        connected = [await world.join("bob", "phone") for _ in range(times)]

        assert [await client.closed() for client in connected[:-1]] == [4103] * (times - 1)
        assert connected[-1].is_connected


async def test_nobody_comes_in_with_a_token_that_expires_while_it_waits(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = world.connect("bob", "phone", expires_at=Millis(BEGIN - 1000 * LEEWAY))
        phone.send(hello=pb.Hello())

        assert await phone.closed() == 4101


async def test_revoked_it_opens_no_connection(autojump_clock: MockClock) -> None:
    async with open_gateway_server() as gate:
        laptop = await gate.connect("bob", "laptop")
        revoke = server_pb.TokenAuthority(action=server_pb.TokenAuthority.REVOKE, token=token("bob", "phone"))
        await laptop.say(codec.encode(revoke, ref=1))
        await laptop.heard()
        phone, other = gate.knock(), gate.knock()
        await phone.open("bob", "phone")
        await other.open("bob", "tablet")

        assert (await phone.heard()).status == 401
        assert (await phone.heard()).text.startswith("4102 ")
        assert (await other.heard()).status == 101


async def test_another_user_may_have_a_token_of_the_same_name(autojump_clock: MockClock) -> None:
    async with open_gateway_server() as gate:
        bob = gate.knock()
        await bob.open(shown=token("bob", "phone", jti="same"))
        await bob.say(codec.encode(server_pb.Hello(), ref=1))
        revoke = server_pb.TokenAuthority(
            action=server_pb.TokenAuthority.REVOKE, token=token("mallory", "phone", jti="same")
        )
        mallory = await gate.connect("mallory", "laptop")
        await mallory.say(codec.encode(revoke, ref=1))
        assert not (await mallory.heard()).errors
        is_bob_there = (await bob.heard()).close is None
        again, hers = gate.knock(), gate.knock()
        await again.open(shown=token("bob", "phone", jti="same"))
        await hers.open(shown=token("mallory", "phone", jti="same"))

        assert is_bob_there
        assert (await again.heard()).status == 101
        assert (await hers.heard()).status == 401


async def test_a_refreshed_connection_ends_with_its_newer_token_whoever_revokes_it(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone, laptop = await world.join("bob", "phone"), await world.join("bob", "laptop")
        phone.send(token_authority=pb.TokenAuthority(action=REFRESH, token=token("bob", "phone", jti="second")), ref=1)
        await phone.heard()
        await revoke(laptop, token("bob", "phone"))
        goes_on = phone.is_connected
        await revoke(laptop, token("bob", "phone", jti="second"))

        assert goes_on
        assert await phone.closed() == 4102


async def test_a_user_who_is_disabled_is_out_at_once_and_comes_in_when_enabled(autojump_clock: MockClock) -> None:
    async with open_gateway_server() as gate:
        bob, ann = await gate.connect("bob"), await gate.connect("ann")
        assert await Operations(gate.server).bar_tokens(DisableUser("bob"))
        closed = (await bob.heard()).close
        by_header, by_hello = gate.knock(), gate.knock()
        await by_header.open("bob", "another")
        refused = await by_header.heard()
        await by_hello.open("bob", "another", Authorization=None)
        await by_hello.say(codec.encode(server_pb.Hello(token=token("bob", "another")), ref=1))
        closed_by_hello = (await by_hello.heard()).close
        devices = set(gate.stored()[0][Table.DEVICES])  # type: ignore[index]
        assert await Operations(gate.server).bar_tokens(EnableUser("bob"))
        await gate.connect("bob")
        others = (await ann.heard()).close

    assert [closed and closed[0], closed_by_hello and closed_by_hello[0]] == [4108, 4108]
    assert (refused.status, refused.text[:4]) == (401, "4108")
    assert "another" not in {name for _, name in devices}
    assert others is None


async def test_a_barred_token_is_in_the_audit_trail_wherever_it_is_shown(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with open_gateway_server() as gate:
        gate.server.audit = AuditTrail(tmp_path / "audit.log", wall_clock=virtual_millis)
        await gate.connect("bob")
        assert await Operations(gate.server).bar_tokens(DisableUser("bob"))
        by_header, by_hello = gate.knock(), gate.knock()
        await by_header.open("bob", "phone")
        await by_header.heard()
        await by_hello.open("bob", "phone", Authorization=None)
        await by_hello.say(codec.encode(server_pb.Hello(token=token("bob", "phone")), ref=1))
        await by_hello.heard()
        recorded = [json.loads(line) for line in (tmp_path / "audit.log").read_text("utf-8").splitlines()]

    assert [record["action"] for record in recorded] == ["token refused"] * 2
    assert all("keeps this user out" in record["outcome"] for record in recorded)


@pytest.mark.parametrize("device", ["", "phone"])
async def test_what_was_issued_so_far_counts_no_more_and_a_newer_token_does(
    device: str, autojump_clock: MockClock
) -> None:
    async with open_gateway_server() as gate:
        await trio.sleep(0.3)  # into a second: `iat` has whole ones
        old = token("bob", "phone", jti="old")
        phone, laptop = await gate.connect("bob", "phone"), await gate.connect("bob", "laptop")
        assert await Operations(gate.server).revoke_tokens("bob", device)
        new = token("bob", "phone", jti="new")
        closed = [(await one.heard()).close for one in (phone, laptop)]
        again = gate.knock()
        await again.open(shown=old)
        refused = await again.heard()
        phone = gate.knock()
        await phone.open(shown=new)
        taken = await phone.heard()

    assert taken.status == 101
    assert [one and one[0] for one in closed] == [4102, None if device else 4102]
    assert (refused.status, refused.text[:4]) == (401, "4102")


async def test_whenever_a_user_is_disabled_while_their_device_connects_it_is_out(autojump_clock: MockClock) -> None:
    """As with a token that is revoked."""
    for wait in range(0, 60, 3):
        async with open_world(seed=wait) as world:
            await world.join("bob", "laptop")
            phone = world.connect("bob", "phone")
            phone.send(hello=pb.Hello())
            for _ in range(wait):
                await trio.lowlevel.checkpoint()
            await Operations(world.server).bar_tokens(DisableUser("bob"))

            assert await phone.closed() == 4108


async def test_nobody_is_barred_who_is_not_there(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        for eid in ("nobody", "c12", ""):
            assert not await Operations(world.server).bar_tokens(DisableUser(eid))
