"""One connection of a device, from Hello to its end: the tasks that carry frames and watch the clock."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import anyio

from bimip.client.core.device import Device
from bimip.client.core.outbox import Outbox
from bimip.client.errors import ConnectionClosed, ProtocolViolation, TransportError, flatten
from bimip.client.frames import decode
from bimip.client.transport import ABNORMAL_CLOSURE, LONGEST_RETRY_AFTER, Connection
from bimip.client.wire.bimip import ErrorMessage, Hello
from bimip.session.close import Close, may_reconnect, named_wait

ACK_DELAY = 0.05
"""Seconds that an ack waits for more to acknowledge, while the application is busy taking events."""

ACK_AT_MOST = 64
"""Events taken without an ack: a quarter of the server's window, so that it never runs dry."""


@dataclass(frozen=True, slots=True)
class End:
    """How a connection ended."""

    code: int
    reason: str
    may_retry: bool
    retry_after: float = 0.0  # seconds that the server asked to wait
    goes_on: bool = False  # it caught up, and asks for its logs now


class Link:
    def __init__(
        self,
        device: Device,
        connection: Connection,
        *,
        timeout: float,
        clock: Callable[[], float],
        catch_up: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._catch_up = catch_up
        self._device = device
        self._connection = connection
        self._timeout = timeout
        self._clock = clock
        self._last_heard = clock()
        self._leaving = False

    async def run(self, on_connected: Callable[[], None]) -> End:
        """Carry frames until the connection ends. Cancelling it closes the connection with 1000."""
        end = End(Close.NORMAL, "", may_retry=False)
        try:
            end = await self._until_it_ends(on_connected)
        finally:
            await self._connection.aclose(_sendable(end.code), end.reason)
        return end

    async def _until_it_ends(self, on_connected: Callable[[], None]) -> End:
        ends: list[End] = []
        try:
            await self._shake_hands()
            on_connected()
            async with anyio.create_task_group() as tasks:
                for task in (self._read, self._write, self._heartbeat):
                    tasks.start_soon(task)
                tasks.start_soon(self._acknowledge if self._catch_up is None else self._take_from_siblings)
                tasks.start_soon(self._send_outbox, self._device.outbox, self._device.send_messages)
                tasks.start_soon(self._send_outbox, self._device.commands, self._device.give_commands)
        except* TransportError as group:
            ends = [_end_of(error) for error in flatten(group)]
        return ends[0]

    def leave(self) -> None:
        """Send what is to be sent, then close."""
        self._device.send_acks()
        self._leaving = True
        self._device.changed.notify_all()

    async def _shake_hands(self) -> None:
        said = ""
        try:
            with anyio.fail_after(self._timeout):
                await self._connection.send(self._device.hello())
                while True:
                    payload = decode(await self._connection.receive()).payload
                    if not isinstance(payload, ErrorMessage):
                        break
                    said = payload.message  # the close code comes behind it
        except TimeoutError:
            raise ConnectionClosed(ABNORMAL_CLOSURE, f"no Hello within {self._timeout} s") from None
        except ConnectionClosed as closed:
            raise ConnectionClosed(closed.code, said or closed.reason) from None
        if not isinstance(payload, Hello):
            raise ProtocolViolation("the server's first frame is no Hello")
        self._device.welcome(payload)
        self._last_heard = self._clock()

    async def _read(self) -> None:
        while True:
            frame = await self._connection.receive()
            self._last_heard = self._clock()
            self._device.receive(frame)

    async def _write(self) -> None:
        outgoing = self._device.outgoing
        while True:
            while outgoing:
                await self._send(outgoing.popleft())
            if self._leaving:
                raise ConnectionClosed(Close.NORMAL)
            await self._device.changed.wait()

    async def _send(self, frame: bytes) -> None:
        try:
            with anyio.fail_after(self._timeout):
                await self._connection.send(frame)
        except TimeoutError:
            raise ConnectionClosed(ABNORMAL_CLOSURE, f"a frame could not be sent within {self._timeout} s") from None

    async def _send_outbox(self, outbox: Outbox[Any], send: Callable[[], bool]) -> None:
        """Send an outbox, in order; what is not answered in time ends the connection, and is sent on the next."""
        while True:
            while (pause := outbox.paused_until - self._clock()) > 0:
                with anyio.move_on_after(pause):
                    await self._watch_answers(outbox)
            while send():
                pass
            await self._watch_answers(outbox)

    async def _watch_answers(self, outbox: Outbox[Any]) -> None:
        """Wait until the outbox changes, or something in it is not answered in time."""
        oldest = outbox.oldest_in_flight()
        if oldest is None:
            await outbox.changed.wait()
            return
        with anyio.move_on_after(oldest + self._timeout - self._clock()) as scope:
            await outbox.changed.wait()
        if scope.cancelled_caught:
            raise ConnectionClosed(ABNORMAL_CLOSURE, f"what was sent was not answered within {self._timeout} s")

    async def _acknowledge(self) -> None:
        inbox, changed = self._device.inbox, self._device.changed
        while True:
            while not inbox.owes():
                await changed.wait()
            with anyio.move_on_after(ACK_DELAY):
                while inbox.is_busy() and inbox.most_unacknowledged() < ACK_AT_MOST:
                    await changed.wait()
            self._device.send_acks()

    async def _take_from_siblings(self) -> None:
        """Take from them first; what is acknowledged by that the next Hello says."""
        assert self._catch_up is not None
        await self._catch_up()
        raise CaughtUp

    async def _heartbeat(self) -> None:
        interval = (self._device.limits.heartbeat_ms or 30_000) / 1000
        while True:
            await anyio.sleep(interval)
            if self._clock() - self._last_heard >= 2 * interval:
                raise ConnectionClosed(Close.SILENT, f"nothing heard of the server for {2 * interval} s")
            self._device.heartbeat()


class CaughtUp(TransportError):  # noqa: N818 - no error
    """A connection has served its purpose."""


def _end_of(error: TransportError) -> End:
    if isinstance(error, CaughtUp):
        return End(Close.NORMAL, "", may_retry=True, goes_on=True)
    if isinstance(error, ConnectionClosed):
        return End(error.code, error.reason, may_reconnect(error.code), _wait_of(error))
    # We end it, and a new connection starts at our position: that heals what a lost or doubled frame broke.
    return End(Close.PROTOCOL_ERROR, str(error), may_retry=True)


def _wait_of(closed: ConnectionClosed) -> float:
    return min(float(named_wait(closed.code, closed.reason)), LONGEST_RETRY_AFTER)


def _sendable(code: int) -> int:
    """Makes of a close code one that may stand in a frame of ours."""
    return Close.NORMAL if code in {1005, ABNORMAL_CLOSURE, 1015} else code
