"""Push: how the devices of this user are reached while they are not connected.

    offer = await client.push.offer()
    if "fcm" in offer.platforms:
        await client.push.subscribe("fcm", "the token that Android gave this app")
    for subscription in (await client.push.offer()).subscriptions:
        print(subscription.device, "by", subscription.platform)
    await client.push.unsubscribe()

Events: none. What is pushed says that something waits; it comes when the device connects.
"""

from dataclasses import dataclass

from bimip.client.arguments import checked_text
from bimip.client.errors import InvalidArgument
from bimip.client.facets.facet import Facet
from bimip.client.wire.bimip import PushNotification


@dataclass(frozen=True, slots=True)
class PushSubscription:
    """A device of this user is reached so."""

    id: str
    device: str
    platform: str
    token: str  # what the platform knows the device by; of webpush the endpoint's URL
    created: int  # in milliseconds since 1970


@dataclass(frozen=True, slots=True)
class PushOffer:
    """Tells by what the server can push, and which devices of this user it reaches so."""

    platforms: tuple[str, ...]
    public_key: str  # with which a browser subscribes; empty: the server has none
    subscriptions: tuple[PushSubscription, ...]


class Push(Facet):
    """`client.push`: subscriptions of this user's devices at the gateways that the server has."""

    async def offer(self) -> PushOffer:
        """Asks what the server pushes by, and which devices of this user it reaches how.

        Raises Refused, TimedOut, NotConnected. Cancelling it drops the answer.
        """
        told = await self._connector.request(PushNotification(query=True), PushNotification)
        return PushOffer(tuple(told.platforms), told.public_key, tuple(map(_subscription, told.subscriptions)))

    async def subscribe(
        self, platform: str, token: str, *, name: str = "push", p256dh: bytes = b"", auth: bytes = b""
    ) -> PushSubscription:
        """Has this device told by a gateway of the server's what waits for it while it is not connected.

        token         what the platform knows the device by; for "webpush" the endpoint of the browser's subscription
        name          another subscription under the same one takes its place; a device may have a few
        p256dh, auth  for "webpush": the keys of the browser's subscription, as bytes

        Raises Refused (INVALID: the server has no such platform, or cannot push there; CONFLICT: there are too many),
        TimedOut, NotConnected, InvalidArgument. Cancelled, it may have subscribed or not: it may be asked for again.
        """
        for what, value in (("p256dh", p256dh), ("auth", auth)):
            if not isinstance(value, bytes):
                raise InvalidArgument(f"{what} is bytes, not {value!r}")
        asked = PushNotification(
            id=checked_text("name", name),
            platform=checked_text("platform", platform),
            token=checked_text("token", token),
            p256dh=p256dh,
            auth=auth,
        )
        told = await self._connector.request(asked, PushNotification)
        return _subscription(told)

    async def unsubscribe(self, name: str = "push", *, device: str = "") -> None:
        """Has this device told no more, or another one of this user's: one that has no such subscription is as before.

        Raises Refused (NOT_FOUND: there is no such device), TimedOut, NotConnected, InvalidArgument. Cancelled, it may
        be told still.
        """
        asked = PushNotification(remove=True, id=checked_text("name", name), device=checked_text("device", device))
        await self._connector.request(asked, PushNotification)


def _subscription(told: PushNotification) -> PushSubscription:
    return PushSubscription(told.id, told.device, told.platform, told.token, told.created)
