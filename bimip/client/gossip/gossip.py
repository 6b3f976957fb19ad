"""Gossip: a device that comes back takes what it lacks from another device of its user, and the server sends none of
it.

Theory of operation. A device that lacks much connects without asking for its logs, and says `hello` to its siblings
with how far it is. One that is there and has more answers with an offer, and a data channel of WebRTC comes about
between the two (rtc.py); nobody but devices of the same user hears the descriptions, and the channel's keys are in
them. The giver sends slices of the log (core/giving.py), and after some thousand entries waits to be asked for more.
The taker computes the chain behind them, from the server's own in front, and asks the server whether that is the one:
what is not the log is dropped, and its giver with it. Entries that the giver knows by their digests alone are asked of
the server. Slices are handed on as fast as the program takes them; then the device connects anew, with the position
that it has by then, which commits it.
"""

import json
import logging
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress

import anyio

from bimip.client.condition import Condition
from bimip.client.connector import Connector
from bimip.client.core.chain import START
from bimip.client.core.device import Device
from bimip.client.core.giving import UncheckedError, chain_behind, slices
from bimip.client.environment import Environment
from bimip.client.errors import ClientError
from bimip.client.events import PeerSignalled
from bimip.client.gossip.rtc import Channel, ChannelClosedError, RtcLoop
from bimip.client.wire.bimip import Body, Fetch, FetchKind, Identity, Message, PeerSignal, Snapshot
from bimip.domain.core.ranges import from_offsets

_log = logging.getLogger("bimip.client")

PREFIX = "gossip:"
LEAST = 500
"""Entries behind, from which on it is worth it."""
OFFER_SECONDS = 3.0
OPEN_SECONDS = 10.0
SLICE_SECONDS = 30.0
PROGRAM_SECONDS = 600.0
"""For a program to take some thousand messages."""
MOST_HEARD = 16
MOST_ENTRIES = 5_000
MOST_BYTES = 2 << 20
"""Given until more is asked for. The server is asked for their chain: that costs it as much as 2,000 entries."""
ASKS, MORE = b"more?", b"more"
DONE = b"done"


class Taken:
    """Holds slices of one log that came and are not handed on yet, and the chain behind them."""

    def __init__(self, upto: int, chain: bytes) -> None:
        self.upto = upto
        self.chain = chain
        self.bodies: list[Body] = []
        self.size = 0

    def add(self, body: Body, size: int) -> None:
        """Adds the next one. Raises UncheckedError for one that does not join, is too much, or cannot be checked."""
        if body.after != self.upto:
            raise UncheckedError(f"a slice begins behind {body.after}, and not behind {self.upto}")
        self.size += size
        if self.size > 2 * MOST_BYTES:
            raise UncheckedError("more is sent than was asked for")
        self.chain = chain_behind(body, self.chain)
        self.upto = body.upto
        self.bodies.append(body)


