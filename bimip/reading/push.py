"""Users' subscriptions to push."""

from bimip.domain.core.ids import UserId
from bimip.domain.core.records import DeviceOwner, PushSubscription, Table
from bimip.domain.push.subscribing import SubscriptionKey, subscriptions_of
from bimip.storage.interface import Store


def read_subscriptions(store: Store, user: UserId) -> list[tuple[SubscriptionKey, str, PushSubscription]]:
    """Reads a user's subscriptions, each with the name of its device."""
    with store.snapshot() as view:
        found = subscriptions_of(view, user)
        owners: list[DeviceOwner | None] = [view.get(Table.DEVICE_OWNERS, (key.device,)) for key, _ in found]
    return [
        (key, owner.name, subscription)
        for (key, subscription), owner in zip(found, owners, strict=True)
        if owner is not None
    ]
