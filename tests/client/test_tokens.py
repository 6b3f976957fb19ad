"""Tokens that a function makes: the next one is asked for in time, and one that cannot be had costs a retry."""

import base64
import json
from itertools import count

import anyio
import pytest

from bimip.client.connector import REFRESH_AGAIN_SECONDS
from bimip.client.errors import Stopped
from bimip.client.events import Connected, Disconnected
from bimip.client.tokens import refresh_in
from bimip.client.wire.bimip import ErrorCode, ErrorMessage, TokenAuthority, TokenAuthorityAction
from tests.client.support import TIME, FakeServer, a_client, both_backends, next_of, run

NOW = TIME / 1000


def token_until(expiry: float, number: int = 0, *, issued: float | None = None) -> str:
    said = {"exp": expiry, "n": number} | ({} if issued is None else {"iat": issued})
    claims = base64.urlsafe_b64encode(json.dumps(said).encode()).rstrip(b"=")
    return f"head.{claims.decode()}.signature"


@pytest.mark.parametrize("token", ["", "text", "a.b", "a.b.c", "a.W10.c", "a.e30.c", "a.eyJleHAiOiJ4In0.c", "a.MQ.c"])
def test_a_token_that_says_no_end_is_never_followed(token: str) -> None:
    assert refresh_in(token, NOW) == float("inf")


def test_another_one_is_asked_for_a_minute_before_the_end_or_a_quarter_of_the_time() -> None:
    assert refresh_in(token_until(NOW + 3600), NOW) == 3540
    assert refresh_in(token_until(NOW + 40), NOW) == 30
    assert refresh_in(token_until(NOW - 40), NOW) == 0
    assert refresh_in(token_until(NOW + 3600, issued=NOW - 7200), NOW) == 3540


def test_a_clock_that_is_wrong_makes_no_flood() -> None:
    for ahead in (-7200, 7200):
        assert refresh_in(token_until(NOW + 900, issued=NOW), NOW + ahead) == 840


def test_a_connection_outlives_its_tokens() -> None:
    async def scenario() -> None:
        made = count(1)
        clock = {"now": NOW}

        async def make() -> str:
            return token_until(clock["now"] + 4, next(made))

        server = FakeServer()
        async with a_client(server, token=make, now=lambda: int(clock["now"] * 1000)) as client:
            peer = await server.accept()
            await peer.greet()
            await next_of(client, Connected)
            for number in (2, 3):
                asked, ref = await peer.expect(TokenAuthority)
                assert asked.action is TokenAuthorityAction.REFRESH
                assert asked.token == token_until(clock["now"] + 4, number)
                peer.send(TokenAuthority(action=asked.action), ref)
            refused, ref = await peer.expect(TokenAuthority)
            peer.send(ErrorMessage(code=ErrorCode.UNAUTHENTICATED, message="no"), ref)
            again, _ = await peer.expect(TokenAuthority)
            assert again.token != refused.token

    run(scenario)


def test_tokens_that_seem_to_have_ended_are_not_asked_for_without_a_pause() -> None:
    async def scenario() -> None:
        made, server = count(1), FakeServer()
        async with a_client(server, token=lambda: token_until(NOW - 40, next(made))) as client:
            peer = await server.accept()
            await peer.greet()
            await next_of(client, Connected)
            times = []
            for _ in range(3):
                asked, ref = await peer.expect(TokenAuthority)
                times.append(anyio.current_time())
                peer.send(TokenAuthority(action=asked.action), ref)
            assert times[2] - times[0] >= 2 * REFRESH_AGAIN_SECONDS

    run(scenario)


def test_a_token_that_is_no_function_is_left_alone() -> None:
    async def scenario() -> None:
        server = FakeServer()
        async with a_client(server, token=token_until(NOW + 4)) as client:
            peer = await server.accept()
            await peer.greet()
            await next_of(client, Connected)
            peer.close(4101, "expired")
            with pytest.raises(Stopped):
                await next_of(client, Connected)

    run(scenario)


@both_backends
async def test_a_function_that_fails_is_asked_again() -> None:
    failures = [OSError("no network"), ValueError("no token")]

    def make() -> str:
        if failures:
            raise failures.pop(0)
        return "token"

    server = FakeServer()
    async with a_client(server, token=make) as client:
        await (await server.accept()).greet()
        told = await next_of(client, Disconnected)
        await next_of(client, Connected)

        assert told.will_retry
        assert "no token could be had" in told.reason
