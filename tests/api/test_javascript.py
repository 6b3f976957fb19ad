"""The client in JavaScript is served to pages: to those that may connect, and as it is."""

import re

import httpx
import pytest

from bimip.api.javascript import module_names
from bimip.api.openapi import CLIENT_PATH, CLIENT_PREFIX, PREFIX
from tests.api.kit import Api
from tests.chaos.process_driver import ROOT


async def read(api: Api, path: str = CLIENT_PATH, **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await api.ask("GET", path.removeprefix(PREFIX), shown="", headers=named)


async def test_anybody_reads_the_module_that_lies_here(api: Api) -> None:
    answer = await read(api)

    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/javascript; charset=utf-8")
    assert answer.content == (ROOT / "bimip" / "web" / "bimip.mjs").read_bytes()


@pytest.mark.parametrize(("known", "status"), [("{}", 304), ('"x", W/{}', 304), ('"x"', 200), ("", 200)])
async def test_it_is_sent_to_who_has_another_one(api: Api, known: str, status: int) -> None:
    first = await read(api)
    again = await read(api, if_none_match=known.format(first.headers["etag"]))

    assert (again.status_code, again.content) == (status, first.content if status == 200 else b"")
    assert again.headers["cache-control"] == "no-cache"


async def test_pages_that_may_not_connect_may_not_have_it(api: Api) -> None:
    stranger = await read(api, origin="https://stranger.example")
    own = await read(api, origin="http://localhost", host="localhost")

    assert (stranger.status_code, stranger.json()["code"]) == (403, "FORBIDDEN")
    assert (own.status_code, own.headers["access-control-allow-origin"]) == (200, "http://localhost")


async def test_all_that_a_module_imports_lies_beside_it(api: Api) -> None:
    imported = {CLIENT_PATH.removeprefix(CLIENT_PREFIX), "device.mjs"}
    for name in module_names():
        answer = await read(api, f"{CLIENT_PREFIX}{name}")
        assert (answer.status_code, answer.headers["content-type"]) == (200, "text/javascript; charset=utf-8")
        imported |= set(re.findall(r"""(?:from|import\() *"\./([^"]+)""", answer.text))

    assert sorted(imported) == module_names()


@pytest.mark.parametrize("name", ["other.mjs", "__init__.mjs", "..%2Fserver.mjs", "static%2Fchat.mjs"])
async def test_nothing_else_is_read_so(api: Api, name: str) -> None:
    answer = await read(api, f"{CLIENT_PREFIX}{name}")

    assert answer.status_code == 404
