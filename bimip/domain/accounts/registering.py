"""Users and devices come into being, tokens are revoked, devices are given labels and forgotten."""

from collections.abc import Sequence
from typing import NamedTuple

from bimip.domain.accounts.keys import drop_keys
from bimip.domain.core.decision import Decision, Put, Writes
from bimip.domain.core.ids import DeviceId, Millis, UserId
from bimip.domain.core.operation_kind import OperationKind
from bimip.domain.core.operations import Done, Expired, Fault, Forget, Refused, Register, Registered, Revoke
from bimip.domain.core.records import DamagedRecordError, Device, DeviceOwner, Key, Label, Reader, Table, User
from bimip.domain.core.rules import Context
from bimip.domain.push.subscribing import drop_subscriptions
from bimip.domain.state import devices
from bimip.domain.state.changes import StateChanges
from bimip.domain.webhooks.feed import EventKind, first_seen, write_events


def register(view: Reader, op: Register, context: Context) -> Decision:
    puts: list[Put] = []
    changes = StateChanges(view)
    user = register_user(view, op.eid, context, puts)
    device: Device | None = view.get(Table.DEVICES, (user.number, op.device))
    if device is None:
        number = DeviceId(allocate(view, "devices", puts))
        device = Device(number, context.now, context.now)
        puts.append((Table.DEVICE_OWNERS, {(number,): DeviceOwner(user.number, op.device)}))
        if not user.first_device:
            puts.append((Table.USERS, {(op.eid,): user._replace(first_device=number)}))
            if EventKind.FIRST_SEEN in context.rules.events:
                write_events(view, changes.values, [first_seen(user.number, context.now)])
        changes.tell(user.number, devices.pack_key(op.device), devices.DeviceValue(device.created, *devices.NO_LABEL))
    elif not _is_told(view, user.number, op.device):  # it came before devices were told of each other
        changes.tell(user.number, devices.pack_key(op.device), devices.value_of(view, device))
    puts.append((Table.DEVICES, {(user.number, op.device): device._replace(last_seen=context.now)}))
    return Decision(Registered(user.number, device.number), Writes([*puts, *changes.puts()]), changes.news)


class CreateUser(NamedTuple):
    """An operator has a user exist before a device of theirs connects: others may write to them."""

    eid: str


class UserCreated(NamedTuple):
    user: UserId
    duplicate: bool
    """They existed."""


def create_user(view: Reader, op: CreateUser, context: Context) -> Decision:
    puts: list[Put] = []
    user = register_user(view, op.eid, context, puts)
    return Decision(UserCreated(user.number, duplicate=not puts), Writes(puts))


def _is_told(view: Reader, user: UserId, name: str) -> bool:
    """Whether a device is in its user's state. Where that is damaged it counts as being there: it is let in."""
    try:
        return view.get(Table.VERSIONS, (user, devices.pack_key(name))) is not None
    except DamagedRecordError:
        return True


def is_registered(view: Reader, op: Register) -> bool:
    user: User | None = view.get(Table.USERS, (op.eid,))
    return user is not None and view.get(Table.DEVICES, (user.number, op.device)) is not None


def register_user(view: Reader, eid: str, context: Context, puts: list[Put]) -> User:
    known: User | None = view.get(Table.USERS, (eid,))
    if known is not None:
        return known
    user = User(UserId(allocate(view, "users", puts)), context.now)
    puts += [(Table.USERS, {(eid,): user}), (Table.EIDS, {(user.number,): eid})]
    return user


def register_users(view: Reader, eids: Sequence[str], context: Context, puts: list[Put]) -> list[User]:
    """Registers users who are not known yet, in one decision."""
    given: int = view.get(Table.META, ("users",)) or 0
    users = [User(UserId(number), context.now) for number, _ in enumerate(eids, given + 1)]
    puts.append((Table.META, {("users",): given + len(users)}))
    puts.append((Table.USERS, {(eid,): user for eid, user in zip(eids, users, strict=True)}))
    puts.append((Table.EIDS, {(user.number,): eid for eid, user in zip(eids, users, strict=True)}))
    return users


def revoke(_view: Reader, op: Revoke, _moment: Context) -> Decision:
    return Decision(Done(), Writes(((Table.REVOKED, {(op.user, op.jti): op.expires_at}),)))


