"""What a device says of how it is reached, and what it is told."""

from bimip.domain.core.ids import DeviceId, Millis, Stamp, UserId
from bimip.domain.core.operations import Done, Fault, Refused
from bimip.domain.core.records import Changes, DeviceOwner, PushSubscription, Table
from bimip.domain.push.subscribing import Subscribe, Subscribed, SubscriptionKey, Unsubscribe
from bimip.wire import bimip_pb2 as pb
from tests.kit.push import BROWSER
from tests.requests.support import Peer, with_a_laptop

ANN, PHONE, LAPTOP = UserId(1), DeviceId(11), DeviceId(12)


def test_it_is_told_when_it_is_on_disk_and_push_is_told_of_the_user() -> None:
    peer = Peer()
    peer.take("push_notification", pb.PushNotification(id="p", **BROWSER))
    url, key, auth = BROWSER["token"], BROWSER["p256dh"], BROWSER["auth"]

    assert peer.operations() == [Subscribe(SubscriptionKey(ANN, PHONE, "p"), "webpush", url, key, auth)]
    assert peer.subscribed == []
    peer.decide(Subscribed(Millis(7)))
    assert peer.subscribed == [ANN]
    assert peer.alone() == [
        (
            "push_notification",
            pb.PushNotification(
                id="p", platform="webpush", token=url, device="phone", created=7, public_key="the server's key"
            ),
        )
    ]


def test_what_is_refused_is_told_to_nobody_else() -> None:
    peer = Peer()
    peer.take("push_notification", pb.PushNotification(id="p", platform="fcm", token="t"))
    peer.decide(Refused(Fault.CONFLICT, "too many", "id"))

    assert (peer.subscribed, peer.frames) == ([], [])
    assert [error.field for error in peer.together().errors] == ["id"]


def test_one_is_removed_of_the_device_that_asks_or_of_another() -> None:
    peer = Peer()
    for device in ("", "laptop"):
        peer.take("push_notification", pb.PushNotification(id="p", remove=True, device=device))

    assert peer.operations() == [Unsubscribe(SubscriptionKey(ANN, number, "p")) for number in (PHONE, LAPTOP)]
    peer.decide(Done())
    assert [answer for _, answer in peer.alone()] == [
        pb.PushNotification(id="p", remove=True, device=device) for device in ("", "laptop")
    ]


def test_a_platform_that_is_not_there_is_refused_with_those_that_are() -> None:
    peer = Peer()
    peer.take("push_notification", pb.PushNotification(id="p", platform="apns", token="t"))
    [error] = peer.together().errors

    assert (error.code, error.field) == (pb.INVALID, "platform")
    assert "fcm, webpush" in error.message


def test_all_of_the_users_are_listed_with_what_the_server_offers() -> None:
    store = with_a_laptop()
    store.begin()
    store.apply(
        Changes(
            puts={
                Table.DEVICE_OWNERS: {(LAPTOP,): DeviceOwner(ANN, "laptop")},
                Table.PUSH_SUBSCRIPTIONS: {
                    (ANN, LAPTOP, "p"): PushSubscription(Stamp(5), Millis(7), "fcm", "t", b"", b""),
                    (UserId(2), DeviceId(13), "p"): PushSubscription(Stamp(6), Millis(7), "fcm", "bob's", b"", b""),
                },
            }
        )
    )
    store.commit()
    peer = Peer(store)
    peer.take("push_notification", pb.PushNotification(query=True))

    assert peer.alone() == [
        (
            "push_notification",
            pb.PushNotification(
                query=True,
                subscriptions=[pb.PushNotification(id="p", platform="fcm", token="t", device="laptop", created=7)],
                public_key="the server's key",
                platforms=["fcm", "webpush"],
            ),
        )
    ]
