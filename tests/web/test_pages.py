"""The pages: their files, their policy, and what of the operator is on the public port."""

import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.resources import files
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette

from bimip.web.pages import DEMONSTRATION, MESSENGER, PREFIX, WORKER_PATH, asset_names, page_routes
from tests.api.kit import open_api
from tests.web.test_device import run
from tests.web.test_javascript import needs_node

STATIC = files("bimip.web") / "static"
FILES = {one.name: one.read_text("utf-8") for one in STATIC.iterdir()}
PATHS = (
    "/",
    "/chat",
    WORKER_PATH,
    *(f"{PREFIX}/{name}" for name in asset_names() if name not in {DEMONSTRATION, MESSENGER, "worker.mjs"}),
)


def client(*, shows_demonstration: bool) -> httpx.AsyncClient:
    application = Starlette(routes=[*page_routes(shows_demonstration=shows_demonstration)])
    return httpx.AsyncClient(transport=httpx.ASGITransport(application), base_url="http://localhost")


def test_every_file_is_of_a_kind_that_is_served() -> None:
    assert set(asset_names()) == set(FILES)


def test_the_pages_ask_for_nothing_from_elsewhere() -> None:
    """And make no markup of what they are told."""
    whole = "\n".join(FILES.values()).replace("http://www.w3.org/2000/svg", "")

    assert not re.findall(r"https?://|//[a-z]+\.", whole)
    assert not re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function", whole)
    for page in (DEMONSTRATION, MESSENGER):
        assert not re.findall(r"<script(?![^>]* src=)|\son\w+=|\sstyle=|<style", FILES[page])


def test_all_that_is_imported_is_there() -> None:
    modules = {name: text for name, text in FILES.items() if name.endswith(".mjs")}
    other_module = re.compile(r"""(?:from|import\() ?["']\./([\w.]+)["']""")
    imported = {found for text in modules.values() for found in other_module.findall(text)}
    pages = FILES[DEMONSTRATION] + FILES[MESSENGER]
    named = set(re.findall(rf'"{PREFIX}/([\w.]+)"', pages))

    assert imported <= set(modules)
    assert named <= set(FILES)
    assert set(FILES) - imported - named == {DEMONSTRATION, MESSENGER, "worker.mjs"}


@pytest.mark.parametrize("path", PATHS)
async def test_the_policy_stands_on_every_file(path: str) -> None:
    async with client(shows_demonstration=True) as asks:
        found = await asks.get(path)

    policy = found.headers["content-security-policy"]
    assert found.status_code == 200
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert found.headers["x-content-type-options"] == "nosniff"
    assert found.headers["referrer-policy"] == "no-referrer"
    assert "set-cookie" not in found.headers


async def test_a_file_is_sent_to_who_has_another_one() -> None:
    async with client(shows_demonstration=True) as asks:
        first = await asks.get("/page/words.mjs")
        same = await asks.get("/page/words.mjs", headers={"if-none-match": f'"x", W/{first.headers["etag"]}'})
        other = await asks.get("/page/words.mjs", headers={"if-none-match": '"x"'})

    assert (first.status_code, same.status_code, same.content, other.status_code) == (200, 304, b"", 200)
    assert same.headers["content-security-policy"] == first.headers["content-security-policy"]
    assert first.headers["cache-control"] == "no-cache"
    assert first.headers["content-type"] == "text/javascript; charset=utf-8"


@asynccontextmanager
async def asking(*, shows_demonstration: bool) -> AsyncIterator[Callable[[str], httpx.Response]]:
    async with client(shows_demonstration=shows_demonstration) as asks:
        found = {path: await asks.get(path) for path in ("/", "/chat", "/page/server.json", "/page/..%2fpages.py")}
        yield found.__getitem__


async def test_without_a_demonstration_the_first_page_is_the_messenger() -> None:
    async with asking(shows_demonstration=False) as at:
        assert (at("/").status_code, at("/").headers["location"]) == (307, "/chat")
        assert at("/page/server.json").json() == {"demonstration": False}
        assert at("/chat").text == FILES[MESSENGER]
        assert at("/page/..%2fpages.py").status_code == 404
    async with asking(shows_demonstration=True) as at:
        assert at("/").text == FILES[DEMONSTRATION]
        assert at("/page/server.json").json() == {"demonstration": True}


async def test_without_a_demonstration_nothing_of_the_operator_is_on_the_public_port(tmp_path: Path) -> None:
    async with open_api(tmp_path) as api:
        answers = [
            await api.ask(method, f"http://localhost{path}", headers={"x-demonstration": "1"})
            for path in ("/demonstration/devices", "/demonstration/tree/stream", "/demonstration/kill", "/debug/tree")
            for method in ("GET", "POST")
        ]

    assert {one.status_code for one in answers} == {404}


def test_routes_are_those_of_files_alone() -> None:
    routes = [*page_routes(shows_demonstration=True)]

    assert [one.path for one in routes if "{" in one.path] == []


@needs_node
def test_pages_obey_their_rules() -> None:
    assert len(run("page_rules.mjs")) > 1
