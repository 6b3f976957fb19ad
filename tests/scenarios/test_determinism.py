"""The whole server runs twice from one seed, with kills in it, and says the same to everybody at the same time."""

from typing import NamedTuple

import trio
from trio.testing import MockClock

from bimip.client.wire import bimip as pb
from bimip.testing.virtual import seeded_scheduler
from tests.kit.memory_server import Client, World, begin, open_world, settle

USERS = ("alice", "bob", "carol")
DEVICES = ("phone", "laptop")


class Told(NamedTuple):
    """One frame."""

    time: float
    device: str
    frame: bytes


async def listen(client: Client, transcript: list[Told]) -> None:
    """Write down what a device is told, acknowledge it, and go on until the connection ends."""
    name = f"{client.eid}/{client.device}"
    while True:
        try:
            frame = await client.peer.receive()
        except Exception as error:  # noqa: BLE001 - the end is a part of the transcript
            transcript.append(Told(trio.current_time(), name, str(error).encode()))
            return
        transcript.append(Told(trio.current_time(), name, frame))
        body = pb.MessageScheme.parse(frame).body
        if body is not None and body.upto:
            client.acknowledge(body.upto)


async def write(client: Client, count: int) -> None:
    for number in range(count):
        to = USERS[number % len(USERS)]
        client.write(to, f"{client.eid}/{client.device} {number}".encode())
        if number % 3 == 0:
            await trio.sleep(0.25)


async def connect(world: World, nursery: trio.Nursery, transcript: list[Told]) -> list[Client]:
    clients = [world.connect(eid, device) for eid in USERS for device in DEVICES]
    for client in clients:
        client.send(hello=pb.Hello(partitions=[begin(pb.Start.FIRST)]))
        nursery.start_soon(listen, client, transcript)
    await settle()
    return clients


async def scenario(seed: int) -> list[Told]:
    """Three users with two devices each write to each other; a fetcher, a session, the journal and a reader die."""
    transcript: list[Told] = []
    async with open_world(seed=seed) as world, trio.open_nursery() as nursery:
        clients = await connect(world, nursery, transcript)
        for path in ("users/bob/phone/fetcher", "users/carol", "journal", "users/alice/laptop/reader", "users"):
            async with trio.open_nursery() as writers:
                for client in clients:
                    writers.start_soon(write, client, 8)
                await world.kill(path)
            clients = await connect(world, nursery, transcript)
        await trio.sleep(40)
        nursery.cancel_scope.cancel()
    return transcript


def run(seed: int) -> list[Told]:
    with seeded_scheduler(seed):
        return trio.run(scenario, seed, clock=MockClock(autojump_threshold=0))


def test_one_seed_gives_one_transcript_and_another_seed_another_order() -> None:
    first, again, other = run(1), run(1), run(2)

    assert len(first) > 200
    assert first == again
    assert [(told.time, told.device) for told in first] != [(told.time, told.device) for told in other]
    assert {told.device for told in first} == {told.device for told in other}
