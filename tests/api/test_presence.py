"""How somebody is, by HTTP, and what one says of oneself."""

import pytest
import trio

from tests.api.kit import Api
from tests.kit.memory_server import World, befriend


async def test_who_may_see_somebody_is_told_how_they_are_and_where_and_others_are_told_of_nobody(api: Api) -> None:
    async with trio.open_nursery() as nursery:
        world = World(api.server, nursery)
        alice, bob = await world.join("alice", "phone"), await world.join("bob", "phone")
        await befriend(alice, bob)
        said = await api.ask("PUT", "/presence", {"status": "BUSY", "id": "b1"}, user="bob")
        await api.ask("POST", "/location", {"to": {"eid": "alice"}, "enabled": True}, user="bob")
        here = {"has_position": True, "latitude": 52.5, "longitude": 13.4}
        await api.ask("POST", "/location", here, user="bob")
        with trio.fail_after(10):
            seen = await api.get("/presence/bob")
            while seen["status"] != "BUSY" or "latitude" not in seen:
                await trio.sleep(0.05)
                seen = await api.get("/presence/bob")
        strangers = {name: await api.get(f"/presence/{name}", "carol") for name in ("bob", "nobody")}
        nursery.cancel_scope.cancel()

    assert (said.status_code, said.json()["status"], said.json()["id"]) == (200, "BUSY", "b1"), said.text
    assert (seen["from"]["eid"], seen["location_sharing"], seen["latitude"]) == ("bob", True, 52.5)
    for name, told in strangers.items():
        assert told.pop("from")["eid"] == name
    assert strangers["bob"] == strangers["nobody"] == {"status": "OFFLINE"}


async def test_what_one_says_of_oneself_is_all_devices_and_the_later_word_counts(api: Api) -> None:
    first = await api.ask("PUT", "/presence", {"status": "DND", "until": "4000000000000"})
    older = await api.ask("PUT", "/presence", {"status": "AWAY", "stamp": "1"}, device="desk")
    back = await api.ask("PUT", "/presence", {"status": "ONLINE"}, device="desk")
    state = await api.get("/state")
    [intent] = [item["intent"] for item in state["items"] if "intent" in item]

    assert (first.json()["status"], older.json()["status"], back.json()["status"]) == ("DND", "DND", "ONLINE")
    assert older.json()["until"] == first.json()["until"]
    assert intent["status"] == "ONLINE"


async def test_who_asks_by_http_is_not_there_by_that(api: Api) -> None:
    await api.ask("POST", "/contacts/bob/request", {"mutual": True})
    await api.ask("POST", "/contacts/alice/accept", {"mutual": True}, user="bob")
    await api.ask("PUT", "/presence", {"status": "ONLINE"}, user="bob")

    assert (await api.get("/presence/bob"))["status"] == "OFFLINE"


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"status": "OFFLINE"}, "status"),
        ({"status": "TYPING", "to": {"eid": "bob"}}, "status"),
        ({"status": 0}, "status"),
        ({"until": "1"}, "status"),
        ({"status": "ONLINE", "inactive": True}, "inactive"),
        ({"status": "ONLINE", "keep_intent": True}, "keep_intent"),
        ({"status": "DND", "until": "-1"}, "until"),
        ({"status": "DND", "from": {"eid": "bob"}}, "from.eid"),
    ],
)
async def test_what_cannot_be_said_is_named(api: Api, said: dict[str, object], field: str) -> None:
    answer = await api.ask("PUT", "/presence", said)

    assert answer.status_code in {403, 422}
    assert answer.json()["field"] == field
