"""What a notification says, as an object of JSON: the same for every gateway. PROTOCOL.md, "Push", has its fields."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from google.protobuf.message import DecodeError

from bimip.domain.core.clock import millis_of
from bimip.domain.core.ids import Millis
from bimip.domain.core.operations import FRIEND
from bimip.domain.core.records import Addressed, Group, PushSubscription, Reader, Table
from bimip.domain.push.outbox import Looking, Notice, NoticeKind, PushRules, collapse_key, notification_id
from bimip.domain.push.ringing import Ring, conversation_of, ring_collapse_key, ring_id
from bimip.names import conversation_id
from bimip.wire import stored
from bimip.wire.json import message_of


class Notification(NamedTuple):
    id: str
    kind: NoticeKind
    collapse_key: str
    fields: Mapping[str, Any]
    ttl_seconds: int
    """For how long it is worth being delivered."""
    is_of_call: bool = False

    @property
    def is_urgent(self) -> bool:
        """Whether it is to be delivered at once, also where that costs a device its rest."""
        return self.is_of_call or self.kind in {NoticeKind.MESSAGE, NoticeKind.TEST}

    @property
    def is_alone(self) -> bool:
        """Whether what was sent with its collapse_key, and is not delivered yet, is worth nothing any more."""
        return self.kind is not NoticeKind.MESSAGE


def describe(view: Reader, looking: Looking, notice: Notice, rules: PushRules, content: str) -> Notification | None:
    """Says what a notice tells; None: the message is gone, or would be seen for no time any more."""
    user, subscription = looking.key.user, looking.subscription
    made = Notification(
        notification_id(user, subscription.number, notice),
        notice.kind,
        collapse_key(user, notice),
        {},
        rules.max_age_ms // 1000,
    )
    fields: dict[str, Any] = {"id": made.id, "kind": str(notice.kind), "collapse_key": made.collapse_key}
    if content != "nothing":
        fields["conversation"] = conversation_id(notice.conversation)
    if notice.kind is NoticeKind.CLEAR:
        return made._replace(fields=fields)
    time = millis_of(notice.stamp)
    fields |= {"time": time, "messages": notice.messages}
    body: bytes | None = view.get(Table.BODIES, (notice.stamp,))
    message = _message(view, looking, notice, body)
    if message is None:
        return None
    ends_at = Millis(time + rules.max_age_ms)
    if message.expires_at:
        ends_at = Millis(min(ends_at, message.expires_at))
    if ends_at <= looking.now:
        return None
    if content != "nothing":
        fields |= _about(view, looking, notice, message)
    if content == "message" and notice.kind is NoticeKind.MESSAGE:
        fields["message"] = message_of(message)
    return made._replace(fields=fields, ttl_seconds=max(1, (ends_at - looking.now) // 1000))


def describe_ring(
    view: Reader, subscription: PushSubscription, ring: Ring, rules: PushRules, content: str, now: Millis | None
) -> Notification:
    """Says that a call rings, at that time; None: that it rings no more. It is told to ring for no longer than it does,
    and that it does no more for as long as of a message that was read: somebody may see it still.
    """
    kind = NoticeKind.CLEAR if now is None else NoticeKind.CALL
    name = ring_id(ring, subscription.number, is_over=now is None)
    fields: dict[str, Any] = {"id": name, "kind": str(kind), "collapse_key": ring_collapse_key(ring)}
    if content != "nothing":
        fields["call"] = ring.call
        conversation = conversation_of(view, ring)
        if conversation is not None:
            fields["conversation"] = conversation_id(conversation)
    ttl_seconds = rules.max_age_ms // 1000
    if now is not None:
        fields |= {"time": ring.started, "rings_until": ring.until}
        ttl_seconds = max(1, (ring.until - now) // 1000)
        if content != "nothing":
            fields["sender"] = ring.caller_eid
    return Notification(name, kind, fields["collapse_key"], fields, ttl_seconds, is_of_call=True)


def _about(view: Reader, looking: Looking, notice: Notice, message: Any) -> dict[str, Any]:  # noqa: ANN401 - a Message
    """Says of whom a message is, and where it stands."""
    fields: dict[str, Any] = {"conversation_offset": notice.place, "signal_offset": str(notice.stamp)}
    fields["sender"] = view.get(Table.EIDS, (notice.author,)) or ""
    group: Group | None = view.get(Table.GROUPS, (notice.conversation,))
    if group is not None:
        fields["title"] = group.title
    if view.get(Table.MENTIONS, (looking.key.user, notice.conversation, notice.place)) is not None:
        fields["mention"] = True
    if message.scope == FRIEND:
        fields["feed"] = True
    if message.HasField("call_event"):
        fields["missed_call"] = True
    return fields


def _message(view: Reader, looking: Looking, notice: Notice, body: bytes | None) -> Any:  # noqa: ANN401 - a Message
    """Reads the message as the device would get it; None: it has no content any more."""
    if body is None:
        return None
    addressed: tuple[Addressed, ...] = view.get(Table.ADDRESSED, (notice.stamp, looking.key.user)) or ()
    own = next((one.payload for one in addressed if one.device == looking.key.device), None)
    try:
        message = stored.parse(body if own is None else stored.readdressed(body, own))
    except (DecodeError, IndexError):
        return None
    return None if message.erased else message
