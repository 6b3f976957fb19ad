"""The SDK against the whole server, under virtual time: what programs may rely on (bimip/client), with connections that
are cut at any moment, programs that are slow, and programs that die."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import anyio
import jwt
import pytest
import trio
from trio.testing import MockClock

from bimip.app import open_server
from bimip.client import Backoff, Client, FetchKind, Start, open_client
from bimip.client.errors import ConnectionClosed, Refused, Stopped
from bimip.client.events import Connected, Disconnected, Event, ReceiptsChanged, Received, Sent
from bimip.domain.core.records import ReceiptKind
from bimip.environment import Surroundings
from bimip.session.close import Close
from bimip.storage.memory import MemoryStore
from bimip.testing.virtual import settings_for_tests
from bimip.users.connection import ConnectionClosedError
from tests.kit.memory_connection import Peer
from tests.kit.memory_server import World, open_world


class Wire:
    """A client's end of a connection in memory."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer

    async def receive(self) -> bytes:
        try:
            return await self._peer.receive()
        except ConnectionClosedError as closed:
            raise ConnectionClosed(closed.code, closed.reason) from None

    async def send(self, frame: bytes) -> None:
        await trio.lowlevel.checkpoint()
        self._peer.send(frame)

    async def aclose(self, code: int, reason: str) -> None:
        self._peer.connection.cut(code, reason)


