"""Messages are written by HTTP once, one or many in a request."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from tests.api.kit import Api, open_api, texts


async def test_a_message_is_written_once_whatever_names_its_id(api: Api) -> None:
    body = {"to": {"eid": "bob"}, "type": 1, "text": "Hello"}
    first = await api.ask("POST", "/messages", {**body, "tempId": "m1"})
    again = await api.ask("POST", "/messages", body, headers={"idempotency-key": '"m1"'})
    same = await api.ask("POST", "/messages", {**body, "id": "m1"}, headers={"idempotency-key": "m1"})
    other = await api.ask("POST", "/messages", {**body, "text": "other", "tempId": "m1"})
    two = await api.ask("POST", "/messages", {**body, "tempId": "m1", "id": "m2"})

    assert (first.status_code, again.status_code, same.status_code) == (201, 200, 200)
    assert first.json()["messageId"] == again.json()["messageId"] == same.json()["messageId"]
    assert again.json()["duplicate"] is True
    assert (other.status_code, other.json()["code"], other.json()["id"]) == (409, "CONFLICT", "m1")
    assert (two.status_code, two.json()["field"]) == (422, "tempId")
    assert texts(await api.get("/messages", "bob")) == ["Hello"]


async def test_text_and_payload_are_the_same_and_not_both(api: Api) -> None:
    await api.write("Grüße")
    encoded = base64.b64encode("Grüße".encode()).decode()
    by_payload = await api.ask("POST", "/messages", {"to": {"eid": "bob"}, "payload": encoded})
    both = await api.ask("POST", "/messages", {"to": {"eid": "bob"}, "payload": encoded, "text": "x"})
    half = await api.ask("POST", "/messages", content=b'{"to": {"eid": "bob"}, "text": "\\ud83d"}')

    assert by_payload.status_code == 201
    assert (both.status_code, both.json()["field"]) == (422, "text")
    assert (half.status_code, half.json()["field"]) == (422, "text")
    assert texts(await api.get("/messages", "bob")) == ["Grüße", "Grüße"]


@pytest.mark.parametrize("path", ["/messages", "/messages/batch"])
async def test_a_message_has_the_bound_that_it_has_on_the_socket(api: Api, path: str) -> None:
    body: Any = {"to": {"eid": "bob"}, "text": "x" * 65_536, "tempId": "large"}
    answer = await api.ask("POST", path, {"messages": [body]} if "batch" in path else body)
    error = answer.json()["results"][0]["error"] if "batch" in path else answer.json()

    assert (error["status"], error["code"], error["field"], error["id"]) == (413, "TOO_LARGE", "payload", "large")
    assert texts(await api.get("/messages")) == []


async def test_many_are_accepted_or_refused_each_for_itself_in_their_order(api: Api) -> None:
    said = [{"to": {"eid": "bob"}, "text": f"{number}", "tempId": f"b{number}"} for number in range(150)]
    said[7]["to"] = {"eid": "nobody"}
    answer = await api.ask("POST", "/messages/batch", {"messages": said})
    results = answer.json()["results"]

    assert answer.status_code == 200
    assert [number for number, one in enumerate(results) if "error" in one] == [7]
    assert (results[7]["error"]["code"], results[7]["error"]["status"], results[7]["error"]["id"]) == (
        "NOT_FOUND",
        404,
        "b7",
    )
    page = await api.get("/messages?limit=200", "bob")
    assert texts(page) == [str(number) for number in range(150) if number != 7]
    assert page["complete"]


@pytest.mark.parametrize(
    ("body", "status", "code", "field"),
    [
        ({"messages": []}, 422, "INVALID", "messages"),
        ({"messages": [1]}, 422, "INVALID", "messages"),
        ({"messages": "x"}, 422, "INVALID", "messages"),
        ({"messages": [{"to": {}}] * 1025}, 413, "TOO_LARGE", "messages"),
        ({"messages": [{"tempId": "a", "id": "b"}]}, 422, "INVALID", "messages[0].tempId"),
        ({"messages": [{"tempId": "\ud800"}]}, 422, "INVALID", "messages[0].tempId"),
        ({"messages": [{"id": "\ud800"}]}, 400, "MALFORMED", None),
        ({"messages": [{"nobody": 1}]}, 400, "MALFORMED", None),
        ({"other": []}, 422, "INVALID", "messages"),
        ({"messages": [{}], "more": 1}, 422, "INVALID", "more"),
    ],
)
async def test_a_batch_that_is_none_is_refused_whole(
    api: Api, body: Any, status: int, code: str, field: str | None
) -> None:
    answer = await api.ask("POST", "/messages/batch", content=json.dumps(body).encode())

    assert (answer.status_code, answer.json()["code"], answer.json().get("field")) == (status, code, field)
    assert texts(await api.get("/messages")) == []


async def test_what_was_written_is_there_after_a_restart_and_is_not_written_again(tmp_path: Path) -> None:
    async with open_api(tmp_path) as api:
        await api.know("bob")
        first = await api.write("Hello", tempId="m1")
    async with open_api(tmp_path) as api:
        again = await api.ask("POST", "/messages", {"to": {"eid": "bob"}, "type": 1, "text": "Hello", "tempId": "m1"})

        assert (again.status_code, again.json()["messageId"]) == (200, first["messageId"])
        assert texts(await api.get("/messages", "bob")) == ["Hello"]
