"""Devices: which this user has, where each stands, what people call them, and removing one that is gone.

    await client.devices.label("phone", "Alice's phone")
    for device in await client.devices.list():
        print(device.label or device.name, "is online" if device.online else "is not there")
    for name, far in (await client.devices.synced()).items():
        print("of what", name, "wrote", far.missing, "are missing here")
    print("of Bob:", await client.devices.of("bob@example.org"))
    print("others of mine that are there:", await client.devices.signal("hello"))

Events: DeviceChanged, PeerSignalled.
"""

import builtins
from dataclasses import dataclass

from bimip.client.arguments import checked_text
from bimip.client.core.kinds.devices import devices_of
from bimip.client.facets.facet import Facet
from bimip.client.wire.bimip import Body, DevicesAction, DeviceState, Fetch, FetchKind, PeerSignal
from bimip.client.wire.bimip import Devices as WireDevices
from bimip.client.wire.bimip import Identity as WireIdentity
from bimip.client.wire.bimip import Synced as WireSynced


@dataclass(frozen=True, slots=True)
class DeviceLog:
    """How far a device has acknowledged one log."""

    head: int  # the newest offset of the log
    floor: int  # everything owed up to here is acknowledged
    lag: int  # entries that are kept beyond it


@dataclass(frozen=True, slots=True)
class DeviceInfo:
    """A device of this user, as the server has it."""

    name: str
    label: str  # what people call it; empty: nothing
    created: int
    last_seen: int  # when it last connected, or was last known to be connected
    online: bool
    is_this: bool
    is_stale: bool  # not seen for longer than the server's offline period: it holds nothing back
    logs: dict[str, DeviceLog]  # by partition; only what it ever named


@dataclass(frozen=True, slots=True)
class KnownDevice:
    """A device of this user, as this device was last told."""

    created: int
    label: str


@dataclass(frozen=True, slots=True)
class Synced:
    """How far a device is with what another one of this user wrote to a log."""

    upto: int  # everything up to this offset is acknowledged; 0: nothing that is kept
    head: int  # the newest offset that the other one wrote
    missing: int  # how many behind `upto` are owed to the device and not acknowledged
    seq: str  # of the message at `upto`, where it has one


class Devices(Facet):
    """`client.devices`: what asks raises Refused, TimedOut and NotConnected, and drops the answer when it is cancelled.

    What changes something may then have done it or not. The others are told of changes by DeviceChanged.
    """

    def known(self) -> dict[str, KnownDevice]:
        """Returns this user's devices by name, as this one was last told, also without a connection."""
        return {name: KnownDevice(*known) for name, known in devices_of(self._device.store).items()}

    async def list(self) -> builtins.list[DeviceInfo]:
        """Asks for this user's devices, by name, with where each of them stands.

        Raises Refused, TimedOut, NotConnected. Cancelling it drops the answer.
        """
        found: list[DeviceInfo] = []
        complete = False
        while not complete:
            asked = WireDevices(action=DevicesAction.LIST, name=found[-1].name if found else "")
            page = await self._connector.request(asked, WireDevices)
            found += map(_info, page.devices)
            complete = page.complete or not page.devices
        return found

    async def synced(
        self, device: str | None = None, partition: str = "chat", *, whole: bool = False
    ) -> dict[str, Synced]:
        """Asks how far a device of this user, this one or another, is with what each other one wrote, by its name.

        A device that is not in the answer wrote nothing among the newest entries of the log, some thousands; with
        `whole` the log is walked to its oldest one. Raises Refused (NOT_FOUND: there is no such device), TimedOut,
        NotConnected, and InvalidArgument for what is no name.
        """
        asked = Fetch(kind=FetchKind.SYNCED, partition=checked_text("partition", partition))
        if device is not None:
            asked.to = WireIdentity(connection_resource_id=checked_text("device", device))
        found: dict[str, Synced] = {}
        body: Body | None = None
        while body is None or (whole and not body.complete):
            if body is not None:
                asked.cursor = body.next_cursor
            body = await self._connector.request(asked, Body)
            for one in body.synced:
                found[one.origin] = _joined(found.get(one.origin), one)
        return found

    async def of(self, eid: str) -> builtins.list[str]:
        """Asks for the names of another user's devices: to encrypt for each (see `messages.send`, `payloads`).

        Raises Refused (NOT_FOUND: there is no such user, or their devices are not for this one to know: by default
        until both have written to each other), TimedOut, NotConnected, and InvalidArgument for what is no name.
        """
        checked_text("eid", eid)
        found: list[str] = []
        complete = False
        while not complete:
            asked = WireDevices(action=DevicesAction.LIST, eid=eid, name=found[-1] if found else "")
            page = await self._connector.request(asked, WireDevices)
            found += [device.name for device in page.devices]
            complete = page.complete or not page.devices
        return found

    async def signal(self, kind: str, device: str = "", payload: bytes = b"", *, id: str = "") -> int:  # noqa: A002
        """Say something to another device of this user, or to all that are connected: PeerSignalled tells them.

        `kind`: hello, offer, answer, candidate or done; to all only hello and done. Nothing of it is stored. Returns
        how many are told. Raises Refused (NOT_FOUND: it is not connected), TimedOut, NotConnected, InvalidArgument.
        Cancelled, it may have been said or not.
        """
        to = WireIdentity(connection_resource_id=checked_text("device", device)) if device else None
        said = PeerSignal(kind=checked_text("kind", kind), payload=payload, id=id, to=to)
        return (await self._connector.request(said, PeerSignal)).reached

    async def label(self, name: str, label: str) -> None:
        """Give a device a label, such as "Alice's old phone"; an empty one takes it away.

        The others are told by DeviceChanged. Raises Refused (NOT_FOUND: there is no such device), TimedOut,
        NotConnected, and InvalidArgument for what is no text.
        """
        asked = WireDevices(
            action=DevicesAction.RENAME, name=checked_text("name", name), label=checked_text("label", label)
        )
        await self._connector.request(asked, WireDevices)

    async def remove(self, name: str) -> None:
        """Remove another device of this user: its connection ends, and the server forgets how far it was.

        A token of it that still counts lets it in again, as a new device: revoke that too where it was stolen. Raises
        Refused (NOT_FOUND: there is no such device, or no longer), TimedOut, NotConnected, InvalidArgument.
        """
        asked = WireDevices(action=DevicesAction.REMOVE, name=checked_text("name", name))
        await self._connector.request(asked, WireDevices)


def _joined(known: Synced | None, further: WireSynced) -> Synced:
    """Joins what the entries of a page tell with what newer ones told."""
    if known is None:
        return Synced(further.upto, further.head, further.missing, further.seq)
    missing = known.missing + further.missing
    upto, seq = (known.upto, known.seq) if known.upto else (further.upto, further.seq)
    return Synced(upto, known.head, missing, seq)


def _info(state: DeviceState) -> DeviceInfo:
    return DeviceInfo(
        name=state.name,
        label=state.label,
        created=state.created,
        last_seen=state.last_seen,
        online=state.online,
        is_this=state.asking,
        is_stale=state.stale,
        logs={log.partition: DeviceLog(log.head, log.floor, log.lag) for log in state.logs},
    )
