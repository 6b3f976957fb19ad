"""Messages are changed by HTTP, and commands are given once."""

from tests.api.kit import Api, texts


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
