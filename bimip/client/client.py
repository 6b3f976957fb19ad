"""The client as programs see it. The map of the package is in its `__init__`."""

import logging
import random as random_module
import ssl
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, TypeVar

import anyio
import anyio.lowlevel
import betterproto2

from bimip.client.arguments import checked_number, checked_text
from bimip.client.backoff import Backoff
from bimip.client.condition import Condition
from bimip.client.core.device import Device
from bimip.client.core.inbox import StartAt
from bimip.client.core.kinds.read_markers import marker_of
from bimip.client.core.kinds.receipts import times_of
from bimip.client.core.outbox import refusal
from bimip.client.errors import (
    ClientError,
    ConnectFailed,
    InvalidArgument,
    NotConnected,
    ProtocolViolation,
    Stopped,
    StoreError,
    TimedOut,
    flatten,
)
from bimip.client.events import Disconnected, Event, Identity, SendRefused, Sent
from bimip.client.frames import Payload, checked
from bimip.client.link import End, Link
from bimip.client.store import PendingRead, Store
from bimip.client.transport import ABNORMAL_CLOSURE, Connect, websocket
from bimip.client.wire.bimip import (
    Body,
    Fetch,
    FetchKind,
    Hello,
    Logout,
    Message,
    PingPong,
    PingPongKind,
    Start,
    TokenAuthority,
    TokenAuthorityAction,
)
from bimip.client.wire.bimip import Identity as WireIdentity
from bimip.client.wire.bimip import Position as WirePosition
from bimip.session.close import Close, may_reconnect

_log = logging.getLogger("bimip.client")

AGENT = "bimip-python"
LEAVE_TIMEOUT = 2.0
BEYOND_ANY_OFFSET = 2**63 - 1

_Answer = TypeVar("_Answer", bound=betterproto2.Message)


@dataclass(frozen=True, slots=True)
class Fetched:
    rows: list[tuple[Message, bool]]  # with each message whether this device has acknowledged it
    next_offset: int
    complete: bool  # nothing is left beyond these


@asynccontextmanager
async def open_client(
    url: str,
    *,
    token: str | Callable[[], str],
    path: str | Path = ":memory:",
    partitions: Sequence[str] = ("chat",),
    start: Start = Start.START_UNSPECIFIED,
    last: int = 0,
    agent: str = AGENT,
    backoff: Backoff | None = None,
    timeout: float = 30.0,  # noqa: ASYNC109 - of each request, not of this function
    ssl_context: ssl.SSLContext | None = None,
    connect: Connect | None = None,
    clock: Callable[[], float] = anyio.current_time,
    now: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    random: Random | None = None,
) -> AsyncIterator["Client"]:
    """A device of the token's user, connected while the block runs, again and again.

    It does not wait for the server: a client works offline (`Client.wait_connected` waits).

    path        the device's SQLite file; a file belongs to one device and one process at a time. Without one nothing
                outlives the block.
    token       or a function that makes one, called for each connection. It must not block. Space and line ends
                around it are stripped.
    partitions  what to receive. Without any the client only sends: choose that for one that takes no events, because
                what is not taken is not acknowledged, and the server gives such a device up after a while.
    start, last where a device begins that has no position yet: by default where the server has it (the first device
                of a user at what waits for them, a further one at what is new); or FIRST, HEAD, or LAST with a number
                of entries
    timeout     seconds, more than 0: for the answer to a request, for a handshake, for a frame to be sent
    ssl_context for wss://: whom to trust, where that are not the system's authorities
    connect, clock, now, random
                the network, the seconds, the wall clock in milliseconds and the dice, for tests under virtual time

    When the block ends, the event that was taken last counts as done. When it ends with an exception, it does not.
    The block does not wait for the outbox: what is unsent then goes out when the file is opened again.

    Raises InvalidArgument for values that cannot be, StoreError where the file cannot be used. What goes on is logged
    under the name `bimip.client`.
    """
    _check_settings(partitions, start, last, agent, timeout)
    store = Store(path)
    try:
        client = Client(
            Device(store, partitions, StartAt(start, last), agent, clock),
            url=url,
            token=token,
            backoff=backoff or Backoff(),
            timeout=timeout,
            connect=connect or websocket(ssl_context=ssl_context, timeout=timeout),
            clock=clock,
            now=now,
            random=random or random_module.SystemRandom(),
        )
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(client._run)  # noqa: SLF001 - this function is the other half of the class
                yield client
                await client._leave()  # noqa: SLF001
                tasks.cancel_scope.cancel()
        except BaseExceptionGroup as group:
            if len(group.exceptions) == 1:  # the block's own exception, which nobody expects in a group
                raise group.exceptions[0] from None
            raise
    finally:
        store.close()