class Gossip:
    """Takes from siblings before a client asks for its logs, and gives to them as long as it is connected."""

    def __init__(self, device: Device, connector: Connector, environment: Environment) -> None:
        self.taken = 0
        """Entries that came from siblings."""
        self.given = 0
        self.dropped = 0
        """Siblings that gave what is not the log."""
        self._device = device
        self._connector = connector
        self._environment = environment
        self._heard = deque[PeerSignalled](maxlen=MOST_HEARD)
        self._hello = deque[PeerSignalled](maxlen=MOST_HEARD)
        self._changed = Condition()
        self._rtc: RtcLoop | None = None

    def hear(self, said: PeerSignalled) -> bool:
        """Takes what a sibling says, where it is gossip's."""
        if not said.id.startswith(PREFIX):
            return False
        (self._hello if said.kind == "hello" else self._heard).append(said)
        self._changed.notify_all()
        return True

    # Taking.

    async def catch_up(self) -> None:
        """Take from a sibling what this device lacks, where one has it; else the server has it."""
        try:
            await self._catch_up()
        except (ClientError, ChannelClosedError, TimeoutError) as error:
            _log.info("nothing more is taken from another device: %r", error)

    async def _catch_up(self) -> None:
        lacks: dict[str, tuple[int, bytes]] = {}
        for partition, after in self._device.inbox.seen().items():
            told = await self._snapshot(partition, after)
            missing = told.offset - after + (told.delta.entries if told.delta is not None else 0)
            chain = told.checksum if told.offset == after else START  # asked at 0 it tells of the newest checkpoint
            if missing >= LEAST and chain:
                lacks[partition] = (after, chain)
        if not lacks:
            return
        own_id = f"{PREFIX}{self._environment.random.getrandbits(64):016x}"
        wanted = {"epoch": str(self._device.inbox.epoch), "after": {name: after for name, (after, _) in lacks.items()}}
        if not await self._say("hello", "", json.dumps(wanted).encode(), own_id):
            return
        offer = await self._next(own_id, "offer", OFFER_SECONDS)
        if offer is None:
            return
        async with self._channel() as channel:
            await self._say("answer", offer.device, await channel.answer(offer.payload), own_id)
            with anyio.move_on_after(OPEN_SECONDS) as opening:
                await channel.wait_open()
            if not opening.cancelled_caught:
                await self._take(channel, offer.device, {name: Taken(*begin) for name, begin in lacks.items()})

    async def _take(self, channel: Channel, giver: str, logs: dict[str, "Taken"]) -> None:
        """Takes slices, and hands on many at a time: telling whether they are the log costs the server something."""
        while True:
            try:
                with anyio.fail_after(SLICE_SECONDS):
                    data = await channel.receive()
            except (ChannelClosedError, TimeoutError):
                data = DONE  # what came until then counts, where it is the log
            if data not in {DONE, ASKS}:
                try:
                    body = Body.parse(data)
                    logs[body.partition].add(body, len(data))
                except Exception as error:  # noqa: BLE001 - whatever a sibling may send
                    self._drop(giver, repr(error))
                    return
                continue
            for partition, taken in logs.items():
                if taken.bodies and not await self._hand_on(partition, taken):
                    self._drop(giver, f"what it gave of {partition} up to {taken.upto} is not what the server has")
                    return
            if data == DONE:
                return
            await channel.send(MORE)

    async def _hand_on(self, partition: str, taken: "Taken") -> bool:
        """Hands on what was taken of a log. Returns whether it is the log."""
        if not (await self._snapshot(partition, taken.upto, taken.chain)).matches:
            return False
        bodies, taken.bodies, taken.size = taken.bodies, [], 0
        for body in bodies:
            for first, last in from_offsets([passed.offset for passed in body.passed]):
                body.messages += await self._fetched(partition, first, last)
            self._device.take_slice(body)
            self.taken += body.upto - body.after
            while self._device.inbox.is_busy():
                await self._device.changed.wait()
        return True

    def _drop(self, giver: str, why: str) -> None:
        self.dropped += 1
        _log.warning("what the device %s of this user gave is dropped: %s", giver, why)

    async def _fetched(self, partition: str, first: int, last: int) -> list[Message]:
        """Asks the server for entries that may be for this device, or may be not."""
        found: list[Message] = []
        while first <= last:
            fetch = Fetch(kind=FetchKind.LOG, partition=partition, offset=first, limit=last - first + 1)
            body = await self._connector.request(fetch, Body)
            found += [message for message in body.messages if first <= (message.user_offset or 0) <= last]
            if body.complete or body.next_offset <= first:
                break
            first = body.next_offset
        return found

    async def _snapshot(self, partition: str, offset: int, checksum: bytes = b"") -> Snapshot:
        return await self._connector.request(Snapshot(partition=partition, offset=offset, checksum=checksum), Snapshot)

    # Giving.

    async def give(self) -> None:
        """Give to siblings that come back, one after the other, for ever."""
        while True:
            while not self._hello:
                await self._changed.wait()
            hello = self._hello.popleft()
            try:
                await self._give_to(hello)
            except (ClientError, ChannelClosedError, TimeoutError, UncheckedError) as error:
                _log.info("nothing was given to the device %s: %r", hello.device, error)

    async def _give_to(self, hello: PeerSignalled) -> None:
        epoch, lacked = _wanted(hello.payload)
        if epoch != str(self._device.inbox.epoch):
            return
        seen = self._device.inbox.seen()
        ranges = [(name, after, seen[name]) for name, after in lacked.items() if seen.get(name, 0) > after]
        if not any(next(slices(self._device.store, *one), None) for one in ranges):
            return
        async with self._channel() as channel:
            await self._say("offer", hello.device, await channel.offer(), hello.id)
            answer = await self._next(hello.id, "answer", OFFER_SECONDS)
            if answer is None or answer.device != hello.device:
                return
            await channel.accept(answer.payload)
            with anyio.fail_after(OPEN_SECONDS):
                await channel.wait_open()
            await self._send(channel, (body for one in ranges for body in slices(self._device.store, *one)))
            await channel.send(DONE)
            with suppress(ChannelClosedError), anyio.move_on_after(SLICE_SECONDS):
                await channel.receive()  # until it is closed there

    async def _send(self, channel: Channel, bodies: Iterator[Body]) -> None:
        entries = size = 0
        for body in bodies:
            data = bytes(body)
            with anyio.fail_after(SLICE_SECONDS):
                await channel.send(data)
            self.given += body.upto - body.after
            entries, size = entries + body.upto - body.after, size + len(data)
            if entries >= MOST_ENTRIES or size >= MOST_BYTES:
                await channel.send(ASKS)
                with anyio.fail_after(PROGRAM_SECONDS):
                    await channel.receive()
                entries = size = 0

    # Both.

    @asynccontextmanager
    async def _channel(self) -> AsyncIterator[Channel]:
        self._rtc = self._rtc or RtcLoop()
        channel = Channel(self._rtc)
        try:
            yield channel
        finally:
            with anyio.CancelScope(shield=True), anyio.move_on_after(OPEN_SECONDS):
                await channel.aclose()

    async def _say(self, kind: str, device: str, payload: bytes, own_id: str) -> int:
        to = Identity(connection_resource_id=device) if device else None
        said = PeerSignal(kind=kind, payload=payload, id=own_id, to=to)
        return (await self._connector.request(said, PeerSignal)).reached

    async def _next(self, own_id: str, kind: str, seconds: float) -> PeerSignalled | None:
        with anyio.move_on_after(seconds):
            while True:
                while self._heard:
                    said = self._heard.popleft()
                    if (said.id, said.kind) == (own_id, kind):
                        return said
                await self._changed.wait()
        return None

    def close(self) -> None:
        if self._rtc is not None:
            self._rtc.close()


def _wanted(hello: bytes) -> tuple[str, dict[str, int]]:
    """Reads a hello: the epoch, and by partition the offset behind which entries lack. Raises UncheckedError."""
    try:
        said = json.loads(hello)
        return str(said["epoch"]), {str(name): int(after) for name, after in said["after"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UncheckedError(f"a hello that says nothing: {error!r}") from error
