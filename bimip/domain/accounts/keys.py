"""The key directory: with which keys others encrypt for a device.

    DEVICE_KEYS     (user, device) -> the device's identity and signing key, and the fallback key
    ONE_TIME_KEYS   (user, device, id) -> a key that is given out once

The server has public halves alone, and judges none of them: whoever is given a key compares its signature. A one-time
key is on disk as given before its answer leaves, so no second one is given it, whatever crashes. Nor does it come back
when its device says once more what it had published: ids go up, and those up to the last one are known.

Who may write to a user may ask for the keys of their devices, which names these devices; nobody may where the server
tells nobody's. Who is blocked is given fallback keys, as is whoever asks for very many: the two look as if the one-time
keys were used up.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from bimip.domain.contacts.access import blocks
from bimip.domain.core.decision import Decision, Put, Writes
from bimip.domain.core.ids import DeviceId, UserId
from bimip.domain.core.operation_kind import OperationKind
from bimip.domain.core.operations import Done, Fault, Refused
from bimip.domain.core.records import (
    DamagedRecordError,
    Device,
    DeviceKeys,
    DeviceOwner,
    Key,
    OneTimeKey,
    Reader,
    Table,
    User,
)
from bimip.domain.core.rules import Context, DeviceNames

MAX_ONE_TIME = 100
"""Of one device."""
AT_ONCE = 64
"""Devices whose keys are told in one answer."""
LOOKED_AT = 256
"""Devices that are looked at for one answer, whether they have keys or not."""


class KeyOwner(NamedTuple):
    """Names a device whose keys are asked for, or a user, for those of all their devices."""

    eid: str
    device: str = ""


class FoundKeys(NamedTuple):
    """A device that has keys."""

    owner: KeyOwner
    user: UserId
    device: DeviceId
    keys: DeviceKeys


class KeysPage(NamedTuple):
    found: tuple[FoundKeys, ...]
    left: tuple[KeyOwner, ...] = ()  # what is left to ask for
    after: str = ""  # of the first of these, a user: behind this device


class Signed(NamedTuple):
    """A key under its device's signature."""

    id: int
    key: bytes
    signature: bytes


class PublishKeys(NamedTuple):
    """A device says with which keys others encrypt for it."""

    user: UserId
    device: DeviceId
    identity: bytes
    signing: bytes
    signature: bytes
    fallback: Signed
    one_time: tuple[Signed, ...] = ()  # ascending


class Published(NamedTuple):
    left: int
    last: int
    is_new: bool
    """Its identity key is another one than before, or the first."""


def publish_keys(view: Reader, op: PublishKeys, context: Context) -> Decision:
    if not _is_there(view, op.user, op.device):
        return Decision(Refused(Fault.NOT_FOUND, "this device was removed; log in again to be a new one"))
    place = (op.user, op.device)
    known = keys_of(view, *place)
    puts: list[Put] = []
    is_new = known is None or known.identity != op.identity
    if known is None or is_new:
        puts.append((Table.ONE_TIME_KEYS, dict.fromkeys(_one_time(view, *place))))
        left, last, published = 0, 0, context.now
    else:
        left, last, published = count_one_time(view, *place), known.last, known.published
    further = [one for one in op.one_time if one.id > last]
    if left + len(further) > MAX_ONE_TIME:
        sentence = f"a device has at most {MAX_ONE_TIME} one-time keys, this one has {left}: publish fewer"
        return Decision(Refused(Fault.CONFLICT, sentence, "one_time"))
    last = further[-1].id if further else last
    keys = DeviceKeys(
        op.identity,
        op.signing,
        op.signature,
        op.fallback.id,
        op.fallback.key,
        op.fallback.signature,
        last,
        published,
    )
    result = Published(left + len(further), last, is_new)
    if keys == known and not further:
        return Decision(result)
    puts.append((Table.DEVICE_KEYS, {place: keys}))
    puts.append((Table.ONE_TIME_KEYS, {(*place, one.id): OneTimeKey(one.key, one.signature) for one in further}))
    return Decision(result, Writes(puts), needs_room=True)


class WithdrawKeys(NamedTuple):
    """A device has no keys any more."""

    user: UserId
    device: DeviceId


def withdraw_keys(view: Reader, op: WithdrawKeys, _context: Context) -> Decision:
    return Decision(Done(), Writes(drop_keys(view, op.user, op.device)))


class ClaimKeys(NamedTuple):
    """A device is given keys of others, one of each device."""

    user: UserId
    owners: tuple[KeyOwner, ...]
    after: str = ""
    sparing: frozenset[KeyOwner] = frozenset()  # of these no one-time key is taken


class Claimed(NamedTuple):
    page: KeysPage
    one_time: tuple[Signed | None, ...]  # of each that was found; None: it has its fallback key alone


