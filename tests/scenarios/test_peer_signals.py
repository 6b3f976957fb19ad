"""What a device says to others of its user reaches those that are connected, in order, and nobody else."""

from typing import Any

import pytest
import trio
from trio.testing import MockClock

from bimip.client.wire import bimip as pb
from bimip.users import device
from bimip.users.device import SIBLINGS_KEPT
from tests.kit.memory_server import Client, open_world, settle
from tests.kit.received import Received

ALL: dict[str, Any] = {}


async def say(client: Client, kind: str, to: str = "", payload: bytes = b"", own_id: str = "") -> pb.PeerSignal:
    """Says this, and returns the answer."""
    named = {"to": pb.Identity(connection_resource_id=to)} if to else ALL
    client.send(peer_signal=pb.PeerSignal(kind=kind, payload=payload, id=own_id, **named), ref=5)
    while True:
        frame = await client.receive()
        if frame.ref == 5:
            assert frame.peer_signal is not None, frame
            return frame.peer_signal


def told(heard: Received) -> list[tuple[str, str, bytes]]:
    signals = [signal for body in heard.bodies for signal in body.peer_signals]
    assert all(signal.from_ is not None and signal.from_.eid == "ann" for signal in signals)
    return [(_name(signal.from_), signal.kind, signal.payload) for signal in signals]


def _name(identity: pb.Identity | None) -> str:
    return "" if identity is None else identity.connection_resource_id or ""


async def test_all_others_of_the_user_hear_a_hello_and_one_that_is_named_what_is_for_it(
    autojump_clock: MockClock,
) -> None:
    async with open_world() as world:
        phone, laptop, tablet = [await world.join("ann", name) for name in ("phone", "laptop", "tablet")]
        bob = await world.join("bob", "phone")
        answer = await say(tablet, "offer", "phone", b"sdp", "o1")
        assert (answer.reached, _name(answer.to)) == (1, "phone")
        assert told(await phone.heard()) == [("tablet", "offer", b"sdp")]
        answer = await say(phone, "hello", payload=b"here", own_id="h1")
        assert (answer.reached, answer.id, answer.kind, answer.payload) == (2, "h1", "hello", b"")
        await say(phone, "answer", "tablet", b"pds")
        for number in range(5):
            await say(phone, "candidate", "tablet", b"%d" % number)
        await settle()

        candidates = [("phone", "candidate", b"%d" % number) for number in range(5)]
        assert told(await tablet.heard()) == [("phone", "hello", b"here"), ("phone", "answer", b"pds"), *candidates]
        assert told(await laptop.heard()) == [("phone", "hello", b"here")]
        assert told(await bob.heard()) == []


async def test_nobody_is_there_for_who_is_alone_and_nothing_is_kept(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.join("ann", "phone")
        assert (await say(phone, "hello")).reached == 0
        laptop = await world.join("ann", "laptop")
        await settle()

        assert told(await laptop.heard()) == []
        laptop.cut()
        await settle()
        phone.send(peer_signal=pb.PeerSignal(kind="offer", to=pb.Identity(connection_resource_id="laptop")), ref=6)
        [error] = (await phone.heard()).errors
        assert (error.code, error.field, error.ref) == (
            pb.ErrorCode.NOT_FOUND,
            "to.connection_resource_id",
            6,
        )


async def test_one_that_takes_nothing_misses_the_oldest_and_what_is_too_old(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device, "SIBLINGS_SECONDS", 1.0)
    async with open_world() as world:
        phone = await world.join("ann", "phone")
        for waits, expected in ((0.0, SIBLINGS_KEPT), (1.0, 0)):
            laptop = world.connect("ann", "laptop", room=1)
            await laptop.hello()
            for number in range(SIBLINGS_KEPT + 6):
                await say(phone, "candidate", "laptop", b"%d" % number)
            await trio.sleep(waits)

            heard = [payload for _, _, payload in told(await laptop.heard_slowly())]
            assert heard[len(heard) - expected :] == [b"%d" % (number + 6) for number in range(expected)]
            assert len(heard) <= expected + 1  # one may be in its room
            laptop.cut()
            await settle()
