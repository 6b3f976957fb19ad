"""Who is connected: the users' sessions, and how a connection becomes a device of one.

A session is a temporary child of `users`, a device a temporary child of its session: what gives up closes its
connections, counts against nobody above, and returns when its client does.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from heapq import nlargest
from math import ceil

import trio

from bimip.domain.accounts.registering import NoteSeen, SeenDevice
from bimip.domain.core.decision import PrivacyNews
from bimip.domain.core.identity import Claims
from bimip.domain.core.ids import UserId
from bimip.domain.core.operations import Refused, Register, Registered, Result
from bimip.domain.core.records import DamagedRecordError
from bimip.journal.journal import Committed
from bimip.reading.people import read_bar_of
from bimip.session.close import Close, again_in
from bimip.storage.errors import StorageError
from bimip.supervision import (
    AutoShutdown,
    Child,
    Children,
    ChildSpec,
    DynamicSupervisor,
    NoSuchProcess,
    Restart,
    SupervisionError,
    Supervisor,
)
from bimip.users.connection import Connection, RefusedError
from bimip.users.device import Device
from bimip.users.fetcher import fetch
from bimip.users.intake import read
from bimip.users.services import Services
from bimip.users.session import CLOSE_OF_BAR, LISTENERS, Connected, Session
from bimip.users.statistics import DeviceLag, Lag

KICKED = "an operator closed this connection; please connect again"
MEASURED_AT_ONCE = 200
"""Devices."""


BRIEF_SECONDS = 2.0
"""Of who was connected for less it is known well enough when they were last seen: when they connected."""


class Users:
    """Made once, by parts.py; `supervisor` makes what one incarnation of the process `users` needs."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._children: Children | None = None
        self._sessions: dict[str, Session] = {}
        self._by_number: dict[UserId, Session] = services.sessions
        self._turns: dict[str, _ArrivalLock] = {}

    def supervisor(self) -> DynamicSupervisor:
        return DynamicSupervisor(on_ready=self._adopt)

    def _adopt(self, children: Children) -> None:
        self._children = children
        self._sessions.clear()
        self._by_number.clear()

    async def attach(self, claims: Claims, connection: Connection, frames: list[bytes]) -> None:
        """Make an authenticated connection the device that its token names; `frames` have arrived already.

        Returns when the device's tree runs. An older connection of the device is closed, and its tree has ended,
        before the newer one reads anything. Raises RefusedError. Cancelling it leaves no device behind.
        """
        wait = self._services.rates.log_in(claims.eid, trio.current_time())
        if wait:
            sentence = f"devices of this user connect too often; try {again_in(ceil(wait))}"
            raise RefusedError(Close.TRY_AGAIN_LATER, sentence)
        result = await self._services.queue.execute(Register(claims.eid, claims.device), owner=claims.eid)
        if isinstance(result, Refused):
            raise RefusedError(Close.TRY_AGAIN_LATER, result.sentence)
        assert isinstance(result, Registered)
        async with self._turn(claims.eid):
            try:
                session = await self._session(claims.eid, result.user)
                bars_told = session.bars_told
                self._check_is_let_in(session, claims)  # whoever is refused replaces nobody
                await self._replace(session, claims.device)
                await self._start(Device(session, result.device, claims, connection), frames)
                if session.bars_told != bars_told:  # in the meantime, when nobody could have closed it yet
                    self._check_is_let_in(session, claims)
            except DamagedRecordError as error:
                sentence = "what is stored of this user is damaged; the operator of the server has been told"
                raise RefusedError(Close.INTERNAL_ERROR, sentence) from error
            except SupervisionError as error:
                raise RefusedError(Close.INTERNAL_ERROR, "the session restarts; connect again") from error

    def find_refusal(self, claims: Claims) -> tuple[Close, str] | None:
        """Finds why a token counts no more, as its device would be closed. Asked before there is a connection, so that
        no device comes to be; a store that fails is told later.
        """
        try:
            bar = read_bar_of(self._services.store, claims)
        except StorageError:
            return None
        return None if bar is None else CLOSE_OF_BAR[bar]

    @staticmethod
    def _check_is_let_in(session: Session, claims: Claims) -> None:
        bar = session.read_bar(claims)
        if bar is not None:
            raise RefusedError(*CLOSE_OF_BAR[bar])

    @asynccontextmanager
    async def _turn(self, eid: str) -> AsyncIterator[None]:
        """One connection of a user at a time arrives, and while one does their session is not ended as empty."""
        turn = self._turns.setdefault(eid, _ArrivalLock())
        turn.waiting += 1
        try:
            if turn.lock.locked():
                async with turn.lock:
                    yield
            else:  # as mostly: `acquire` would take a turn of the scheduler
                turn.lock.acquire_nowait()
                try:
                    yield
                finally:
                    turn.lock.release()
        finally:
            turn.waiting -= 1
            if not turn.waiting:
                del self._turns[eid]
                self._end_if_empty(eid)

    async def _session(self, eid: str, number: UserId) -> Session:
        assert self._children is not None
        session = self._sessions.get(eid)
        if session is None or session.number != number or eid not in self._children:
            with suppress(NoSuchProcess):
                await self._children.terminate_child(eid)  # the last one may be on its way out
            session = Session(eid, number, self._services)
            supervisor = DynamicSupervisor(on_ready=session.adopt)
            self._sessions[eid] = self._by_number[number] = session
            await self._children.start_child(ChildSpec(eid, supervisor, Restart.TEMPORARY))
        return session

    @staticmethod
    async def _replace(session: Session, name: str) -> None:
        older = session.devices.pop(name, None)  # it did not go, and is not seen to
        if older is not None:
            older.note_event("replaced", "it connected again elsewhere")
            older.connection.close(Close.REPLACED, "this device connected again elsewhere")
        assert session.children is not None
        with suppress(NoSuchProcess):
            await session.children.terminate_child(name)

    async def _start(self, device: Device, frames: list[bytes]) -> None:
        tree = _DeviceProcesses(self, device, frames).tree()
        assert device.session.children is not None
        await device.session.children.start_child(ChildSpec(device.name, tree, Restart.TEMPORARY))

    def joined(self, device: Device) -> None:
        """Its reader runs."""
        device.session.devices[device.name] = device
        device.recorder = self._services.recorders.begin(device.user, device.name)
        device.note_event("connected", f"from {device.connection.address or 'an address that is not known'}")
        for attendant in self._services.attendants:
            self._attend(attendant.joined, device)

    def left(self, device: Device) -> None:
        """Its reader has ended, and so will the rest of it."""
        session = device.session
        there = session.devices.get(device.name)
        if there is None or there is device:
            self._services.recorders.end(session.number, device.name)
        if there is device:
            del session.devices[device.name]
            if device.is_open:
                self._note_gone(session.number, device)
        self._services.pending_sends.pop(device, None)
        self._services.left(session.number)
        for attendant in self._services.attendants:
            self._attend(attendant.left, device)
        if self._sessions.get(session.eid) is session:
            self._end_if_empty(session.eid)

    def _attend(self, told: Callable[[Device], None], device: Device) -> None:
        try:
            told(device)
        except Exception as error:  # noqa: BLE001 - its defect must not cost the device its connection
            self._services.report("telling that a device came or went failed", error)

    def _note_gone(self, user: UserId, device: Device) -> None:
        services = self._services
        services.presence.note_user(user)
        if trio.current_time() - device.since < BRIEF_SECONDS:
            return
        seen = NoteSeen((SeenDevice(user, device.name, device.number),))
        services.queue.submit(seen, _ignore, owner=user)

    def _end_if_empty(self, eid: str) -> None:
        session = self._sessions.get(eid)
        if session is None or session.devices or eid in self._turns:
            return
        self._end(session)

    def committed(self, committed: Committed) -> None:
        """Tell the sessions concerned what is on disk now, each once, and let their devices send at once.

        A session that fails at it is ended: its devices come back and read from the store. The others are told.
        """
        if committed.resync:
            for session in list(self._by_number.values()):
                if committed.another_epoch:
                    self._end(session)
                else:
                    self._tell(session, Session.resync, session)
        for news in committed.news:
            concerned = self._by_number.get(news.user)
            if concerned is not None:
                self._tell(concerned, LISTENERS[type(news)], concerned, news)
                if concerned.is_over:
                    self._end(concerned)
            elif type(news) is PrivacyNews:  # others may still see a user whose last device just went
                for listener in self._services.privacy_listeners:
                    listener(news)
        self._services.pending_sends.flush(trio.current_time())

    def _tell(self, session: Session, tell: Callable[..., None], *news: object) -> None:
        try:
            tell(*news)
        except Exception as error:  # noqa: BLE001 - one session's defect must not cost the others their news
            self._services.report("telling a session failed", error)
            self._end(session)
        else:
            pending_sends = self._services.pending_sends
            for device in session.devices.values():
                pending_sends[device] = None

    def _end(self, session: Session) -> None:
        self._forget(session)
        assert self._children is not None
        with suppress(NoSuchProcess):
            self._children.terminate_child_nowait(session.eid)

    def _forget(self, session: Session) -> None:
        if self._sessions.get(session.eid) is session:
            del self._sessions[session.eid]
        if self._by_number.get(session.number) is session:
            del self._by_number[session.number]

    def statistics(self) -> dict[str, int]:
        return {
            "users": len(self._sessions),
            "devices": sum(len(session.devices) for session in self._sessions.values()),
        }

    async def list_busiest(self, most: int) -> list[dict[str, object]]:
        """Lists the devices that are behind, have something in flight, or wait for answers, and those first that have
        most of all that.
        """
        found: list[tuple[int, str, str, DeviceLag]] = []
        looked = 0
        for session in list(self._sessions.values()):
            for device in list(session.devices.values()):
                lag = device.measure_lag()
                if weight := lag.entries + lag.in_flight + lag.unanswered:
                    found.append((weight, session.eid, device.claims.device, lag))
                looked += 1
                if not looked % MEASURED_AT_ONCE:
                    found = nlargest(most, found)
                    await trio.lowlevel.checkpoint()
        return [
            {"eid": eid, "device": name, "lag": lag.entries, "in_flight": lag.in_flight, "unanswered": lag.unanswered}
            for _, eid, name, lag in nlargest(most, found)
        ]

    async def measure_lag(self) -> Lag:
        """Sums up how far connected devices are behind, some at a time: others have their turn meanwhile."""
        lag = Lag()
        for session in list(self._sessions.values()):
            lag.users += 1
            for device in list(session.devices.values()):
                lag.add(device.measure_lag())
                if not lag.devices % MEASURED_AT_ONCE:
                    await trio.lowlevel.checkpoint()
        return lag

    def list_connected(self) -> Iterator[SeenDevice]:
        """Lists the devices that are connected, while they come and go."""
        for session in list(self._sessions.values()):
            for name, device in list(session.devices.items()):
                yield SeenDevice(session.number, name, device.number)

    def kick(self, eid: str, name: str) -> list[str]:
        """Closes the connections of a user's devices, or of the one of a name, and returns whose: they come again."""
        kicked = {one: device for one, device in self.connected(eid).items() if name in {"", one}}
        for device in kicked.values():
            device.connection.close(Close.GOING_AWAY, KICKED)
        return sorted(kicked)

    def list_connections(self) -> Iterator[Connection]:
        """Lists the devices' connections, while they come and go."""
        for session in list(self._sessions.values()):
            for device in list(session.devices.values()):
                yield device.connection

    def connected(self, eid: str) -> Mapping[str, Connected]:
        """A user's connected devices, by name."""
        session = self._sessions.get(eid)
        return {} if session is None else session.devices


def _ignore(_result: Result) -> None:
    """When a device was last seen is noted when the store can be written, or not."""


class _ArrivalLock:
    def __init__(self) -> None:
        self.lock = trio.Lock()
        self.waiting = 0


class _DeviceProcesses:
    """A device's two processes: its reader and its fetcher. Not as closures, which take four times the room."""

    __slots__ = ("_device", "_frames", "_users")

    def __init__(self, users: Users, device: Device, frames: list[bytes]) -> None:
        self._users = users
        self._device = device
        self._frames = frames

    def tree(self) -> Supervisor:
        reader = ChildSpec("reader", self._read, Restart.TEMPORARY, significant=True)
        fetcher = ChildSpec("fetcher", self._fetch)
        return Supervisor((reader, fetcher), auto_shutdown=AutoShutdown.ANY_SIGNIFICANT)

    async def _read(self, child: Child) -> None:
        self._users.joined(self._device)
        child.describe(self._device.statistics)
        try:
            await read(self._device, self._frames, child)
        finally:
            self._users.left(self._device)

    def _fetch(self, child: Child) -> Awaitable[None]:
        return fetch(self._device, child)
