"""What a row of the table of routes says of its route."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any

from bimip.wire.errors import WireError

Rest = Iterator[None]
"""What is left of a request that is done in slices: one with each `next`."""


class Answer(Enum):
    """How a request is answered when it is served. A refused one is answered by an element of Body.errors, always."""

    TOGETHER = "an element of Body, which may share its frame with others"
    ALONE = "a frame of its own"
    ERRORS_ONLY = "by nothing"


@dataclass(frozen=True, slots=True)
class Route:
    """A kind of request: what serves it, and how it is answered and weighed."""

    ask: Callable[[Any, Any, int], Rest | None]
    """Takes the asker, the payload and the frame's `ref`. Raises WireError, which is the whole payload's answer."""
    answer: Answer
    independent: bool = False
    """It does not depend on the messages that were taken before it, which may wait to be written together with more."""
    count: Callable[[Any], int] | None = None
    """How many requests the payload is, each of which is charged; None: one."""
    refuse: Callable[[Any, Any, int, WireError], None] | None = None
    """Refuses each of a payload's requests for itself, for one reason; None: the payload as a whole is refused."""
    begins: bool = False
    """It is what a connection begins with, and charges itself."""
