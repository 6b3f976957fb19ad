"""What an operator asks of a running server and does to it, over all of its parts. The console has it by HTTP, and the
command line by that.
"""

from collections.abc import Awaitable, Generator, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Final, TypeVar

import structlog
import trio

from bimip.domain.accounts.barring import DisableUser, EnableUser, RevokeIssued
from bimip.domain.accounts.erasing import BeginErasing, ErasingBegun
from bimip.domain.accounts.registering import CreateUser, UserCreated
from bimip.domain.conversations.membership import NOBODY
from bimip.domain.core.ids import Millis
from bimip.domain.core.operations import Fault, Forget, NoteTime, Refused
from bimip.domain.core.records import Table
from bimip.names import NameRefusedError, normal_eid
from bimip.parts import Parts
from bimip.reading.devices import read_device
from bimip.reading.export import export_user
from bimip.reading.people import list_users
from bimip.reading.presence import find_user
from bimip.reading.push import read_subscriptions
from bimip.users.diagnosis import ServerFacts, diagnose_server
from bimip.users.inspection import (
    MessageName,
    describe_conflicts,
    describe_sight,
    describe_user,
    diagnose_devices,
    explain_message,
)
from bimip.users.pins import LogPolicies, describe_pins, describe_worst_pins, find_pinned_logs, foresee_eviction

T = TypeVar("T")

_log = structlog.get_logger("bimip")

SECOND_MS: Final = 1000
CLOCK_SLACK_MS: Final = 2
"""By which the wall clock may fall behind the monotonic one in a second, as it is slewed."""
MOST_BUSY: Final = 20
"""Devices, told at once."""
MAX_TOLD: Final = 1000
"""Users who are being erased, told at once."""


