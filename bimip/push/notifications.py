"""What a notification says, as an object of JSON: the same for every gateway. PROTOCOL.md, "Push", has its fields."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from google.protobuf.message import DecodeError

from bimip.domain.core.clock import millis_of
from bimip.domain.core.ids import Millis
from bimip.domain.core.operations import FRIEND
from bimip.domain.core.records import Addressed, Group, Reader, Table
from bimip.domain.push.outbox import Looking, Notice, NoticeKind, PushRules, collapse_key, notification_id
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
