"""Who asks by HTTP: a token's device, for as long as one request is answered. To the routes it is an asker as a
connected device is: the same rules, the same buckets of its rates.

It is no connection: it takes the place of none, gets no messages and holds nothing back. The device's own socket, if it
has one, is not sent what is written by HTTP as messages (they are the device's own), but all state as every other is.
"""

from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import inf
from typing import Any, Final, TypeVar

import trio

from bimip.concurrency.buckets import Remembered
from bimip.domain.accounts.barring import Bar
from bimip.domain.accounts.registering import NoteSeen, SeenDevice
from bimip.domain.awareness.status import Focus
from bimip.domain.core.identity import Claims
from bimip.domain.core.ids import DeviceId, Millis, Offset, Stamp, UserId
from bimip.domain.core.operations import Received, Refused, Register, Registered, Result
from bimip.domain.core.ranges import Ranges
from bimip.domain.core.records import Status
from bimip.http.problems import ProblemError
from bimip.reading.devices import read_device
from bimip.reading.heads import read_heads
from bimip.reading.people import read_bar, read_bar_of
from bimip.requests import ROUTES
from bimip.requests.asker import Asker
from bimip.requests.message import write
from bimip.requests.rates import Buckets
from bimip.requests.refusals import error_of, failed, rate_limited
from bimip.session.close import Close
from bimip.session.tokens import TokenError
from bimip.users.services import Services
from bimip.users.session import CLOSE_OF_BAR, Session
from bimip.wire import bimip_pb2 as pb
from bimip.wire import codec
from bimip.wire.errors import WireError

MOST_REMEMBERED: Final = 4096
"""Devices of which it is remembered what they were sent of late, and where a whole state goes on."""
RECEIVED_KEPT: Final = 256
"""Runs of messages that a device is known to have been sent."""
SEEN_MS: Final = 3_600_000
"""A device that asks is noted as seen so often: each time costs a write."""
AT_ONCE: Final = 64
"""Of many requests in one, until others have their turn."""

T = TypeVar("T")

Outcome = Any
"""A payload of pb: what a request was answered with, an ErrorMessage among them; None: nothing, it is done."""


@dataclass
class Past:
    """Remembers of a device what its requests leave behind."""

    stamped: Stamp = field(default=Stamp(0))
    whole_state: tuple[int, int] | None = None
    received: list[Received] = field(default_factory=list)
    answering: int = 0
    """Requests of it that are being answered."""


