"""Staying connected: one connection after another, until the client leaves or somebody has to act."""

import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from math import inf
from typing import TypeVar

import anyio
import betterproto2

from bimip.client.backoff import Backoff
from bimip.client.condition import Condition
from bimip.client.core.device import Device
from bimip.client.environment import Environment
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
from bimip.client.events import Disconnected
from bimip.client.frames import Payload, checked
from bimip.client.link import End, Link
from bimip.client.tokens import Token, current, refresh_in
from bimip.client.transport import ABNORMAL_CLOSURE
from bimip.client.wire.bimip import TokenAuthority, TokenAuthorityAction
from bimip.session.close import Close, may_reconnect

_log = logging.getLogger("bimip.client")

LEAVE_TIMEOUT = 2.0
AWAY_SECONDS = 60.0
"""Without a connection, from which on siblings are asked first."""
REFRESH_AGAIN_SECONDS = 5.0
"""At least, between two tokens of one connection, whatever their ends and the clock say."""

_Answer = TypeVar("_Answer", bound=betterproto2.Message)


class Connector:
    def __init__(
        self,
        device: Device,
        environment: Environment,
        *,
        url: str,
        token: Token,
        backoff: Backoff,
        timeout: float,
    ) -> None:
        self.failure: ClientError | None = None
        self.finished = False
        self._device = device
        self._environment = environment
        self._url = url
        self._token = token
        self._last_token = ""
        self._backoff = backoff
        self._timeout = timeout
        self._link: Link | None = None  # while connected
        self._failed_attempts = 0  # in a row
        self.catch_up: Callable[[], Awaitable[None]] | None = None
        """Takes from siblings what this device lacks, before it asks for its logs."""
        self._connected_at = -inf  # last
        self._logging_out = False
        self._state_changed = Condition()  # connected, disconnected or stopped

    @property
    def connected(self) -> bool:
        return self._link is not None

    async def wait_connected(self) -> None:
        """Wait until there is a connection. Raises what stopped the client. Cancelling it changes nothing."""
        while self._link is None:
            self.check_running()
            await self._state_changed.wait()

    def check_running(self) -> None:
        """Raises what stopped the client, or that it has left."""
        if self.failure is not None:
            raise self.failure
        if self.finished:
            raise NotConnected("this client has left")

    async def request(self, request: Payload, answer: type[_Answer]) -> _Answer:
        """Send a request and wait for its answer. Raises Refused, TimedOut, NotConnected, InvalidArgument."""
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

    def replace_token(self, token: str) -> None:
        """Note that the connection has this token now; so have the next ones, unless a function makes theirs."""
        self._last_token = token
        if not callable(self._token):
            self._token = token

    @contextmanager
    def logging_out(self) -> Iterator[None]:
        """Runs a block after which the client is finished; the close may be faster than the answer."""
        self._logging_out = True
        try:
            yield
        except NotConnected:
            if not self.finished:
                raise
        finally:
            self._logging_out = False
        self._finish(None)

    async def run(self) -> None:
        attempt = 0
        try:
            while True:
                begun = self._environment.clock()
                end = await self._connect_once()
                if end.goes_on and not self.finished:
                    continue
                attempt = 0 if self._environment.clock() - begun >= self._backoff.steady else attempt
                # What the server names is the least; the draw on top of it spreads those who were given the same.
                wait = end.retry_after + self._backoff.delay(attempt, self._environment.random)
                if not await self._should_reconnect(end, wait):
                    return
                await anyio.sleep(wait)
                attempt += 1
        except* (StoreError, InvalidArgument) as group:
            self._finish(flatten(group)[0])

    async def refresh_tokens(self) -> None:
        """Have each connection outlive its token, where a function makes tokens."""
        while callable(self._token):
            link = self._link
            wait = inf if link is None else refresh_in(self._last_token, self._environment.now() / 1000)
            with anyio.move_on_after(wait) as scope:
                while self._link is link:
                    await self._state_changed.wait()
            if scope.cancelled_caught:
                await self._refresh_token()
                await anyio.sleep(REFRESH_AGAIN_SECONDS)

    async def _refresh_token(self) -> None:
        """Give this connection another token. Where there is none, it ends when its token does."""
        try:
            token = await current(self._token)
            if token != self._last_token:
                await self.request(TokenAuthority(action=TokenAuthorityAction.REFRESH, token=token), TokenAuthority)
                self.replace_token(token)
        except ClientError as error:
            _log.warning("the token could not be refreshed: %s", error)

    async def expire(self) -> None:
        """Have what the device was told end when its time is over."""
        presence, clock = self._device.presence, self._environment.clock
        while True:
            with anyio.move_on_after(max(0.0, presence.next_end - clock())) as scope:
                await presence.changed.wait()
            if scope.cancelled_caught:
                self._device.expire()

    async def _should_reconnect(self, end: End, wait: float) -> bool:
        """Whether there is to be another connection, now that one has ended."""
        if self.finished:
            return False
        if self._logging_out and end.code in {Close.NORMAL, Close.LOGGED_OUT}:
            self._finish(None)
            return False
        retry = end.may_retry or await self._has_other_token(end)
        self._disconnected(end, wait if retry else None)
        if not retry:
            _log.warning("it does not connect again: %d %s", end.code, end.reason)
            self._finish(Stopped(end.code, end.reason))
        return retry

    async def _connect_once(self) -> End:
        try:
            self._last_token = await current(self._token)
            connection = await self._environment.connect(self._url, self._last_token)
        except ConnectFailed as failed:
            return _end_of(failed)
        clock = self._environment.clock
        is_back = clock() - self._connected_at >= AWAY_SECONDS and bool(self._device.inbox.seen())
        self._device.is_catching_up = self.catch_up is not None and is_back
        catch_up = self.catch_up if self._device.is_catching_up else None
        link = Link(self._device, connection, timeout=self._timeout, clock=clock, catch_up=catch_up)
        try:
            return await link.run(lambda: self._set_link(link))
        finally:
            self._connected_at = clock()
            self._set_link(None)
            self._device.requests.fail(NotConnected("the connection was cut before the answer came"))
            self._device.presence.disconnected()

    async def _has_other_token(self, end: End) -> bool:
        if not callable(self._token) or end.code not in {Close.TOKEN_EXPIRED, Close.UNAUTHENTICATED}:
            return False
        try:
            return await current(self._token) != self._last_token
        except ConnectFailed:
            return True  # it is asked again with the next attempt

    def _set_link(self, link: Link | None) -> None:
        if link is not None:
            self._failed_attempts = 0
            identity = self._device.inbox.identity
            _log.info("connected to %s as %s/%s", self._url, *((identity.eid, identity.device) if identity else ()))
        self._link = link
        self._state_changed.notify_all()
        self._device.changed.notify_all()

    def _disconnected(self, end: End, retry_in: float | None) -> None:
        """Emit Disconnected. Attempts that fail in a row are one event while it waits, and one line of the log."""
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
        self.failure = self.failure or failure
        self.finished = True
        gone = failure or NotConnected("this client has left; what was not answered stays in the outbox")
        self._device.outbox.fail(gone)
        self._device.commands.fail(gone)
        self._state_changed.notify_all()
        self._device.changed.notify_all()

    async def leave(self) -> None:
        """Acknowledge what was taken, and close: the block has ended well."""
        self._device.inbox.finish()
        self.finished = True
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
