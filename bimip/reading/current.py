"""What is so now of messages that are read again: who received and read them, and what became of them.

A message is read as it was written. What changed since is state (`domain/state`), each kind of which says what of it is
of messages; so this file names none.
"""

from collections.abc import Generator, Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from bimip.domain.core.ids import ConversationId, ConversationOffset, UserId, Version
from bimip.domain.core.ranges import from_offsets
from bimip.domain.core.records import DamagedRecordError, Reader, StateKey, Table
from bimip.domain.state.changes import Meant
from bimip.domain.state.kinds import KINDS, kind_of
from bimip.domain.state.receipts import block_of
from bimip.reading.pages import FetchedEntry
from bimip.reading.state import Change
from bimip.storage.interface import Store

KEYS_AT_ONCE = 32
"""Looked at in one turn: each is up to sixteen records."""
KEYS_FOR_AN_ENTRY = 2
"""Keys that count as one entry of a log: mostly there is nothing under them."""


class Part(NamedTuple):
    """Messages of a conversation that lie near each other."""

    conversation: ConversationId
    meant: Meant

    def span(self) -> tuple[ConversationOffset, ConversationOffset]:
        """The first and the last of them."""
        ranges = sorted((*self.meant.own, *self.meant.others))
        return ConversationOffset(ranges[0][0]), ConversationOffset(ranges[-1][1])


CurrentScan = Generator[int, None, Sequence[Change]]
"""Yields, after each slice, how much it looked at."""


def scan_current(store: Store, user: UserId, rows: Iterable[FetchedEntry]) -> CurrentScan:
    """Scans for what the user may know now of messages; the values say nothing of others."""
    found: list[Change] = []
    for part in parts_of(rows):
        keys = _keys(store, user, part)
        while some := list(islice(keys, KEYS_AT_ONCE)):
            with store.snapshot() as view:
                found += [change for key in some if (change := read_change(view, user, key, part.meant)) is not None]
            yield len(some) // KEYS_FOR_AN_ENTRY + 1
    return found


def parts_of(rows: Iterable[FetchedEntry]) -> list[Part]:
    """Gathers messages by their conversation, in parts that do not cross a block of receipts."""
    parts: dict[tuple[ConversationId, int], tuple[list[int], list[int]]] = {}
    for row in rows:
        conversation, place, _ = row.place
        others, own = parts.setdefault((conversation, block_of(place)), ([], []))
        (own if row.is_own else others).append(place)
    return [
        Part(conversation, Meant(from_offsets(own), from_offsets(others)))
        for (conversation, _), (others, own) in parts.items()
    ]


def _keys(store: Store, user: UserId, part: Part) -> Iterator[StateKey]:
    """Walks the keys; those of what changes a message come before those of its readers."""
    first, last = part.span()
    for kind in sorted(KINDS.values(), key=lambda kind: -kind.tag):
        if kind.of_messages is not None:
            with store.snapshot() as view:
                keys = kind.of_messages(view, user, part.conversation, first, last)
            yield from keys


def read_change(view: Reader, user: UserId, key: StateKey, meant: Meant) -> Change | None:
    """Reads what a value says of messages, as the user may know it; None: nothing."""
    kind = kind_of(key)
    try:
        value = kind.read(view, user, key)
        if value and kind.cut is not None:
            value = kind.cut(user, key, value, meant)
        version: Version | None = view.get(Table.VERSIONS, (user, key)) if value else None
    except DamagedRecordError:
        return None  # as in a page of the state
    return (version or Version(0), key, value) if value else None
