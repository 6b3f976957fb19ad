"""How far a message has come: SENT, DELIVERED, READ, PLAYED, each of which holds for whoever has come further.

Server and client derive it by these rules from the same receipts. A stage that is reached stays reached (I8), and of
each the earliest time counts, so it does not matter in which order receipts arrive or how often.
"""

from collections.abc import Iterable, Mapping
from enum import IntEnum
from typing import NamedTuple

from bimip.domain.core.ids import Millis
from bimip.domain.core.records import ReceiptKind


class Stage(IntEnum):
    """Ascending. Its numbers are those of MessageStatus on the wire; FORWARDED, 4, is no stage: it says nothing of
    whether a message was played.
    """

    SENT = 1
    DELIVERED = 2
    READ = 3
    PLAYED = 5


IMPLIED: dict[ReceiptKind, tuple[ReceiptKind, ...]] = {
    ReceiptKind.DELIVERED: (ReceiptKind.DELIVERED,),
    ReceiptKind.READ: (ReceiptKind.READ, ReceiptKind.DELIVERED),
    ReceiptKind.PLAYED: (ReceiptKind.PLAYED, ReceiptKind.READ, ReceiptKind.DELIVERED),
}
"""What a receipt of each kind says, itself first."""

Times = Mapping[ReceiptKind, Millis]
"""Of one member and one message: when each kind was first said."""


class DeliveryState(NamedTuple):
    """How far a message has come, with everybody and with each of its readers; when, by member."""

    stage: Stage
    delivered_to: dict[str, Millis]
    read_by: dict[str, Millis]
    played_by: dict[str, Millis]


def completed(said: Iterable[tuple[ReceiptKind, Millis]]) -> dict[ReceiptKind, Millis]:
    """Completes what was said of a message by what that implies; of each kind the earliest time."""
    times: dict[ReceiptKind, Millis] = {}
    for kind, time in said:
        for implied in IMPLIED[kind]:
            times[implied] = min(time, times.get(implied, time))
    return times


def stage_of(times: Times) -> Stage:
    """Tells how far a message has come with one member."""
    return Stage(max([kind for said in times for kind in IMPLIED[said]], default=Stage.SENT))


def delivery_state(members: Mapping[str, Times], others: int) -> DeliveryState:
    """Derives how far a message has come: as far as with the last of the others who are to receive it. Where there are
    none, or more than anything is known of, that is SENT.
    """
    known = {member: completed(times.items()) for member, times in members.items()}
    by_kind = {
        kind: {member: times[kind] for member, times in sorted(known.items()) if kind in times} for kind in ReceiptKind
    }
    reached = [Stage(kind) for kind, by in by_kind.items() if 0 < others <= len(by)]
    stage = max(reached, default=Stage.SENT)
    return DeliveryState(stage, by_kind[ReceiptKind.DELIVERED], by_kind[ReceiptKind.READ], by_kind[ReceiptKind.PLAYED])
