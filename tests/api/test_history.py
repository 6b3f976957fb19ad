"""Messages are read again by HTTP, page by page: a conversation, and what answers a message."""

from typing import Any

import pytest

from tests.api.kit import Api, texts


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


async def test_a_thread_has_what_answers_its_message_and_nothing_else(api: Api) -> None:
    root = await api.write("Who comes?")
    for number in range(5):
        await api.write(f"I do, {number}", reply_to=root["signal_id"])
        await api.write("Hello")
    path = f"/messages/{root['signal_id']}/thread"
    first = await api.get(f"{path}?limit=3", "bob")
    rest = await api.get(f"{path}?limit=3&cursor={first['nextCursor'].replace('+', '%2B')}", "bob")
    backwards = await api.get(f"{path}?backwards=true", "bob")
    places = [one["conversation_offset"] for one in first["messages"] + rest["messages"]]

    assert (first["complete"], rest["complete"]) == (False, True)
    assert places == ["2", "4", "6", "8", "10"]
    assert [one["conversation_offset"] for one in backwards["messages"]] == places[::-1]
    assert (await api.ask("GET", path, user="carol")).status_code == 404


@pytest.mark.parametrize("name", ["id:nothing", "99999", "0000000000000"])
async def test_what_is_no_message_has_no_thread(api: Api, name: str) -> None:
    answer = await api.ask("GET", f"/messages/{name}/thread")

    assert (answer.status_code, answer.json()["code"]) == (404, "NOT_FOUND")


@pytest.mark.parametrize("body", [None, {"lastMessageId": "nobody"}])
async def test_a_last_message_that_is_none_is_the_field_that_is_wrong(api: Api, body: Any) -> None:
    await api.write("Hello")
    path = "/messages/conversation/c1/backfill"
    if body is None:
        answer = await api.ask("GET", f"{path}?lastMessageId=nobody")
    else:
        answer = await api.ask("POST", path, body)

    assert (answer.status_code, answer.json()["field"]) == (404, "lastMessageId")


@pytest.mark.parametrize("limit", [-1, 2**32, 1.5])
async def test_a_limit_has_its_bounds_in_a_body_too(api: Api, limit: float) -> None:
    await api.write("Hello")
    answer = await api.ask("POST", "/messages/conversation/c1/backfill", {"limit": limit})

    assert (answer.status_code, answer.json()["field"]) == (422, "limit")
