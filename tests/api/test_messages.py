"""Messages by HTTP: written once, read again, changed, and how far each has come."""

import base64
from pathlib import Path
from typing import Any

import pytest

from tests.api.kit import Api, open_api


def texts(page: Any) -> list[str]:
    return [base64.b64decode(one.get("payload", "")).decode() for one in page["messages"]]


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
        ({"messages": [{"nobody": 1}]}, 400, "MALFORMED", None),
        ({"other": []}, 422, "INVALID", "messages"),
        ({"messages": [{}], "more": 1}, 422, "INVALID", "more"),
    ],
)
async def test_a_batch_that_is_none_is_refused_whole(
    api: Api, body: Any, status: int, code: str, field: str | None
) -> None:
    answer = await api.ask("POST", "/messages/batch", body)

    assert (answer.status_code, answer.json()["code"], answer.json().get("field")) == (status, code, field)
    assert texts(await api.get("/messages")) == []


async def test_a_conversation_is_paged_through_both_ways(api: Api) -> None:
    ids = [(await api.write(f"{number}"))["messageId"] for number in range(5)]
    path = "/messages/conversation/c1/backfill"
    first = await api.get(f"{path}?limit=3", "bob")
    rest = (await api.ask("POST", path, {"cursor": first["nextCursor"]}, user="bob")).json()
    behind = (await api.ask("POST", path, {"lastMessageId": ids[2]}, user="bob")).json()
    before = await api.get(f"{path}?backwards=true&lastMessageId={ids[2]}", "bob")
    newest = await api.get(f"{path}?backwards=true&limit=2", "bob")

    assert (texts(first), first["complete"]) == (["0", "1", "2"], False)
    assert (texts(rest), rest["complete"]) == (["3", "4"], True)
    assert texts(behind) == ["3", "4"]
    assert texts(before) == ["1", "0"]
    assert texts(newest) == ["4", "3"]


@pytest.mark.parametrize("path", ["/messages/conversation/c1/backfill", "/messages/conversation/nothing/backfill"])
async def test_a_conversation_of_others_is_like_one_that_is_not_there(api: Api, path: str) -> None:
    await api.write("secret")
    answer = await api.ask("GET", path, user="carol")

    assert (answer.status_code, answer.json()["detail"]) == (404, "you are in no such conversation")


async def test_how_far_a_message_has_come_is_told_to_who_wrote_it(api: Api) -> None:
    message = (await api.write("Hello", tempId="m1"))["messageId"]
    path = f"/messages/{message}"
    sent = await api.get(f"{path}/delivery-state")
    await api.ask("POST", "/messages/acknowledgements", {"partition": "chat", "upto": 1}, user="bob")
    delivered = await api.get(f"{path}/delivery-state")
    read_answer = await api.ask("POST", f"{path}/read", {"conversationId": "c1"}, user="bob")
    read = await api.get("/messages/id:m1/delivery-state")
    page = await api.get("/messages/conversation/c1/backfill")

    assert sent == {
        "messageId": message,
        "state": "sent",
        "deliveredTo": [],
        "readBy": [],
        "timestamp": sent["timestamp"],
    }
    assert (delivered["state"], delivered["deliveredTo"], delivered["readBy"]) == ("delivered", ["bob"], [])
    assert read_answer.status_code == 204
    assert (read["state"], read["readBy"], read["messageId"]) == ("read", ["bob"], message)
    assert page["messages"][0]["deliveryState"] == read


async def test_who_keeps_reading_to_themselves_is_delivered_to_and_no_more(api: Api) -> None:
    await api.ask("PATCH", "/settings", {"send_read_receipts": False}, user="bob")
    message = (await api.write("Hello"))["messageId"]
    await api.get("/messages", "bob")
    await api.ask("POST", f"/messages/{message}/read", user="bob")
    told = await api.get(f"/messages/{message}/delivery-state")

    assert (told["state"], told["readBy"]) == ("delivered", [])


async def test_a_group_message_is_read_when_all_have_read_it(api: Api) -> None:
    group = (await api.ask("POST", "/conversations", {"members": [{"eid": "bob"}, {"eid": "carol"}]})).json()["id"]
    message = (await api.write("Hello", to=group))["messageId"]
    for user in ("bob", "carol"):
        await api.get("/messages", user)
    await api.ask("POST", f"/messages/{message}/read", user="bob")
    some = await api.get(f"/messages/{message}/delivery-state")
    page = await api.get(f"/messages/conversation/{group}/backfill")
    await api.ask("POST", f"/messages/{message}/read", user="carol")
    everybody = await api.get(f"/messages/{message}/delivery-state")

    assert (some["state"], some["readBy"]) == ("sent", ["bob"])
    assert page["messages"][-1]["deliveryState"]["state"] == "sent"
    assert (everybody["state"], everybody["readBy"]) == ("read", ["bob", "carol"])


