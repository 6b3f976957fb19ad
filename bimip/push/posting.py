"""What is said to a gateway over HTTP, and what that means."""

from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from enum import Enum, auto
from typing import NamedTuple, Protocol

MAX_RETRY_SECONDS = 3600.0
"""A gateway that asks to be left alone for longer is asked again then."""


class Request(NamedTuple):
    """A POST."""

    url: str
    headers: Mapping[str, str]
    body: bytes
    is_trusted: bool  # the operator named it; else only addresses are connected to that are public


class Response(NamedTuple):
    status: int
    retry_after: str = ""


class PostError(Exception):
    """There was no answer: the gateway cannot be reached, takes too long, or cuts the connection."""


class Poster(Protocol):
    """Sends requests."""

    async def post(self, request: Request) -> Response:
        """Sends a request and returns its answer. Raises PostError."""
        ...

    async def aclose(self) -> None: ...


class Verdict(Enum):
    TAKEN = auto()
    GONE = auto()
    """Nobody is there any more: the subscription goes."""
    REFUSED = auto()
    """It will not be taken, however often it is sent."""
    AGAIN = auto()


def verdict_of(status: int, gone: frozenset[int]) -> Verdict:
    """Judges an answer. A redirect is followed nowhere: it could lead to where nobody is to be sent."""
    if 200 <= status < 300:
        return Verdict.TAKEN
    if status in gone:
        return Verdict.GONE
    if status in {404, 408, 425, 429} or status >= 500:
        return Verdict.AGAIN
    return Verdict.REFUSED


def seconds_of(retry_after: str, now_ms: int) -> float | None:
    """Reads Retry-After, seconds or a date (RFC 9110, 10.2.3); None: there is none that could be read."""
    text = retry_after.strip()
    if not text:
        return None
    if text.isascii() and text.isdigit():
        seconds = float(text[:9])
    else:
        try:
            seconds = parsedate_to_datetime(text).timestamp() - now_ms / 1000
        except (ValueError, OverflowError):
            return None
    return min(max(seconds, 0.0), MAX_RETRY_SECONDS)
