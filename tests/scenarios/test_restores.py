"""An older copy of the store is put back, and devices come that knew more: nothing that is there is kept from them."""

import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from bimip.client import Client
from bimip.client.events import EpochChanged, Received
from bimip.client.wire import bimip as pb
from bimip.storage.care.backup import back_up, restore
from bimip.storage.lmdb.store import LmdbStore
from tests.kit.faults import FaultyStore, StoreFault
from tests.kit.memory_server import at, begin, go_on, open_world
from tests.scenarios.test_client_keeps_its_word import Network

MADE, WHEN = "2026-11-28T10:00:00+00:00", "20261128T100000Z"


def quiet(_done: int, _total: int) -> None:
    pass


def copied(store: Path, copy: Path) -> None:
    shutil.copytree(store, copy)


def copied_back(copy: Path, store: Path) -> None:
    shutil.rmtree(store)
    shutil.copytree(copy, store)


def backed_up(store: Path, copy: Path) -> None:
    back_up(store, copy, made=MADE, progress=quiet)


def restored(copy: Path, store: Path) -> None:
    restore(copy, store, when=WHEN, progress=quiet)


@pytest.mark.parametrize(("copy", "put_back"), [(copied, copied_back), (backed_up, restored)])
async def test_whatever_a_device_had_it_gets_what_is_there_now(
    autojump_clock: MockClock,
    tmp_path: Path,
    copy: Callable[[Path, Path], None],
    put_back: Callable[[Path, Path], None],
) -> None:
    folder, kept = tmp_path / "store", tmp_path / "kept"

    def open_store() -> LmdbStore:
        return LmdbStore(folder, map_bytes=64 << 20, serves=True)

    async with open_world(open_store=open_store) as world:
        for device in ("phone", "laptop", "watch"):
            await world.register("bob", device)
        await world.fill("bob", 1, 2, 3)
        phone = await world.join("bob", "phone", at(3))
        laptop = await world.join("bob", "laptop", at(1))
        epoch = phone.welcome.epoch
        for one in (phone, laptop):
            await one.heard()
    copy(folder, kept)
    async with open_world(open_store=open_store) as world:
        assert (await world.join("bob", "phone", at(3), epoch=epoch)).welcome.epoch == epoch

        await world.fill("bob", 4, 5)
        phone = await world.join("bob", "phone", at(3), epoch=epoch)
        phone.acknowledge(5)
        lost = await phone.heard()
    put_back(kept, folder)
    async with open_world(open_store=open_store) as world:
        await world.fill("bob", 6, 7, 8)  # which take the offsets of those that are lost
        ahead = await world.join("bob", "phone", at(5), epoch=epoch)
        behind = await world.join("bob", "laptop", at(1), epoch=epoch)
        without = await world.join("bob", "watch", begin(pb.Start.FIRST))
        heard = [await one.heard() for one in (ahead, behind, without)]
        told = {one.welcome.epoch for one in (ahead, behind, without)}
        again = await world.join("bob", "phone", at(4), epoch=ahead.welcome.epoch)

        assert len(told | {epoch}) == 2
        assert [one.payloads for one in heard] == [
            [b"6", b"7", b"8"],
            [b"2", b"3", b"6", b"7", b"8"],
            [b"1", b"2", b"3", b"6", b"7", b"8"],
        ]
        assert not {one.signal_id for one in lost.messages} & {one.signal_id for one in heard[0].messages}
        assert again.welcome.epoch == ahead.welcome.epoch
        assert (await again.heard()).payloads == [b"7", b"8"]
    async with open_world(open_store=open_store) as world:
        assert (await world.join("bob", "phone", at(6), epoch=again.welcome.epoch)).welcome.epoch in told


async def test_what_was_written_offline_is_taken_after_a_restore(autojump_clock: MockClock, tmp_path: Path) -> None:
    """Also a message whose SENT is lost with the store that sent it: it is new there."""
    folder, kept = tmp_path / "store", tmp_path / "kept"

    def open_store() -> LmdbStore:
        return LmdbStore(folder, map_bytes=64 << 20, serves=True)

    async with open_world(open_store=open_store) as world:
        await world.register("bob")
        phone = await world.join("alice", "phone", go_on())
        before = await phone.post("bob", b"before", "m1")
        epoch = phone.welcome.epoch
    copied(folder, kept)
    async with open_world(open_store=open_store) as world:
        phone = await world.join("alice", "phone", at(1), epoch=epoch)
        await phone.post("bob", b"lost", "m2")
    copied_back(kept, folder)
    async with open_world(open_store=open_store) as world:
        outbox = [
            pb.Message(id=name, to=pb.Identity(eid="bob"), type=1, payload=payload)
            for name, payload in (("m1", b"before"), ("m2", b"lost"), ("m3", b"offline"))
        ]
        phone = await world.join("alice", "phone", at(2), epoch=epoch, messages=outbox)
        sent = [result.sent for result in phone.welcome.results]
        bob = await world.join("bob", "phone", at(0), epoch=epoch)

        assert [(one.user_offset, one.duplicate) for one in sent if one] == [(1, True), (2, False), (3, False)]
        assert sent[0] is not None
        assert sent[0].signal_id == before.signal_id
        assert (await bob.heard()).payloads == [b"before", b"lost", b"offline"]