def forget(view: Reader, op: Forget, context: Context) -> Decision:
    """Forgets a device by number and not by name: the device that took the name since is another one."""
    owner: DeviceOwner | None = view.get(Table.DEVICE_OWNERS, (op.device,))
    device: Device | None = None if owner is None else view.get(Table.DEVICES, owner)
    if owner is None or device is None or device.number != op.device:
        return Decision(Done())
    cursors: dict[Key, None] = {(op.device, partition): None for partition in sorted(context.rules.partitions)}
    changes = StateChanges(view)
    changes.remove(owner.user, devices.pack_key(owner.name), context.now)
    puts: list[Put] = [
        (Table.DEVICES, {tuple(owner): None}),
        (Table.LABELS, {(op.device,): None}),
        (Table.CURSORS, cursors),
        *drop_subscriptions(view, owner.user, op.device),
        *drop_keys(view, owner.user, op.device),
    ]
    return Decision(Done(), Writes([*puts, *changes.puts()]), changes.news)


class DropCursor(NamedTuple):
    """A cursor goes, where its device is forgotten."""

    device: DeviceId
    partition: str


def drop_cursor(view: Reader, op: DropCursor, _context: Context) -> Decision:
    place = (op.device, op.partition)
    if not is_lost(view, op.device) or view.get(Table.CURSORS, place) is None:
        return Decision(Expired(0, more=False))
    return Decision(Expired(1, more=False), Writes(((Table.CURSORS, {place: None}),)))


def is_lost(view: Reader, number: DeviceId) -> bool:
    """Whether a device is forgotten. Of a damaged one that is not known."""
    try:
        owner: DeviceOwner | None = view.get(Table.DEVICE_OWNERS, (number,))
        device: Device | None = None if owner is None else view.get(Table.DEVICES, owner)
    except DamagedRecordError:
        return False
    return owner is not None and (device is None or device.number != number)


class LabelDevice(NamedTuple):
    """People call a device of theirs something; empty: nothing any more."""

    user: UserId
    name: str
    label: str


def label_device(view: Reader, op: LabelDevice, context: Context) -> Decision:
    device: Device | None = view.get(Table.DEVICES, (op.user, op.name))
    if device is None:
        return Decision(no_device(op.name))
    if devices.label_of(view, device).text == op.label:
        return Decision(Done())
    label = Label(context.stamp(), op.label)
    changes = StateChanges(view)
    changes.values[Table.LABELS] = {(device.number,): label}
    changes.tell(op.user, devices.pack_key(op.name), devices.DeviceValue(device.created, *label))
    return Decision(Done(), Writes(changes.puts()), changes.news)


class SeenDevice(NamedTuple):
    """A device that is connected."""

    user: UserId
    name: str
    number: DeviceId

    def is_due(self, view: Reader, before: Millis) -> bool:
        """Whether it was last noted as seen before that."""
        try:
            device: Device | None = view.get(Table.DEVICES, (self.user, self.name))
        except DamagedRecordError:
            return False
        return device is not None and device.number == self.number and device.last_seen < before


class NoteSeen(NamedTuple):
    """These devices are connected now."""

    devices: tuple[SeenDevice, ...]


def note_seen(view: Reader, op: NoteSeen, context: Context) -> Decision:
    seen: dict[Key, Device] = {}
    for device in op.devices:
        if device.is_due(view, context.now):
            place = (device.user, device.name)
            seen[place] = view.get(Table.DEVICES, place)._replace(last_seen=context.now)
    return Decision(Expired(0, more=False), Writes(((Table.DEVICES, seen),) if seen else ()))


def no_device(name: str) -> Refused:
    return Refused(Fault.NOT_FOUND, f"you have no device {name!r}; list them, and name one as the list does", "name")


def allocate(view: Reader, counter: str, puts: list[Put]) -> int:
    """The next number of a kind. Numbers are never used twice, so the counter lives in the store."""
    number: int = (view.get(Table.META, (counter,)) or 0) + 1
    puts.append((Table.META, {(counter,): number}))
    return number


OPERATIONS: dict[type, OperationKind] = {
    Register: OperationKind(register, needs_no_room=is_registered),
    CreateUser: OperationKind(create_user),
    Revoke: OperationKind(revoke),
    Forget: OperationKind(forget),
    LabelDevice: OperationKind(label_device),
    NoteSeen: OperationKind(note_seen, is_lazy=True),
    DropCursor: OperationKind(drop_cursor),
}
