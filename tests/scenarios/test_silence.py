"""Whatever somebody does who was blocked, they are told what they would be told of a user who is away.

Each is played to two servers, at the same virtual times: one in which the other one blocks and stays connected, and one
in which they leave. Every frame that who is blocked gets is the same.
"""

import re
from collections.abc import Callable
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from bimip.client.wire import bimip as pb
from bimip.domain.commands import case
from bimip.domain.conversations import groups
from bimip.domain.core.ids import UserId
from bimip.domain.delivery import acknowledging
from bimip.domain.messages import appending
from bimip.storage.care.check import check
from bimip.storage.memory import MemoryStore
from tests.kit.memory_server import open_world
from tests.kit.received import Received
from tests.scenarios.test_blocking import Kind, command, correspond, fetch
from tests.scenarios.test_contacts import Action, ask

READ = pb.MessageStatus.READ


def address(eid: str, device: str) -> pb.DeviceAddress:
    return pb.DeviceAddress(identity=pb.Identity(eid=eid, connection_resource_id=device), payload=b"for you")


def message(payload: bytes, to: str = "bob", **fields: Any) -> dict[str, Any]:
    return {"message": pb.Message(id=payload.decode(), to=pb.Identity(eid=to), type=1, payload=payload, **fields)}


Say = Callable[[pb.Signal, pb.Message], dict[str, Any]]
"""What ann says, of the message that she wrote to bob before, and of the one that he wrote to her."""

SAID: dict[str, Say] = {
    "a message": lambda _, __: message(b"hello"),
    "a message to the conversation": lambda anns, _: message(b"hello", anns.conversation),
    "a message that mentions him": lambda _, __: message(b"hello", mentions=["bob"]),
    "an answer": lambda _, bobs: message(b"hello", reply_to=bobs.signal_id),
    "a message that disappears": lambda _, __: message(b"hello", ttl_ms=5000),
    "a message in another partition": lambda _, __: message(b"hello", partition="notification"),
    "a message for one of his devices": lambda _, __: message(b"hello", devices=[address("bob", "phone")]),
    "a message for a device that he has not": lambda _, __: message(b"hello", devices=[address("bob", "tv")]),
    "a message for all devices": lambda _, __: message(
        b"hello", devices=[address("bob", "phone"), address("ann", "laptop")], devices_complete=True
    ),
    "a message for all devices but one": lambda _, __: message(
        b"hello", devices=[address("bob", "phone")], devices_complete=True
    ),
    "a message that is there already": lambda _, __: message(b"before"),
    "an edit": lambda anns, _: command(Kind.EDIT, anns.signal_offset, payload=b"another"),
    "a deletion": lambda anns, _: command(Kind.DELETE_FOR_EVERYONE, anns.signal_offset),
    "a reaction": lambda _, bobs: command(Kind.REACT, bobs.signal_offset, emoji="+"),
    "a forward mark": lambda _, bobs: command(Kind.FORWARD_MARK, bobs.signal_offset),
    "a receipt": lambda anns, _: {"signal": pb.Signal(status=READ, conversation=anns.conversation, upto=2)},
    "a request": lambda _, __: {"contact": pb.Contact(action=Action.REQUEST, eid="bob", id="r2")},
    "a removal": lambda _, __: {"contact": pb.Contact(action=Action.REMOVE, eid="bob", id="r3")},
    "how he is": lambda _, __: {"awareness": pb.Awareness(to=pb.Identity(eid="bob"))},
    "his devices": lambda _, __: {"devices": pb.Devices(eid="bob")},
    "the conversation": lambda anns, _: {
        "conversation": pb.Conversation(action=pb.ConversationAction.GET, id=anns.conversation)
    },
    "a group with him": lambda _, __: {
        "conversation": pb.Conversation(
            action=pb.ConversationAction.CREATE, title="trip", members=[pb.Member(eid="bob")], request_id="g1"
        )
    },
    "something for friends": lambda _, __: {
        "message": pb.Message(id="p1", type=1, payload=b"to all friends", scope="friend")
    },
    "the history": lambda anns, _: fetch(pb.FetchKind.HISTORY, conversation=anns.conversation),
    "the receipts": lambda anns, _: fetch(pb.FetchKind.RECEIPTS, conversation=anns.conversation),
    "the inbox": lambda _, __: fetch(pb.FetchKind.INBOX),
    "the log": lambda _, __: fetch(pb.FetchKind.LOG, partition="chat"),
    "all of the state": lambda _, __: {"state_delta": pb.StateDelta()},
}


