"""Encrypted conversations against the whole server: what devices read, and that the server reads none of it."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from bimip.client import Client, DuplicateId, InvalidArgument, Refused, Start
from bimip.client.core.sealing import SEALED
from bimip.client.encryption.encryption import KEYS_KEPT, TAKEN_KEYS
from bimip.client.events import Event, MessageChanged, ReadAgain, Received, UndecryptableMessage, Unreadable
from bimip.client.wire.bimip import MessageState, StateItem
from bimip.domain.core.records import Table
from bimip.storage.lmdb.store import LmdbStore
from bimip.wire import stored
from tests.kit.memory_server import World, open_world
from tests.scenarios.test_client_keeps_its_word import Network


class Devices:
    """Clients that encrypt, each with a file."""

    def __init__(self, world: World, folder: Path, stack: AsyncExitStack) -> None:
        self.network = Network(world)
        self._folder = folder
        self._stack = stack

    async def open(self, eid: str, device: str, *, keys: bool = True, **options: Any) -> Client:
        client: Client = await self._stack.enter_async_context(self.device(eid, device, **options))
        await client.wait_connected()
        with trio.fail_after(60):
            while keys and not (await client.keys.count()).one_time:  # noqa: ASYNC110 - nobody tells the program
                await trio.sleep(0.1)
        return client

    def device(self, eid: str, device: str, **options: Any) -> Any:
        path = self._folder / f"{eid}-{device}.db"
        settings = {"path": path, "encryption": True, "keep_messages": True}
        return self.network.device(eid, device, **settings | options)


@asynccontextmanager
async def open_devices(world: World, folder: Path) -> AsyncIterator[Devices]:
    async with AsyncExitStack() as stack:
        yield Devices(world, folder, stack)


async def read(client: Client, count: int = 1) -> list[Event]:
    """Takes events until so many messages came, readable or not."""
    found: list[Event] = []
    with trio.fail_after(60):
        async for event in client:
            if isinstance(event, Received | UndecryptableMessage):
                found.append(event)
            if len(found) == count:
                break
    return found


def texts(events: list[Event]) -> list[bytes | None]:
    return [
        event.message.payload if isinstance(event, Received) and event.sealed_by is not None else None
        for event in events
    ]


async def test_two_devices_of_each_of_two_people_read_what_is_written_and_each_other_ones_copy(
    autojump_clock: MockClock, tmp_path: Path
) -> None:
    async with open_world() as world, open_devices(world, tmp_path) as devices:
        phone, laptop = await devices.open("ann", "phone"), await devices.open("ann", "laptop")
        bob, tablet = await devices.open("bob", "phone"), await devices.open("bob", "tablet")
        with trio.fail_after(60):
            sent = await phone.messages.send("bob", b"the first")
            await bob.messages.send("ann", b"the second")
            await tablet.messages.send("ann", b"the third")
            await laptop.messages.send(sent.conversation, b"the fourth")

        every = [b"the first", b"the second", b"the third", b"the fourth"]
        assert sorted(texts(await read(phone, 3))) == sorted(every[1:])  # type: ignore[type-var]
        assert sorted(texts(await read(laptop, 3))) == sorted(every[:3])  # type: ignore[type-var]
        assert sorted(texts(await read(bob, 3))) == sorted([every[0], *every[2:]])  # type: ignore[type-var]
        assert sorted(texts(await read(tablet, 3))) == sorted([every[0], every[1], every[3]])  # type: ignore[type-var]
        kept = [one.payload for one in phone.history.search("the")]
        assert b"the first" in kept
        assert phone.history.kept(sent.conversation)[0].payload == b"the first"


async def test_a_group_reads_what_its_members_write_and_who_is_invited_later_what_comes_then(
    autojump_clock: MockClock, tmp_path: Path
) -> None:
    async with open_world() as world, open_devices(world, tmp_path) as devices:
        ann, bob = await devices.open("ann", "phone"), await devices.open("bob", "phone")
        cleo, dan = await devices.open("cleo", "phone"), await devices.open("dan", "phone")
        with trio.fail_after(60):
            group = await ann.groups.create("Us", ["bob", "cleo"])
            await ann.messages.send(group, b"for two")
            assert texts(await read(bob, 2))[1:] == [b"for two"]
            await bob.messages.send(group, b"an answer")
            await ann.groups.add(group, "dan")
            await ann.messages.send(group, b"for three")

        assert [text for text in texts(await read(cleo, 5)) if text] == [b"for two", b"an answer", b"for three"]
        assert [text for text in texts(await read(dan, 2)) if text] == [b"for three"]


async def test_what_is_written_offline_waits_as_text_and_goes_out_encrypted(
    autojump_clock: MockClock, tmp_path: Path
) -> None:
    async with open_world() as world, open_devices(world, tmp_path) as devices:
        bob = await devices.open("bob", "phone")
        async with devices.device("ann", "phone") as ann:  # it has met nobody yet
            ids = [ann.messages.send_nowait("bob", b"offline %d" % number) for number in range(3)]
            assert ann.messages.send_nowait("bob", b"offline 2", id=ids[2]) == ids[2]
            with pytest.raises(DuplicateId):
                ann.messages.send_nowait("bob", b"another", id=ids[2])
            await ann.messages.send("bob", b"online")

        assert texts(await read(bob, 4)) == [b"offline 0", b"offline 1", b"offline 2", b"online"]


async def test_a_device_that_comes_later_is_written_to_as_well_and_one_without_keys_is_told_that_it_cannot_read(
    autojump_clock: MockClock, tmp_path: Path
) -> None:
    async with open_world() as world, open_devices(world, tmp_path) as devices:
        ann, bob = await devices.open("ann", "phone"), await devices.open("bob", "phone")
        with trio.fail_after(60):
            await ann.messages.send("bob", b"one")
            await bob.messages.send("ann", b"two")
        tablet = await devices.open("bob", "tablet", start=Start.HEAD)
        watch = await devices.open("bob", "watch", start=Start.HEAD, encryption=False, keys=False)
        with trio.fail_after(60):
            await ann.messages.send("bob", b"three")

        assert texts(await read(bob, 2)) == [b"one", b"three"]
        assert texts(await read(tablet)) == [b"three"]
        [unread] = await read(watch)
        assert isinstance(unread, Received)
        assert (unread.message.payload, unread.message.encryption_type) == (b"", SEALED)
        with pytest.raises(InvalidArgument, match="in the clear"):
            await watch.messages.react(unread.message.signal_offset, "+")
        with pytest.raises(InvalidArgument, match="in the clear"):
            await watch.conversations.keep(unread.message.conversation, draft=b"an answer")


async def test_who_has_no_keys_is_not_written_to_and_nothing_is_sent_in_the_clear(
    autojump_clock: MockClock, tmp_path: Path
) -> None:
    async with open_world() as world, open_devices(world, tmp_path) as devices:
        ann = await devices.open("ann", "phone")
        bob = await devices.open("bob", "phone", encryption=False, keys=False)
        with trio.fail_after(60):
            with pytest.raises(Refused, match="no device of bob"):
                await ann.messages.send("bob", b"a secret")
            with pytest.raises(Refused, match="no device of nobody"):
                await ann.messages.send("nobody", b"a secret")
            await ann.messages.send("bob", b"in the clear", encrypt=False)
        [event] = await read(bob)

        assert isinstance(event, Received)
        assert (event.message.payload, event.sealed_by) == (b"in the clear", None)
        with pytest.raises(InvalidArgument, match="encryption=True"):
            await bob.messages.send("ann", b"x", encrypt=True)
        with pytest.raises(InvalidArgument, match="of its own"):
            await ann.messages.send("bob", b"x", encrypt=True, encryption_type="mine")


async def test_edits_and_reactions_of_what_is_encrypted_are_refused_and_those_of_others_are_not_believed(
    autojump_clock: MockClock, tmp_path: Path
) -> None:
    async with open_world() as world, open_devices(world, tmp_path) as devices:
        ann, bob = await devices.open("ann", "phone"), await devices.open("bob", "phone")
        with trio.fail_after(60):
            sent = await ann.messages.send("bob", b"as it was")
            await read(bob)
            for refused in (
                ann.messages.edit(sent.signal_offset, b"edited"),
                bob.messages.react(sent.signal_offset, "+"),
                ann.conversations.keep(sent.conversation, draft=b"a draft"),
            ):
                with pytest.raises(InvalidArgument, match="in the clear"):
                    await refused
            forged = MessageState(
                signal_offset=sent.signal_offset,
                conversation=sent.conversation,
                conversation_offset=sent.conversation_offset,
                payload=b"forged",
            )
            bob.messages._device.take_state([StateItem(version=99, message=forged)])
            async for event in bob:
                if isinstance(event, MessageChanged):
                    break

        assert isinstance(event, MessageChanged)
        assert event.payload is None
        assert [one.payload for one in bob.history.kept(sent.conversation)] == [b"as it was"]
        state = bob.messages.state(sent.conversation, sent.conversation_offset)
        assert state is not None
        assert state.payload is None


async def test_a_device_that_lost_its_file_is_another_one_until_it_is_accepted(
    autojump_clock: MockClock, tmp_path: Path
) -> None:
    async with open_world() as world, open_devices(world, tmp_path) as devices:
        ann = await devices.open("ann", "phone")
        async with devices.device("bob", "phone") as bob:
            with trio.fail_after(60):
                await bob.messages.send("ann", b"hello")
            before = bob.keys.fingerprint
        assert texts(await read(ann)) == [b"hello"]
        bob = await devices.open("bob", "phone", path=tmp_path / "b.db", start=Start.HEAD)
        with trio.fail_after(60):
            await bob.messages.send("ann", b"it is me", id="another")
            [unread] = await read(ann)
            assert isinstance(unread, UndecryptableMessage)
            assert unread.reason is Unreadable.IDENTITY_CHANGED
            with pytest.raises(Refused, match="another key than before"):
                await ann.messages.send("bob", b"is it you?")
            known = ann.keys.known("bob")["phone"]
            assert (known.fingerprint, known.changed) == (before, bob.keys.fingerprint)
            assert ann.keys.accept("bob", "phone")
            async for event in ann:
                if isinstance(event, ReadAgain):
                    break
            assert isinstance(event, ReadAgain)
            assert event.message.payload == b"it is me"
            await ann.messages.send("bob", b"yes")
        assert texts(await read(bob)) == [b"yes"]
        assert ann.keys.verify("bob", "phone")
        assert ann.keys.known("bob")["phone"].verified


SECRET = b"nobody but you and me"


async def test_the_store_of_the_server_holds_no_text(autojump_clock: MockClock, tmp_path: Path) -> None:
    folder = tmp_path / "store"
    folder.mkdir()
    async with (
        open_world(open_store=lambda: LmdbStore(folder, map_bytes=64 << 20)) as world,
        open_devices(world, tmp_path) as devices,
    ):
        ann, bob = await devices.open("ann", "phone"), await devices.open("bob", "phone")
        with trio.fail_after(60):
            await ann.messages.send("bob", SECRET)
            group = await ann.groups.create("Us", ["bob"])
            await bob.messages.send(group, SECRET, reply_to="")
            await ann.messages.send("bob", b"what may be seen", encrypt=False)
            assert texts(await read(bob)) == [SECRET]
    store = LmdbStore(folder, map_bytes=64 << 20)
    with store.snapshot() as view:
        told = {table: view.scan(table, (), table.schema.end, limit=10_000) for table in Table}
        bodies = [stored.parse(body) for _, body in told[Table.BODIES]]
    decoded = repr((told, bodies)).encode()
    store.close()
    raw = b"".join(file.read_bytes() for file in folder.rglob("*") if file.is_file())

    assert told[Table.BODIES]
    assert told[Table.DEVICE_KEYS]
    for content in (raw, decoded):
        assert b"what may be seen" in content  # else nothing would be found
        assert SECRET not in content
        assert SECRET.hex().encode() not in content


async def test_a_file_with_keys_is_not_opened_by_who_would_send_in_the_clear(
    autojump_clock: MockClock, tmp_path: Path
) -> None:
    async with open_world() as world, open_devices(world, tmp_path) as devices:
        async with devices.device("ann", "phone"):
            pass
        with pytest.raises(InvalidArgument, match="open it with encryption=True"):
            await devices.open("ann", "phone", encryption=False)
        with pytest.raises(InvalidArgument, match="give path"):
            await devices.open("ann", "phone", path=":memory:")


async def test_keys_are_published_over_the_same_connection_once_half_are_used_and_anew_after_an_epoch(
    autojump_clock: MockClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_world() as world, open_devices(world, tmp_path) as devices:
        ann, bob = await devices.open("ann", "phone"), await devices.open("bob", "phone")
        encryption = bob.messages._device.encryption
        assert encryption is not None
        with trio.fail_after(60):
            while encryption.owes_keys():  # noqa: ASYNC110 - nobody tells the program
                await trio.sleep(0.1)
            monkeypatch.setattr("bimip.client.encryption.encryption.KEYS_KEPT", 2 * KEYS_KEPT)
            encryption._begun_here = TAKEN_KEYS - 1
            await ann.messages.send("bob", b"begins a session")
            while (await bob.keys.count()).one_time < 2 * KEYS_KEPT:  # noqa: ASYNC110 - as above
                await trio.sleep(0.1)
            before = await bob.keys.count()
            with bob.messages._device.store.transaction():
                encryption.epoch_changed()
            encryption.owes_more()
            while (await bob.keys.count()).last_id < before.last_id + 2 * KEYS_KEPT:  # noqa: ASYNC110 - as above
                await trio.sleep(0.1)

        assert (await bob.keys.count()).one_time == 2 * KEYS_KEPT  # no old one is left