class Operations:
    """The words of an operator. Users are named by eid, and what is told is as JSON has it."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def describe_busiest(self) -> Mapping[str, object]:
        return {"busiest": await self._parts.users.list_busiest(MOST_BUSY)}

    def describe_conflicts(self) -> Mapping[str, object]:
        return describe_conflicts(self._parts.store)

    def describe_user(self, eid: str, device: str = "") -> Awaitable[Mapping[str, object] | None]:
        """Describes a user's devices, or one of them. None: there is no such user, or no such device of theirs."""
        parts = self._parts
        return self._in_slices(
            describe_user(
                parts.store,
                parts.services.partitions,
                _normal(eid),
                parts.users.connected,
                parts.services.recorders.of,
                parts.timekeeper.now(),
                device,
            )
        )

    async def _in_slices(self, work: Generator[None, None, T]) -> T:
        """Does what takes long a slice at a time, in the line in which devices' long work stands."""
        end: StopIteration | None = None
        while end is None:
            end = await self._parts.services.slices.run(partial(_next, work))
        result: T = end.value
        return result

    def describe_sight(self, viewer: str, owner: str) -> Mapping[str, object] | None:
        with suppress(NameRefusedError):
            normal = normal_eid(owner)
            return describe_sight(
                self._parts.store, normal_eid(viewer), normal, len(self._parts.users.connected(normal))
            )
        return None

    def diagnose(self, eid: str, device: str) -> Mapping[str, object] | None:
        """Finds why devices do not receive: all of a user, or one; without a user what concerns everybody. None: there
        is no such user, or no such device of theirs.
        """
        found = [*diagnose_server(self._server_facts())]
        if eid:
            try:
                normal = normal_eid(eid)
            except NameRefusedError:
                return None
            user = find_user(self._parts.store, normal)
            devices = diagnose_devices(
                self._parts.store,
                self._parts.services.partitions,
                normal,
                device,
                self._parts.users.connected(normal),
                self._parts.refused_tokens.of,
                find_pinned_logs(self._parts.store, normal, user, self._policies()),
                self._parts.services.recorders.of,
                self._parts.timekeeper.now(),
            )
            if devices is None:
                return None
            found += devices
        return {"eid": eid, "findings": [one._asdict() for one in found]}

    def _server_facts(self) -> ServerFacts:
        push, webhooks = self._parts.push_statistics, self._parts.webhook_statistics
        states = {} if self._parts.pushing is None else self._parts.pushing.lanes.states(trio.current_time())
        return ServerFacts(
            self._parts.readiness(),
            self._parts.warnings(),
            states.get("open", 0) + states.get("half open", 0),
            push.last_failure,
            dict(webhooks.waiting),
            webhooks.last_failure,
        )

    def _policies(self) -> LogPolicies:
        settings, clock = self._parts.settings.retention, self._parts.timekeeper
        live_ms = settings.live_ms(clock.gap_ms)
        return LogPolicies(
            self._parts.services.partitions,
            settings.until_acked,
            settings.history_days,
            Millis(clock.passed() - live_ms),
            live_ms,
        )

    def describe_pins(self, eid: str, after: str = "") -> Awaitable[Mapping[str, object] | None]:
        """Describes which devices hold back the logs of a user, and how much; None: there is no such user. Without one
        those of all users that hold back the most, of a page behind a place. Raises ValueError where that is none.
        """
        store, policies, connected = self._parts.store, self._policies(), self._parts.users.connected
        if eid:
            return self._in_slices(describe_pins(store, _normal(eid), policies, connected))
        return self._in_slices(describe_worst_pins(store, policies, connected, after))

    def foresee_eviction(self, eid: str, device: str) -> Awaitable[Mapping[str, object] | None]:
        """Foresees what goes when a device is evicted, and does nothing; None: there is no such user or device."""
        store, policies, connected = self._parts.store, self._policies(), self._parts.users.connected
        return self._in_slices(foresee_eviction(store, _normal(eid), device, policies, connected))

    async def evict_device(self, eid: str, device: str) -> Mapping[str, object] | None:
        """An operator removes a device: what it holds back goes with the next round of retention. It is on disk, and
        its connection closes. None: there is no such user or device. Raises ValueError where the store cannot be
        written just now: nothing has happened.
        """
        foreseen = await self.foresee_eviction(eid, device)
        found = None if foreseen is None else read_device(self._parts.store, _normal(eid), device)
        if found is None:
            return None
        user, known = found
        result = await self._parts.queue.execute(Forget(known.number), owner=user)
        if isinstance(result, Refused):
            raise ValueError(result.sentence)  # noqa: TRY004 - what is refused is no matter of types
        session = self._parts.services.sessions.get(user)
        if session is not None:
            session.close_removed(known.number)
        _log.warning("an operator evicted a device", eid=eid, device=device)
        return foreseen

    def explain_message(self, text: str, eid: str, device: str) -> Iterator[Sequence[Mapping[str, object]]] | None:
        """Explains what became of a message, some lines at a time; None: there is no such message, or no more. Raises
        ValueError for a name that is none.
        """
        with suppress(NameRefusedError):
            name = MessageName(text, normal_eid(eid) if eid else "", device)
            return explain_message(
                self._parts.store, self._parts.services.partitions, name, self._parts.users.connected
            )
        return None

    async def create_user(self, eid: str) -> Mapping[str, object] | None:
        """An operator has a user exist, who may be there already. None: that is no eid. Raises ValueError where the
        store cannot be written just now: nothing has happened.
        """
        try:
            normal = normal_eid(eid)
        except NameRefusedError:
            return None
        if len(normal.encode()) > self._parts.settings.limits.max_eid_bytes:
            return None
        result = await self._parts.queue.execute(CreateUser(normal))
        if isinstance(result, UserCreated):
            return {"eid": normal, "user": result.user, "created": not result.duplicate}
        assert isinstance(result, Refused)
        raise ValueError(result.sentence)

    async def erase_user(self, eid: str) -> Mapping[str, object] | None:
        """An operator erases a user: that they will be, whatever happens, is on disk then. None: there is no such
        user. Raises ValueError where the store cannot be written just now: nothing has happened.
        """
        with suppress(NameRefusedError):
            result = await self._parts.queue.execute(BeginErasing(normal_eid(eid)))
            if isinstance(result, ErasingBegun):
                _log.warning("an operator erases a user", user=result.user)
                self._parts.erasing.notify()
                return {"user": result.user}
            assert isinstance(result, Refused)
            if result.fault is not Fault.NOT_FOUND:
                raise ValueError(result.sentence)
        return None

    def disable_user(self, eid: str) -> Awaitable[bool]:
        return self.bar_tokens(DisableUser(eid))

    def enable_user(self, eid: str) -> Awaitable[bool]:
        return self.bar_tokens(EnableUser(eid))

    async def revoke_tokens(self, eid: str, device: str) -> bool:
        """An operator revokes what was issued so far. Returns when a token counts that is issued from then on: `iat`
        has whole seconds, and what is issued in the second of the revocation looks as old as it. Cancelling waits no
        longer, and takes nothing back.
        """
        is_there = await self.bar_tokens(RevokeIssued(eid, device))
        if is_there:
            into_second = self._parts.timekeeper.now() % SECOND_MS
            await trio.sleep((SECOND_MS - into_second + CLOCK_SLACK_MS) / SECOND_MS)
        return is_there

    async def bar_tokens(self, operation: DisableUser | EnableUser | RevokeIssued) -> bool:
        """An operator bars tokens of a user, or takes that back: it is on disk, and devices are closed. False: there is
        no such user. Raises ValueError where the store cannot be written just now: nothing has happened.
        """
        try:
            result = await self._parts.queue.execute(operation._replace(eid=normal_eid(operation.eid)))
        except NameRefusedError:
            return False
        if not isinstance(result, Refused):
            return True
        if result.fault is not Fault.NOT_FOUND:
            raise ValueError(result.sentence)
        return False

    def kick(self, eid: str, device: str) -> list[str] | None:
        """An operator closes the connections of a user's devices, or of one of them, which connect again by themselves.
        Returns which these are; None: there is no such user.
        """
        with suppress(NameRefusedError):
            normal = normal_eid(eid)
            if find_user(self._parts.store, normal) == NOBODY:
                return None
            return self._parts.users.kick(normal, device)
        return None

    def list_users(self, after: str, limit: int) -> Mapping[str, object]:
        """Lists users by name, with the number of devices that each has connected."""
        found = list_users(self._parts.store, after, limit)
        users = [{**one, "connected": len(self._parts.users.connected(str(one["eid"])))} for one in found]
        return {"users": users, "next": found[-1]["eid"] if len(found) == limit else ""}

    async def try_push(self, eid: str, device: str, name: str) -> Mapping[str, object] | None:
        """An operator sends a notification to a user's subscriptions: all, of one device, or of one name; and is told
        what each gateway answered. None: there is no such user. Raises ValueError where nobody pushes just now.
        """
        if self._parts.pushing is None:
            raise ValueError("the process bimip/push starts")
        user = NOBODY
        with suppress(NameRefusedError):
            user = find_user(self._parts.store, normal_eid(eid))
        if user == NOBODY:
            return None
        found = [
            (owner, key.id, subscription)
            for key, owner, subscription in read_subscriptions(self._parts.store, user)
            if device in {"", owner} and name in {"", key.id}
        ]
        answers = await self._parts.pushing.test([subscription for _, _, subscription in found])
        told = [
            {"device": owner, "id": known_as, "platform": subscription.platform, **answer._asdict()}
            for (owner, known_as, subscription), answer in zip(found, answers, strict=True)
        ]
        return {"eid": eid, "subscriptions": told}

    def describe_erasures(self) -> Mapping[str, object]:
        """Lists who is being erased, by number, and since when, in ms."""
        with self._parts.store.snapshot() as view:
            found = view.scan(Table.ERASING, (), Table.ERASING.schema.end, limit=MAX_TOLD)
        return {"erasing": [{"user": user, "since": note.since} for (user,), note in found]}

    def export_user(self, eid: str) -> Iterator[Sequence[Mapping[str, object]]] | None:
        """Everything that is held about a user, some lines at a time; None: there is no such user."""
        with suppress(NameRefusedError):
            return export_user(self._parts.store, normal_eid(eid))
        return None

    def describe_draining(self) -> Mapping[str, object]:
        """Tells whether the server drains or is drained, who is left, and for how many seconds more."""
        draining = self._parts.draining
        return {
            "state": draining.state,
            "connections": len(self._parts.connections),
            "devices": self._parts.users.statistics()["devices"],
            "seconds_left": round(draining.seconds_left, 1),
        }

    def drain(self, seconds: float | None) -> Mapping[str, object]:
        """An operator has the server close who is connected within so many seconds, and accept nobody until they cancel
        it. None: over the time that the settings name.
        """
        spread = self._parts.settings.gateway.drain_spread_seconds if seconds is None else seconds
        _log.warning("an operator drains the server", seconds=spread)
        self._parts.draining.begin(spread)
        return self.describe_draining()

    def cancel_drain(self) -> Mapping[str, object]:
        """An operator has the server accept again. What it has closed comes back by itself."""
        _log.warning("an operator ends the draining of the server")
        self._parts.draining.cancel()
        return self.describe_draining()

    async def accept_clock(self) -> bool:
        """An operator says that the machine's clock is right. Whether the store knows of it too. Raises ValueError."""
        accepted = self._parts.timekeeper.accept()
        _log.warning("an operator took the machine's clock over", time=accepted)
        return not isinstance(await self._parts.queue.execute(NoteTime(self._parts.timekeeper.known())), Refused)


def _normal(eid: str) -> str:
    """The name as it is stored; empty, as nobody's is, for what is no name."""
    with suppress(NameRefusedError):
        return normal_eid(eid)
    return ""


def _next(work: Generator[None, None, object]) -> StopIteration | None:
    """Does the next slice of some work; None: it is not the last one."""
    try:
        next(work)
    except StopIteration as end:
        return end
    return None
