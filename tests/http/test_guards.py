"""What a browser is told of who may ask (CORS), through the gateway."""

import httpx
import pytest

from tests.http.kit import asked_by


@pytest.mark.parametrize("origin", ["https://evil.net", "null"])
async def test_a_page_of_another_origin_is_refused(origin: str) -> None:
    answer = await asked_by({"origin": origin})

    assert answer.status_code == 403
    assert answer.json()["code"] == "FORBIDDEN"
    assert "access-control-allow-origin" not in answer.headers


async def test_a_page_that_is_allowed_is_told_so_and_may_read_when_to_come_again() -> None:
    answer = await asked_by({"origin": "https://chat.example.org"})

    assert answer.status_code == 404
    assert answer.headers["access-control-allow-origin"] == "https://chat.example.org"
    assert "retry-after" in answer.headers["access-control-expose-headers"]
    assert "Origin" in answer.headers["vary"]


async def test_a_page_asks_first_whether_it_may() -> None:
    answer = await asked_by(
        {"origin": "https://chat.example.org", "access-control-request-method": "PATCH"}, method="OPTIONS"
    )

    assert answer.status_code == 204
    assert "PATCH" in answer.headers["access-control-allow-methods"]
    assert "authorization" in answer.headers["access-control-allow-headers"]


async def test_who_is_no_page_sends_no_origin_and_is_told_none() -> None:
    answer: httpx.Response = await asked_by({})

    assert "access-control-allow-origin" not in answer.headers
    assert answer.headers["x-content-type-options"] == "nosniff"