class Client:
    """Made by `open_client`. Its async methods may be cancelled; each says what that leaves behind."""

    def __init__(
        self,
        device: Device,
        *,
        url: str,
        token: str | Callable[[], str],
        backoff: Backoff,
        timeout: float,
        connect: Connect,
        clock: Callable[[], float],
        now: Callable[[], int],
        random: Random,
    ) -> None:
        self._device = device
        self._url = url
        self._token = token
        self._last_token = ""
        self._backoff = backoff
        self._timeout = timeout
        self._connect = connect
        self._clock = clock
        self._now = now
        self._random = random
        self._link: Link | None = None  # while connected
        self._failure: ClientError | None = None
        self._finished = False
        self._failed_attempts = 0  # in a row
        self._logging_out = False
        self._state_changed = Condition()  # connected, disconnected or stopped

    # Who and where.

    @property
    def identity(self) -> Identity | None:
        """The identity of this device; None before the first connection ever."""
        return self._device.inbox.identity

    @property
    def connected(self) -> bool:
        return self._link is not None

    @property
    def unsent(self) -> int:
        """Messages in the outbox without an answer."""
        return self._device.store.outbox_size()

    async def wait_connected(self) -> None:
        """Until there is a connection. Raises what stopped the client. Cancelling it changes nothing."""
        while self._link is None:
            self._check_running()
            await self._state_changed.wait()

    def _check_running(self) -> None:
        if self._failure is not None:
            raise self._failure
        if self._finished:
            raise NotConnected("this client has left")

    # Sending.

    def send_nowait(
        self,
        to: str,
        payload: bytes,
        *,
        type: int = 1,  # noqa: A002 - the field's name
        partition: str = "",
        id: str | None = None,  # noqa: A002 - the field's name
        **fields: Any,  # noqa: ANN401 - each field has its own type
    ) -> str:
        """Put a message into the outbox and return its id. Its answer comes as an event, Sent or SendRefused.

        It is on disk then and is sent, in order, whenever there is a connection, until it is answered.
        `fields` are others of Message: reply_to, devices, encryption_type, mentions, seq …
        The same id again while the first waits is no second message; with other content it raises DuplicateId.
        Raises InvalidArgument for values that their fields cannot hold, StoreError where the file fails.
        """
        try:
            message = Message(
                id=id or f"{self._random.getrandbits(128):032x}",
                to=WireIdentity(eid=to),
                type=type,
                timestamp=self._now(),
                payload=payload,
                partition=partition,
                **fields,
            )
        except TypeError as problem:
            raise InvalidArgument(f"no field of a message: {problem}") from None
        self._device.outbox.put(message)
        return message.id

    async def send(
        self,
        to: str,
        payload: bytes,
        *,
        type: int = 1,  # noqa: A002 - the field's name
        partition: str = "",
        id: str | None = None,  # noqa: A002 - the field's name
        **fields: Any,  # noqa: ANN401 - each field has its own type
    ) -> Sent:
        """`send_nowait`, and wait until the server has it on disk, over as many connections as that takes.

        Raises Refused, what `send_nowait` raises, or what stopped the client. Cancelled or stopped, the message stays
        in the outbox and is sent all the same; its answer then comes as an event.
        """
        message_id = self.send_nowait(to, payload, type=type, partition=partition, id=id, **fields)
        if self._failure is not None:
            raise self._failure
        answer = await self._device.outbox.wait(message_id)
        if isinstance(answer, SendRefused):
            raise refusal(answer)
        return answer

    # Receiving.

    def __aiter__(self) -> "Client":
        return self

    async def __anext__(self) -> Event:
        """The next event; asking for it says that the last one is done, and acknowledges it.

        Cancelling it loses nothing. After the last event it raises what stopped the client, or ends if it left.
        """
        await anyio.lowlevel.checkpoint()
        while True:
            event = self._device.inbox.take_next()
            self._device.changed.notify_all()
            if event is not None:
                return event
            if self._failure is not None:
                raise self._failure
            if self._finished:
                raise StopAsyncIteration
            await self._device.changed.wait()

    def acknowledge(self, partition: str, offsets: Sequence[int]) -> None:
        """These were received by other means, such as `fetch`: they will not come as events.

        Raises InvalidArgument for a partition of which this client has no position, and for what is no offset.
        """
        self._device.inbox.acknowledge(partition, offsets)
        self._device.changed.notify_all()

    async def mark_read(self, conversation_or_peer: str, upto: int, *, is_peer: bool | None = None) -> None:
        """Everything in the conversation up to and with this conversation offset has been read.

        It is remembered and sent again until the server has it, also when there is no connection now.
        A name with an @ is a peer, unless `is_peer` says otherwise. Raises InvalidArgument for what is no name or no
        offset.
        """
        checked_text("conversation_or_peer", conversation_or_peer)
        checked_number("upto", upto)
        peer = "@" in conversation_or_peer if is_peer is None else is_peer
        self._device.mark_read(PendingRead(conversation_or_peer, peer, upto), connected=self.connected)
        await anyio.lowlevel.checkpoint()

    def receipts(self, conversation: str, conversation_offset: int) -> dict[str, dict[str, int]]:
        """Tells by member when the message was "delivered", "read" and "played", as far as it was: milliseconds.

        Raises InvalidArgument for what is no name or no offset.
        """
        checked_text("conversation", conversation)
        conversation_offset = checked_number("conversation_offset", conversation_offset)
        return times_of(self._device.store, conversation, conversation_offset)

    def read_marker(self, conversation: str) -> int:
        """The conversation offset up to which this user has read, on whichever device; 0 where nothing was.

        Raises InvalidArgument for what is no name.
        """
        return marker_of(self._device.store, checked_text("conversation", conversation))

    # Asking.

    async def fetch(
        self,
        *,
        kind: FetchKind = FetchKind.UNACKNOWLEDGED,
        partition: str = "chat",
        offset: int | None = None,
        limit: int = 0,
        sender: str = "",
        sender_device: str | None = None,
        to_device: str | None = None,
        conversation: str = "",
        backwards: bool = False,
        seq_from: str = "",
        seq_to: str = "",
    ) -> Fetched:
        """Look into the log. It moves no position: what is fetched also comes as an event (but see `acknowledge`).

        `offset` is where to begin; without one where this connection's last fetch ended.
        Raises Refused, TimedOut, NotConnected, and InvalidArgument for values that cannot be sent. Cancelling it drops
        the answer.
        """
        fetch = Fetch(
            kind=kind,
            partition=partition,
            offset=offset,
            limit=limit,
            conversation=conversation,
            backwards=backwards,
            seq_from=seq_from,
            seq_to=seq_to,
        )
        if sender:
            fetch.from_ = WireIdentity(eid=sender, connection_resource_id=sender_device)
        if to_device is not None:
            fetch.to = WireIdentity(eid=self.identity.eid if self.identity else "", connection_resource_id=to_device)
        body = await self._ask(fetch, Body)
        acknowledged = [*body.acknowledged, *[False] * len(body.messages)]
        return Fetched(list(zip(body.messages, acknowledged, strict=False)), body.next_offset, body.complete)

    async def history(self, conversation: str, before: int | None = None, limit: int = 50) -> list[Message]:
        """The newest messages of a conversation in front of a conversation offset, oldest first."""
        newest = BEYOND_ANY_OFFSET if before is None else checked_number("before", before, least=0)
        newest -= 1
        if newest < 1:
            return []
        fetched = await self.fetch(
            kind=FetchKind.HISTORY,
            partition="",
            conversation=conversation,
            offset=newest,
            backwards=True,
            limit=limit,
        )
        return [message for message, _ in reversed(fetched.rows)]

    async def ping(self) -> float:
        """Seconds to the server and back."""
        begun = self._clock()
        await self._ask(PingPong(kind=PingPongKind.PING, timestamp=self._now()), PingPong)
        return self._clock() - begun

    async def refresh_token(self, token: str) -> None:
        """Replace the token of this connection and of the next ones. Raises Refused if it is not accepted."""
        token = checked_text("token", token).strip()
        await self._ask(TokenAuthority(action=TokenAuthorityAction.REFRESH, token=token), TokenAuthority)
        if not callable(self._token):
            self._token = token

    async def logout(self, *, forget: bool = False, revoke: bool = False) -> None:
        """Leave. The client is finished then.

        With `forget` the server also drops this device and its positions; with `revoke` its token counts no more.
        """
        self._logging_out = True
        try:
            await self._ask(Logout(forget=forget, revoke=revoke), Logout)
        except NotConnected:
            if not self._finished:  # else the close was faster than the answer
                raise
        finally:
            self._logging_out = False
        self._finish(None)

    async def _ask(self, request: Payload, answer: type[_Answer]) -> _Answer:
        checked(request)
        try:
            with anyio.fail_after(self._timeout):
                await self.wait_connected()
                ref, pending = self._device.requests.open()
                try:
                    self._device.send(request, ref)
                    await pending.done.wait()
                finally:
                    self._device.requests.close(ref)
        except TimeoutError:
            raise TimedOut(f"no answer to {type(request).__name__} within {self._timeout} s") from None
        result = pending.result()
        if not isinstance(result, answer):
            raise ProtocolViolation(f"{type(request).__name__} was answered with {type(result).__name__}")
        return result

    # Being connected.

    async def _run(self) -> None:
        attempt = 0
        try:
            while True:
                begun = self._clock()
                end = await self._connect_once()
                attempt = 0 if self._clock() - begun >= self._backoff.steady else attempt
                # What the server names is the least; the draw on top of it spreads those who were given the same.
                wait = end.retry_after + self._backoff.delay(attempt, self._random)
                if not self._should_reconnect(end, wait):
                    return
                await anyio.sleep(wait)
                attempt += 1
        except* (StoreError, InvalidArgument) as group:
            self._finish(flatten(group)[0])

    def _should_reconnect(self, end: End, wait: float) -> bool:
        """Whether there is to be another connection, now that one has ended."""
        if self._finished:
            return False
        if self._logging_out and end.code in {Close.NORMAL, Close.LOGGED_OUT}:
            self._finish(None)
            return False
        retry = end.may_retry or self._has_other_token(end)
        self._disconnected(end, wait if retry else None)
        if not retry:
            _log.warning("it does not connect again: %d %s", end.code, end.reason)
            self._finish(Stopped(end.code, end.reason))
        return retry

    async def _connect_once(self) -> End:
        self._last_token = self._current_token()
        try:
            connection = await self._connect(self._url, self._last_token)
        except ConnectFailed as failed:
            return _end_of(failed)
        link = Link(self._device, connection, timeout=self._timeout, clock=self._clock)
        try:
            return await link.run(lambda: self._set_link(link))
        finally:
            self._set_link(None)
            self._device.requests.fail(NotConnected("the connection was cut before the answer came"))

    def _has_other_token(self, end: End) -> bool:
        if not callable(self._token) or end.code not in {Close.TOKEN_EXPIRED, Close.UNAUTHENTICATED}:
            return False
        return self._current_token() != self._last_token

    def _current_token(self) -> str:
        """Without the line end that a file or a secret of the surroundings put behind it."""
        return checked_text("token", self._token() if callable(self._token) else self._token).strip()

    def _set_link(self, link: Link | None) -> None:
        if link is not None:
            self._failed_attempts = 0
            identity = self.identity
            _log.info("connected to %s as %s/%s", self._url, *((identity.eid, identity.device) if identity else ()))
        self._link = link
        self._state_changed.notify_all()
        self._device.changed.notify_all()

    def _disconnected(self, end: End, retry_in: float | None) -> None:
        """Attempts that fail in a row are one event while it has not been taken, and one line of the log."""
        inbox = self._device.inbox
        event = Disconnected(end.code, end.reason, retry_in is not None, retry_in)
        if retry_in is None:
            inbox.emit(event)
        else:
            self._failed_attempts += 1
            level = logging.INFO if self._failed_attempts == 1 else logging.DEBUG
            _log.log(level, "no connection: %d %s; the next attempt is in %.1f s", end.code, end.reason, retry_in)
            inbox.emit_latest(event)
        self._device.changed.notify_all()

    def _finish(self, failure: ClientError | None) -> None:
        self._failure = self._failure or failure
        self._finished = True
        gone = failure or NotConnected("this client has left; what was not answered stays in the outbox")
        self._device.outbox.fail(gone)
        self._state_changed.notify_all()
        self._device.changed.notify_all()

    async def _leave(self) -> None:
        """The block has ended well: acknowledge what was taken, and close."""
        self._device.inbox.finish()
        self._finished = True
        with anyio.move_on_after(LEAVE_TIMEOUT, shield=True):
            if self._link is not None:
                self._link.leave()
            while self._link is not None:
                await self._state_changed.wait()


def _end_of(failed: ConnectFailed) -> End:
    if failed.code:
        return End(failed.code, failed.reason, may_reconnect(failed.code), failed.retry_after)
    # Without a close code it is the answer of whatever stands in between, such as a proxy during an update.
    return End(failed.status or ABNORMAL_CLOSURE, failed.reason, not failed.final, failed.retry_after)


def _check_settings(partitions: Sequence[str], start: Start, last: int, agent: str, timeout: object) -> None:
    """Raises InvalidArgument for what no Hello can hold."""
    if isinstance(partitions, str | bytes):
        raise InvalidArgument(f"partitions is a sequence of names, such as ({partitions!r},)")
    if not isinstance(timeout, int | float) or not timeout > 0:
        raise InvalidArgument(f"timeout is a number of seconds, more than 0, not {timeout!r}")
    positions = [WirePosition(partition=name, start=start, last=last) for name in partitions]
    checked(Hello(partitions=positions, agent=agent))