def claim_keys(view: Reader, op: ClaimKeys, context: Context) -> Decision:
    page = find_keys(view, op.user, op.owners, op.after, context.rules.device_names)
    taken: dict[Key, None] = {}
    given: list[Signed | None] = []
    for one in page.found:
        is_spared = not op.sparing.isdisjoint((one.owner, KeyOwner(one.owner.eid)))
        first = None if is_spared or _blocks(view, one.user, op.user) else _first(view, one)
        given.append(first)
        if first is not None:
            taken[one.user, one.device, first.id] = None
    writes = Writes(((Table.ONE_TIME_KEYS, taken),) if taken else ())
    return Decision(Claimed(page, tuple(given)), writes)


def find_keys(view: Reader, viewer: UserId, owners: Sequence[KeyOwner], after: str, policy: DeviceNames) -> KeysPage:
    """Finds keys of devices, in the order asked for and by name. Who is not there, may not be asked for, or has no keys
    is left out.
    """
    found: list[FoundKeys] = []
    looked_at = 0
    for number, owner in enumerate(owners):
        if len(found) == AT_ONCE or looked_at >= LOOKED_AT:
            return KeysPage(tuple(found), tuple(owners[number:]))
        looked_at += 1
        user = _user_whose_keys(view, viewer, owner.eid, policy)
        if user is None:
            continue
        for name, device in _devices(view, user, owner.device, "" if number else after):
            looked_at += 1
            keys = keys_of(view, user, device.number)
            if keys is not None:
                found.append(FoundKeys(KeyOwner(owner.eid, name), user, device.number, keys))
            if not owner.device and (len(found) == AT_ONCE or looked_at >= LOOKED_AT):
                return KeysPage(tuple(found), tuple(owners[number:]), name)
    return KeysPage(tuple(found))


def keys_of(view: Reader, user: UserId, device: DeviceId) -> DeviceKeys | None:
    """Reads a device's keys; None: it has none, or they are damaged and others take their place."""
    try:
        found: DeviceKeys | None = view.get(Table.DEVICE_KEYS, (user, device))
    except DamagedRecordError:
        return None
    return found


def count_one_time(view: Reader, user: UserId, device: DeviceId) -> int:
    return len(_one_time(view, user, device))


def drop_keys(view: Reader, user: UserId, device: DeviceId) -> list[Put]:
    """Lists what goes with a device that is forgotten, or wants no keys."""
    return [
        (Table.DEVICE_KEYS, {(user, device): None}),
        (Table.ONE_TIME_KEYS, dict.fromkeys(_one_time(view, user, device))),
    ]


def _one_time(view: Reader, user: UserId, device: DeviceId) -> list[Key]:
    found = view.scan(Table.ONE_TIME_KEYS, (user, device), (user, device + 1), limit=MAX_ONE_TIME)
    return [key for key, _ in found]


def _first(view: Reader, one: FoundKeys) -> Signed | None:
    found: list[tuple[Key, OneTimeKey]] = view.scan(
        Table.ONE_TIME_KEYS, (one.user, one.device), (one.user, one.device + 1), limit=1
    )
    return Signed(found[0][0][2], *found[0][1]) if found else None


def _user_whose_keys(view: Reader, viewer: UserId, eid: str, policy: DeviceNames) -> UserId | None:
    known: User | None = view.get(Table.USERS, (eid,))
    if known is None or known.number == viewer:
        return None if known is None else viewer
    return None if policy == "nobody" or _blocks(view, viewer, known.number) else known.number


def _blocks(view: Reader, owner: UserId, other: UserId) -> bool:
    return owner != other and blocks(view, owner, other)


def _devices(view: Reader, user: UserId, name: str, after: str) -> Iterator[tuple[str, Device]]:
    if name:
        device: Device | None = view.get(Table.DEVICES, (user, name))
        if device is not None:
            yield name, device
        return
    low = (user, f"{after}\0" if after else "")
    for key, found in view.scan(Table.DEVICES, low, (user + 1, ""), limit=LOOKED_AT):
        yield key[1], found


def _is_there(view: Reader, user: UserId, number: DeviceId) -> bool:
    """Whether a device is not forgotten, as it may be while it asks for something."""
    owner: DeviceOwner | None = view.get(Table.DEVICE_OWNERS, (number,))
    device: Device | None = None if owner is None else view.get(Table.DEVICES, tuple(owner))
    return owner is not None and owner.user == user and device is not None and device.number == number


OPERATIONS: dict[type, OperationKind] = {
    PublishKeys: OperationKind(publish_keys),
    WithdrawKeys: OperationKind(withdraw_keys),
    ClaimKeys: OperationKind(claim_keys),
}
