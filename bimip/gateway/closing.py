"""How a connection ends: from what has happened so far to what is to be done next. Pure.

    open -- this side closes | the peer closes | a rule is broken | the stream ends or breaks --> closing --> gone

What happened is a set that only grows: whoever comes first names the code, and apart from that the order makes no
difference. So closing is no chain of phases, which each event would have to be considered in, but one look at the set
(`next_step`), again after each step; and a task that is cancelled in the middle goes on where it stood.

The members are numbers, whose union is a number: a connection looks at them for every frame.
"""

from enum import Enum, auto
from typing import Final

from bimip.gateway.framing import NO_CODE

CLOSED_HERE: Final = 1
"""This side closed it: what has arrived and was not received yet is of no interest any more."""
PEER_CLOSED: Final = 2
"""The peer's close frame came."""
EOF: Final = 4
"""The peer's stream has ended."""
BROKEN: Final = 8
"""A frame left in part, or the stream is dead: nothing may follow it."""
CLOSE_SENT: Final = 16
HALF_CLOSED: Final = 32
"""The end of this side's stream was sent, behind its close frame."""
ABORTED: Final = 64
"""The socket is closed, or about to be."""

ABNORMAL: Final = 1006
NEVER_SENT: Final = frozenset({ABNORMAL, 1015})


class Step(Enum):
    SEND_CLOSE = auto()
    FLUSH = auto()  # what has left in part
    AWAIT_CLOSE = auto()  # the peer's close frame
    HALF_CLOSE = auto()  # end this side's stream
    AWAIT_EOF = auto()  # the end of the peer's
    DONE = auto()


def next_step(happened: int, code: int, *, unsent: bool, broke_the_protocol: bool) -> Step:
    """The first step that is due, of a connection that ends with this code. `unsent`: a frame has not left completely.

    The peer's close frame is awaited; from one that broke the protocol, the end of its stream: closing a socket with
    unread bytes would reset it, and the peer might never see the close frame that it was sent.
    """
    rows = (
        (Step.DONE, happened & (BROKEN | ABORTED)),
        (Step.FLUSH, unsent),
        (Step.SEND_CLOSE, not happened & (EOF | CLOSE_SENT) and may_be_sent(code, happened)),
        (Step.DONE, happened & PEER_CLOSED),
        (Step.AWAIT_CLOSE, not happened & EOF and not broke_the_protocol),
        (Step.HALF_CLOSE, not happened & HALF_CLOSED),
        (Step.AWAIT_EOF, not happened & EOF),
    )
    for step, is_due in rows:
        if is_due:
            return step
    return Step.DONE


def may_be_sent(code: int, happened: int) -> bool:
    """Whether a close frame may have this code. None at all is for the answer to a peer that gave none."""
    return code not in NEVER_SENT and (code != NO_CODE or bool(happened & PEER_CLOSED))


def may_reset(happened: int) -> bool:
    """Whether what the peer has not taken is to be dropped: it would be kept for minutes for one that never reads."""
    return not happened & (EOF | PEER_CLOSED)
