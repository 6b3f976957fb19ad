"""What an operator is told of users: each device with what it has acknowledged, and where its connection stands; what
one sees of another, and why; and the life of a message.
"""

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from bimip.domain.core.clock import stamp_in
from bimip.domain.core.ids import Millis, UserId
from bimip.reading.backlog import LOOK_MOST, Backlog, measure_backlog
from bimip.reading.blockers import read_blockers
from bimip.reading.conflicts import read_conflicts
from bimip.reading.devices import KnownDevice, read_devices
from bimip.reading.message_life import (
    HELD,
    WORDS,
    DeviceStanding,
    Life,
    RecipientLife,
    describe_life,
    find_life,
    find_sent,
    read_recipient,
    recipients_of,
)
from bimip.reading.people import read_bars
from bimip.reading.presence import find_user
from bimip.reading.privacy import explain
from bimip.storage.interface import Store
from bimip.users.diagnosis import (
    DeviceFacts,
    Finding,
    PinnedLog,
    Refusals,
    RefusedToken,
    UserFacts,
    diagnose_device,
    diagnose_pins,
    diagnose_sender,
    diagnose_user,
    unknown_device,
)
from bimip.users.recorder import Event
from bimip.users.session import Connected

CONFLICTS = 100
"""Told at once: the ledger keeps more, for whoever asks the store."""
MOST_LOOKED = 20_000
"""Entries that are looked at for all devices of a user: of further ones it is told that at least nothing waits."""

LATE_MS = 600_000
"""Of a request that was refused no longer ago it is told."""
EventsOf = Callable[[UserId, str], Sequence[Event]]
"""What happened of late to a device of a user, by its name."""


def describe_user(
    store: Store,
    partitions: Iterable[str],
    eid: str,
    connected: Callable[[str], Mapping[str, Connected]],
    events: EventsOf,
    now: Millis,
    only: str = "",
) -> Generator[None, None, dict[str, object] | None]:
    """Describes in slices one user's devices, or the one of a name with what happened to it of late, with offsets and
    what waits for each; None: there is no such user, or no such device. `connected`: a user's devices that are, by
    name.
    """
    known = read_devices(store, eid, partitions)
    if known is None:
        return None
    user, left, devices = find_user(store, eid), MOST_LOOKED, {}
    for device in known:
        if only in {"", device.name}:
            waiting: dict[str, Backlog] = {}
            for partition, one in device.committed.items():
                if one.lag:
                    most = min(LOOK_MOST, left)
                    waiting[partition] = yield from measure_backlog(store, user, device.number, partition, most)
                    left -= min(most, one.lag)
            devices[device.name] = _described(device, waiting, connected(eid).get(device.name), now)
            if only:
                devices[device.name]["events"] = [event._asdict() for event in events(user, only)]
    return {"eid": eid, "devices": devices} if devices or not only else None


def describe_sight(store: Store, viewer: str, owner: str, connected: int) -> dict[str, object] | None:
    """Tells what one user sees of another, and by which rules; None: there is no such user. `connected`: so many
    devices of the owner's are.
    """
    found = explain(store, viewer, owner)
    if found is None:
        return None
    seen = {
        one.seen.name.lower(): {
            "allowed": one.allowed,
            "rule": one.rule,
            "because": one.sentence,
            "since": one.since or None,
        }
        for one in found
    }
    return {"viewer": viewer, "owner": owner, "connected_devices": connected, "seen": seen}


def describe_conflicts(store: Store) -> dict[str, object]:
    """The newest writes that lost against others."""
    return {"conflicts": [one._asdict() for one in read_conflicts(store, CONFLICTS)]}


def _described(
    device: KnownDevice, waiting: Mapping[str, Backlog], connection: Connected | None, now: Millis
) -> dict[str, object]:
    return {
        "label": device.label,
        "created": device.created,
        "last_seen": device.last_seen,
        "committed": {
            partition: {
                "first": one.first,
                "floor": one.floor,
                "head": one.head,
                "lag": one.lag,
                **_waiting(waiting.get(partition, Backlog()), now),
            }
            for partition, one in device.committed.items()
        },
        "connection": None if connection is None else connection.describe(),
    }


def _waiting(backlog: Backlog, now: Millis) -> dict[str, object]:
    """Tells what of a log is owed to a device, and was not acknowledged."""
    return {
        "waiting": backlog.messages,
        "waiting_bytes": backlog.bytes,
        "waiting_seconds": 0 if backlog.oldest is None else max(0, now - backlog.oldest) // 1000,
        "waiting_at_least": not backlog.is_whole,
    }


class MessageName(NamedTuple):
    """A message, as an operator names it: by its signal id or signal offset, or by the id under which `eid` sent it."""

    text: str
    eid: str = ""
    device: str = ""
    """Empty: any of theirs."""


