"""A user's own by HTTP: devices, tokens, settings, the state, and all that is held about them."""

import json

from bimip.testing.virtual import token
from tests.api.kit import Api


async def test_devices_are_listed_labelled_and_removed(api: Api) -> None:
    await api.get("/devices", device="old")
    await api.ask("PATCH", "/devices/old", {"label": "in the drawer"})
    both = (await api.get("/devices"))["devices"]
    removed = await api.ask("DELETE", "/devices/old")
    gone = await api.ask("DELETE", "/devices/old")
    names = [one["name"] for one in (await api.get("/devices"))["devices"]]

    assert [(one["name"], one.get("label", "")) for one in both] == [("backend", ""), ("old", "in the drawer")]
    assert [one.get("asking", False) for one in both] == [True, False]
    assert removed.status_code == 204
    assert (gone.status_code, gone.json()["field"]) == (404, "name")
    assert names == ["backend"]


async def test_names_of_others_devices_are_for_those_who_correspond(api: Api) -> None:
    stranger = await api.ask("GET", "/devices?eid=bob")
    await api.write("Hello")
    await api.write("Hello", to="alice", user="bob")
    known = await api.get("/devices?eid=bob")

    assert stranger.status_code == 404
    assert [one["name"] for one in known["devices"]] == ["backend"]


async def test_settings_are_changed_by_name_and_shown_whole(api: Api) -> None:
    changed = await api.ask("PATCH", "/settings", {"show_last_seen": False})
    shown = await api.get("/settings")
    twice = await api.ask("PATCH", "/settings", {"show_last_seen": True, "showLastSeen": False})

    assert changed.json()["show_last_seen"] is False
    assert (shown["show_last_seen"], shown["send_read_receipts"]) == (False, True)
    assert twice.status_code == 400


async def test_the_state_is_read_behind_a_version_and_whole(api: Api) -> None:
    before = await api.get("/state")
    await api.ask("PATCH", "/settings", {"show_last_seen": False})
    behind = await api.get(f"/state?after={before['upto']}")

    assert before["reset"]
    assert before["complete"]
    assert [set(one) - {"version"} for one in behind["items"]] == [{"settings"}]
    assert behind["after"] == before["upto"]


async def test_a_token_is_refreshed_by_its_own_device_alone(api: Api) -> None:
    newer = await api.ask("POST", "/token/refresh", {"token": token("alice", "backend", jti="newer")})
    others = await api.ask("POST", "/token/refresh", {"token": token("bob", "backend")})
    none = await api.ask("POST", "/token/refresh", {"token": "none"})

    assert newer.json()["jti"] == "newer"
    assert (others.status_code, others.json()["field"]) == (403, "token")
    assert (none.status_code, none.json()["code"], none.json()["field"]) == (422, "UNAUTHENTICATED", "token")


async def test_a_token_that_was_revoked_counts_no_more_and_others_do(api: Api) -> None:
    lost = token("alice", "lost", jti="lost")
    revoked = await api.ask("POST", "/token/revoke", {"token": lost})
    others = await api.ask("POST", "/token/revoke", {"token": token("bob", "backend")})

    assert revoked.status_code == 200
    assert (await api.ask("GET", "/devices", shown=lost)).status_code == 401
    assert (others.status_code, others.json()["code"]) == (403, "FORBIDDEN")
    assert (await api.ask("GET", "/devices")).status_code == 200


async def test_an_export_has_all_that_is_ones_own_and_says_that_it_is_whole(api: Api) -> None:
    for number in range(300):
        await api.write(f"number {number}") if number % 100 == 0 else None
    await api.write("not for Carol")
    answer = await api.ask("GET", "/export")
    lines = [json.loads(line) for line in answer.text.splitlines()]
    other = await api.ask("GET", "/export", user="carol")

    assert answer.headers["content-type"] == "application/x-ndjson"
    assert lines[-1] == {"kind": "end", "lines": len(lines) - 1}
    assert sum(one["kind"] == "message" for one in lines) == 4
    assert "bob" not in other.text


async def test_a_copy_of_a_log_is_judged_by_its_chain(api: Api) -> None:
    await api.write("one")
    await api.write("two")
    head = await api.get("/snapshot?offset=2")
    chain = head["checksum"].replace("+", "%2B").replace("/", "%2F")
    same = await api.get(f"/snapshot?offset=2&checksum={chain}")
    other = await api.get(f"/snapshot?offset=1&checksum={chain}")
    beyond = await api.ask("GET", "/snapshot?offset=3")

    assert (same.get("matches"), other.get("matches", False)) == (True, False)
    assert same["whole"]["entries"] == "2"
    assert (beyond.status_code, beyond.json()["field"]) == (422, "offset")
