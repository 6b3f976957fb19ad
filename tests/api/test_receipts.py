"""How far a message has come is said and asked by HTTP."""

from tests.api.kit import Api


async def test_how_far_a_message_has_come_is_told_to_who_wrote_it(api: Api) -> None:
    message = (await api.write("Hello", tempId="m1"))["messageId"]
    path = f"/messages/{message}"
    sent = await api.get(f"{path}/delivery-state")
    await api.ask("POST", "/messages/acknowledgements", {"partition": "chat", "upto": 1}, user="bob")
    delivered = await api.get(f"{path}/delivery-state")
    read_answer = await api.ask("POST", f"{path}/read", {"conversationId": "c1"}, user="bob")
    read = await api.get("/messages/id:m1/delivery-state")
    page = await api.get("/messages/conversation/c1/backfill")

    assert sent == {
        "messageId": message,
        "state": "sent",
        "deliveredTo": [],
        "readBy": [],
        "timestamp": sent["timestamp"],
    }
    assert (delivered["state"], delivered["deliveredTo"], delivered["readBy"]) == ("delivered", ["bob"], [])
    assert read_answer.status_code == 204
    assert (read["state"], read["readBy"], read["messageId"]) == ("read", ["bob"], message)
    assert page["messages"][0]["deliveryState"] == read


async def test_who_keeps_reading_to_themselves_is_delivered_to_and_no_more(api: Api) -> None:
    await api.ask("PATCH", "/settings", {"send_read_receipts": False}, user="bob")
    message = (await api.write("Hello"))["messageId"]
    await api.get("/messages", "bob")
    await api.ask("POST", f"/messages/{message}/read", user="bob")
    told = await api.get(f"/messages/{message}/delivery-state")

    assert (told["state"], told["readBy"]) == ("delivered", [])


async def test_a_group_message_is_read_when_all_have_read_it(api: Api) -> None:
    group = (await api.ask("POST", "/conversations", {"members": [{"eid": "bob"}, {"eid": "carol"}]})).json()["id"]
    message = (await api.write("Hello", to=group))["messageId"]
    for user in ("bob", "carol"):
        await api.get("/messages", user)
    await api.ask("POST", f"/messages/{message}/read", user="bob")
    some = await api.get(f"/messages/{message}/delivery-state")
    page = await api.get(f"/messages/conversation/{group}/backfill")
    await api.ask("POST", f"/messages/{message}/read", user="carol")
    everybody = await api.get(f"/messages/{message}/delivery-state")

    assert (some["state"], some["readBy"]) == ("sent", ["bob"])
    assert page["messages"][-1]["deliveryState"]["state"] == "sent"
    assert (everybody["state"], everybody["readBy"]) == ("read", ["bob", "carol"])


async def test_a_message_in_another_conversation_than_said_is_not_found(api: Api) -> None:
    message = (await api.write("Hello"))["messageId"]
    answer = await api.ask("POST", f"/messages/{message}/read", {"conversationId": "c9"}, user="bob")

    assert (answer.status_code, answer.json()["field"]) == (404, "conversationId")


async def test_many_receipts_are_noted_or_refused_each_for_itself(api: Api) -> None:
    await api.write("1")
    await api.write("2")
    await api.get("/messages", "bob")
    answer = await api.ask(
        "POST",
        "/messages/receipts",
        {
            "receipts": [
                {"status": 3, "conversation": "c1", "upto": 1},
                {"status": "5", "conversation": "c1", "conversation_offset": "2"},
                {"status": 3, "conversation": "c7", "upto": 1},
            ]
        },
        user="bob",
    )
    wrong = await api.ask("POST", "/messages/receipts", {"receipts": [{"status": 2, "conversation": "c1"}]})
    page = await api.get("/messages")

    assert answer.status_code == 200, answer.text
    assert [sorted(one) for one in answer.json()["results"]] == [["sent"], ["sent"], ["error"]]
    assert [one["deliveryState"]["state"] for one in page["messages"]] == ["read", "played"]
    assert (wrong.status_code, wrong.json()["field"]) == (422, "receipts[0].status")
