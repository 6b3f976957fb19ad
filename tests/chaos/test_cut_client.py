"""The SDK over real sockets that are cut at random frames, under trio and under asyncio: after every run each message
was shown once and in order, and nothing is missing that an outbox took, whether there was a connection or not: neither
a message nor an edit or a reaction, which all devices see alike.

CHAOS_SEED runs it again, but for the machine's own timing.
"""

import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from random import Random, SystemRandom

import anyio
import pytest

from bimip.client import Backoff, Client, NotConnected, Start, open_client
from bimip.client.events import CommandRefused, Received, SendRefused
from bimip.testing import ServerProcess
from tests.chaos.cut_proxy import CutProxy, open_cut_proxy
from tests.client.support import until
from tests.kit.shown import Shown, wrong

SEED = int(os.environ.get("CHAOS_SEED", "0")) or SystemRandom().getrandbits(32)
QUICK = Backoff(base=0.01, longest=0.05)
MESSAGES = 15
"""That each device writes."""
LEAST_CUTS = 6
EMOJI = "👍"
CUT_SECONDS = 0.05
PATIENCE = 90


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """One for all, each with users of its own."""
    folder = tmp_path_factory.mktemp("server")
    often = {"BIMIP_LIMITS_USER_LOGINS_PER_SECOND": "1000", "BIMIP_USERS_ACCEPT_UNKNOWN_RECIPIENTS": "true"}
    with ServerProcess(folder, BIMIP_LOGGING_LEVEL="warning", **often) as process:
        yield process


@pytest.fixture
def proxy(server: ServerProcess) -> Iterator[CutProxy]:
    with open_cut_proxy(server.port, SEED) as opened:
        yield opened


class ProgramDiedError(Exception):
    """A program ends in the middle of an event, or right behind one."""


class Device:
    """A program that writes and shows, and is started again where it dies; its file is all that it keeps."""

    def __init__(self, name: str, url: str, token: str, path: Path, random: Random) -> None:
        self.name = name
        self.accepted: list[str] = []
        self.edited: dict[str, bytes] = {}  # messages that it wrote, as it edited them last
        self.reacted: set[str] = set()
        self.shown: list[Shown] = []
        self.deaths = 0
        self.dies = False
        self.open = partial(
            open_client, url, token=token, path=path, start=Start.FIRST, backoff=QUICK, keep_messages=True
        )
        self.user = name.partition("/")[0]
        self.client: Client | None = None
        self._random = random
        self._last = ""

    async def live(self, peers: list[str]) -> None:
        while True:
            try:
                async with self.open() as client, anyio.create_task_group() as tasks:
                    self.client = client
                    tasks.start_soon(self._write, client, peers)
                    async for event in client:
                        assert not isinstance(event, SendRefused | CommandRefused), event
                        if isinstance(event, Received):
                            await self._show(client, event)
            except* ProgramDiedError:
                self.deaths += 1

    async def write_offline(self, peers: list[str]) -> None:
        """A program that writes, and ends before anything is sent."""
        async with self.open() as client:
            for _ in range(MESSAGES):
                self._put(client, self._random.choice(peers))

            assert not client.connected

    def kept(self) -> dict[str, tuple[bytes, tuple[str, ...]]]:
        """Returns the messages by id, each as it is now, and who reacted to it."""
        assert self.client is not None
        history = self.client.history
        found = [one for head in history.kept_heads() for one in history.kept(head.message.conversation, limit=1000)]
        return {
            one.message.id: (one.payload, one.changes.reactions.get(EMOJI, ()) if one.changes else ())
            for one in found
            if one.message.group_event is None
        }

    async def _write(self, client: Client, peers: list[str]) -> None:
        while len(self.accepted) < MESSAGES:
            await anyio.sleep(self._random.uniform(0, 0.05))
            self._put(client, self._random.choice(peers))

    def _put(self, client: Client, peer: str) -> None:
        message_id = f"t-{self.name}-{len(self.accepted)}"
        client.messages.send_nowait(peer, b"text", id=message_id)
        self.accepted.append(message_id)
        if self._random.random() < 0.3:  # often one that is not sent yet
            edited, text = self._random.choice(self.accepted[-3:]), f"edited in front of {len(self.accepted)}".encode()
            client.messages.edit_nowait(edited, text)
            self.edited[edited] = text

    async def _show(self, client: Client, event: Received) -> None:
        message = event.message
        if message.group_event is not None:  # the group's first entry
            return
        self._may_die()
        if message.signal_id != self._last:  # else the program died behind it, before it asked for the next
            self.shown.append(Shown(message.user_offset or 0, message.id))
            self._last = message.signal_id
            if self._random.random() < 0.3:
                client.messages.react_nowait(message.signal_offset, EMOJI)
                self.reacted.add(message.id)
        self._may_die()
        await anyio.sleep(self._random.choice([0, 0, 0.01]))

    def _may_die(self) -> None:
        if self.dies and self._random.random() < 0.05:
            raise ProgramDiedError


