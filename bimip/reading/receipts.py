"""The receipts of a conversation, for who asks: of the messages that they wrote, others'; of others', their own.

They come by block, in a block by member, and of a member by kind. In a large conversation most blocks have many
members' receipts, so a page is bounded in keys that it looks at, in values and in what these hold.
"""

from collections.abc import Generator
from typing import NamedTuple

from bimip.domain.conversations.membership import listed_members
from bimip.domain.core.ids import ConversationId
from bimip.domain.core.ranges import Range, from_offsets
from bimip.domain.core.records import Conversation, ReceiptKey, Table
from bimip.domain.state.changes import Meant
from bimip.domain.state.receipts import BLOCK, block_of, keys_of_block, pack_key
from bimip.reading.current import KEYS_AT_ONCE, KEYS_FOR_AN_ENTRY, read_change
from bimip.reading.fetches import PageStart, Viewer, conversation_for
from bimip.reading.groups import feed_author
from bimip.reading.pages import Page, Scan
from bimip.reading.salvage import UnreadableError, read_history
from bimip.reading.state import Change
from bimip.storage.interface import Store
from bimip.wire import bimip_pb2 as pb
from bimip.wire import frames

MAX_KEYS = 2000
"""Looked at for one answer; reading who wrote the messages of a block counts as many as a slice has."""
MAX_RUNS = 16_000
"""In one answer, before the value with which that is exceeded."""


class _Place(NamedTuple):
    """The key behind which a page goes on; with the first message that was asked for."""

    first: int
    block: int
    member: int = 0
    kind: int = 0

    def is_before(self, key: ReceiptKey) -> bool:
        return (self.block, self.member, self.kind) < (key.block, key.member, key.kind)


def scan_receipts(store: Store, viewer: Viewer, fetch: pb.Fetch, begin: PageStart, limit: int) -> Scan:
    """Scans for a conversation's receipts, of the messages from `offset` to `upto`. Raises WireError."""
    with store.snapshot() as view:
        conversation, known = conversation_for(view, viewer.user, fetch.conversation)
    last = min(fetch.upto or known.head, known.head)
    if begin.behind is None:
        place = _Place(max(begin.offset or 1, 1), block_of(max(begin.offset or 1, known.first)))
    else:
        place = _Place._make(begin.behind)
    found = _Found(limit)
    while place.block <= block_of(last) and found.has_room():
        low = max(place.block * BLOCK + 1, place.first, known.first)
        meant = yield from _authors(store, viewer, conversation, (low, min((place.block + 1) * BLOCK, last)))
        found.left -= KEYS_AT_ONCE
        keys = [key for key in _keys(viewer, known, conversation, place.block, meant) if place.is_before(key)]
        while keys and found.has_room():
            some, keys = keys[:KEYS_AT_ONCE], keys[KEYS_AT_ONCE:]
            with store.snapshot() as view:
                looked = 0
                for key in some:
                    if not found.has_room():
                        break
                    found.look(read_change(view, viewer.user, pack_key(key), meant))
                    place = _Place(place.first, key.block, key.member, key.kind)
                    looked += 1
            keys = [*some[looked:], *keys]
            yield looked // KEYS_FOR_AN_ENTRY + 1
        if not keys:
            place = _Place(place.first, place.block + 1)
    with store.snapshot() as view:
        author = feed_author(view, view.get(Table.CONVERSATIONS, (conversation,)) or known)
        count = len(listed_members(view, viewer.user, conversation))
    about = pb.Conversation(id=fetch.conversation, head=known.head, member_count=count, feed=bool(author), peer=author)
    return Page(
        [],
        0,
        place.block > block_of(last),
        last=tuple(place),
        changes=found.changes,
        parts=[frames.conversation_part(about)],
    )


class _Found:
    """The values of a page, until there is no room for more."""

    def __init__(self, limit: int) -> None:
        self.changes: list[Change] = []
        self.left = MAX_KEYS
        self._limit = limit
        self._runs = 0

    def has_room(self) -> bool:
        return self.left > 0 and len(self.changes) < self._limit and self._runs < MAX_RUNS

    def look(self, change: Change | None) -> None:
        self.left -= 1
        if change is not None:
            self.changes.append(change)
            self._runs += len(change[2])


def _authors(store: Store, viewer: Viewer, conversation: ConversationId, span: Range) -> Generator[int, None, Meant]:
    """Reads which of some messages the user wrote."""
    first, last = span
    own, others = list[int](), list[int]()
    if first <= last:
        with store.snapshot() as view:
            try:
                listed = read_history(view, viewer.user, conversation, first - 1, last - first + 1)
            except UnreadableError:
                listed = []
        for place, entry in listed:
            if place <= last:
                (own if entry.author == viewer.user else others).append(place)
        yield len(listed) // 4 + 1  # no message is read
    return Meant(from_offsets(own), from_offsets(others))


def _keys(
    viewer: Viewer, known: Conversation, conversation: ConversationId, block: int, meant: Meant
) -> list[ReceiptKey]:
    """Lists the keys of a block under which there may be something of these messages."""
    keys = keys_of_block(viewer.user, known.members, conversation, block)
    return [key for key in keys if (meant.others if key.member == viewer.user else meant.own)]
