"""What a decision may ask of the world: the configured rules, the time, and the next stamp."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bimip.domain.ids import ConversationId, ConversationOffset, Millis, Stamp

Encode = Callable[[Sequence[bytes], Sequence[Stamp], Millis, ConversationId, ConversationOffset], list[bytes]]
"""What was sent, each with its stamp, the time, and the conversation with the first one's offset, as the one stored
form: one for each. A codec's business, so it comes from outside.
"""


@dataclass(frozen=True, slots=True)
class Rules:
    encode: Encode
    partitions: frozenset[str] = frozenset({"chat", "notification", "feed", "sync"})
    accept_unknown_recipients: bool = False
    window_entries: int = 256
    max_stored_bytes: int = 0  # of one sender, as long as it is kept; 0: no limit
    slice_entries: int = 1000  # a longer operation is decided in several batches, so that it holds nobody up


@dataclass(frozen=True, slots=True)
class Context:
    rules: Rules
    now: Millis
    stamp: Callable[[], Stamp]