class Caller(Asker):
    """A device that asks by HTTP, for one request."""

    __slots__ = ("_has_taken", "_news", "_paid", "_past", "_services")

    def __init__(
        self, services: Services, user: UserId, eid: str, number: DeviceId, claims: Claims, rates: Buckets, past: Past
    ) -> None:
        super().__init__(services, user, eid, number, claims, rates)
        self._services = services
        self._past = past
        self._news = trio.Event()
        self._paid = 0
        self._has_taken = False
        """Something was taken from its rates."""
        self.heard_at = trio.current_time()
        self.stamped, self.whole_state = past.stamped, past.whole_state

    @contextmanager
    def paying(self) -> Iterator[None]:
        """Has one request count, whatever comes of it: also one of which nothing is asked, because something is wrong
        with it or because it only reads. Raises ProblemError where the device or its user owes still.
        """
        wait = self.rates.wait(self.heard_at)
        if wait > 0:
            raise ProblemError(rate_limited(wait))
        try:
            yield
        finally:
            if not self._has_taken:
                self.rates.charge(1, self.heard_at)

    async def ask(self, name: str, payload: Any, size: int = 0) -> Outcome:  # noqa: ANN401 - a payload of pb
        """Asks for one thing, and returns its answer. Raises ProblemError. Cancelling it lets happen what was asked."""
        (outcome,) = await self.ask_all([(name, payload)], size)
        if isinstance(outcome, pb.ErrorMessage):
            raise ProblemError(outcome)
        return outcome

    async def ask_all(self, requests: Sequence[tuple[str, Any]], size: int = 0) -> list[Outcome]:
        """Asks for all of these, in their order, each answered for itself. `size`: bytes that they came in. Raises
        ProblemError where the device asks for too much at once.
        """
        past, most = self._past, self.services.limits.unanswered_requests
        if past.answering >= most:
            error = WireError(
                pb.RATE_LIMITED, f"{most} requests of this device are being answered: await some of them."
            )
            raise ProblemError(error)
        past.answering += 1
        try:
            for ref, (name, payload) in enumerate(requests, 1):
                await self._begin(name, payload, ref, size if ref == 1 else 0)
                if ref % AT_ONCE == 0:
                    self._flush()
                    await trio.lowlevel.checkpoint()
            self._flush()
            await self._wait_answered()
        finally:
            past.answering -= 1
            past.stamped, past.whole_state = max(past.stamped, self.stamped), self.whole_state
        return self._outcomes(len(requests))

    async def _begin(self, name: str, payload: Any, ref: int, size: int) -> None:  # noqa: ANN401 - as above
        """Takes one request, as `users.intake` takes a frame."""
        route = ROUTES[name]
        self.owed += 1
        self.frame_bytes = payload.ByteSize()
        if self.checked and not route.independent:
            write(self)
        try:
            wait = self.rates.take(1, size, self.heard_at)
            if wait > 0:
                raise rate_limited(wait)  # noqa: TRY301 - as what a route raises
            self._has_taken = True
            rest = route.ask(self, payload, ref)
            while rest is not None and await self._services.slices.run(lambda: next(rest, self) is not self):
                self._flush()
        except WireError as error:
            error.id = error.id or getattr(payload, "id", "")
            self.fail(error, ref)
        except Exception as error:  # noqa: BLE001 - one request's trouble; it is reported
            self.services.report("request failed", error)
            self.fail(failed(error, ref), ref)

    async def work(self, slice_of_work: Callable[[], T]) -> T:
        """Does a slice of long work when it is this device's turn: it stands in line with all others'."""
        wait = self.rates.wait(trio.current_time())
        if wait > 0:
            await trio.sleep(wait)
        return await self._services.slices.run(slice_of_work)

    def _flush(self) -> None:
        if self.checked:
            write(self)
        self._services.pending_sends.flush(trio.current_time())

    async def _wait_answered(self) -> None:
        while self.owed > 0:
            self._news = trio.Event()
            if self.pending is not None and await self._services.slices.run(self._work):
                continue
            deadline = inf if self.pending is None else self.pending.deadline(trio.current_time())
            if self.owed > 0 and deadline > trio.current_time():
                with trio.move_on_at(deadline):
                    await self._news.wait()

    def _work(self) -> bool:
        assert self.pending is not None
        return self.pending.work(trio.current_time())

    def _outcomes(self, count: int) -> list[Outcome]:
        """The answers by the requests' refs, which each of them brings back."""
        found: list[Outcome] = [None] * count
        body = pb.Body.FromString(b"".join(self.parts))
        parts: list[Any] = [*body.signals, *body.commands, *body.errors]  # each kind has fields of its own
        for part in parts:
            found[part.ref - 1] = part
        for frame in self.frames:
            scheme = codec.decode(frame)
            payload: Any = codec.payload_of(scheme)[1]
            found[(scheme.ref or getattr(payload, "ref", 0)) - 1] = payload
        self.frames.clear()  # so that more can be asked for: what is not taken holds back what is looked for
        self.parts.clear()
        self._paid = 0
        return found

    def schedule_send(self) -> None:
        """Something was answered: it is taken at once."""
        count = len(self.frames) + len(self.parts) - self._paid
        self._paid += count
        self.pay(count)

    def pay(self, count: int) -> None:
        super().pay(count)
        self._news.set()

    def notify_room(self) -> None:
        """Nobody waits to be taken: a request at a time is."""

    def wake(self) -> None:
        self._news.set()

    def head_of(self, partition: str) -> Offset | None:
        if partition not in self.services.partitions:
            return None
        session = self._session()
        if session is not None:
            return session.logs[partition].head
        return read_heads(self.services.store, self.user, (partition,)).logs[partition]

    def acknowledge(self, partition: str, upto: Offset, ranges: Ranges) -> None:
        """The device holds these: its socket, if it has one, goes on behind them."""
        session = self._session()
        device = None if session is None else session.devices.get(self.name)
        if device is not None:
            device.heard_at = self.heard_at
            device.acknowledge(partition, upto, ranges)
            self._services.pending_sends[device] = None

    def count_body_changes(self) -> int:
        session = self._session()
        return 0 if session is None else session.body_changes

    def list_received(self) -> list[Received]:
        return self._past.received

    def note_received(self, places: list[Received]) -> None:
        received = self._past.received
        received += places
        del received[: max(0, len(received) - RECEIVED_KEPT)]

    def set_focus(self, focus: Focus) -> None:
        """Nothing: nobody sits before a device because of what it asks by HTTP."""

    def note_status(self) -> None:
        self._services.presence.note_user(self.user)

    def shown_as(self, user: UserId) -> tuple[Status, Millis] | None:
        return self._services.presence.shown_as(user)

    def close_after_answers(self, code: Close, reason: str) -> None:
        """Closes the device's own socket: what it asks by HTTP is answered and over."""
        session = self._session()
        device = None if session is None else session.devices.get(self.name)
        if device is not None:
            device.connection.close(code, reason)

    def list_online(self) -> Container[str]:
        session = self._session()
        return () if session is None else session.devices

    def close_removed(self, device: DeviceId) -> None:
        session = self._session()
        if session is not None:
            session.close_removed(device)

    def close_revoked(self, jti: str) -> None:
        session = self._session()
        if session is not None:
            session.close_revoked(jti)

    def renew(self, claims: Claims) -> None:
        """The device has a newer token: its socket goes on with it."""
        session = self._session()
        device = None if session is None else session.devices.get(self.name)
        if device is not None:
            device.renew(claims)

    def _session(self) -> Session | None:
        found: Session | None = self._services.sessions.get(self.user)
        return found