def frames(heard: Received) -> list[str]:
    """All that was told, but for the moment at which the other one went, or blocked: it is not quite the same one."""
    return [re.sub(r"last_seen=1700000000\d{3}\b", "last_seen=then", str(frame)) for frame in heard.frames]


async def seen_by_ann(say: Say, *, is_blocked: bool) -> tuple[list[str], Received]:
    """What ann is told of what she says, and of all that she may know then; and what bob is told meanwhile."""
    store = MemoryStore()
    async with open_world(store=store) as world:
        ann, bob, anns, bobs = await correspond(world)
        await ask(bob, Action.BLOCK if is_blocked else Action.UNBLOCK, "ann", id="b1")
        if not is_blocked:
            bob.cut()
        await trio.sleep_until(10)
        ann.send(**say(anns, bobs), ref=6)
        told = frames(await ann.heard())
        await trio.sleep_until(20)
        heard = await bob.heard() if is_blocked else Received([])
        if is_blocked:  # he goes on as if nothing were, but for her
            bob.acknowledge(2)
            bob.read(anns.conversation, 2)
            await bob.heard()
        await trio.sleep_until(30)
        for asked in (fetch(pb.FetchKind.HISTORY, conversation=anns.conversation), {"state_delta": pb.StateDelta()}):
            ann.send(**asked, ref=8)
            told += frames(await ann.heard())
        await trio.sleep_until(40)
        another = await world.join("ann", "tablet", pb.Position(partition="chat", start=pb.Start.FIRST))
        told += frames(await another.heard())
        assert list(check(store)) == []
    return told, heard


def played(what: str, *, is_blocked: bool) -> tuple[list[str], Received]:
    return trio.run(lambda: seen_by_ann(SAID[what], is_blocked=is_blocked), clock=MockClock(autojump_threshold=0))


@pytest.mark.parametrize("what", SAID)
def test_whatever_who_is_blocked_says_they_are_told_what_they_would_be_told_of_somebody_who_is_away(what: str) -> None:
    blocked, heard = played(what, is_blocked=True)
    away, _ = played(what, is_blocked=False)

    assert blocked == away
    assert heard.messages == []
    assert what == "a deletion" or heard.message_states == []


def looks_different(what: str) -> bool:
    """Whether it shows to who is blocked that they are, or something of theirs arrives."""
    blocked, heard = played(what, is_blocked=True)
    away, _ = played(what, is_blocked=False)
    return blocked != away or bool(heard.messages or (heard.message_states and what != "a deletion"))


def test_an_acknowledgement_that_is_told_to_whom_one_has_blocked_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acknowledging, "blocked_among", lambda _view, _owner, _others: set())

    assert looks_different("a message")


def test_a_message_that_arrives_in_spite_of_a_block_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(appending, "blocks", lambda _view, _owner, _other: False)

    assert looks_different("a message")


def test_a_device_that_may_not_be_addressed_by_who_is_blocked_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    addresses = appending._addresses

    def without_the_deaf(view: Any, op: Any, readers: tuple[UserId, ...], deaf: set[UserId]) -> Any:
        return addresses(view, op, tuple(reader for reader in readers if reader not in deaf), deaf)

    monkeypatch.setattr(appending, "_addresses", without_the_deaf)

    assert looks_different("a message for one of his devices")


def test_who_is_added_to_a_group_in_spite_of_a_block_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(groups, "blocks", lambda _view, _owner, _other: False)

    assert looks_different("a group with him")


def test_an_edit_that_is_told_in_spite_of_a_block_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(case, "blocks", lambda _view, _owner, _other: False)

    assert looks_different("an edit")
