"""Who logged in on the page: a random id in a cookie stands for the operator's token, in memory and for a while.

A session ends when nothing used it for hours, after days in any case, by logging out, and with the server. There are so
many at once at most: beyond that the one ends that was used the longest ago. Ids are kept as digests, so that to find
one takes as long whatever is asked for.
"""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

IDLE_SECONDS: Final = 12 * 3600.0
LONGEST_SECONDS: Final = 7 * 24 * 3600.0
MOST_SESSIONS: Final = 16
MAX_NAME: Final = 64
"""Characters of a name."""


@dataclass(slots=True)
class Session:
    """An operator's visit to the page."""

    csrf: str
    """What changes something says this in a header, which no other site's page can send."""
    name: str
    """The operator's, as they say it, for the audit trail; may be empty."""
    begun: float
    used: float

    def ends_at(self) -> float:
        return min(self.used + IDLE_SECONDS, self.begun + LONGEST_SECONDS)


class Sessions:
    """The sessions of one server: they outlive its console."""

    def __init__(self, new_secret: Callable[[], str], now: Callable[[], float]) -> None:
        """`new_secret` makes a text that nobody can guess; `now` tells seconds that only go forward."""
        self._new_secret = new_secret
        self._now = now
        self._sessions: dict[bytes, Session] = {}  # the one used the longest ago first

    def __len__(self) -> int:
        return len(self._sessions)

    def open(self, name: str = "") -> tuple[str, Session]:
        """A new session and its id."""
        now = self._now()
        self._sessions = {key: one for key, one in self._sessions.items() if now < one.ends_at()}
        while len(self._sessions) >= MOST_SESSIONS:
            del self._sessions[next(iter(self._sessions))]
        session_id, session = self._new_secret(), Session(self._new_secret(), name, now, now)
        self._sessions[_digest(session_id)] = session
        return session_id, session

    def find(self, session_id: str) -> Session | None:
        """The session of an id, which counts as used; None where there is none, or none any more."""
        key, now = _digest(session_id), self._now()
        session = self._sessions.pop(key, None)
        if session is None or now >= session.ends_at():
            return None
        session.used = now
        self._sessions[key] = session
        return session

    def close(self, session_id: str) -> None:
        self._sessions.pop(_digest(session_id), None)


def _digest(session_id: str) -> bytes:
    return sha256(session_id.encode()).digest()