class Callers:
    """Finds who asks, by their token."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self._past = Remembered[DeviceId, Past](MOST_REMEMBERED)

    async def find(self, token: str) -> Caller:
        """Returns the device of a token, which is registered where it is not known yet. Raises ProblemError."""
        services = self.services
        try:
            claims = services.verify(token)
        except TokenError as error:
            raise unauthorized(error.reason) from None
        _check_bar(read_bar_of(services.store, claims))
        known = read_device(services.store, claims.eid, claims.device)
        if known is None:
            user, number = await self._register(claims)
            _check_bar(read_bar(services.store, user, claims))  # in the meantime
        else:
            user, number = known[0], known[1].number
            if known[1].last_seen < services.wall_clock() - SEEN_MS:
                seen = NoteSeen((SeenDevice(user, claims.device, number),))
                services.queue.submit(seen, _ignore, owner=user)
        session: Session | None = services.sessions.get(user)
        rates = (services.rates.of(user) if session is None else session.rates).of(number)
        past = self._past.get(number) or self._past.put(number, Past())
        return Caller(services, user, claims.eid, number, claims, rates, past)

    async def _register(self, claims: Claims) -> tuple[UserId, DeviceId]:
        wait = self.services.rates.log_in(claims.eid, trio.current_time())
        if wait:
            raise ProblemError(rate_limited(wait))
        result = await self.services.queue.execute(Register(claims.eid, claims.device), owner=claims.eid)
        if isinstance(result, Refused):
            raise ProblemError(error_of(result, 0))
        assert isinstance(result, Registered)
        return result.user, result.device


def _check_bar(bar: Bar | None) -> None:
    """Raises ProblemError where a token counts no more."""
    if bar is not None:
        raise unauthorized(CLOSE_OF_BAR[bar][1])


def unauthorized(sentence: str) -> ProblemError:
    """Refuses who shows no token that does, as RFC 6750 has it."""
    said = f'Bearer error="invalid_token", error_description="{sentence}"'.replace("'", "")
    headers = {"www-authenticate": said.encode("ascii", "replace").decode()}
    return ProblemError(WireError(pb.UNAUTHENTICATED, sentence), headers=headers)


def _ignore(_result: Result) -> None:
    """Nobody waits for it."""
