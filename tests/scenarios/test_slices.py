"""No device's work is done in one go, whatever its log holds: a step looks at so much, and others have their turn."""

from collections.abc import Iterator
from typing import Any

import pytest
from trio.testing import MockClock

from bimip.client.wire import bimip as pb
from bimip.domain.core.operations import Append
from bimip.journal.queue import OperationQueue
from bimip.reading.segments import Segment
from bimip.requests import body
from bimip.requests import message as message_route
from bimip.users import hello, intake
from bimip.users.batches import LOOK_MOST
from bimip.users.device import FRAMES_AT_ONCE, Device
from bimip.users.session import Session
from tests.kit.memory_server import World, at, message, open_world

LONG = 3_000


class Looks:
    """How many entries each step of any device was given to look at."""

    def __init__(self) -> None:
        self.steps: list[int] = []

    @property
    def most(self) -> int:
        return max(self.steps, default=0)


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Iterator[Looks]:
    found = Looks()
    step: Any = Device.send_some
    read: Any = Session.read_log

    def counted_step(self: Device, now: float) -> None:
        found.steps.append(0)
        step(self, now)

    def counted_read(self: Session, *words: Any) -> list[Segment]:
        runs: list[Segment] = read(self, *words)
        found.steps[-1] += sum(map(len, runs))
        return runs

    monkeypatch.setattr(Device, "send_some", counted_step)
    monkeypatch.setattr(Session, "read_log", counted_read)
    yield found
    assert found.steps


async def long_log(world: World, eid: str = "bob") -> None:
    await world.register(eid)
    await world.fill(eid, *range(1, LONG + 1))


async def test_an_ack_of_a_whole_log_is_passed_over_without_a_look(autojump_clock: MockClock, looks: Looks) -> None:
    async with open_world() as world:
        await long_log(world)
        phone = await world.join("bob", "phone", at(0))
        await phone.heard()
        looks.steps.clear()
        phone.acknowledge(LONG)
        heard = await phone.heard()

        assert sum(looks.steps) <= LOOK_MOST
        assert heard.ranges[-1][1] == LONG
        assert heard.errors == []


async def test_what_is_addressed_to_others_is_passed_over_in_slices(autojump_clock: MockClock, looks: Looks) -> None:
    async with open_world() as world:
        await world.register("bob", "phone", "laptop")
        alice = await world.join("alice", "phone")
        to_laptop = pb.DeviceAddress(identity=pb.Identity(eid="bob", connection_resource_id="laptop"))
        for number in range(LONG):
            alice.write("bob", b"x", f"m{number}", devices=[to_laptop])
        await alice.heard()
        looks.steps.clear()
        phone = await world.join("bob", "phone", at(0))
        heard = await phone.heard()

        assert heard.messages == []
        assert heard.ranges[-1][1] == LONG
        assert 0 < looks.most <= FRAMES_AT_ONCE * LOOK_MOST


@pytest.fixture
def prepared(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many messages were judged in each turn of a reader."""
    turns = [0]
    prepare, write = message_route.prepare, message_route.write

    def counted(*words: Any, **more: Any) -> Any:
        turns[-1] += 1
        return prepare(*words, **more)

    def written(device: Device) -> None:
        turns.append(0)
        write(device)

    monkeypatch.setattr(message_route, "prepare", counted)
    monkeypatch.setattr(hello, "prepare", counted)
    monkeypatch.setattr(intake, "write", written)
    return turns


async def test_a_large_batch_is_judged_in_slices_and_in_order(autojump_clock: MockClock, prepared: list[int]) -> None:
    async with open_world() as world:
        bob = await world.join("bob", "phone")
        alice = await world.join("alice", "phone")
        texts = [b"%d" % number for number in range(1000)]
        wrong = pb.Message(id="wrong", to=pb.Identity(eid="bob"), type=-1)
        batch = pb.Body(messages=[*(message("bob", text, f"m{text!r}") for text in texts), wrong])
        alice.send(body=batch, ref=5)
        alice.send(ping_pong=pb.PingPong(id="behind it"), ref=6)
        heard = await alice.heard_slowly()
        received = []
        while some := (await bob.heard()).messages:
            received += [one.payload for one in some]
            bob.acknowledge(some[-1].user_offset or 0)

        assert max(prepared) <= body.PARTS_AT_ONCE
        assert received == texts
        assert [signal.user_offset for signal in heard.sent] == list(range(1, 1001))
        assert [(error.id, error.ref) for error in heard.errors] == [("wrong", 5)]
        assert any(frame.ping_pong for frame in heard.frames)


async def test_the_messages_of_a_hello_are_judged_in_slices(autojump_clock: MockClock, prepared: list[int]) -> None:
    async with open_world() as world:
        await world.register("bob")
        messages = [message("bob", b"%d" % number, f"m{number}") for number in range(1000)]
        written: list[int] = []
        submit: Any = OperationQueue.submit

        def counted(self: OperationQueue, operation: Any, *words: Any, **more: Any) -> Any:
            if isinstance(operation, Append):
                written.append(len(operation.messages))
            return submit(self, operation, *words, **more)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(OperationQueue, "submit", counted)
            alice = await world.join("alice", "phone", messages=messages)

        assert max(written) <= hello.MESSAGES_AT_ONCE
        assert [one.sent.user_offset for one in alice.welcome.results if one.sent] == list(range(1, 1001))
