"""Logging in on the page, over real loopback sockets."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from itertools import count

import httpx
import pytest
import trio

from bimip.console import Parts, Sessions
from bimip.console.login import MAX_BODY
from bimip.supervision import Tree
from tests.console.test_console import OPERATOR, TOKEN, Trail, parts_of, served, small_tree


@dataclass
class Console:
    client: httpx.AsyncClient
    tree: Tree
    sessions: Sessions
    trail: Trail = field(default_factory=Trail)

    async def log_in(self, **more: str) -> str:
        """Returns the secret that goes with the cookie."""
        response = await self.client.post("/login", json={"token": TOKEN, **more})
        assert response.status_code == 200
        secret = response.json()["csrf"]
        assert isinstance(secret, str)
        return secret


def with_page(parts: Parts) -> Parts:
    numbers = count(1)
    return replace(parts, sessions=Sessions(lambda: f"secret{next(numbers)}", trio.current_time))


@asynccontextmanager
async def console() -> AsyncIterator[Console]:
    trail = Trail()
    async with small_tree() as tree:
        parts = with_page(replace(parts_of(tree), audit=trail.note, token_refused=trail.refuse))
        async with served(parts) as client:
            assert parts.sessions is not None
            yield Console(client, tree, parts.sessions, trail)


async def test_who_logged_in_looks_and_acts_without_the_token() -> None:
    async with console() as opened:
        secret = await opened.log_in(name="ada")
        looked = await opened.client.get("/debug/tree")
        again = await opened.client.get("/session")
        killed = await opened.client.post("/debug/kill?path=bimip/journal", headers={"X-CSRF-Token": secret})

    assert (looked.status_code, killed.status_code) == (200, 200)
    assert again.json() == {"csrf": secret, "name": "ada"}
    assert opened.trail.acts == [
        ("log in", "operator ada", "", "200"),
        ("kill", "operator ada", "bimip/journal", "200"),
    ]
    assert opened.trail.refused == []


async def test_the_cookie_is_no_token_and_no_script_or_other_site_has_it() -> None:
    async with console() as opened:
        response = await opened.client.post("/login", json={"token": TOKEN})
    name, _, rest = response.headers["set-cookie"].partition("=")
    session_id, *words = rest.split("; ")

    assert name == f"bimip-console-{opened.client.base_url.port}"
    assert {word.lower() for word in words} >= {"httponly", "samesite=strict", "path=/"}
    assert not [word for word in words if word.lower().startswith("domain")]
    assert TOKEN not in response.headers["set-cookie"] + response.text
    assert session_id not in response.text
    assert response.headers["cache-control"] == "no-store"


async def test_who_logged_out_is_out() -> None:
    async with console() as opened:
        secret = await opened.log_in()
        kept = dict(opened.client.cookies)
        out = await opened.client.post("/logout", headers={"X-CSRF-Token": secret})
        cookies = dict(opened.client.cookies)
        opened.client.cookies = httpx.Cookies(kept)  # it was copied somewhere
        after = await opened.client.get("/debug/tree")

    assert (out.status_code, cookies, after.status_code) == (200, {}, 401)
    assert len(opened.sessions) == 0


JSON = {"Content-Type": "application/json"}
GOOD = b'{"token": "%s"}' % TOKEN.encode()


@pytest.mark.parametrize(
    ("headers", "content", "status"),
    [
        (JSON, b'{"token": "wrong"}', 403),
        (JSON, b'{"token": ""}', 403),
        (JSON, b'{"token": "\\ud800"}', 403),
        (JSON, b'{"token": 5}', 400),
        (JSON, b'{"name": "ada"}', 400),
        (JSON, b'{"token": "%s", "name": {}}' % TOKEN.encode(), 400),
        (JSON, b"[]", 400),
        (JSON, b"", 400),
        (JSON, b"\xff", 400),
        (JSON, b"[" * (MAX_BODY - 1), 400),
        (JSON, b" " * MAX_BODY + GOOD, 413),
        ({}, GOOD, 415),
        ({"Content-Type": "text/plain"}, GOOD, 415),
        ({"Content-Type": "application/x-www-form-urlencoded"}, b"token=" + TOKEN.encode(), 415),
        (JSON | {"Origin": "https://evil.example"}, GOOD, 403),
        (JSON | {"Origin": "null"}, GOOD, 403),
        (JSON | {"Origin": "http://127.0.0.1:1"}, GOOD, 403),
        (JSON | {"Sec-Fetch-Site": "cross-site"}, GOOD, 403),
        (JSON | {"Sec-Fetch-Site": "same-site"}, GOOD, 403),
        (JSON | {"Host": "evil.example"}, GOOD, 403),
    ],
)
async def test_what_is_no_login_begins_no_session(headers: Mapping[str, str], content: bytes, status: int) -> None:
    async with console() as opened:
        response = await opened.client.post("/login", headers=headers, content=content)
        plain = await opened.client.get("/login", headers=headers)

    assert (response.status_code, plain.status_code in {403, 405}) == (status, True)
    assert set(response.json()) == {"error", "hint"}
    assert "set-cookie" not in response.headers
    assert (len(opened.sessions), opened.trail.acts) == (0, [])
    shown = b'"token": "' in content and status == 403 and set(headers) == {"Content-Type"}
    assert opened.trail.refused == ([("127.0.0.1", "/login")] if shown else [])


async def test_the_rest_of_a_body_that_is_too_large_is_not_awaited() -> None:
    async with console() as opened:
        port = opened.client.base_url.port
        head = f"POST /login HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
        async with await trio.open_tcp_stream("127.0.0.1", port or 0) as stream:
            await stream.send_all(f"{head}Content-Length: 1000000000\r\n\r\n".encode() + b" " * (MAX_BODY + 1))
            answer = await stream.receive_some()

    assert answer.startswith(b"HTTP/1.1 413 ")


async def test_without_an_operators_token_nobody_logs_in() -> None:
    async with small_tree() as tree, served(with_page(replace(parts_of(tree), operator_token=""))) as client:
        response = await client.post("/login", json={"token": ""})

    assert (response.status_code, response.json()["error"]) == (403, "there is no operator's token")


async def test_the_token_itself_needs_no_session_and_has_none() -> None:
    async with console() as opened:
        found = await opened.client.get("/session", headers=OPERATOR)
        out = await opened.client.post("/logout", headers=OPERATOR)

    assert (found.status_code, out.status_code) == (404, 200)
