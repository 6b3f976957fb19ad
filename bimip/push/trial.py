"""One notification by an operator's hand, to see what a gateway answers: `bimip push test`.

Nothing follows from the answer: no subscription goes, nothing is sent again, no breaker opens.
"""

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from bimip.domain.core.ids import Millis
from bimip.domain.core.records import PushSubscription
from bimip.domain.push.outbox import NoticeKind
from bimip.push.gateways import Gateway
from bimip.push.notifications import Notification
from bimip.push.posting import PostError, Request, Response, Verdict, verdict_of

TTL_SECONDS = 60
MEANING = {
    Verdict.TAKEN: "taken",
    Verdict.GONE: "gone",
    Verdict.REFUSED: "refused",
    Verdict.AGAIN: "again",
}


class Answer(NamedTuple):
    """A gateway answered a notification so."""

    outcome: str
    """`taken`, or one of OUTCOMES of `process.py`."""
    status: int = 0
    """Of HTTP; 0: there was no answer."""
    why: str = ""


async def send_test(
    gateway: Gateway | None,
    post: Callable[[Request], Awaitable[Response]],
    subscription: PushSubscription,
    name: str,
    now: Millis,
) -> Answer:
    """Sends a notification of kind `test`, with `name` as its id."""
    if gateway is None:
        why = f"this server has no gateway {subscription.platform!r} any more: the device should subscribe anew"
        return Answer("unsendable", why=why)
    fields = {"id": name, "kind": str(NoticeKind.TEST), "collapse_key": name, "time": now}
    try:
        request = gateway.request(subscription, Notification(name, NoticeKind.TEST, name, fields, TTL_SECONDS), now)
    except ValueError as error:
        return Answer("unsendable", why=str(error))
    try:
        response = await post(request)
    except PostError as error:
        return Answer("unreachable", why=str(error))
    return Answer(MEANING[verdict_of(response.status, gateway.gone)], response.status)
