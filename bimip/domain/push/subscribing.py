"""Devices subscribe to push, and their subscriptions go: when they say so, when they are forgotten, and when what the
gateway knows them by is nobody's any more.

    PUSH_SUBSCRIPTIONS   (user, device, id) -> where the device is reached
    PUSH_CURSORS         (user, subscription, partition) -> up to which entry it is decided what is pushed there
    PUSH_SHOWN           (user, subscription, conversation, partition) -> what was shown there and is not read yet

A subscription begins at the heads of its user's logs: what came before is not pushed. Under its id another token takes
the place of the one before, and goes on where that was.
"""

from dataclasses import dataclass
from typing import NamedTuple

from bimip.domain.core.decision import Decision, Put, Writes
from bimip.domain.core.ids import DeviceId, Millis, Stamp, UserId
from bimip.domain.core.operation_kind import OperationKind
from bimip.domain.core.operations import Done, Fault, Refused
from bimip.domain.core.records import DamagedRecordError, Device, DeviceOwner, PushSubscription, Reader, Table
from bimip.domain.core.rules import Context

WEB_PUSH = "webpush"
"""The platform of browsers, whose subscriptions say themselves where they are reached."""
MAX_OF_A_DEVICE = 4
MAX_OF_A_USER = 32
MAX_SHOWN = 256
"""Conversations of which it is noted what a subscription was shown; of more, the oldest is forgotten."""
MAX_LOGS = 64
"""Of one user."""


@dataclass(frozen=True, slots=True)
class PushOffer:
    """A server offers this to devices that would be reached by push."""

    platforms: tuple[str, ...] = ()
    """The names of its gateways, and WEB_PUSH where it has a key for that."""
    public_key: str = ""
    """Of VAPID (RFC 8292), in base64url: with it a browser subscribes. Empty: there is none."""
    allow_private: bool = False
    """Subscriptions may lead to addresses that are not public."""


class SubscriptionKey(NamedTuple):
    """The key of a subscription."""

    user: UserId
    device: DeviceId
    id: str


class Subscribe(NamedTuple):
    """A device is to be reached by push."""

    key: SubscriptionKey
    platform: str
    token: str
    p256dh: bytes = b""
    auth: bytes = b""


class Subscribed(NamedTuple):
    created: Millis


def subscribe(view: Reader, op: Subscribe, context: Context) -> Decision:
    user, device, _ = op.key
    if not _is_there(view, user, device):
        return Decision(Refused(Fault.NOT_FOUND, "this device was removed; log in again to be a new one"))
    known: PushSubscription | None = _stored(view, op.key)
    if known is not None:
        same = known._replace(platform=op.platform, token=op.token, p256dh=op.p256dh, auth=op.auth)
        writes = Writes(((Table.PUSH_SUBSCRIPTIONS, {tuple(op.key): same}),)) if same != known else Writes()
        return Decision(Subscribed(known.created), writes)
    others = view.scan(Table.PUSH_SUBSCRIPTIONS, (user,), (user + 1,), limit=MAX_OF_A_USER)
    if len(others) >= MAX_OF_A_USER or sum(key[1] == device for key, _ in others) >= MAX_OF_A_DEVICE:
        sentence = (
            f"a device may have {MAX_OF_A_DEVICE} subscriptions, and a user {MAX_OF_A_USER}: list them, and remove one"
        )
        return Decision(Refused(Fault.CONFLICT, sentence, "id"))
    number = context.stamp()
    made = PushSubscription(number, context.now, op.platform, op.token, op.p256dh, op.auth)
    logs = view.scan(Table.LOGS, (user,), (user + 1,), limit=MAX_LOGS)
    puts: list[Put] = [
        (Table.PUSH_SUBSCRIPTIONS, {tuple(op.key): made}),
        (Table.PUSH_CURSORS, {(user, number, key[1]): log.head for key, log in logs if log.head}),
    ]
    return Decision(Subscribed(context.now), Writes(puts), needs_room=True)


class Unsubscribe(NamedTuple):
    """A subscription goes, where it is there."""

    key: SubscriptionKey
    token: str | None = None  # only if it has this one still


def unsubscribe(view: Reader, op: Unsubscribe, _context: Context) -> Decision:
    try:
        known: PushSubscription | None = view.get(Table.PUSH_SUBSCRIPTIONS, tuple(op.key))
    except DamagedRecordError:
        return Decision(Done(), Writes(((Table.PUSH_SUBSCRIPTIONS, {tuple(op.key): None}),)))
    if known is None or op.token not in {None, known.token}:
        return Decision(Done())
    return Decision(Done(), Writes(_dropped(view, op.key, known.number)))


def drop_subscriptions(view: Reader, user: UserId, device: DeviceId) -> list[Put]:
    """Lists what goes with a device that is forgotten."""
    found = view.scan(Table.PUSH_SUBSCRIPTIONS, (user, device), (user, device + 1), limit=MAX_OF_A_DEVICE)
    return [
        put for key, subscription in found for put in _dropped(view, SubscriptionKey._make(key), subscription.number)
    ]


def subscriptions_of(view: Reader, user: UserId) -> list[tuple[SubscriptionKey, PushSubscription]]:
    """Reads a user's subscriptions. What of them is damaged is left out."""
    found = view.scan(Table.PUSH_SUBSCRIPTIONS, (user,), (user + 1,), limit=MAX_OF_A_USER)
    return [(SubscriptionKey._make(key), subscription) for key, subscription in found]


def _dropped(view: Reader, key: SubscriptionKey, number: Stamp) -> list[Put]:
    low, high = (key.user, number), (key.user, number + 1)
    cursors = view.scan(Table.PUSH_CURSORS, low, high, limit=MAX_LOGS)
    shown = view.scan(Table.PUSH_SHOWN, low, high, limit=MAX_SHOWN + 1)
    return [
        (Table.PUSH_SUBSCRIPTIONS, {tuple(key): None}),
        (Table.PUSH_CURSORS, dict.fromkeys(one for one, _ in cursors)),
        (Table.PUSH_SHOWN, dict.fromkeys(one for one, _ in shown)),
    ]


def _stored(view: Reader, key: SubscriptionKey) -> PushSubscription | None:
    """Reads a subscription; None: there is none, or it is damaged, and another takes its place."""
    try:
        found: PushSubscription | None = view.get(Table.PUSH_SUBSCRIPTIONS, tuple(key))
    except DamagedRecordError:
        return None
    return found


def _is_there(view: Reader, user: UserId, number: DeviceId) -> bool:
    """Whether a device is not forgotten, as it may be while it asks for something."""
    owner: DeviceOwner | None = view.get(Table.DEVICE_OWNERS, (number,))
    device: Device | None = None if owner is None else view.get(Table.DEVICES, tuple(owner))
    return owner is not None and owner.user == user and device is not None and device.number == number


OPERATIONS: dict[type, OperationKind] = {
    Subscribe: OperationKind(subscribe),
    Unsubscribe: OperationKind(unsubscribe),
}
