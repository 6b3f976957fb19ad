"""The gateways that there are, as an operator names them."""

from collections.abc import Mapping
from random import Random
from typing import Protocol

from bimip.domain.core.ids import Millis
from bimip.domain.core.records import PushSubscription
from bimip.domain.push.subscribing import WEB_PUSH
from bimip.push.notifications import Notification
from bimip.push.posting import Request
from bimip.push.settings import PushSettings
from bimip.push.vapid import VapidKey
from bimip.push.webhook import Webhook
from bimip.push.webpush import WebPush


class Gateway(Protocol):
    """A form in which notifications are sent."""

    name: str
    gone: frozenset[int]
    """The statuses that say that nobody is there any more."""

    def host_of(self, subscription: PushSubscription) -> str:
        """Names whom it asks: who is slow holds up only what goes there."""
        ...

    def request(self, subscription: PushSubscription, notification: Notification, now: Millis) -> Request:
        """Makes the request. Raises ValueError where nothing can be sent to this subscription, ever."""
        ...


def gateways_of(settings: PushSettings, random: Random, agent: str) -> dict[str, Gateway]:
    """Makes the gateways, by the platform that devices subscribe with. Raises ConfigError for keys that are none."""
    found: dict[str, Gateway] = {
        name: Webhook(name, gateway.url, gateway.read_secret(name).reveal(), agent)
        for name, gateway in sorted(settings.gateways.items())
    }
    key = settings.read_vapid_key()
    if key:
        found[WEB_PUSH] = WebPush(VapidKey(key), settings.vapid_subject, random, agent)
    return found


def public_key_of(gateways: Mapping[str, Gateway]) -> str:
    """Returns the key with which browsers subscribe; empty: there is none."""
    web_push = gateways.get(WEB_PUSH)
    return web_push.public_key if isinstance(web_push, WebPush) else ""
