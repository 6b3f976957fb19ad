"""The document tells of all that there is, and is true: every answer to whatever it allows is one that it names."""

import json
import os
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest
import trio
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs
from trio.testing import MockClock

from bimip.api.application import ENDPOINTS
from bimip.api.openapi import PREFIX
from bimip.domain.contacts.roster import ChangeContact, ContactAction
from bimip.domain.core.operations import Register, Registered
from bimip.testing.virtual import Port, open_virtual_server, settings_for_tests, token
from bimip.wire.limits import Limits
from tests.api.kit import ALICE, BOB, CAROL, PUSH, Api, example_of, open_api
from tests.http.kit import Wire
from tests.kit.faults import FaultyStore, StoreFault
from tests.kit.rest_document import DOCUMENT, SCHEMAS, unlike, unsaid

OPERATIONS = [
    (method, path, operation)
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
    if "security" not in operation
]


def schemas_in(value: Any) -> Iterator[dict[str, Any]]:
    """Every object of the document that is a schema's list of properties."""
    if isinstance(value, dict):
        if isinstance(value.get("properties"), dict):
            yield value["properties"]
        for one in value.values():
            yield from schemas_in(one)
    elif isinstance(value, list):
        for one in value:
            yield from schemas_in(one)


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for one in value.values():
            yield from references(one)
    elif isinstance(value, list):
        for one in value:
            yield from references(one)


def test_every_reference_leads_somewhere() -> None:
    assert {one.removeprefix("#/components/schemas/") for one in references(DOCUMENT)} <= set(SCHEMAS)


def test_every_field_says_what_it_is() -> None:
    silent = {
        name
        for properties in schemas_in(DOCUMENT)
        for name, schema in properties.items()
        if "description" not in schema and not ({"$ref", "allOf"} & set(schema))
        if schema.get("items", {}).get("$ref") is None
    }

    assert silent - {"eid", "connection_resource_id"} == set()


def test_every_operation_has_its_own_name_and_its_errors() -> None:
    names = [operation["operationId"] for _, _, operation in OPERATIONS]

    assert len(set(names)) == len(names)
    for _, path, operation in OPERATIONS:
        assert {"400", "401", "403", "413", "422", "429", "500", "503"} <= set(operation["responses"]), path
        named = set(re.findall(r"{(\w+)}", path))
        assert named == {one["name"] for one in operation.get("parameters", []) if one["in"] == "path"}


async def test_who_names_no_limit_is_told_as_many_names_as_the_document_says(api: Api) -> None:
    queue = api.server.queue
    eids = [f"user{number}" for number in range(101)]
    alice = await queue.execute(Register("alice", "backend"))
    assert isinstance(alice, Registered)
    async with trio.open_nursery() as nursery:
        for eid in eids:
            nursery.start_soon(queue.execute, Register(eid, "phone"))
    async with trio.open_nursery() as nursery:
        for eid in eids:
            block = ChangeContact(alice.user, alice.device, eid, b"", ContactAction.BLOCK, eid)
            nursery.start_soon(queue.execute, block)
    made = await api.ask("POST", "/conversations", {"members": [{"eid": eid} for eid in eids]})
    contacts, group = await api.get("/contacts"), await api.get(f"/conversations/{made.json()['id']}")

    assert (len(contacts["contacts"]), len(group["members"])) == (101, 102)
    for path in ("/contacts", "/conversations/{id}", "/feeds/{eid}"):
        (limit,) = [one for one in DOCUMENT["paths"][f"{PREFIX}{path}"]["get"]["parameters"] if one["name"] == "limit"]
        assert f"0: {Limits().max_fetch}" in limit["description"], path


async def test_the_document_is_served_to_anybody(api: Api) -> None:
    answer = await api.ask("GET", "/openapi.json", shown="")

    assert answer.json() == json.loads(json.dumps(DOCUMENT))
    assert answer.json()["openapi"].startswith("3.1")


