"""A path names a message by any of its names, and what it names for nobody is not found."""

import pytest

from tests.api.kit import Api


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
