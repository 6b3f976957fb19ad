"""What answers a message is read by HTTP, page by page."""

import pytest

from tests.api.kit import Api


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
