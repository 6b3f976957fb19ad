"""Close codes, and what a client does about each.

The range tells it, also for codes that a client does not know: standard codes as RFC 6455 has them; 4000 to 4099
reconnect (with back-off); 4100 to 4199 do not reconnect before somebody did something (a new token, a new login, a
mended client).

A close may say when to come again, in its reason: `again in N seconds`.
"""

import re
from enum import IntEnum
from typing import Final


class Close(IntEnum):
    NORMAL = 1000
    GOING_AWAY = 1001  # the server stops or restarts, or an operator closed this connection
    PROTOCOL_ERROR = 1002
    UNSUPPORTED_DATA = 1003  # text on bimip.v1, binary on bimip.v1.json
    INVALID_DATA = 1007
    TOO_BIG = 1009
    INTERNAL_ERROR = 1011  # the part of the server that served this device crashed; its state is safe
    TRY_AGAIN_LATER = 1013

    UNACKNOWLEDGED = 4000  # three redeliveries went without an ack; the log keeps the entries
    SILENT = 4001  # nothing heard for two heartbeats
    TOO_SLOW = 4002  # a frame could not be sent within the send deadline

    UNAUTHENTICATED = 4100
    TOKEN_EXPIRED = 4101
    TOKEN_REVOKED = 4102
    REPLACED = 4103  # the same device connected again; the newer connection stays
    LOGGED_OUT = 4104
    TOO_MANY_ERRORS = 4105  # repeated frames that cannot be decoded
    HELLO_EXPECTED = 4106  # the first frame was no valid Hello, or none came in time
    USER_ERASED = 4107  # an operator erased the user: a login would make another one
    USER_DISABLED = 4108  # an operator keeps the user out until they are enabled again


PEERS_FAULT: Final = frozenset(
    {
        Close.PROTOCOL_ERROR,
        Close.UNSUPPORTED_DATA,
        Close.INVALID_DATA,
        Close.TOO_BIG,
        Close.TOO_MANY_ERRORS,
        Close.HELLO_EXPECTED,
    }
)
"""Codes that name a defect of the client: the next connection ends as this one did."""
NAMES_A_WAIT: Final = frozenset({Close.GOING_AWAY, Close.TRY_AGAIN_LATER})
"""Codes whose reason may say when to come again."""
_AGAIN_IN: Final = re.compile(r"again in ([0-9]{1,9}) seconds?\b")


def again_in(seconds: int) -> str:
    """Writes the wait that a reason names."""
    return f"again in {seconds} second{'' if seconds == 1 else 's'}"


def named_wait(code: int, reason: str) -> int:
    """Reads the seconds that a close asks its peer to wait at least; 0: it names none."""
    named = _AGAIN_IN.search(reason) if code in NAMES_A_WAIT else None
    return int(named[1]) if named else 0


def may_reconnect(code: int) -> bool:
    """Whether a client should connect again by itself."""
    if code in {Close.NORMAL, Close.PROTOCOL_ERROR, Close.UNSUPPORTED_DATA, Close.INVALID_DATA, Close.TOO_BIG}:
        return False
    return not 4100 <= code <= 4199