def explain_message(
    store: Store,
    partitions: Sequence[str],
    name: MessageName,
    connected: Callable[[str], Mapping[str, Connected]],
) -> Iterator[Sequence[Mapping[str, object]]] | None:
    """Explains in slices what became of a message: a line of what all have alike, and one for each whom it might have
    reached. None: there is no such message, or no more. `connected`: a user's devices that are, by name. Raises
    ValueError for a name that is none.
    """
    sent = find_sent(store, name.eid, name.device, name.text) if name.eid else None
    stamp = (sent.stamp if sent else None) if name.eid else stamp_in(name.text)
    life = None if stamp is None else find_life(store, partitions, stamp, sent)
    return None if life is None else _explained(store, life, connected)


def _explained(
    store: Store, life: Life, connected: Callable[[str], Mapping[str, Connected]]
) -> Iterator[Sequence[Mapping[str, object]]]:
    yield [describe_life(store, life)]
    for users in recipients_of(store, life):
        for user in users:
            found = read_recipient(store, life, user)
            yield [_recipient(found, life, user, connected(found.eid) if found.eid else {})]


def _recipient(
    found: RecipientLife, life: Life, user: UserId, connected: Mapping[str, Connected]
) -> Mapping[str, object]:
    return {
        "kind": "recipient",
        "eid": found.eid,
        "author": user == life.author,
        "held": found.held,
        "because": HELD[found.held],
        "offset": found.offset,
        "receipts": dict(found.receipts),
        "receipts_private": found.private,
        "hidden": found.hidden,
        "pushes_waiting": list(found.waiting_pushes),
        "devices": [_device(one, found, connected.get(one.name)) for one in found.devices],
        "more_devices": found.more_devices,
    }


def _device(device: DeviceStanding, found: RecipientLife, connected: Connected | None) -> Mapping[str, object]:
    standing, because = device.standing, WORDS[device.standing]
    if standing == "not_acknowledged":
        standing, because = _on_its_way(found.offset or 0, found.partition, connected)
    return {
        "device": device.name,
        "standing": standing,
        "because": because,
        "connected": connected is not None,
        "last_seen": device.last_seen,
    }


def _on_its_way(offset: int, partition: str, connected: Connected | None) -> tuple[str, str]:
    """Finds where a message is that is for a device, which has not acknowledged it."""
    if connected is None:
        return "not_connected", "the device is not connected: it gets the message when it comes"
    told: Mapping[str, Any] = connected.statistics()
    windows: Mapping[str, Mapping[str, int]] = told["partitions"]
    if partition not in windows:
        return "not_asked_for", f"the device is connected, and has not asked for {partition!r} in its Hello"
    window = windows[partition]
    if window["position"] >= offset:
        in_flight = f"{window['in_flight']} messages are under way to it"
        return "sent", f"the device was sent the message, and has not acknowledged it: {in_flight}"
    before = f"{offset - window['position'] - 1} entries of the log stand before it"
    if window["in_flight"]:
        in_flight = f"it has {window['in_flight']} messages that it has not acknowledged"
        return "behind", f"the device was not sent it yet: {before}, and {in_flight}"
    return "behind", f"the device was not sent it yet: {before}"


def diagnose_devices(
    store: Store,
    partitions: Iterable[str],
    eid: str,
    name: str,
    connected: Mapping[str, Connected],
    refused: Callable[[str, str], RefusedToken | None],
    pinned: Mapping[str, Sequence[PinnedLog]],
    events: EventsOf,
    now: Millis,
) -> list[Finding] | None:
    """Finds why the devices of a user, or the one of a name, do not receive, are refused, or hold back logs; None:
    there is no such user or device. `pinned`: by name, the logs that a device holds back.
    """
    known = read_devices(store, eid, partitions)
    bars = read_bars(store, eid)
    if known is None or bars is None:
        return None
    devices = [device for device in known if name in {"", device.name}]
    if name and not devices:
        token = refused(eid, name)
        return None if token is None else [unknown_device(name, token)]
    number = find_user(store, eid)
    user = UserFacts(bars.disabled, bars.issued, len(known), read_blockers(store, number))
    found = [*diagnose_user(user)]
    for device in devices:
        connection = connected.get(device.name)
        facts = DeviceFacts(
            device.name,
            device.last_seen,
            bars.of_devices.get(device.name, Millis(0)),
            {partition: one.lag for partition, one in device.committed.items()},
            refused(eid, device.name),
            None if connection is None else connection.describe(),
            pinned.get(device.name, ()),
            _refusals(events(number, device.name), now),
        )
        found += [diagnose_device(facts, user), *diagnose_sender(facts), *diagnose_pins(facts, now)]
    return found


def _refusals(events: Sequence[Event], now: Millis) -> Refusals | None:
    late = [event for event in events if event.what == "refused" and event.until + LATE_MS >= now]
    return Refusals(late[-1].said, sum(event.times for event in late), late[0].at) if late else None
