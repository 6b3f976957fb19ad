"""An operator's own gateway: notifications as JSON, by POST, each signed; see PROTOCOL.md, "Push"."""

import hashlib
import hmac
import json

from bimip.domain.core.ids import Millis
from bimip.domain.core.records import PushSubscription
from bimip.push.notifications import Notification
from bimip.push.posting import Request

SIGNATURE = "Bimip-Signature"


class Webhook:
    gone = frozenset({410})
    """404 means that the URL is wrong: then no subscription goes for it."""

    def __init__(self, name: str, url: str, secret: str, agent: str) -> None:
        self.name = name
        self._url = url
        self._secret = secret.encode()
        self._agent = agent

    def host_of(self, _subscription: PushSubscription) -> str:
        return self.name

    def request(self, subscription: PushSubscription, notification: Notification, now: Millis) -> Request:
        """Makes the request that tells of a notification."""
        said = {"platform": subscription.platform, "token": subscription.token, "ttl": notification.ttl_seconds}
        body = json.dumps({**notification.fields, **said}, separators=(",", ":")).encode()
        headers = {
            "Content-Type": "application/json",
            "User-Agent": self._agent,
            "Idempotency-Key": notification.id,
            SIGNATURE: signature(self._secret, now // 1000, body),
        }
        return Request(self._url, headers, body, is_trusted=True)


def signature(secret: bytes, seconds: int, body: bytes) -> str:
    """Signs a body and when it was sent: a copy that is sent again later is known by that."""
    digest = hmac.new(secret, b"%d." % seconds + body, hashlib.sha256).hexdigest()
    return f"t={seconds},v1={digest}"
