"""Groups and the inbox by HTTP."""

from typing import Any

import pytest

from tests.api.kit import Api


async def group(api: Api, *members: str) -> str:
    answer = await api.ask(
        "POST", "/conversations", {"title": "Trip", "members": [{"eid": eid} for eid in members], "request_id": "g1"}
    )
    assert answer.status_code == 201, answer.text
    made: str = answer.json()["id"]
    return made


async def members(api: Api, named: str, user: str = "alice") -> dict[str, str]:
    shown = await api.get(f"/conversations/{named}", user)
    return {one["eid"]: one["role"] for one in shown["members"]}


async def test_a_group_is_created_once_under_its_key(api: Api) -> None:
    made = await group(api, "bob")
    again = await api.ask(
        "POST",
        "/conversations",
        {"title": "Trip", "members": [{"eid": "bob"}]},
        headers={"idempotency-key": "g1"},
    )
    other = await api.ask("POST", "/conversations", {"title": "Other", "request_id": "g1"})

    assert (again.status_code, again.json()["id"]) == (200, made)
    assert (other.status_code, other.json()["code"]) == (409, "CONFLICT")


async def test_members_come_get_roles_and_go(api: Api) -> None:
    named = await group(api, "bob")
    await api.ask("POST", f"/conversations/{named}/members", {"members": [{"eid": "carol"}]})
    await api.ask("PATCH", f"/conversations/{named}/members/bob", {"role": "admin"})
    three = await members(api, named)
    removed = await api.ask("DELETE", f"/conversations/{named}/members/carol", user="bob")
    left = await api.ask("DELETE", f"/conversations/{named}/members/bob", user="bob")
    outside = await api.ask("GET", f"/conversations/{named}", user="bob")

    assert three == {"alice": "owner", "bob": "admin", "carol": "member"}
    assert removed.status_code == left.status_code == 200
    assert outside.status_code == 404
    assert await members(api, named) == {"alice": "owner"}


async def test_members_are_paged(api: Api) -> None:
    named = await group(api, "bob", "carol")
    first = await api.get(f"/conversations/{named}?limit=2")
    rest = await api.get(f"/conversations/{named}?after={first['members'][-1]['eid']}")

    assert len(first["members"]) == 2
    assert "complete" not in first
    assert len(rest["members"]) == 1
    assert rest["complete"]


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "field"),
    [
        ("PATCH", "", {"title": "x" * 256}, 413, "title"),
        ("PATCH", "", {}, 422, "title"),
        ("POST", "/members", {"members": []}, 422, "members"),
        ("POST", "/members", {"members": [{"eid": "nobody"}]}, 404, "members"),
        ("PATCH", "/members/bob", {"role": "king"}, 422, "members.role"),
        ("PATCH", "/members/nobody", {"role": "admin"}, 404, "members"),
        ("DELETE", "/members/nobody", None, 404, "members"),
    ],
)
async def test_what_cannot_be_is_refused_with_its_field(
    api: Api, method: str, path: str, body: Any, status: int, field: str
) -> None:
    named = await group(api, "bob")
    answer = await api.ask(method, f"/conversations/{named}{path}", body)

    assert (answer.status_code, answer.json().get("field")) == (status, field), answer.text


async def test_who_has_no_right_to_it_changes_nothing(api: Api) -> None:
    named = await group(api, "bob")
    answer = await api.ask("PATCH", f"/conversations/{named}", {"title": "mine"}, user="bob")

    assert (answer.status_code, answer.json()["code"]) == (403, "FORBIDDEN")
    assert (await api.get(f"/conversations/{named}"))["title"] == "Trip"


async def test_the_inbox_is_paged_and_counts_what_is_unread(api: Api) -> None:
    await api.write("1", to="bob")
    await api.write("2", to="bob", user="carol")
    first = await api.get("/inbox?limit=1", "bob")
    rest = await api.get(f"/inbox?cursor={first['nextCursor'].replace('+', '%2B')}", "bob")

    assert [one["peer"] for one in first["conversations"]] == ["carol"]
    assert [(one["peer"], one["unread"]) for one in rest["conversations"]] == [("alice", "1")]
    assert (first["complete"], rest["complete"]) == (False, True)
