"""A user's subscriptions are told with the names of their devices."""

from bimip.domain.core.ids import Millis, Stamp
from bimip.domain.core.records import DeviceOwner, PushSubscription, Table
from bimip.domain.push.subscribing import SubscriptionKey
from bimip.reading.push import read_subscriptions
from tests.reading.support import ANN, BOB, LAPTOP, PHONE, store_with


def test_a_users_own_are_read_in_the_order_of_their_devices() -> None:
    one, other, bobs = (PushSubscription(Stamp(n), Millis(0), "fcm", str(n), b"", b"") for n in (1, 2, 3))
    store = store_with(
        {
            Table.DEVICE_OWNERS: {(PHONE,): DeviceOwner(ANN, "phone"), (LAPTOP,): DeviceOwner(ANN, "laptop")},
            Table.PUSH_SUBSCRIPTIONS: {(ANN, PHONE, "p"): one, (ANN, LAPTOP, "p"): other, (BOB, PHONE, "p"): bobs},
        }
    )
    expected = [
        (SubscriptionKey(ANN, PHONE, "p"), "phone", one),
        (SubscriptionKey(ANN, LAPTOP, "p"), "laptop", other),
    ]

    assert sorted(read_subscriptions(store, ANN)) == sorted(expected)
