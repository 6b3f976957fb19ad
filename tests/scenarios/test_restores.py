"""An older copy of the store is put back, and devices come that knew more: nothing that is there is kept from them."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from trio.testing import MockClock

from bimip.client.wire import bimip as pb
from bimip.storage.backup import back_up, restore
from bimip.storage.lmdb import LmdbStore
from tests.harness.faults import FlakyStore
from tests.harness.world import at, begin, go_on, open_world

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


class SwappedStore(FlakyStore):
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
        store.fault = "unknown, not stored"
        alice.write("bob", b"1", "m1")

        assert await phone.closed() == 1011

        await world.fill("bob", 2)
        again = await world.join("bob", "phone", at(0), epoch=phone.welcome.epoch)

        assert again.welcome.epoch != phone.welcome.epoch
        assert (await again.heard()).payloads == [b"2"]