class SwappedStore(FaultyStore):
    """Another one is found where the journal opens it again."""

    def reopen(self) -> None:
        super().reopen()
        self.put_back = "another store"


async def test_a_store_that_is_another_one_under_a_running_server_makes_everybody_come_again(
    autojump_clock: MockClock,
) -> None:
    store = SwappedStore()
    async with open_world(store=store) as world:
        await world.register("bob")
        phone = await world.join("bob", "phone", at(0))
        alice = await world.join("alice", "phone", at(0))
        store.arm(StoreFault.LOST)
        alice.write("bob", b"1", "m1")

        assert await phone.closed() == 1011

        await world.fill("bob", 2)
        again = await world.join("bob", "phone", at(0), epoch=phone.welcome.epoch)

        assert again.welcome.epoch != phone.welcome.epoch
        assert (await again.heard()).payloads == [b"2"]


class Shown:
    """What programs on the SDK saw, over all connections, by user and device."""

    def __init__(self) -> None:
        self.messages: dict[str, list[tuple[str, bytes]]] = {}
        self.epochs: dict[str, int] = {}

    async def watch(self, client: Client, name: str) -> None:
        async for event in client:
            if isinstance(event, Received):
                self.messages.setdefault(name, []).append((event.message.signal_id, event.message.payload))
            elif isinstance(event, EpochChanged):
                self.epochs[name] = self.epochs.get(name, 0) + 1


async def test_programs_on_the_sdk_show_everything_once_and_send_what_waited(
    autojump_clock: MockClock, tmp_path: Path
) -> None:
    folder, kept, shown = tmp_path / "store", tmp_path / "kept", Shown()
    offline: dict[str, list[bytes]] = {}

    @asynccontextmanager
    async def serving(*names: str) -> AsyncIterator[dict[str, Client]]:
        """The server, and these devices with their files; until nothing is under way."""
        async with AsyncExitStack() as stack:
            world = await stack.enter_async_context(
                open_world(open_store=lambda: LmdbStore(folder, map_bytes=64 << 20, serves=True))
            )
            network = Network(world)
            clients = {}
            nursery = await stack.enter_async_context(trio.open_nursery())
            for name in names:
                eid, device = name.split("/")
                path = tmp_path / f"{eid}-{device}.db"
                clients[name] = await stack.enter_async_context(network.device(eid, device, path=path))
                nursery.start_soon(shown.watch, clients[name], name)
                for payload in offline.pop(name, []):
                    clients[name].messages.send_nowait("bob", payload, id=payload.decode())
                await clients[name].wait_connected()
            yield clients
            await trio.sleep(5)
            nursery.cancel_scope.cancel()

    everybody = ("alice/phone", "alice/laptop", "bob/phone", "bob/laptop", "bob/watch")
    async with serving(*everybody) as clients:
        await clients["alice/phone"].messages.send("bob", b"before", id="before")
    async with serving("alice/phone", "bob/phone") as clients:  # bob's others stay behind
        await clients["alice/phone"].messages.send("bob", b"copied", id="copied")
    copied(folder, kept)
    async with serving("alice/phone", "bob/phone", "bob/laptop") as clients:
        for number in range(3):
            await clients["alice/phone"].messages.send("bob", b"lost %d" % number, id=f"lost {number}")
    copied_back(kept, folder)
    offline["alice/laptop"] = [b"offline 1", b"offline 2"]
    async with serving("alice/laptop", "bob/watch") as clients:
        await clients["alice/laptop"].messages.send("bob", b"new", id="new")  # takes the place of what the phones know
    async with serving(*everybody) as clients:
        await clients["bob/phone"].messages.send("alice", b"answer", id="answer")

    assert {name: sorted(payload for _, payload in found) for name, found in shown.messages.items()} == {
        "alice/phone": [b"answer", b"new", b"offline 1", b"offline 2"],
        "alice/laptop": [b"answer", b"before", b"copied"],
        "bob/phone": [b"before", b"copied", b"lost 0", b"lost 1", b"lost 2", b"new", b"offline 1", b"offline 2"],
        "bob/laptop": sorted(
            [b"answer", b"before", b"copied", b"lost 0", b"lost 1", b"lost 2", b"new", b"offline 1", b"offline 2"]
        ),
        "bob/watch": [b"answer", b"before", b"copied", b"new", b"offline 1", b"offline 2"],
    }
    assert shown.epochs == dict.fromkeys(everybody, 1)
