"""Whatever somebody does who was blocked, they are told what they would be told of a user who is away.

Each is played to two servers, at the same virtual times: one in which the other one blocks and stays connected, and one
in which they leave. Every frame that who is blocked gets is the same.
"""

from collections.abc import Callable
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from bimip.client.wire import bimip as pb
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
    "his devices": lambda _, __: {"devices": pb.Devices(eid="bob")},
    "the conversation": lambda anns, _: {
        "conversation": pb.Conversation(action=pb.ConversationAction.GET, id=anns.conversation)
    },
    "the history": lambda anns, _: fetch(pb.FetchKind.HISTORY, conversation=anns.conversation),
    "the receipts": lambda anns, _: fetch(pb.FetchKind.RECEIPTS, conversation=anns.conversation),
    "the inbox": lambda _, __: fetch(pb.FetchKind.INBOX),
    "the log": lambda _, __: fetch(pb.FetchKind.LOG, partition="chat"),
    "all of the state": lambda _, __: {"state_delta": pb.StateDelta()},
}


def frames(heard: Received) -> list[str]:
    return [str(frame) for frame in heard.frames]


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


@pytest.mark.parametrize("what", SAID)
def test_whatever_who_is_blocked_says_they_are_told_what_they_would_be_told_of_somebody_who_is_away(what: str) -> None:
    async def both(*, is_blocked: bool) -> tuple[list[str], Received]:
        return await seen_by_ann(SAID[what], is_blocked=is_blocked)

    blocked, heard = trio.run(lambda: both(is_blocked=True), clock=MockClock(autojump_threshold=0))
    away, _ = trio.run(lambda: both(is_blocked=False), clock=MockClock(autojump_threshold=0))

    assert blocked == away
    assert heard.messages == []
    assert what == "a deletion" or heard.message_states == []
