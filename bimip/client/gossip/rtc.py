"""A data channel of WebRTC to another device of this user, by aiortc, which runs on asyncio alone: so it has a loop in
a thread of its own, whichever loop the client is on.
"""

import asyncio
import json
import queue
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

import anyio
from aiortc import RTCConfiguration, RTCDataChannel, RTCPeerConnection, RTCSessionDescription

T = TypeVar("T")

LABEL = "bimip.gossip.1"
MOST_BUFFERED = 1 << 20
LOOK_SECONDS = 0.01


class ChannelClosedError(Exception):
    """The other end is gone, or what it said is nothing to begin with."""


class RtcLoop:
    """The thread in which all data channels of a client live."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="bimip rtc", daemon=True)
        self._thread.start()

    async def run(self, made: Coroutine[Any, Any, T]) -> T:
        """Runs a coroutine there. Cancelling it cancels that."""
        running = asyncio.run_coroutine_threadsafe(made, self._loop)
        try:
            return await anyio.to_thread.run_sync(running.result, abandon_on_cancel=True)
        finally:
            running.cancel()  # else a thread would wait for it, maybe for ever

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5.0)
        self._loop.close()


class Channel:
    """One connection to a sibling, from the first description on."""

    def __init__(self, loop: RtcLoop) -> None:
        self._loop = loop
        self._arrived: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._peer: RTCPeerConnection | None = None
        self._channel: RTCDataChannel | None = None
        self._opened: asyncio.Event

    async def offer(self) -> bytes:
        """Begins a connection, and returns what the other end is to be told."""
        return await self._loop.run(self._offer())

    async def _offer(self) -> bytes:
        peer = self._begin()
        self._take(peer.createDataChannel(LABEL))
        await peer.setLocalDescription(await peer.createOffer())
        return _description(peer)

    async def answer(self, offer: bytes) -> bytes:
        """Takes what the other end said, and returns what it is to be told. Raises ChannelClosedError."""
        return await self._loop.run(self._answer(offer))

    async def _answer(self, offer: bytes) -> bytes:
        peer = self._begin()
        peer.on("datachannel", self._take)
        await self._set_remote(offer)
        try:
            await peer.setLocalDescription(await peer.createAnswer())
        except Exception as error:  # as above: the library finds out late what the offer lacks
            raise ChannelClosedError(f"nothing answers this offer: {error!r}") from error
        return _description(peer)

    async def accept(self, answer: bytes) -> None:
        """Takes the answer to what this end offered. Raises ChannelClosedError."""
        await self._loop.run(self._set_remote(answer))

    async def _set_remote(self, told: bytes) -> None:
        assert self._peer is not None
        try:
            said = json.loads(told)
            await self._peer.setRemoteDescription(RTCSessionDescription(sdp=str(said["sdp"]), type=str(said["type"])))
        except Exception as error:  # whatever a sibling may say, and the library make of it
            raise ChannelClosedError(f"no description of a session: {error!r}") from error

    async def wait_open(self) -> None:
        await self._loop.run(self._wait(self._opened))

    async def send(self, data: bytes) -> None:
        """Sends a message once there is room for it. Raises ChannelClosedError."""
        await self._loop.run(self._send(data))

    async def _send(self, data: bytes) -> None:
        channel = self._channel
        while channel is not None and channel.readyState == "open" and channel.bufferedAmount > MOST_BUFFERED:  # noqa: ASYNC110
            await asyncio.sleep(LOOK_SECONDS)
        if channel is None or channel.readyState != "open":
            raise ChannelClosedError
        channel.send(data)

    async def receive(self) -> bytes:
        """Waits for the next message. Raises ChannelClosedError."""
        while True:
            try:
                data = self._arrived.get_nowait()
            except queue.Empty:
                await anyio.sleep(LOOK_SECONDS)
                continue
            if data is None:
                raise ChannelClosedError
            return data

    async def aclose(self) -> None:
        if self._peer is not None:
            await self._loop.run(self._peer.close())

    def _begin(self) -> RTCPeerConnection:
        self._opened = asyncio.Event()
        # Without a server that tells addresses: both are in one network, or it does not come about.
        self._peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._peer.on("connectionstatechange", self._changed)
        return self._peer

    def _take(self, channel: RTCDataChannel) -> None:
        self._channel = channel
        channel.on("message", self._arrived.put)
        channel.on("close", lambda: self._arrived.put(None))
        channel.on("open", self._opened.set)
        if channel.readyState == "open":
            self._opened.set()

    def _changed(self) -> None:
        if self._peer is not None and self._peer.connectionState in {"failed", "closed"}:
            self._arrived.put(None)
            self._opened.set()

    @staticmethod
    async def _wait(event: asyncio.Event) -> None:
        await event.wait()


def _description(peer: RTCPeerConnection) -> bytes:
    told = peer.localDescription
    return json.dumps({"type": told.type, "sdp": told.sdp}).encode()
