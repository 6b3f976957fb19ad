"""Feeds by HTTP: written for friends, and read by them and by nobody else."""

from typing import Any

from tests.api.kit import Api, texts


async def befriend(api: Api, owner: str, viewer: str) -> None:
    """The owner lets the viewer see them."""
    for path, user in ((f"/contacts/{owner}/request", viewer), (f"/contacts/{viewer}/accept", owner)):
        answer = await api.ask("POST", path, user=user)
        assert answer.status_code == 200, answer.text


async def publish(api: Api, text: str, **fields: Any) -> Any:
    answer = await api.ask("POST", "/messages", {"scope": "friend", "text": text, **fields})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def test_friends_read_it_and_nobody_else(api: Api) -> None:
    await api.know("alice", "bob", "carol")
    await befriend(api, "alice", "bob")
    sent = await publish(api, "one", tempId="p1")
    await publish(api, "two")
    again = await api.ask("POST", "/messages", {"scope": "friend", "text": "one", "tempId": "p1"})
    [row] = (await api.get("/inbox", "bob"))["conversations"]
    first = await api.get("/feeds/alice/messages?limit=1", "bob")
    rest = await api.get(f"/feeds/alice/messages?cursor={first['nextCursor']}", "bob")
    strange = [await api.ask("GET", f"/feeds/alice{path}", user="carol") for path in ("", "/messages")]

    assert (again.status_code, again.json()["messageId"]) == (200, sent["messageId"])
    assert (row["id"], row["peer"], row["feed"], row["unread"]) == (sent["conversation"], "alice", True, "2")
    assert texts(first) + texts(rest) == ["one", "two"]
    assert texts(await api.get("/feeds/alice/messages?backwards=true", "alice")) == ["two", "one"]
    assert [(one.status_code, one.json()["field"]) for one in strange] == [(404, "peer")] * 2
    assert texts(await api.get("/messages?partition=feed", "bob")) == ["one", "two"]
    assert texts(await api.get("/messages?partition=feed", "carol")) == []


async def test_its_author_is_told_who_reads_it_and_how_far_each_is(api: Api) -> None:
    await api.know("alice", "bob", "carol")
    for reader in ("bob", "carol"):
        await befriend(api, "alice", reader)
    sent = await publish(api, "hello")
    page = await api.get("/feeds/alice/messages", "bob")
    await api.ask("POST", "/messages/acknowledgements", {"partition": "feed", "upto": "1"}, user="bob")
    read = await api.ask("POST", f"/messages/{sent['messageId']}/read", user="bob")
    liked = await api.ask("PUT", f"/messages/{sent['messageId']}/reactions/👍", user="bob")
    state = await api.get(f"/messages/{sent['messageId']}/delivery-state")
    about = {user: await api.get("/feeds/alice", user) for user in ("alice", "bob")}

    assert (read.status_code, liked.status_code) == (204, 200)
    assert texts(page) == ["hello"]
    assert (state["state"], state["deliveredTo"], state["readBy"]) == ("sent", ["bob"], ["bob"])
    assert [one["eid"] for one in about["alice"]["members"]] == ["alice", "bob", "carol"]
    assert [one["eid"] for one in about["bob"]["members"]] == ["alice", "bob"]
    assert (about["bob"]["peer"], about["bob"]["feed"]) == ("alice", True)


async def test_it_is_for_nobody_by_name(api: Api) -> None:
    await api.know("bob")
    answer = await api.ask("POST", "/messages", {"scope": "friend", "to": {"eid": "bob"}, "text": "x"})
    without = await api.ask("POST", "/messages", {"text": "x"})

    assert (answer.status_code, answer.json()["field"]) == (422, "to.eid")
    assert (without.status_code, without.json()["field"]) == (422, "to.eid")
