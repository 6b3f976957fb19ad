"""Calls: what each side of one may do in which state of it, and who is told. One table, `TRANSITIONS`.

A call is of two users, and between two devices once it was answered. The server relays what they say to each other and
does not read it. Whatever is not in the table is refused; `draw` writes it into PROTOCOL.md.
"""

from collections.abc import Iterator, Mapping
from enum import Enum, IntEnum
from typing import NamedTuple

from bimip.domain.core.ids import DeviceId, UserId


class Step(IntEnum):
    """Numbers as CallStep on the wire; from TIME_OUT on the server says them to itself."""

    OFFER = 1
    RINGING = 2
    ANSWER = 3
    CANDIDATE = 4
    HANG_UP = 5
    TIME_OUT = 101
    BE_BUSY = 102
    BE_AWAY = 103
    """A device was disconnected for too long."""


class Said(NamedTuple):
    """A device of a user says something of a call with another user."""

    user: UserId
    device: DeviceId
    device_name: str
    eid: str
    peer: str  # eid
    call: str
    step: Step
    payload: bytes
    ttl: int  # ms; 0: none is given


class End(IntEnum):
    """Why a call ended. Numbers as CallEnd on the wire."""

    DECLINED = 1
    ANSWERED_ELSEWHERE = 2
    CANCELLED = 3
    TIMED_OUT = 4
    BUSY = 5
    HUNG_UP = 6
    LOST = 7


class Phase(Enum):
    """How far a call is. One that is over is remembered for a while, for devices that come back."""

    RINGING = "rings"
    TALKING = "is answered"
    OVER = "is over"


class Side(Enum):
    """A side does something in a call."""

    CALLER = "the device that calls"
    CALLEE = "a device of the callee"
    ANSWERER = "the device that answered"
    OTHER = "another device of the callee"
    SERVER = "the server"


class To(Enum):
    """These are told what a device said."""

    NOBODY = "nobody"
    CALLER = "the device that calls"
    CALLEES = "all devices of the callee"
    OTHER_END = "the other of the two devices"


class Transition(NamedTuple):
    """A step comes to this."""

    then: Phase
    relayed: To = To.NOBODY
    end: End | None = None
    """All who take part and were told no end yet are told this one; where the call is not over, all but the two."""
    is_missed: bool = False
    """It becomes a message of the conversation, on disk before anybody is told the end."""


RINGING, TALKING, OVER = Phase
CALLER, CALLEE, ANSWERER, OTHER, SERVER = Side

TRANSITIONS: Mapping[tuple[Phase, Side, Step], Transition] = {
    (RINGING, CALLER, Step.OFFER): Transition(RINGING, To.CALLEES),
    (RINGING, CALLER, Step.RINGING): Transition(RINGING),
    (RINGING, CALLER, Step.CANDIDATE): Transition(RINGING, To.CALLEES),
    (RINGING, CALLER, Step.HANG_UP): Transition(OVER, end=End.CANCELLED, is_missed=True),
    (RINGING, CALLEE, Step.RINGING): Transition(RINGING, To.CALLER),
    (RINGING, CALLEE, Step.ANSWER): Transition(TALKING, To.CALLER, End.ANSWERED_ELSEWHERE),
    (RINGING, CALLEE, Step.HANG_UP): Transition(OVER, end=End.DECLINED),
    (RINGING, SERVER, Step.TIME_OUT): Transition(OVER, end=End.TIMED_OUT, is_missed=True),
    (RINGING, SERVER, Step.BE_BUSY): Transition(OVER, end=End.BUSY, is_missed=True),
    (RINGING, SERVER, Step.BE_AWAY): Transition(OVER, end=End.LOST, is_missed=True),
    (TALKING, CALLER, Step.OFFER): Transition(TALKING, To.OTHER_END),
    (TALKING, CALLER, Step.RINGING): Transition(TALKING),
    (TALKING, CALLER, Step.ANSWER): Transition(TALKING, To.OTHER_END),
    (TALKING, CALLER, Step.CANDIDATE): Transition(TALKING, To.OTHER_END),
    (TALKING, CALLER, Step.HANG_UP): Transition(OVER, end=End.HUNG_UP),
    (TALKING, ANSWERER, Step.OFFER): Transition(TALKING, To.OTHER_END),
    (TALKING, ANSWERER, Step.RINGING): Transition(TALKING),
    (TALKING, ANSWERER, Step.ANSWER): Transition(TALKING, To.OTHER_END),
    (TALKING, ANSWERER, Step.CANDIDATE): Transition(TALKING, To.OTHER_END),
    (TALKING, ANSWERER, Step.HANG_UP): Transition(OVER, end=End.HUNG_UP),
    (TALKING, SERVER, Step.BE_AWAY): Transition(OVER, end=End.LOST),
}
"""Who is told an end already (OTHER; everybody, of a call that is OVER) is told it again, whatever they say."""


def transition(phase: Phase, side: Side, step: Step) -> Transition | None:
    """Finds what a step comes to; None: it may not be."""
    return TRANSITIONS.get((phase, side, step))


class Busyness(NamedTuple):
    """Counts the calls of a user when somebody calls them."""

    talks: int
    """Calls that they make themselves or talk in."""
    rings: int
    """Calls that ring at their devices."""


RINGING_AT_ONCE = 8
"""Calls that ring at one user's devices: with more, each would be a way to keep others out no longer than it rings."""


def is_busy(user: Busyness, at_once: int) -> bool:
    return user.talks >= at_once or user.rings >= RINGING_AT_ONCE


def draw() -> Iterator[str]:
    """The table, a line each, as PROTOCOL.md has it."""
    yield "| the call | who | says | then it | relayed to | told the end |"
    yield "|---|---|---|---|---|---|"
    for (phase, side, step), row in TRANSITIONS.items():
        says = _SAYS.get(step, step.name)
        end = "" if row.end is None else f"{row.end.name}, {_told(row)}"
        yield f"| {phase.value} | {side.value} | {says} | {row.then.value} | {row.relayed.value} | {end} |"


_SAYS = {
    Step.TIME_OUT: "that it rang for long enough",
    Step.BE_BUSY: "that the callee is busy",
    Step.BE_AWAY: "that one of the two devices did not come back",
}


def _told(row: Transition) -> str:
    if row.then is not OVER:
        return "all but the two"
    return "all, and it becomes a message" if row.is_missed else "all"
