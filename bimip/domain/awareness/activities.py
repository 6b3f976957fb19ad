"""What a user is doing just now in a conversation: nobody stores it, and it soon means nothing any more."""

from enum import IntEnum
from typing import NamedTuple

from bimip.domain.core.ids import ConversationId, UserId

DEFAULT_TTL_MS = 10_000
MAX_TTL_MS = 60_000


class Doing(IntEnum):
    """A user's activity. Numbers as AwarenessStatus on the wire."""

    TYPING = 6
    RECORDING = 7
    RESUME = 8  # they open the conversation
    PAUSED = 9
    CANCELLED = 10


LASTING = frozenset({Doing.TYPING, Doing.RECORDING, Doing.PAUSED})
"""They mean something for a while; the others are of one moment."""


class Activity(NamedTuple):
    """One user's doing in one conversation; of two the later one counts."""

    user: UserId
    conversation: ConversationId | None  # None: the two have none yet
    peer: UserId  # whom it is for where there is no conversation; NOBODY: it is for nobody
    doing: Doing
    ttl_ms: int  # 0: it is of one moment


def lasts_ms(doing: Doing, asked_ms: int) -> int:
    """How long an activity is shown that is not said again, where its client asks for so long; 0: it does not say."""
    return min(asked_ms or DEFAULT_TTL_MS, MAX_TTL_MS) if doing in LASTING else 0
