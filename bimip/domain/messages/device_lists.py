"""Which devices a message has to be addressed to, so that all of its readers can read it, and who may know that.

Whoever encrypts for each device names them all, and says so. A list that is not the one that holds now is refused with
the difference, and nothing is stored: the sender encrypts for those that are missing, leaves out those that are gone,
and sends again. So no device is passed over because it came between the list and the message.

Devices' names say how somebody lives, so they are told only where a relation allows it. A message that claims to name
all is refused without it before anything is compared, or guesses would be answered.
"""

from collections.abc import Iterable

from bimip.domain.core.ids import ConversationId, UserId
from bimip.domain.core.operations import Append, Fault, Refused
from bimip.domain.core.records import Conversation, HistoryEntry, LogTable, Reader, Table
from bimip.domain.core.rules import DeviceNames

WITHIN = 256
"""The newest messages of a conversation, among which each of two has written where they correspond."""
AT_ONCE = 32
TOLD = 256
"""Devices that are told as missing, and as extra: no message addresses more."""


def may_know_devices(
    view: Reader, viewer: UserId, others: Iterable[UserId], number: ConversationId | None, policy: DeviceNames
) -> bool:
    """Whether a user may know the names of others' devices, by the conversation that they are in."""
    strangers = {other for other in others if other != viewer}
    if not strangers or policy == "everybody":
        return True
    return policy == "correspondents" and number is not None and _have_written(view, number, {viewer, *strangers})


def _have_written(view: Reader, number: ConversationId, users: set[UserId]) -> bool:
    """Whether each of these wrote something of late; damaged places tell of nobody."""
    known: Conversation | None = view.get(Table.CONVERSATIONS, (number,))
    if known is None:
        return False
    waiting, upto = set(users), int(known.head)
    while waiting and upto > max(0, known.head - WITHIN):
        after = max(0, upto - AT_ONCE)
        listed: list[tuple[int, HistoryEntry]] = view.salvage(
            LogTable.HISTORY, (number,), after, limit=upto - after, upto=upto
        )
        waiting -= {entry.author for _, entry in listed}
        upto = after
    return not waiting


def stale_devices(
    view: Reader, op: Append, number: ConversationId, readers: Iterable[UserId], policy: DeviceNames
) -> Refused | None:
    """Refuses a message that claims to be addressed to all devices of its readers and of its sender, and is not; None:
    it is. The device that sends it needs no address.
    """
    concerned = sorted({op.user, *readers})
    if not may_know_devices(view, op.user, concerned, number, policy):
        sentence = (
            "whose devices these are may not be known to you until each of you has written to the other of late; "
            "leave devices_complete away"
        )
        return Refused(Fault.FORBIDDEN, sentence, "devices_complete")
    there: set[tuple[str, str]] = set()
    own = ("", "")
    looked_at: set[str] = set()
    for user in concerned:
        if len(there) > TOLD:
            break  # no message has so many addresses
        eid = view.get(Table.EIDS, (user,)) or ""
        found = view.scan(Table.DEVICES, (user,), (user + 1,), limit=TOLD + 1)
        there.update((eid, name) for (_, name), _ in found)
        own = next(((eid, name) for (_, name), device in found if device.number == op.device), own)
        looked_at.add(eid)
    named = {(address.eid, address.device) for address in op.addresses if address.eid in looked_at}
    missing, extra = there - named - {own}, named - there
    if not missing and not extra:
        return None
    sentence = (
        f"the list of devices is not the one that holds now: {len(missing)} missing, {len(extra)} not there; "
        "address those that are, and send it again"
    )
    return Refused(
        Fault.CONFLICT, sentence, "devices", missing=tuple(sorted(missing)[:TOLD]), extra=tuple(sorted(extra)[:TOLD])
    )