def values_of(schema: Any, depth: int = 0) -> st.SearchStrategy[Any]:
    """Values that a schema allows, and now and then others."""
    if "$ref" in schema:
        return values_of(SCHEMAS[schema["$ref"].rsplit("/", 1)[1]], depth)
    if "allOf" in schema:
        return st.tuples(*(values_of(one, depth) for one in schema["allOf"])).map(
            lambda some: {key: value for one in some if isinstance(one, dict) for key, value in one.items()} or some[0]
        )
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    kind = schema.get("type")
    if kind == "object":
        properties = schema.get("properties", {})
        if depth > 2:
            return st.just({})
        return st.fixed_dictionaries({}, optional={name: values_of(one, depth + 1) for name, one in properties.items()})
    if kind == "array":
        return st.lists(values_of(schema["items"], depth + 1), max_size=2)
    if kind == "integer":
        return st.integers(schema.get("minimum", -(2**31)), schema.get("maximum", 2**31 - 1))
    if kind == "boolean":
        return st.booleans()
    if kind == "number":
        return st.floats(allow_nan=False, allow_infinity=False)
    if "pattern" in schema:
        return st.from_regex(schema["pattern"], fullmatch=True)
    if schema.get("contentEncoding") == "base64":
        return st.sampled_from(["", "aGVsbG8=", "AgAD"])
    return st.sampled_from([*THERE, "m1", "👍", "x" * 65, "\u202e", " ", "a/b"]) | st.text(max_size=8)


THERE = ("c1", "c2", "id:m1", "alice", "bob@example.org", "backend", "request")
"""What the server that is asked has: a conversation, a group, a message, users, a device; and an action."""
REQUESTS = int(os.environ.get("BIMIP_REST_FUZZ", "15"))
"""Servers that are asked 20 to 40 things each."""
ODD = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([-1, 2**32, 2**64])
    | st.text(max_size=5)
    | st.lists(st.integers(), max_size=2)
)