class Cast:
    """The devices of a scenario: two users with two devices each, whose messages all four see."""

    def __init__(self, about: str, server: ServerProcess, proxy: CutProxy, folder: Path) -> None:
        self.found: list[str] = []
        self.to = ""  # a conversation; else the other user
        self.proxy = proxy
        self.server = server
        self.users = [f"{name}-{about}@example.org" for name in ("alice", "bob")]
        self.devices = [
            Device(
                f"{eid}/{device}",
                proxy.url,
                server.token(eid, device),
                folder / f"{eid}-{device}.db",
                Random(f"{SEED} {eid} {device}"),
            )
            for eid in self.users
            for device in ("phone", "laptop")
        ]

    def peers_of(self, device: Device) -> list[str]:
        """The other user, or the group: all that is written concerns both, and each device sees what three write."""
        if self.to:
            return [self.to]
        return [eid for eid in self.users if not device.name.startswith(eid)]

    def accepted(self) -> int:
        return sum(len(device.accepted) for device in self.devices)

    def had_enough(self) -> bool:
        """Whether so many connections were cut that it says something, and all is written."""
        return self.proxy.connections >= LEAST_CUTS * len(self.devices) and self.has_written()

    def has_written(self) -> bool:
        return all(len(device.accepted) == MESSAGES for device in self.devices)

    def lacks(self) -> int:
        return sum(self.accepted() - len(device.accepted) - len(device.shown) for device in self.devices)

    def kept_wrong(self) -> list[str]:
        """Faults in what the devices keep, in words: of all messages, edits and reactions that an outbox took."""
        texts = {one: b"text" for device in self.devices for one in device.accepted}
        for device in self.devices:
            texts |= device.edited
        reacted = {(one, device.user) for device in self.devices for one in device.reacted}
        found = []
        for device in self.devices:
            kept = device.kept()
            if {one: text for one, (text, _) in kept.items()} != texts:
                lacks = sorted(texts.keys() - kept.keys())
                other = sorted((one, text, texts.get(one)) for one, (text, _) in kept.items() if text != texts.get(one))
                found.append(f"{device.name} does not keep {lacks}, or not as they were written last {other}")
            if not reacted <= {(one, user) for one, (_, users) in kept.items() for user in users}:
                found.append(f"{device.name} lacks a reaction")
        return found

    def faults(self) -> list[str]:
        return [
            fault
            for reader in self.devices
            for fault in wrong(
                reader.name,
                reader.shown,
                accepted={writer.name: writer.accepted for writer in self.devices if writer is not reader},
            )
        ]


async def run_to_the_end(cast: Cast) -> None:
    """Lets devices write while connections are cut, and then reads in peace what is left."""
    async with anyio.create_task_group() as tasks:
        for device in cast.devices:
            tasks.start_soon(device.live, cast.peers_of(device))
        with anyio.move_on_after(PATIENCE):
            while not cast.had_enough():
                await anyio.sleep(CUT_SECONDS)
                if cast.has_written():  # and so says little more, behind which a plan would cut
                    cast.proxy.cut_all()
            cast.proxy.is_calm = True
            for device in cast.devices:
                device.dies = False
            cast.proxy.cut_all()
            await until(lambda: cast.lacks() <= 0)
            while found := cast.kept_wrong():
                cast.found = found
                await anyio.sleep(0.2)
            cast.found = []
            await anyio.sleep(0.2)  # what would come twice
        tasks.cancel_scope.cancel()


async def programs_that_live(cast: Cast) -> None:
    await run_to_the_end(cast)


async def programs_that_die(cast: Cast) -> None:
    for device in cast.devices:
        device.dies = True
    await run_to_the_end(cast)

    assert sum(device.deaths for device in cast.devices) > 0


async def programs_that_wrote_offline_and_ended(cast: Cast) -> None:
    cast.proxy.is_closed = True
    for device in cast.devices:
        await device.write_offline(cast.peers_of(device))
    cast.proxy.is_closed = False
    await run_to_the_end(cast)


async def a_server_that_is_killed(cast: Cast) -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run_to_the_end, cast)
        for least in (MESSAGES, 3 * MESSAGES):
            await until(lambda least=least: cast.accepted() >= least)  # type: ignore[misc]
            await anyio.to_thread.run_sync(cast.server.kill)
            await anyio.to_thread.run_sync(cast.server.start)


async def in_a_group(cast: Cast) -> None:
    async with cast.devices[0].open() as client:
        while not cast.to:
            with suppress(NotConnected):  # cut before the answer: asked again, it is the same group
                cast.to = await client.groups.create("Cut", [cast.users[1]], request_id="the group")
    for device in cast.devices:
        device.dies = True
    await run_to_the_end(cast)


SCENARIOS = (
    in_a_group,
    programs_that_live,
    programs_that_die,
    programs_that_wrote_offline_and_ended,
    a_server_that_is_killed,
)


@pytest.mark.parametrize("backend", ["trio", "asyncio"])
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_each_message_is_shown_once_and_in_order_whatever_is_cut(
    scenario: Callable[[Cast], Awaitable[None]], backend: str, server: ServerProcess, proxy: CutProxy, tmp_path: Path
) -> None:
    cast = Cast(f"{SCENARIOS.index(scenario)}-{backend}", server, proxy, tmp_path)

    anyio.run(scenario, cast, backend=backend)

    assert [*cast.faults(), *cast.found] == [], f"CHAOS_SEED={SEED}"
    assert all(any(getattr(device, what) for device in cast.devices) for what in ("edited", "reacted"))
    assert cast.had_enough()
