"""PushNotification: a device says by which gateway it is reached while it is not connected, or no more; and a user asks
which of their devices are reached how.
"""

from bimip.domain.core.operations import Refused, Result
from bimip.domain.core.records import PushSubscription
from bimip.domain.push.endpoints import AUTH_BYTES, MAX_TOKEN_BYTES, is_p256_point, problem_of
from bimip.domain.push.subscribing import WEB_PUSH, Subscribe, Subscribed, SubscriptionKey, Unsubscribe
from bimip.names import is_printable
from bimip.reading.devices import device_number
from bimip.reading.push import read_subscriptions
from bimip.requests.asker import Asker
from bimip.requests.refusals import refuse
from bimip.wire import bimip_pb2 as pb
from bimip.wire import codec
from bimip.wire.checks import check_id, check_length
from bimip.wire.errors import WireError

SUBSCRIPTIONS_FOR_A_REQUEST = 4
"""What a list costs."""


def ask(asker: Asker, payload: pb.PushNotification, ref: int) -> None:
    if payload.query and payload.remove:
        raise WireError(pb.INVALID, "query or remove, not both", field="query")
    if payload.query:
        _list(asker, ref)
        return
    check_id(payload.id, "id", asker.services.limits)
    if payload.remove:
        _remove(asker, payload, ref)
    else:
        _subscribe(asker, payload, ref)


def _list(asker: Asker, ref: int) -> None:
    found = read_subscriptions(asker.services.store, asker.user)
    asker.weigh(len(found) // SUBSCRIPTIONS_FOR_A_REQUEST)
    offer = asker.services.push
    answer = pb.PushNotification(
        query=True,
        subscriptions=[_told(key.id, device, subscription) for key, device, subscription in found],
        public_key=offer.public_key,
        platforms=offer.platforms,
    )
    asker.answer_alone(codec.encode(answer, ref))


def _told(name: str, device: str, subscription: PushSubscription) -> pb.PushNotification:
    _, created, platform, token, p256dh, auth = subscription
    return pb.PushNotification(
        id=name, token=token, platform=platform, p256dh=p256dh, auth=auth, device=device, created=created
    )


def _remove(asker: Asker, payload: pb.PushNotification, ref: int) -> None:
    device = asker.number
    if payload.device:
        check_id(payload.device, "device", asker.services.limits)
        number = device_number(asker.services.store, asker.user, payload.device)
        if number is None:
            raise WireError(pb.NOT_FOUND, f"you have no device {payload.device!r}; list them", field="device")
        device = number

    def done(result: Result) -> None:
        if isinstance(result, Refused):
            refuse(asker, result, ref)
            return
        answer = pb.PushNotification(id=payload.id, remove=True, device=payload.device)
        asker.answer_alone(codec.encode(answer, ref))

    operation = Unsubscribe(SubscriptionKey(asker.user, device, payload.id))
    asker.services.queue.submit(operation, done, owner=asker.user)


def _subscribe(asker: Asker, payload: pb.PushNotification, ref: int) -> None:
    offer = asker.services.push
    if payload.platform not in offer.platforms:
        offered = f"use one of: {', '.join(offer.platforms)}" if offer.platforms else "it has no gateway at all"
        sentence = f"this server does not push by {payload.platform!r}; {offered}"
        raise WireError(pb.INVALID, sentence, field="platform")
    _check_token(payload, allow_private=offer.allow_private)
    key = SubscriptionKey(asker.user, asker.number, payload.id)

    def done(result: Result) -> None:
        if isinstance(result, Refused):
            refuse(asker, result, ref)
            return
        assert isinstance(result, Subscribed)
        asker.services.subscribed(asker.user)
        answer = pb.PushNotification(
            id=payload.id,
            platform=payload.platform,
            token=payload.token,
            device=asker.name,
            created=result.created,
            public_key=offer.public_key,
        )
        asker.answer_alone(codec.encode(answer, ref))

    operation = Subscribe(key, payload.platform, payload.token, payload.p256dh, payload.auth)
    asker.services.queue.submit(operation, done, owner=asker.user)


def _check_token(payload: pb.PushNotification, *, allow_private: bool) -> None:
    check_length(len(payload.token.encode()), "token", MAX_TOKEN_BYTES)
    if payload.platform != WEB_PUSH:
        if not payload.token or not is_printable(payload.token):
            raise WireError(pb.INVALID, "token is empty, or holds unprintable characters", field="token")
        for field in ("p256dh", "auth"):
            if getattr(payload, field):
                raise WireError(pb.INVALID, f"{field} goes with {WEB_PUSH} alone: leave it out", field=field)
        return
    problem = problem_of(payload.token, allow_private=allow_private)
    if problem:
        sentence = f"token {problem}; give the endpoint of the browser's subscription, as it is"
        raise WireError(pb.INVALID, sentence, field="token")
    if not is_p256_point(payload.p256dh):
        raise WireError(pb.INVALID, "p256dh is no public key: 65 bytes, a point of P-256", field="p256dh")
    if len(payload.auth) != AUTH_BYTES:
        raise WireError(pb.INVALID, f"auth has {AUTH_BYTES} bytes", field="auth")
