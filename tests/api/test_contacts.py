"""Other people by HTTP: the roster, blocks, visibility, and push subscriptions."""

from tests.api.kit import Api


async def test_somebody_is_asked_accepts_and_is_listed(api: Api) -> None:
    asked = await api.ask("POST", "/contacts/bob/request", {"mutual": True}, headers={"idempotency-key": "r1"})
    again = await api.ask("POST", "/contacts/bob/request", {"mutual": True, "id": "r1"})
    accepted = await api.ask("POST", "/contacts/alice/accept", {"mutual": True}, user="bob")
    listed = await api.get("/contacts")

    assert (asked.json()["state"], again.json()["duplicate"]) == ("requested", True)
    assert accepted.status_code == 200
    assert [(one["eid"], one["state"], one["seen"]) for one in listed["contacts"]] == [("bob", "accepted", True)]


async def test_who_is_blocked_is_listed_so_and_does_not_learn_it(api: Api) -> None:
    await api.ask("POST", "/contacts/alice/block", user="bob")
    blocks = await api.get("/contacts", "bob")
    await api.ask("POST", "/contacts/alice/unblock", user="bob")
    after = await api.get("/contacts", "bob")

    assert [(one["eid"], one["blocked"]) for one in blocks["contacts"]] == [("alice", True)]
    assert not any(one.get("blocked") for one in after.get("contacts", []))
    assert (await api.get("/contacts")).get("contacts", []) == []


async def test_an_action_that_is_none_and_a_user_who_is_none_are_named(api: Api) -> None:
    action = await api.ask("POST", "/contacts/bob/list")
    nobody = await api.ask("POST", "/contacts/nobody/request")
    oneself = await api.ask("POST", "/contacts/alice/request")

    assert (action.status_code, action.json()["field"]) == (422, "action")
    assert (nobody.status_code, nobody.json()["field"]) == (404, "eid")
    assert (oneself.status_code, oneself.json()["field"]) == (422, "eid")


async def test_a_user_switches_whether_they_are_seen(api: Api) -> None:
    switched = await api.ask("PUT", "/visibility", {"visible": False})
    shown = await api.get("/settings")

    assert switched.status_code == 200, switched.text
    assert shown["visible"] is False


async def test_a_device_is_reached_by_a_gateway_until_it_is_not(api: Api) -> None:
    subscribed = await api.ask("PUT", "/push/phone", {"platform": "fcm", "token": "t1"})
    listed = await api.get("/push")
    wrong = await api.ask("PUT", "/push/phone", {"platform": "pigeon", "token": "t1"})
    gone = await api.ask("DELETE", "/push/phone")
    after = await api.get("/push")

    assert subscribed.json()["device"] == "backend"
    assert [one["id"] for one in listed["subscriptions"]] == ["phone"]
    assert listed["platforms"] == ["fcm"]
    assert (wrong.status_code, wrong.json()["field"]) == (422, "platform")
    assert gone.status_code == 204
    assert "subscriptions" not in after


async def test_where_somebody_is_has_its_bounds_and_is_told_to_whom_it_is_shared_with(api: Api) -> None:
    nowhere = await api.ask("POST", "/location", {"has_position": True, "latitude": 91, "longitude": 0})
    stranger = await api.ask("POST", "/location", {"to": {"eid": "carol"}, "enabled": True})
    await api.ask("POST", "/contacts/bob/request", {"mutual": True})
    await api.ask("POST", "/contacts/alice/accept", {"mutual": True}, user="bob")
    shared = await api.ask("POST", "/location", {"to": {"eid": "bob"}, "enabled": True})

    assert (nowhere.status_code, nowhere.json()["field"]) == (422, "latitude")
    assert stranger.status_code in {403, 404}
    assert (shared.status_code, shared.json()["enabled"]) == (200, True), shared.text
