"""Intents: what a user says of themselves, AWAY, BUSY or DND, for all of their devices and until they say another.

It is one register of each user: of two writes the later one counts, so that devices which were apart end alike. One
that ends by itself stays where it is: whoever reads it knows the time (`standing`).
"""

from typing import NamedTuple

from bimip.domain.core.decision import Decision, Writes
from bimip.domain.core.ids import DeviceId, Millis, Stamp, UserId, Version
from bimip.domain.core.operation_kind import OperationKind
from bimip.domain.core.records import DamagedRecordError, Intent, Reader, StateKey, Status, Table
from bimip.domain.core.rules import Context
from bimip.domain.state.changes import StateChanges, StateKind

TAG = 10
KEY: StateKey = bytes((TAG,))
"""A user has one."""

NONE = Intent(Status.ONLINE, Millis(0), Stamp(0), DeviceId(0))
"""Of who never said anything."""


class SetIntent(NamedTuple):
    """A user says how they are; ONLINE takes back what they said."""

    user: UserId
    intent: Intent  # its stamp drawn before the operation is first tried, so that a repeated one does not win again


class CurrentIntent(NamedTuple):
    """A user's intent as it stands, and since which version of their state; 0: they never said anything."""

    intent: Intent
    version: Version


def intent_of(view: Reader, user: UserId) -> Intent:
    """Reads what a user said last. Of a damaged one nothing is known: they said nothing."""
    try:
        found: Intent | None = view.get(Table.INTENTS, (user,))
    except DamagedRecordError:
        return NONE
    return NONE if found is None else found._replace(status=Status(found.status))


def standing(intent: Intent, now: Millis) -> Status:
    """Tells what holds now of what a user said: AWAY, BUSY or DND; ONLINE: nothing."""
    return Status.ONLINE if 0 < intent.until <= now else intent.status


def later(one: Intent, other: Intent) -> Intent:
    """Merges two writes: the later stamp wins; of equal ones the higher device, and then the greater value."""
    return max(one, other, key=lambda intent: (intent.stamp, intent.device, intent.status, intent.until))


def set_intent(view: Reader, op: SetIntent, _context: Context) -> Decision:
    known = intent_of(view, op.user)
    intent = later(known, op.intent)
    version: Version = view.get(Table.VERSIONS, (op.user, KEY)) or Version(0)
    if intent == known:
        return Decision(CurrentIntent(known, version))
    changes = StateChanges(view)
    changes.values[Table.INTENTS] = {(op.user,): intent}
    if not version or (intent.status, intent.until) != (known.status, known.until):
        version = changes.tell(op.user, KEY, intent)
    return Decision(CurrentIntent(intent, version), Writes(changes.puts()), changes.news)


def _read(view: Reader, user: UserId, _key: StateKey) -> Intent | None:
    try:
        found: Intent | None = view.get(Table.INTENTS, (user,))
    except DamagedRecordError:
        return NONE  # it was said, and what it was is lost
    return found


KIND = StateKind(TAG, _read)

OPERATIONS: dict[type, OperationKind] = {SetIntent: OperationKind(set_intent)}
