"""What an operator's gateway is sent, and how it knows that it is from the server: as PROTOCOL.md says."""

import hashlib
import hmac
import json
import re
from pathlib import Path

from bimip.domain.core.ids import Millis, Stamp
from bimip.domain.core.records import PushSubscription
from bimip.domain.push.outbox import NoticeKind
from bimip.push.notifications import Notification
from bimip.push.webhook import SIGNATURE, Webhook, signature

PROTOCOL = (Path(__file__).parents[2] / "proto/PROTOCOL.md").read_text("utf-8")
SECRET = "a secret of the gateway"
SUBSCRIPTION = PushSubscription(Stamp(1), Millis(0), "fcm", "the device's token", b"", b"")


def test_it_is_json_with_the_token_and_signed() -> None:
    gateway = Webhook("fcm", "https://push.example.org/notify", SECRET, "bimip/x")
    notification = Notification("i", NoticeKind.MESSAGE, "k", {"id": "i", "kind": "message"}, 60)
    request = gateway.request(SUBSCRIPTION, notification, Millis(1_700_000_000_123))

    assert json.loads(request.body) == {
        "id": "i",
        "kind": "message",
        "platform": "fcm",
        "token": "the device's token",
        "ttl": 60,
    }
    assert (request.url, request.is_trusted) == ("https://push.example.org/notify", True)
    assert request.headers["Idempotency-Key"] == "i"
    time, _, mac = request.headers[SIGNATURE].partition(",v1=")
    expected = hmac.new(SECRET.encode(), time[2:].encode() + b"." + request.body, hashlib.sha256).hexdigest()
    assert (time, mac) == ("t=1700000000", expected)


def test_the_example_of_the_page_has_the_signature_that_it_says() -> None:
    example = re.search(r"```http\n(.*?)\n\n(.*?)\n```", PROTOCOL, re.DOTALL)
    assert example is not None
    head, body = example.groups()
    headers = dict(line.split(": ", 1) for line in head.splitlines()[1:])

    assert json.loads(body)["id"] == headers["Idempotency-Key"]
    assert signature(SECRET.encode(), 1_700_000_000, body.encode()) == headers["Bimip-Signature"]
