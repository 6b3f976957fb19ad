"""`bimip message` and `bimip conversation` against the real server, in this process, over real sockets."""

import json

import pytest

from bimip.cli.changes import change_message, keep_conversation, signal_offset_of
from bimip.cli.devices import send
from bimip.cli.failures import Exit, Failure
from tests.cli.test_devices import ALICE, BOB, _without_a_log, listen_until, say, server

__all__ = ["_without_a_log"]


async def test_what_is_changed_is_seen_by_who_listens(capsys: pytest.CaptureFixture[str]) -> None:
    async with server() as device:
        await send(device(ALICE, "phone"), BOB, ["helo"], every=0.0, timeout=10.0, as_json=True)
        sent = json.loads(capsys.readouterr().out)
        which = sent["signal_id"]
        await change_message(device(ALICE, "phone"), which, lambda client, at: client.messages.edit(at, b"hello"))
        await change_message(device(BOB, "phone"), which, lambda client, at: client.messages.react(at, "+"))
        await keep_conversation(
            device(BOB, "phone"),
            sent["conversation"],
            archived=True,
            pinned=None,
            marked_unread=None,
            muted_until=None,
            draft="dear",
        )
        done = capsys.readouterr().out.splitlines()
        printed = await listen_until(device(BOB, "laptop"), "ConversationChanged", capsys)

    events = [json.loads(line) for line in printed.splitlines()]
    (changed,) = (event for event in events if event["event"] == "MessageChanged")
    (kept,) = (event for event in events if event["event"] == "ConversationChanged")
    assert done == [
        f"done: conversation {sent['conversation']} #1",
        f"done: conversation {sent['conversation']} #1",
        f"done: conversation {sent['conversation']}",
    ]
    assert (changed["payload"], changed["reactions"]) == ("hello", {"+": [BOB]})
    assert (kept["archived"], kept["draft"]) == (True, "dear")


async def test_what_may_not_be_changed_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    async with server() as device:
        await say(device(ALICE, "phone"), "one")
        with pytest.raises(Failure) as failed:
            await change_message(device(BOB, "phone"), "12345", lambda client, at: client.messages.edit(at, b"x"))

    assert failed.value.code is Exit.REFUSED
    assert "no such message" in str(failed.value)


def test_a_message_is_named_by_its_signal_id_or_its_number() -> None:
    assert signal_offset_of("7130316802516582400") == signal_offset_of("65WZSBAB00000") == 7130316802516582400
    for wrong in ("", "one", "65WZSBAB0000!", "1.5"):
        with pytest.raises(Failure):
            signal_offset_of(wrong)