class Network:
    """Connections of clients to a world, which can be cut."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.peers: dict[tuple[str, str], Peer] = {}

    @asynccontextmanager
    async def device(self, eid: str, device: str, **options: Any) -> AsyncIterator[Client]:
        async def connect(_url: str, _token: str) -> Wire:
            await trio.lowlevel.checkpoint()
            peer = self._world.dial(eid, device)
            self.peers[eid, device] = peer
            return Wire(peer)

        settings: dict[str, Any] = {"backoff": Backoff(base=0.1, longest=1.0), "start": Start.FIRST}
        async with open_client(
            "ws://world", token="", connect=connect, random=Random(1), **{**settings, **options}
        ) as client:
            yield client

    def cut(self, eid: str, device: str) -> None:
        if (peer := self.peers.get((eid, device))) is not None:
            peer.cut()


async def next_received(client: Client) -> Received:
    async for event in client:
        if isinstance(event, Received):
            return event
    raise AssertionError


async def test_a_message_its_mirror_and_its_receipts(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        network = Network(world)
        async with (
            network.device("bob", "phone") as bob,
            network.device("alice", "phone") as phone,
            network.device("alice", "laptop") as laptop,
        ):
            for client in (bob, phone, laptop):
                await client.wait_connected()
            sent = await phone.messages.send("bob", b"hello", id="m1", reply_to="s1")
            got = await next_received(bob)
            mirrored = await next_received(laptop)
            await bob.messages.mark_read(got.message.conversation, got.message.conversation_offset)
            kinds = set()
            async for event in phone:
                if isinstance(event, ReceiptsChanged):
                    kinds.add(event.kind)
                if ReceiptKind.READ in kinds:
                    break

            assert (got.message.payload, got.own, got.message.reply_to) == (b"hello", False, "s1")
            assert (mirrored.own, mirrored.message.signal_id) == (True, sent.signal_id)
            assert set(phone.messages.receipts(sent.conversation, sent.conversation_offset)["bob"]) == {
                "delivered",
                "read",
            }
            assert await phone.ping() >= 0
            assert [message.payload for message in await phone.history.conversation(sent.conversation)] == [b"hello"]
            fetched = await bob.history.fetch(kind=FetchKind.LOG, offset=1)
            # Bob still has it in his hands.
            assert ([(row.id, acked) for row, acked in fetched.rows], fetched.complete) == ([("m1", False)], True)
            with pytest.raises(Refused, match="NOT_FOUND"):
                await phone.messages.send("nobody", b"hello")


async def test_a_client_that_logs_in_too_often_waits_as_long_as_the_server_says(autojump_clock: MockClock) -> None:
    settings = settings_for_tests(BIMIP_LIMITS_USER_LOGINS_PER_SECOND="1")
    async with open_world(settings=settings) as world:
        network = Network(world)
        async with network.device("bob", "phone") as bob:
            async for event in bob:
                if isinstance(event, Connected):
                    network.cut("bob", "phone")
                elif isinstance(event, Disconnected) and event.code == Close.TRY_AGAIN_LATER:
                    break
            begun = trio.current_time()
            await bob.wait_connected()

            assert isinstance(event, Disconnected)
            assert event.retry_in is not None
            assert event.retry_in >= 1
            assert trio.current_time() - begun >= 1


async def test_history_goes_backwards_page_by_page(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        network = Network(world)
        async with network.device("bob", "phone"), network.device("alice", "phone") as alice:
            await alice.wait_connected()
            sent = [await alice.messages.send("bob", str(number).encode()) for number in range(1, 13)]
            pages: list[list[int]] = []
            before = None
            while page := await alice.history.conversation(sent[0].conversation, before=before, limit=5):
                pages.append([message.conversation_offset for message in page])
                before = page[0].conversation_offset

            assert pages == [[8, 9, 10, 11, 12], [3, 4, 5, 6, 7], [1, 2]]


async def test_the_same_device_again_replaces_the_first_which_stops(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        network = Network(world)
        async with network.device("bob", "phone") as first:
            await first.wait_connected()
            async with network.device("bob", "phone") as second:
                await second.wait_connected()
                async for event in first:
                    if isinstance(event, Disconnected):
                        assert (event.code, event.will_retry) == (Close.REPLACED, False)
                        break


async def test_logging_out(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        network = Network(world)
        async with network.device("bob", "phone") as client:
            await client.wait_connected()
            await client.logout()
            events = [event async for event in client]

            assert not any(isinstance(event, Disconnected) for event in events)


async def test_what_a_silent_program_leaves_comes_when_it_takes_it(autojump_clock: MockClock) -> None:
    """Redelivered three times, closed with 4000, connected again: and every message is an event once."""
    async with open_world() as world:
        network = Network(world)
        async with network.device("bob", "phone") as bob, network.device("alice", "phone", partitions=()) as alice:
            await bob.wait_connected()
            for number in range(600):
                alice.messages.send_nowait("bob", str(number).encode())
            await trio.sleep(500)
            texts = [int((await next_received(bob)).message.payload) for _ in range(600)]

            assert texts == list(range(600))
            with anyio.move_on_after(100):
                await next_received(bob)
                raise AssertionError


def a_token(user: str, device: str, *, seconds: int = 600) -> str:
    claims = {"sub": user, "did": device, "exp": int(time.time()) + seconds, "jti": f"{user}/{device}/{seconds}"}
    return jwt.encode(claims, settings_for_tests().tokens.read_key().reveal(), "HS256")


async def test_over_sockets_with_tokens_and_a_device_that_is_killed() -> None:
    settings = settings_for_tests(BIMIP_GATEWAY_PORT="0", BIMIP_CONSOLE_PORT="0")
    async with open_server(settings, Surroundings(lambda _settings: MemoryStore())) as server:
        url = f"ws://127.0.0.1:{server.listener.port}/"
        assert server.processes is not None
        with trio.fail_after(20):
            async with (
                open_client(url, token=a_token("bob", "phone")) as bob,
                open_client(url, token=a_token("alice", "phone"), backoff=Backoff(base=0.01)) as alice,
            ):
                await bob.wait_connected()
                await alice.messages.send("bob", b"one")
                await alice.refresh_token(a_token("alice", "phone", seconds=900))
                await server.processes.kill("bimip/users/alice/phone")
                await alice.messages.send("bob", b"two")
                events = [event async for event in until_connected_again(alice)]
                texts = [(await next_received(bob)).message.payload for _ in range(2)]

            assert texts == [b"one", b"two"]
            assert [event.code for event in events if isinstance(event, Disconnected)] == [Close.INTERNAL_ERROR]
            for token, code in ((a_token("bob", "phone", seconds=-60), Close.TOKEN_EXPIRED), ("x", 4100)):
                async with open_client(url, token=token) as stopped:
                    with pytest.raises(Stopped) as error:
                        await stopped.wait_connected()
                    assert error.value.code == code


async def until_connected_again(client: Client) -> AsyncIterator[Event]:
    connected = 0
    async for event in client:
        yield event
        connected += isinstance(event, Connected)
        if connected == 2:
            return


class ProgramDiedError(Exception):
    pass


@pytest.mark.parametrize("seed", range(6))
async def test_every_message_is_an_event_once_whatever_is_cut(
    autojump_clock: MockClock, seed: int, tmp_path: Path
) -> None:
    """Two users with two devices each; connections are cut, programs are slow or die and are started again."""
    random = Random(seed)
    people = [("alice", "phone"), ("alice", "laptop"), ("bob", "phone"), ("bob", "tablet")]
    to_send = 40
    taken: dict[tuple[str, str], list[str]] = {place: [] for place in people}  # finished events
    deaths: dict[tuple[str, str], int] = dict.fromkeys(people, 0)
    answers: dict[str, Sent] = {}
    stop = trio.Event()

    def note(place: tuple[str, str], event: Event) -> None:
        if isinstance(event, Received):
            taken[place].append(event.message.id)
        elif isinstance(event, Sent):
            answers[event.id] = event

    async def program(network: Network, place: tuple[str, str]) -> None:
        eid, device = place
        written = 0
        while True:
            try:
                async with (
                    network.device(eid, device, path=tmp_path / f"{eid}-{device}.db") as client,
                    trio.open_nursery() as nursery,
                ):

                    async def write(client: Client) -> None:
                        nonlocal written
                        while written < to_send:
                            await trio.sleep(random.uniform(0, 3))
                            written += 1
                            peer = "bob" if eid == "alice" else "alice"
                            client.messages.send_nowait(peer, b"text", id=f"{eid}-{device}-{written}")

                    nursery.start_soon(write, client)
                    async for event in client:
                        if random.random() < 0.02:
                            raise ProgramDiedError  # noqa: TRY301 - in the middle of an event is the point
                        if random.random() < 0.3:
                            await trio.sleep(random.uniform(0, 5))
                        note(place, event)
            except* ProgramDiedError:
                deaths[place] += 1
                await trio.sleep(random.uniform(0, 2))

    async def cutter(network: Network) -> None:
        while not stop.is_set():
            await trio.sleep(random.uniform(0, 4))
            network.cut(*random.choice(people))

    async with open_world(seed=seed) as world, trio.open_nursery() as nursery:
        network = Network(world)
        for place in people:
            nursery.start_soon(program, network, place)
        nursery.start_soon(cutter, network)
        await trio.sleep(300)
        stop.set()
        await trio.sleep(3000)
        nursery.cancel_scope.cancel()

    written = {f"{eid}-{device}-{number}" for eid, device in people for number in range(1, to_send + 1)}
    assert written == set(answers)
    for eid, device in people:
        received = taken[eid, device]
        own = {message_id for message_id in written if message_id.startswith(f"{eid}-{device}-")}
        in_order = sorted(set(received), key=lambda message_id: answers[message_id].signal_offset)

        assert written - own == set(received)
        assert len(received) - len(set(received)) == 0
        assert in_order == received
    assert sum(deaths.values()) > 5


async def test_a_read_marker_is_known_on_all_devices_and_stays_with_who_was_away(
    autojump_clock: MockClock, tmp_path: Path
) -> None:
    async with open_world() as world:
        network = Network(world)
        bobs = network.device("bob", "phone"), network.device("bob", "laptop", path=str(tmp_path / "laptop.db"))
        async with network.device("carol", "phone") as carol, bobs[0] as phone:
            async with bobs[1] as laptop:
                sent = [await carol.messages.send(to="bob", payload=b"%d" % number) for number in range(3)]
                conversation = sent[0].conversation
                stands = [await phone.conversations.move_read_marker(conversation, upto) for upto in (2, 1)]
                await trio.sleep(1)
                told = laptop.conversations.read_marker(conversation)
            await phone.conversations.move_read_marker(conversation, 3)
            async with network.device("bob", "laptop", path=str(tmp_path / "laptop.db")) as laptop:
                await trio.sleep(1)

                assert (stands, told) == ([2, 2], 2)
                assert (
                    laptop.conversations.read_marker(conversation) == phone.conversations.read_marker(conversation) == 3
                )
                assert carol.conversations.read_marker(conversation) == 0
                with pytest.raises(Refused):
                    await phone.conversations.move_read_marker(conversation, 4)