@pytest.mark.parametrize("name", ["65WZSSWR00000", "7130317303316480000", "1", "0", "id:m1", "nothing", "9" * 40])
@pytest.mark.parametrize(
    ("method", "what"), [("GET", "/delivery-state"), ("POST", "/read"), ("PATCH", ""), ("DELETE", "")]
)
async def test_a_message_that_is_not_there_is_not_found(api: Api, name: str, method: str, what: str) -> None:
    answer = await api.ask(method, f"/messages/{name}{what}", {"text": "x"} if method == "PATCH" else None)

    assert (answer.status_code, answer.json()["code"]) == (404, "NOT_FOUND")


async def test_a_message_of_others_is_like_one_that_is_not_there(api: Api) -> None:
    message = (await api.write("secret"))["messageId"]
    answers = [
        (await api.ask("GET", f"/messages/{name}/delivery-state", user="carol")).text
        for name in (message, "65WZSSWR00000")
    ]

    assert answers[0] == answers[1]


async def test_a_message_in_another_conversation_than_said_is_not_found(api: Api) -> None:
    message = (await api.write("Hello"))["messageId"]
    answer = await api.ask("POST", f"/messages/{message}/read", {"conversationId": "c9"}, user="bob")

    assert (answer.status_code, answer.json()["field"]) == (404, "conversationId")


async def test_many_receipts_are_noted_or_refused_each_for_itself(api: Api) -> None:
    await api.write("1")
    await api.write("2")
    await api.get("/messages", "bob")
    answer = await api.ask(
        "POST",
        "/messages/receipts",
        {
            "receipts": [
                {"status": 3, "conversation": "c1", "upto": 1},
                {"status": "5", "conversation": "c1", "conversation_offset": "2"},
                {"status": 3, "conversation": "c7", "upto": 1},
            ]
        },
        user="bob",
    )
    wrong = await api.ask("POST", "/messages/receipts", {"receipts": [{"status": 2, "conversation": "c1"}]})
    page = await api.get("/messages")

    assert answer.status_code == 200, answer.text
    assert [sorted(one) for one in answer.json()["results"]] == [["sent"], ["sent"], ["error"]]
    assert [one["deliveryState"]["state"] for one in page["messages"]] == ["read", "played"]
    assert (wrong.status_code, wrong.json()["field"]) == (422, "receipts[0].status")


async def test_a_message_is_edited_reacted_to_and_deleted(api: Api) -> None:
    message = (await api.write("Hello"))["messageId"]
    await api.ask("PATCH", f"/messages/{message}", {"text": "Hello Bob"})
    await api.ask("PUT", f"/messages/{message}/reactions/👍", user="bob")
    edited = await api.get("/messages", "bob")
    forbidden = await api.ask("PATCH", f"/messages/{message}", {"text": "mine"}, user="bob")
    await api.ask("DELETE", f"/messages/{message}/reactions/👍", user="bob")
    hidden = await api.ask("DELETE", f"/messages/{message}?for=me", user="bob")
    deleted = await api.ask("DELETE", f"/messages/{message}")
    gone = await api.get("/messages")

    assert texts(edited) == ["Hello Bob"]
    (became,) = [one["message"] for one in edited["states"] if "message" in one]
    assert [(one["eid"], one["emoji"]) for one in became["reactions"]] == [("bob", "👍")]
    assert (forbidden.status_code, forbidden.json()["code"]) == (403, "FORBIDDEN")
    assert hidden.status_code == deleted.status_code == 200
    assert gone["messages"][0]["erased"] is True


async def test_a_command_is_given_once_under_its_key(api: Api) -> None:
    await api.write("Hello")
    archive = {"kind": "ARCHIVE", "conversation": "c1", "value": True}
    first = await api.ask("POST", "/commands", archive, headers={"idempotency-key": "k1"})
    again = await api.ask("POST", "/commands", {**archive, "id": "k1"})
    unknown = await api.ask("POST", "/commands", {"kind": "KIND_UNSPECIFIED"})

    assert (first.status_code, again.json()["duplicate"]) == (200, True)
    assert (unknown.status_code, unknown.json()["code"]) == (422, "UNSUPPORTED")


async def test_what_was_written_is_there_after_a_restart_and_is_not_written_again(tmp_path: Path) -> None:
    async with open_api(tmp_path) as api:
        await api.know("bob")
        first = await api.write("Hello", tempId="m1")
    async with open_api(tmp_path) as api:
        again = await api.ask("POST", "/messages", {"to": {"eid": "bob"}, "type": 1, "text": "Hello", "tempId": "m1"})

        assert (again.status_code, again.json()["messageId"]) == (200, first["messageId"])
        assert texts(await api.get("/messages", "bob")) == ["Hello"]
