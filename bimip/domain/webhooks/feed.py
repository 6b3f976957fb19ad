"""The feed of events that an operator's back ends are told of by webhooks, and how far each of them has it.

An event is written in the decision that makes it: what is told happened, and what happened is told, whatever dies in
between. It refers to what it is about by numbers; what is said of that is looked up when it is sent (who was erased by
then is not named). Each webhook has a position in the feed, and what all of them have is cut off. Where no webhook is
configured nothing is written.

    EVENTS            (number) -> Event, 1, 2, 3 ... of the whole server
    EVENT_POSITIONS   (webhook) -> up to which number it was told

Rejected: deriving events from logs and state, as push derives what it owes. Receipts have no order but each user's own,
so that would take a position for each user and webhook, and a walk over all users at each start; and a message that all
devices have may be gone (`until-acked`) before anybody has been told of it.
"""

from collections.abc import Iterable, Sequence
from enum import IntEnum
from hashlib import blake2b
from typing import Any, Final, NamedTuple

from bimip.domain.core.decision import Decision, Put, Writes
from bimip.domain.core.ids import ConversationId, ConversationOffset, Millis, Stamp, UserId
from bimip.domain.core.operation_kind import OperationKind
from bimip.domain.core.operations import Done
from bimip.domain.core.records import Event, Key, Reader, ReceiptKind, Runs, Table
from bimip.domain.core.rules import Context

HEAD: Final = ("events",)
"""Of META: the newest number that was given."""
ID_BYTES: Final = 16
MAX_WEBHOOKS: Final = 64


class EventKind(IntEnum):
    """The kind of what happened. On disks; those of messages are numbered as MessageStatus on the wire."""

    ACCEPTED = 1
    DELIVERED = 2
    READ = 3
    PLAYED = 5
    FIRST_SEEN = 16


KIND_NAMES: Final = {
    "message.accepted": EventKind.ACCEPTED,
    "message.delivered": EventKind.DELIVERED,
    "message.read": EventKind.READ,
    "message.played": EventKind.PLAYED,
    "user.first_seen": EventKind.FIRST_SEEN,
}


def write_events(view: Reader, values: dict[Table, dict[Key, Any]], events: Sequence[Event]) -> None:
    """Adds events to the records that a decision writes, behind those that it has already."""
    meta = values.setdefault(Table.META, {})
    head = meta.get(HEAD) or head_of(view)
    values.setdefault(Table.EVENTS, {}).update({(number,): event for number, event in enumerate(events, head + 1)})
    meta[HEAD] = head + len(events)


def accepted(
    view: Reader, user: UserId, conversation: ConversationId, first: int, stamps: Iterable[Stamp], now: Millis
) -> list[Put]:
    """Writes the events of messages that a user sent, which follow each other in their conversation."""
    values: dict[Table, dict[Key, Any]] = {}
    places = ((ConversationOffset(place), stamp) for place, stamp in enumerate(stamps, first))
    events = [Event(EventKind.ACCEPTED, now, user, conversation, place, place, stamp) for place, stamp in places]
    write_events(view, values, events)
    return list(values.items())


def received(conversation: ConversationId, member: UserId, kind: ReceiptKind, runs: Runs) -> list[Event]:
    """Events of receipts that are new."""
    return [Event(kind, run.time, member, conversation, run.first, run.last, Stamp(0)) for run in runs]


def first_seen(user: UserId, now: Millis) -> Event:
    """The event of a user whose first device showed a token."""
    return Event(EventKind.FIRST_SEEN, now, user)


def event_id(event: Event) -> str:
    """Makes the id of an event: the same whenever it is sent again."""
    about = "/".join(str(int(part)) for part in event)
    return "msg_" + blake2b(about.encode(), digest_size=ID_BYTES).hexdigest()


def head_of(view: Reader) -> int:
    """Reads the newest number of the feed; 0: there was no event yet."""
    return view.get(Table.META, HEAD) or 0


def positions_of(view: Reader) -> dict[str, int]:
    """Reads up to where each webhook was told."""
    found = view.scan(Table.EVENT_POSITIONS, (), Table.EVENT_POSITIONS.schema.end, limit=MAX_WEBHOOKS)
    return {name: upto for (name,), upto in found}


def events_behind(view: Reader, number: int, limit: int) -> list[tuple[int, Event]]:
    """Reads the events that follow a number."""
    found = view.scan(Table.EVENTS, (number + 1,), Table.EVENTS.schema.end, limit=limit)
    return [(key[0], event) for key, event in found]


class OpenWebhooks(NamedTuple):
    """These webhooks are there, and no others: one that is new begins at the head of the feed."""

    names: tuple[str, ...]


def open_webhooks(view: Reader, op: OpenWebhooks, context: Context) -> Decision:
    known = positions_of(view)
    changed: dict[Key, Any] = {(name,): None for name in known if name not in op.names}
    changed |= {(name,): head_of(view) for name in op.names if name not in known}
    positions = {name: known.get(name, head_of(view)) for name in op.names}
    return _cut(view, positions, [(Table.EVENT_POSITIONS, changed)] if changed else [], context)


class NoteTold(NamedTuple):
    """A webhook was told of all events up to that number."""

    name: str
    upto: int


def note_told(view: Reader, op: NoteTold, context: Context) -> Decision:
    known = positions_of(view)
    upto = min(op.upto, head_of(view))
    if upto <= known.get(op.name, upto):  # or it is there no more
        return Decision(Done())
    return _cut(view, known | {op.name: upto}, [(Table.EVENT_POSITIONS, {(op.name,): upto})], context)


class CutEvents(NamedTuple):
    """Events that all webhooks were told of go."""


def cut_events(view: Reader, _op: CutEvents, context: Context) -> Decision:
    return _cut(view, positions_of(view), [], context)


def _cut(view: Reader, positions: dict[str, int], puts: list[Put], context: Context) -> Decision:
    """Cuts off what all have: as much as one decision may, and then the rest."""
    upto = min(positions.values(), default=head_of(view))
    most = context.rules.slice_entries
    gone = view.scan(Table.EVENTS, (), (upto + 1,), limit=most)
    if gone:
        puts.append((Table.EVENTS, dict.fromkeys(key for key, _ in gone)))
    return Decision(Done(), Writes(puts), then=CutEvents() if len(gone) == most else None)


OPERATIONS: dict[type, OperationKind] = {
    OpenWebhooks: OperationKind(open_webhooks),
    NoteTold: OperationKind(note_told, is_lazy=True),
    CutEvents: OperationKind(cut_events),
}
