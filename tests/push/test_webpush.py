"""Web Push: the example of RFC 8291, what a browser makes of a request, and who is said to have sent it."""

import json
from base64 import urlsafe_b64decode
from random import Random
from struct import unpack_from
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from bimip.domain.core.ids import Millis, Stamp
from bimip.domain.core.records import PushSubscription
from bimip.domain.push.outbox import NoticeKind
from bimip.push.notifications import Notification
from bimip.push.vapid import VapidKey
from bimip.push.webpush import MAX_PLAIN_BYTES, RECORD_BYTES, WebPush, encrypt
from bimip.settings import Secret
from tests.kit.push import BROWSER, BROWSER_KEY, VAPID_KEY

NOW = Millis(1_700_000_000_000)
SUBSCRIPTION = PushSubscription(Stamp(1), Millis(0), "webpush", BROWSER["token"], BROWSER["p256dh"], BROWSER["auth"])
NOTIFICATION = Notification("i", NoticeKind.MESSAGE, "k" * 32, {"id": "i", "kind": "message", "sender": "Ännchen"}, 60)


def raw(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def web_push() -> WebPush:
    return WebPush(VapidKey(Secret(VAPID_KEY)), "mailto:push@example.org", Random(7), "bimip/x")


def decrypt(body: bytes, private: ec.EllipticCurvePrivateKey, p256dh: bytes, auth: bytes) -> bytes:
    """What a browser does (RFC 8291, 3.4, and RFC 8188, 2)."""
    salt, (record, length) = body[:16], unpack_from(">IB", body, 16)
    theirs, sealed = body[21 : 21 + length], body[21 + length :]
    assert len(body) <= record == RECORD_BYTES

    def derive(secret: bytes, salt: bytes, info: bytes, size: int) -> bytes:
        return HKDF(hashes.SHA256(), size, salt, info).derive(secret)

    shared = private.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), theirs))
    secret = derive(shared, auth, b"WebPush: info\0" + p256dh + theirs, 32)
    key = derive(secret, salt, b"Content-Encoding: aes128gcm\0", 16)
    nonce = derive(secret, salt, b"Content-Encoding: nonce\0", 12)
    plain = AESGCM(key).decrypt(nonce, sealed, None).rstrip(b"\0")
    assert plain[-1:] == b"\x02"
    return plain[:-1]


def received(body: bytes) -> Any:
    return json.loads(decrypt(body, BROWSER_KEY, BROWSER["p256dh"], BROWSER["auth"]))


def test_the_example_of_rfc_8291_is_what_comes_out() -> None:
    private = ec.derive_private_key(
        int.from_bytes(raw("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"), "big"), ec.SECP256R1()
    )
    p256dh = raw("BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4")
    sealed = encrypt(
        b"When I grow up, I want to be a watermelon",
        p256dh,
        raw("BTBZMqHH6r4Tts7J_aSIgg"),
        private=private,
        salt=raw("DGv6ra1nlYgDCS1FRnbzlw"),
    )

    assert sealed == raw(
        "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A"
        "_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
    )


def test_the_browser_reads_what_was_said_and_nobody_else_does() -> None:
    one, other = (web_push().request(SUBSCRIPTION, NOTIFICATION, NOW) for _ in range(2))

    assert received(one.body) == {"id": "i", "kind": "message", "sender": "Ännchen"}
    assert b"nnchen" not in one.body
    assert (one.url, one.is_trusted) == (BROWSER["token"], False)
    assert one.headers["Content-Encoding"] == "aes128gcm"
    assert (one.headers["TTL"], one.headers["Urgency"], "Topic" in one.headers) == ("60", "high", False)
    assert other.body == one.body  # from the same dice
    gateway = web_push()
    first, second = (gateway.request(SUBSCRIPTION, NOTIFICATION, NOW).body for _ in range(2))
    assert first[:86] != second[:86]


def test_it_says_who_sends() -> None:
    gateway = web_push()
    request = gateway.request(SUBSCRIPTION, NOTIFICATION, NOW)
    scheme, _, parts = request.headers["Authorization"].partition(" ")
    token, public = (part.partition("=")[2] for part in parts.split(", "))
    key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), raw(public))
    claims = jwt.decode(
        token,
        key,
        algorithms=["ES256"],
        audience="https://push.example.org",
        options={"verify_exp": False},
    )

    assert scheme == "vapid"
    assert public == gateway.public_key
    assert claims["sub"] == "mailto:push@example.org"
    assert NOW / 1000 < claims["exp"] <= NOW / 1000 + 86_400


@pytest.mark.parametrize("kind", [NoticeKind.SUMMARY, NoticeKind.CLEAR])
def test_of_those_that_take_the_place_of_others_the_push_service_keeps_one(kind: NoticeKind) -> None:
    request = web_push().request(SUBSCRIPTION, NOTIFICATION._replace(kind=kind), NOW)

    assert (request.headers["Topic"], request.headers["Urgency"]) == ("k" * 32, "normal")


def test_what_is_too_long_comes_without_its_content() -> None:
    long = {**NOTIFICATION.fields, "message": {"payload": "x" * 5000}, "title": "y" * 255}
    request = web_push().request(SUBSCRIPTION, NOTIFICATION._replace(fields=long), NOW)

    assert received(request.body) == {**NOTIFICATION.fields, "truncated": True}


def test_the_longest_that_fits_fills_a_record() -> None:
    fields = {"a": "x" * (MAX_PLAIN_BYTES - len('{"a":""}'))}
    request = web_push().request(SUBSCRIPTION, NOTIFICATION._replace(fields=fields), NOW)

    assert len(request.body) == RECORD_BYTES
    assert received(request.body) == fields


def test_a_key_that_is_none_is_no_crash() -> None:
    with pytest.raises(ValueError, match=r".*"):
        web_push().request(SUBSCRIPTION._replace(p256dh=b"\x04" + bytes(64)), NOTIFICATION, NOW)
