"""What an operator is told of users: each device with what it has acknowledged, and where its connection stands; and
what one sees of another, and why.
"""

from collections.abc import Iterable, Mapping

from bimip.reading.conflicts import read_conflicts
from bimip.reading.devices import KnownDevice, read_devices
from bimip.reading.privacy import explain
from bimip.storage.interface import Store
from bimip.users.session import Connected

CONFLICTS = 100
"""Told at once: the ledger keeps more, for whoever asks the store."""


def describe_user(
    store: Store, partitions: Iterable[str], eid: str, connected: Mapping[str, Connected]
) -> dict[str, object] | None:
    """One user's devices with offsets and lag; None: there is no such user. `connected`: those that are, by name."""
    known = read_devices(store, eid, partitions)
    if known is None:
        return None
    return {"eid": eid, "devices": {device.name: _described(device, connected) for device in known}}


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


def _described(device: KnownDevice, connected: Mapping[str, Connected]) -> dict[str, object]:
    return {
        "label": device.label,
        "created": device.created,
        "last_seen": device.last_seen,
        "committed": {
            partition: {"floor": one.floor, "head": one.head, "lag": one.lag}
            for partition, one in device.committed.items()
        },
        "connection": connected[device.name].statistics() if device.name in connected else None,
    }