def test_an_answer_that_the_document_does_not_say_is_found() -> None:
    page = DOCUMENT["paths"][f"{PREFIX}/inbox"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    whole = {"conversations": [{"id": "c1", "nobody": 1}], "states": [], "complete": "yes", "more": 1}

    assert sorted(unlike(whole, page)) == [
        ".complete is no boolean: 'yes'",
        ".conversations[0].nobody is not named",
        ".more is not named",
        ".nextCursor is missing",
    ]


@st.composite
def requests(draw: st.DrawFn) -> tuple[str, str, dict[str, str], Any, str]:
    """A method, a path, headers, a body, and the path as the document has it."""
    method, path, operation = draw(st.sampled_from(OPERATIONS))
    query, headers, filled = [], {}, path
    for one in operation.get("parameters", []):
        if one["in"] != "path" and not draw(st.booleans()):
            continue
        value = draw(values_of(one["schema"]))
        text = str(value).lower() if isinstance(value, bool) else str(value)
        if one["in"] == "path":
            filled = filled.replace(f"{{{one['name']}}}", quote(text or "x", safe=""))
        elif one["in"] == "query":
            query.append(f"{one['name']}={quote(text)}")
        else:
            headers[one["name"]] = quote(text)
    body = None
    if "requestBody" in operation:
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        body = draw(values_of(schema))
        if isinstance(body, dict) and body and draw(st.integers(0, 3)) == 0:
            body[draw(st.sampled_from(sorted(body)))] = draw(ODD)
    path = path.removeprefix(PREFIX)
    return method.upper(), filled.removeprefix(PREFIX) + ("?" + "&".join(query) if query else ""), headers, body, path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return tmp_path_factory


# Each example is a server of its own: to shrink one takes minutes, and the assertion says what was asked.
@given(st.lists(requests(), min_size=20, max_size=40))
@settings(
    max_examples=REQUESTS, phases=[Phase.reuse, Phase.generate], deadline=None, suppress_health_check=list(HealthCheck)
)
async def test_no_request_gets_an_answer_that_the_document_does_not_name(folder: Any, asked: list[Any]) -> None:
    async with open_api(folder.mktemp("api")) as api:
        await api.know("alice", "bob@example.org")
        await api.write("Hello", to="bob@example.org", tempId="m1")
        await api.ask("POST", "/conversations", {"members": [{"eid": "bob@example.org"}]})
        for method, path, headers, body, documented in asked:
            answer = await api.ask(method, path, body, headers=headers)
            about = (method, path, headers, body, answer.text)

            assert answer.status_code < 500, about
            assert unsaid(method, documented, answer) == [], about
            if answer.status_code == 401:  # it revoked its own token
                break


WRONG: tuple[Any, ...] = (None, True, -1, 2**70, 1.5, "\ud800", [0], {"x": {}})


async def test_no_field_of_a_body_that_is_said_wrongly_fails_the_server(api: Api) -> None:
    """Of those that the endpoints read themselves; the others are the schema's, and read as on the socket."""
    answers: Counter[int] = Counter()
    for endpoint in ENDPOINTS:
        for name in endpoint.body.beside if endpoint.body is not None else ():
            path, body = example_of(endpoint, "id:m1", "c1")
            for value in WRONG:
                content = json.dumps({**body, name: value}).encode()
                answer = await api.ask(endpoint.method, path, content=content)
                answers[answer.status_code] += 1

                assert answer.status_code < 500, (path, name, value, answer.text)
                assert unsaid(endpoint.method, endpoint.path, answer) == [], (path, name, value, answer.text)
    assert answers[429] == 0
    assert answers[422] > 60


TROUBLES = {
    StoreFault.FULL: 8,
    StoreFault.DECIDING_READ: 15,
    StoreFault.APPLY: 15,
    StoreFault.COMMIT: 15,
    StoreFault.LOST: 15,
}
"""How a store fails, and how many endpoints, at least, are to meet it."""


@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda one: one.name)
async def test_what_a_store_in_trouble_has_answered_is_named(trouble: StoreFault, autojump_clock: MockClock) -> None:
    store, port = FaultyStore(), Port()
    given_settings = settings_for_tests(BIMIP_PUSH_GATEWAYS=PUSH)
    codes: Counter[str] = Counter()
    wrong = []
    serving = open_virtual_server(lambda: store, settings=given_settings, listen=port.open)
    with capture_logs():  # to write the traces of so many crashes for people takes seconds
        async with serving:
            client = httpx.AsyncClient(transport=Wire(port.connect), base_url=f"http://localhost{PREFIX}")

            async def ask(method: str, path: str, body: Any = None, user: str = ALICE) -> httpx.Response:
                headers = {"authorization": f"Bearer {token(user, 'backend')}"}
                return await client.request(method, path, json=body, headers=headers)

            for user in (BOB, CAROL):
                await ask("GET", "/devices", user=user)
            message = (await ask("POST", "/messages", {"to": {"eid": BOB}, "text": "Hello"})).json()["messageId"]
            group = (await ask("POST", "/conversations", {"members": [{"eid": BOB}]})).json()["id"]
            await ask("GET", "/messages", user=BOB)
            for endpoint in ENDPOINTS:
                path, body = example_of(endpoint, message, group)
                store.arm(trouble)
                reader = BOB if endpoint.path.endswith("/read") else ALICE
                answer = await ask(endpoint.method, path, body, reader)
                store.disarm()
                if answer.status_code >= 500:
                    codes[answer.json()["code"]] += 1
                found = unsaid(endpoint.method, endpoint.path, answer)
                wrong += [(endpoint.method, endpoint.path, found)] if found else []
                await trio.sleep(5)  # whatever ended begins again
    assert wrong == []
    assert sum(codes.values()) >= TROUBLES[trouble], codes
    assert "INTERNAL" not in codes
