"""The console from outside: whoever asks from elsewhere, by whatever way, is refused at every route."""

import re
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

import httpx
import pytest
import trio

from bimip.console import Parts, application, make_application
from tests.console.test_console import OPERATOR, TOKEN, parts_of, served, small_tree
from tests.console.test_login import with_page

PORT = "8471"
OPEN = {"/", "/healthz", "/livez", "/readyz", "/login"}
SCRAPER = "a scraper's token"
NAMED = re.compile(r"(GET|POST) +(/[a-z/]+)")


class Called(Exception):  # noqa: N818 - it is the failure of a test, and no error
    """A route reached what it is to guard."""


def everything() -> Parts:
    """Parts that have every page, and fail where one is reached."""

    def reached(*_given: object) -> Any:
        raise Called

    parts = with_page(parts_of(None))
    optional: dict[str, Any] = {
        one.name: reached for one in fields(Parts) if one.default is None and one.name != "sessions"
    }
    return replace(parts, **optional, tree=reached, metrics_token=SCRAPER)


def asked(parts: Parts) -> httpx.AsyncClient:
    """A client of the application itself: sockets say nothing more here."""
    return httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{PORT}",
        transport=httpx.ASGITransport(make_application(parts), raise_app_exceptions=False),
    )


def routes() -> list[tuple[str, str]]:
    """Each route that is not for everybody, with its methods."""
    found = make_application(everything())._app.routes  # type: ignore[attr-defined] # Starlette's
    return [
        (method, route.path)
        for route in found
        if route.path not in OPEN and not route.path.startswith("/page/")
        for method in sorted(route.methods)
    ]


def test_the_table_has_the_routes_that_there_are() -> None:
    assert len(routes()) > 25
    assert {("GET", "/debug/tree/stream"), ("POST", "/debug/kill"), ("POST", "/logout")} <= set(routes())


def test_the_head_of_the_application_names_every_route() -> None:
    head = application.__doc__ or ""
    named = {(method, path) for line in head.splitlines() for method, path in NAMED.findall(line)}

    assert {(method, path) for method, path in routes() if method != "HEAD"} - named == set()


SESSION = {"Cookie": "bimip-console-{port}=secret1"}
CSRF = {"X-CSRF-Token": "secret2"}
OWN = {"Origin": "http://127.0.0.1:{port}"}
OUTSIDE: dict[str, tuple[Mapping[str, str], int]] = {
    "nothing": ({}, 401),
    "the wrong scheme": ({"Authorization": f"Basic {TOKEN}"}, 401),
    "the wrong token": ({"Authorization": "Bearer guessed"}, 403),
    "the wrong token beside a session": ({"Authorization": "Bearer guessed"} | SESSION | CSRF, 403),
    "the token, for another host": (OPERATOR | {"Host": "evil.example"}, 403),
    "the token, for a name that begins as ours": (OPERATOR | {"Host": "127.0.0.1.evil.example"}, 403),
    "a session, for another host": (SESSION | CSRF | {"Host": "evil.example:{port}"}, 403),
    "a session of nobody": ({"Cookie": "bimip-console-{port}=secret9"} | CSRF, 401),
    "a session of another port": ({"Cookie": "bimip-console-1=secret1"} | CSRF, 401),
    "the secret without its cookie": (CSRF, 401),
    "the token as a cookie": ({"Cookie": f"bimip-console-{{port}}={TOKEN}"} | CSRF, 401),
    "a page of another site": (SESSION | CSRF | {"Origin": "https://evil.example"}, 403),
    "a page in a sandbox": (SESSION | CSRF | {"Origin": "null"}, 403),
    "a page of another port": (SESSION | CSRF | {"Origin": "http://127.0.0.1:1"}, 403),
    "a page of another name": (SESSION | CSRF | {"Origin": "http://localhost:{port}"}, 403),
    "a link of another site": (SESSION | CSRF | {"Sec-Fetch-Site": "cross-site"}, 403),
    "a link of another port": (SESSION | CSRF | {"Sec-Fetch-Site": "same-site"}, 403),
}
CHANGES: dict[str, tuple[Mapping[str, str], int]] = {
    "a form of its own origin": (SESSION | OWN, 403),
    "another secret": (SESSION | OWN | {"X-CSRF-Token": "secret1"}, 403),
    "an empty secret": (SESSION | OWN | {"X-CSRF-Token": ""}, 403),
}
"""Refused only where something is changed."""


@pytest.mark.parametrize("way", [*OUTSIDE, *CHANGES])
async def test_whoever_asks_from_elsewhere_is_refused_at_every_route(way: str) -> None:
    headers, status = {**OUTSIDE, **CHANGES}[way]
    async with asked(everything()) as client:
        await client.post("/login", json={"token": TOKEN})
        client.cookies = httpx.Cookies()
        shown = {name: value.replace("{port}", PORT) for name, value in headers.items()}
        answers = {
            (method, path): await client.request(method, path, headers=shown, params={"path": "bimip", "eid": "ann"})
            for method, path in routes()
            if way in OUTSIDE or method == "POST"
        }

    assert {asked: found.status_code for asked, found in answers.items()} == dict.fromkeys(answers, status)
    assert len(answers) >= 8


async def test_the_cookie_and_its_secret_open_what_the_token_does() -> None:
    """Else the table above would say nothing: what reaches a part fails there."""
    async with asked(everything()) as client:
        await client.post("/login", json={"token": TOKEN})
        client.cookies = httpx.Cookies()
        for headers in (OPERATOR, SESSION | CSRF, SESSION | CSRF | OWN | {"Sec-Fetch-Site": "same-origin"}):
            shown = {name: value.replace("{port}", PORT) for name, value in headers.items()}
            for method, path in routes():
                if path not in {"/session", "/logout"}:
                    params = dict.fromkeys(("path", "eid", "device", "viewer", "owner", "id"), "bimip")
                    found = await client.request(method, path, headers=shown, params=params)
                    assert found.status_code == 500, (method, path, headers)


async def test_the_scrapers_token_opens_metrics_alone() -> None:
    async with asked(everything()) as client:
        found = {
            path: (await client.request(method, path, headers={"Authorization": f"Bearer {SCRAPER}"})).status_code
            for method, path in routes()
            if method != "HEAD"
        }

    assert found == {path: 500 if path == "/metrics" else 403 for path in found}


@pytest.mark.parametrize(
    "target",
    [
        "/page/../application.py",
        "/page/%2e%2e/application.py",
        "/page/..%2fapplication.py",
        "/page/..%5capplication.py",
        "/page//style.css",
        "//page/style.css",
        "/page/",
        "/page",
        "/PAGE/style.css",
        "/page/style.css/",
        "/page/style.css%00",
        "/page/index.html",
        "/page/%2fetc%2fpasswd",
        "/../../etc/passwd",
        "/debug/tree/../../login/",
        "/debug//tree",
        "/debug/tree%00",
    ],
)
async def test_no_path_leads_around(target: str) -> None:
    async with small_tree() as tree, served(with_page(parts_of(tree))) as client:
        port = client.base_url.port or 0
        async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
            head = f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n"
            await stream.send_all(f"{head}Authorization: Bearer {TOKEN}\r\n\r\n".encode())
            answer = b"".join([part async for part in stream])

    assert answer.startswith((b"HTTP/1.1 404 ", b"HTTP/1.1 307 ")), answer[:200]
    assert b"import" not in answer
