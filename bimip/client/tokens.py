"""Tokens, as a client sees them: it cannot check one, but can read until when it holds."""

import base64
import inspect
import json
import logging
from binascii import Error as BadBase64
from collections.abc import Awaitable, Callable
from math import inf

from bimip.client.arguments import checked_text
from bimip.client.errors import ConnectFailed, InvalidArgument

_log = logging.getLogger("bimip.client")

Token = str | Callable[[], str | Awaitable[str]]
"""A token, or a function that makes one, which may be async."""

MOST_BEFORE_SECONDS = 60.0
BEFORE = 0.25
"""Of the time for which a token holds: so long before its end another one is asked for, but a minute at most."""
CLOCKS_DIFFER = 60.0


async def current(token: Token) -> str:
    """Returns the token without the line end that a file or a secret of the surroundings put behind it.

    Raises InvalidArgument for what is no text, and ConnectFailed where the function that makes tokens failed: it is
    asked again with the next attempt.
    """
    try:
        made = token() if callable(token) else token
        if inspect.isawaitable(made):
            made = await made
    except InvalidArgument:
        raise
    except Exception as error:
        _log.warning("no token could be had", exc_info=error)
        raise ConnectFailed(f"no token could be had: {error!r}") from error
    return checked_text("token", made).strip()


def refresh_in(token: str, now: float) -> float:
    """Returns in how many seconds to ask for the token that follows this one; infinity: it does not say when it ends.

    Where this machine's clock cannot be right by what the token says of itself, a new token is taken for new.
    """
    claims = _claims(token)
    expiry, issued = claims.get("exp"), claims.get("iat")
    if not isinstance(expiry, int | float):
        return inf
    left = expiry - now
    if isinstance(issued, int | float) and not issued - CLOCKS_DIFFER <= now < expiry:
        left = expiry - issued
    return max(0.0, left - min(MOST_BEFORE_SECONDS, BEFORE * left))


def _claims(token: str) -> dict[str, object]:
    try:
        _, claims, _ = token.split(".")
        found = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
    except (ValueError, BadBase64):
        return {}
    return found if isinstance(found, dict) else {}
