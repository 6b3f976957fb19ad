"""Who may ask for what: the matrix is made of the application's own table, so that no endpoint can be left out.

And what every request passes: its token, its parameters, its body.
"""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import httpx
import pytest
from structlog.testing import capture_logs

from bimip.api.application import all_endpoints
from bimip.api.caller import Caller
from bimip.api.endpoint import Endpoint
from bimip.api.openapi import PREFIX
from bimip.testing.tokens import OPERATOR
from bimip.testing.virtual import token
from tests.api.kit import ALICE, BOB, CAROL, Api, example_of, open_api
from tests.kit.rest_document import DOCUMENT, attach_nowhere, unsaid

MALLORY = "mallory@example.org"


ENDPOINTS = all_endpoints(attach_nowhere)
SECRET = "c2VjcmV0"  # "secret", as base64
OF_ANYBODY = ("/contacts/", "/presence/", "/push/")
"""Paths that name another user, or something of whoever asks."""
IDS = [f"{one.method} {one.path}" for one in ENDPOINTS]


class Place(NamedTuple):
    """A server on which Alice has written to Bob and for her friends, and has a group with him."""

    api: Api
    message: str
    group: str


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    async with open_api(tmp_path) as api:
        await api.know(ALICE, BOB, CAROL, MALLORY)
        await api.get("/devices", ALICE, device="desk")
        message = await api.write("secret", to=BOB, user=ALICE)
        await api.ask("POST", "/messages", {"scope": "friend", "text": "secret"}, user=ALICE)
        group = await api.ask("POST", "/conversations", {"title": "secret", "members": [{"eid": BOB}]}, user=ALICE)
        yield Place(api, message["messageId"], group.json()["id"])


async def ask(place: Place, endpoint: Endpoint, shown: str) -> httpx.Response:
    path, body = example_of(endpoint, place.message, place.group)
    return await place.api.ask(endpoint.method, path, body, shown=shown)


async def held(place: Place) -> list[str]:
    """All that the server has of Alice, but what her connection is asked by."""
    return (await place.api.ask("GET", "/export", user=ALICE)).text.splitlines()


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=IDS)
async def test_each_endpoint_does_its_own_example_for_whose_it_is(place: Place, endpoint: Endpoint) -> None:
    answer = await ask(place, endpoint, token(ALICE, "backend"))

    assert answer.status_code in {endpoint.status, *endpoint.also}, answer.text
    assert (answer.text == "") == (endpoint.answer is None)


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=IDS)
async def test_no_endpoint_answers_who_shows_no_valid_token(place: Place, endpoint: Endpoint) -> None:
    shown = {
        "nobody": "",
        "expired": token(ALICE, "backend", seconds=-10),
        "revoked": token(ALICE, "other", jti="gone"),
        "forged": token(ALICE, "backend")[:-4] + "AAAA",
        "operator": OPERATOR,
    }
    done = await place.api.ask("POST", "/token/revoke", {"token": shown["revoked"]}, user=ALICE)
    before = await place.api.get("/state", ALICE)
    answers = {who: await ask(place, endpoint, one) for who, one in shown.items()}

    assert done.status_code == 200, done.text
    assert {who: (one.status_code, one.json()["code"]) for who, one in answers.items()} == dict.fromkeys(
        shown, (401, "UNAUTHENTICATED")
    )
    assert all(one.headers["www-authenticate"].startswith("Bearer ") for one in answers.values())
    assert all(one.headers["connection"] == "close" for one in answers.values())
    assert before == await place.api.get("/state", ALICE)


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=IDS)
async def test_no_endpoint_shows_or_changes_what_is_another_users(place: Place, endpoint: Endpoint) -> None:
    before = await held(place)
    answer = await ask(place, endpoint, token(MALLORY, "laptop"))

    assert SECRET not in answer.text
    assert '"secret"' not in answer.text
    if "{" in endpoint.path and not endpoint.path.startswith(OF_ANYBODY):
        assert (answer.status_code, answer.json()["code"]) == (404, "NOT_FOUND"), answer.text
    else:
        assert answer.status_code < 500, answer.text
    assert before == await held(place)


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=IDS)
async def test_another_device_of_the_same_user_may_ask_for_the_same(place: Place, endpoint: Endpoint) -> None:
    answer = await ask(place, endpoint, token(ALICE, "laptop"))
    is_own_token = endpoint.path == "/token/refresh"  # which is the other device's

    assert answer.status_code == 403 if is_own_token else answer.status_code in {endpoint.status, *endpoint.also}


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=IDS)
async def test_what_is_no_parameter_and_what_is_no_body_is_refused(place: Place, endpoint: Endpoint) -> None:
    path, shown = example_of(endpoint, place.message, place.group)[0], token(ALICE, "backend")
    misspelt = await place.api.ask(endpoint.method, f"{path}?nobody=1", shown=shown)
    broken = await place.api.ask(endpoint.method, path, content=b"{", shown=shown)
    binary = await place.api.ask(endpoint.method, path, content=b"\xff", shown=shown)
    large = await place.api.ask(endpoint.method, path, content=b" " * (1 << 20) + b"{}", shown=shown)

    assert (misspelt.status_code, misspelt.json()["field"]) == (422, "nobody")
    takes_body = endpoint.body is not None
    assert broken.status_code == binary.status_code == (400 if takes_body else 422)
    assert (large.status_code, large.json()["code"]) == (413, "TOO_LARGE")


