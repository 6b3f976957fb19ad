"""What a back end is told of an event, as an object of JSON. PROTOCOL.md, "Webhooks", has its fields."""

from datetime import UTC, datetime
from typing import Any

from google.protobuf.message import DecodeError

from bimip.domain.core.clock import signal_id
from bimip.domain.core.records import DamagedRecordError, Event, Reader, Table
from bimip.domain.webhooks.feed import KIND_NAMES, EventKind
from bimip.names import conversation_id
from bimip.wire import stored
from bimip.wire.json import message_of

_NAMES = {kind: name for name, kind in KIND_NAMES.items()}


def describe(view: Reader, event: Event, *, content: bool) -> dict[str, Any] | None:
    """Says what happened; None: the user was erased since. `content`: with the message, as it is now."""
    eid: str = view.get(Table.EIDS, (event.user,)) or ""
    if not eid:
        return None
    kind = EventKind(event.kind)
    data: dict[str, Any] = {"user": eid}
    if kind is not EventKind.FIRST_SEEN:
        data["conversation"] = conversation_id(event.conversation)
    if kind is EventKind.ACCEPTED:
        data |= {
            "conversation_offset": str(event.first),
            "signal_id": signal_id(event.stamp),
            "signal_offset": str(event.stamp),
        } | _about(view, event, content=content)
    elif kind is not EventKind.FIRST_SEEN:
        data |= {"from": str(event.first), "to": str(event.last)}
    happened = datetime.fromtimestamp(event.time / 1000, UTC).isoformat(timespec="milliseconds")
    return {"type": _NAMES[kind], "timestamp": happened.replace("+00:00", "Z"), "data": data}


def _about(view: Reader, event: Event, *, content: bool) -> dict[str, Any]:
    """Says what is known of a message that is there still."""
    try:
        body: bytes | None = view.get(Table.BODIES, (event.stamp,))
        message = None if body is None else stored.parse(body)
    except (DamagedRecordError, DecodeError, IndexError):
        return {}
    if message is None:
        return {}
    author = getattr(message, "from")
    told = {
        "id": message.id,
        "device": author.connection_resource_id,
        "to": message.to.eid,
        "partition": message.partition or "chat",
        "reply_to": str(message.reply_to or ""),
    }
    found: dict[str, Any] = {name: value for name, value in told.items() if value}
    if content:
        found["message"] = message_of(message)
    return found
