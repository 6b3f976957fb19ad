"""Tokens, as a client sees them: it cannot check one, but can read until when it holds."""

import base64
import inspect
import json
import logging
from binascii import Error as BadBase64
from collections.abc import Awaitable, Callable

from bimip.client.arguments import checked_text
from bimip.client.errors import ConnectFailed, InvalidArgument

_log = logging.getLogger("bimip.client")

Token = str | Callable[[], str | Awaitable[str]]
"""A token, or a function that makes one, which may be async."""

MOST_BEFORE_SECONDS = 60.0
BEFORE = 0.25
"""Of the time for which a token holds: so long before its end another one is asked for, but a minute at most."""


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


def expiry_of(token: str) -> float | None:
    """Returns when a token expires, in seconds since 1970; None where it does not say."""
    try:
        _, claims, _ = token.split(".")
        expiry = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4))).get("exp")
    except (ValueError, AttributeError, BadBase64):
        return None
    return float(expiry) if isinstance(expiry, int | float) else None


def refresh_at(token: str, now: float) -> float:
    """Returns when to ask for the token that follows this one, in seconds since 1970; infinity: never."""
    expiry = expiry_of(token)
    return float("inf") if expiry is None else expiry - min(MOST_BEFORE_SECONDS, BEFORE * max(0.0, expiry - now))
