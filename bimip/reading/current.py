"""What is so now of messages that are read again: who received and read them, and what became of them.

A message is read as it was written. What changed since is state (`domain/state`), each kind of which says what of it is
of messages; so this file names none.
"""

from collections.abc import Generator, Iterable, Iterator
from itertools import islice
from typing import NamedTuple

from bimip.domain.core.ids import ConversationId, ConversationOffset, UserId, Version
from bimip.domain.core.operations import Received
from bimip.domain.core.records import DamagedRecordError, Reader, StateKey, Table
from bimip.domain.state.kinds import KINDS, kind_of
from bimip.domain.state.receipts import block_of
from bimip.reading.state import Change
from bimip.storage.interface import Store

KEYS_AT_ONCE = 32
"""Looked at in one turn: each is up to sixteen records."""
KEYS_FOR_AN_ENTRY = 2
"""Keys that count as one entry of a log: mostly there is nothing under them."""


class Part(NamedTuple):
    """Messages of a conversation that lie near each other, and of which some are meant."""

    conversation: ConversationId
    first: ConversationOffset
    last: ConversationOffset


CurrentScan = Generator[int, None, list[Change]]
"""Yields, after each slice, how much it looked at."""


def scan_current(store: Store, user: UserId, places: Iterable[Received]) -> CurrentScan:
    """Scans for what the user may know now of messages; the values say nothing of others."""
    found: list[Change] = []
    for part in parts_of(places):
        keys = _keys(store, user, part)
        while some := list(islice(keys, KEYS_AT_ONCE)):
            with store.snapshot() as view:
                found += [change for key in some if (change := _read(view, user, key, part)) is not None]
            yield len(some) // KEYS_FOR_AN_ENTRY + 1
    return found


def parts_of(places: Iterable[Received]) -> list[Part]:
    """Gathers messages by their conversation, in parts that do not cross a block of receipts."""
    parts: dict[tuple[ConversationId, int], Part] = {}
    for conversation, first, last in places:
        block = block_of(first)
        known = parts.get((conversation, block), Part(conversation, first, last))
        parts[conversation, block] = Part(conversation, min(known.first, first), max(known.last, last))
    return list(parts.values())


def _keys(store: Store, user: UserId, part: Part) -> Iterator[StateKey]:
    """Walks the keys; those of what changes a message come before those of its readers."""
    for kind in sorted(KINDS.values(), key=lambda kind: -kind.tag):
        if kind.of_messages is not None:
            with store.snapshot() as view:
                keys = kind.of_messages(view, user, *part)
            yield from keys


def _read(view: Reader, user: UserId, key: StateKey, part: Part) -> Change | None:
    kind = kind_of(key)
    try:
        value = kind.read(view, user, key)
        if value and kind.cut is not None:
            value = kind.cut(value, part.first, part.last)
        version: Version | None = view.get(Table.VERSIONS, (user, key)) if value else None
    except DamagedRecordError:
        return None  # as in a page of the state
    return (version or Version(0), key, value) if value else None