async def test_a_field_that_must_be_there_is_named(api: Api) -> None:
    answer = await api.ask("PATCH", "/devices/backend", {})

    assert (answer.status_code, answer.json()["field"]) == (422, "label")


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/messages?limit=x", "limit"),
        ("/messages?limit=-1", "limit"),
        ("/messages?limit=4294967296", "limit"),
        ("/messages?after=²", "after"),
        ("/messages?backwards=1", "backwards"),
        ("/messages?partition=nothing", "partition"),
        ("/messages?cursor=AgAD", "cursor"),
        ("/state?after=99", "after"),
        ("/state?reset=yes", "reset"),
        ("/devices?eid=nobody@example.org", "eid"),
    ],
)
async def test_a_parameter_has_its_bounds(api: Api, path: str, field: str) -> None:
    answer = await api.ask("GET", path)

    assert answer.status_code in {404, 422}, answer.text
    assert answer.json()["field"] == field


async def test_what_is_not_there_is_named_with_what_is(api: Api) -> None:
    nowhere = await api.ask("GET", "/nowhere")
    wrong = await api.ask("PUT", "/messages")

    assert (nowhere.status_code, nowhere.json()["code"]) == (404, "NOT_FOUND")
    assert wrong.status_code == 405
    assert set(wrong.headers["allow"].split(", ")) == {"GET", "HEAD", "POST"}


async def test_each_path_has_the_methods_that_the_document_names_and_no_others(api: Api) -> None:
    for path in DOCUMENT["paths"]:
        filled = re.sub(r"{\w+}", "1", path)
        same = [one for one in DOCUMENT["paths"] if re.fullmatch(re.sub(r"{\w+}", "[^/]+", one), filled)]
        has = {method.upper() for one in same for method in DOCUMENT["paths"][one]}
        for method in {"GET", "POST", "PUT", "PATCH", "DELETE"} - has:
            answer = await api.ask(method, filled.removeprefix(PREFIX))

            assert answer.status_code == 405, (method, path)
            assert set(answer.headers["allow"].split(", ")) - {"HEAD"} <= has, (method, path)


async def test_a_slash_at_the_end_is_another_path_and_leads_nowhere(api: Api) -> None:
    for path in ("/messages/", "/devices/", "/"):
        answer = await api.ask("GET", path)

        assert (answer.status_code, answer.json()["code"]) == (404, "NOT_FOUND")
        assert "location" not in answer.headers


async def test_a_name_in_a_path_may_hold_a_slash(api: Api) -> None:
    other, device = "a/b%2F@example.org", "desk/left"
    await api.get("/devices", other, device=device)
    message = (await api.write("Hello", to=other))["messageId"]
    seen = await api.get(f"/presence/{quote(other, safe='')}")
    labelled = await api.ask("PATCH", f"/devices/{quote(device, safe='')}", {"label": "x"}, user=other)
    reacted = await api.ask("PUT", f"/messages/{message}/reactions/w%2Fo", user=other)

    became = [one["message"] for one in (await api.get("/messages"))["states"] if "message" in one]

    assert seen["from"]["eid"] == other
    assert (labelled.status_code, reacted.status_code) == (200, 200)
    assert [(one["eid"], one["emoji"]) for one in became[0]["reactions"]] == [(other, "w/o")]


@pytest.mark.parametrize(
    ("path", "headers", "field"),
    [
        ("/messages?limit=1&limit=2", [], "limit"),
        ("/commands", [("Idempotency-Key", "a"), ("Idempotency-Key", "b")], "Idempotency-Key"),
        ("/events", [("Last-Event-ID", "1.1"), ("Last-Event-ID", "1.2")], "Last-Event-ID"),
    ],
)
async def test_what_is_said_twice_is_refused(api: Api, path: str, headers: list[tuple[str, str]], field: str) -> None:
    answer = await api.ask(
        "POST" if path == "/commands" else "GET", path, {} if path == "/commands" else None, more=headers
    )

    assert (answer.status_code, answer.json()["field"]) == (422, field)


async def test_a_defect_of_an_endpoint_is_a_problem_too(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_given: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(Caller, "ask", fail)
    with capture_logs() as logs:
        answer = await api.ask("GET", "/devices")

    assert (answer.status_code, answer.json()["code"]) == (500, "INTERNAL")
    assert unsaid("GET", "/devices", answer) == []
    assert [line["log_level"] for line in logs if line["event"] == "a request failed"] == ["error"]


async def test_nothing_of_the_operator_is_there(api: Api) -> None:
    for path in ("/../../healthz", "/../../debug/tree", "/../../metrics"):
        assert (await api.ask("GET", path, shown=OPERATOR)).status_code == 404


async def test_many_ways_to_say_who_one_is_are_none(api: Api) -> None:
    for value in ("", "Bearer", "Basic abc", f"Token {token('alice', 'backend')}"):
        answer = await api.ask("GET", "/devices", shown="", headers={"authorization": value} if value else {})

        assert answer.status_code == 401
