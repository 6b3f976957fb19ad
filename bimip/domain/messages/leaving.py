"""What goes with messages that leave a conversation's history: whatever stands under their places there.

LEAVES is a table: each noun that keeps something under a conversation's places has a row. Devices are told nothing of
it: what they hold of messages that are gone hurts nobody, and of a whole state it is no part.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from bimip.domain.conversations.membership import is_feed
from bimip.domain.core.decision import Put
from bimip.domain.core.ids import ConversationId, ConversationOffset, UserId, Version
from bimip.domain.core.records import Conversation, Key, Reader, ReceiptKind, StateKey, Table
from bimip.domain.state import messages, private_reads, receipts

MOST_MEMBERS = 10_000
"""Who is or was in a conversation, in one reading: more than a group may have."""
MOST_RECORDS = 10_000
"""Records of one table that go at once: the messages are at most a slice."""
LEAST_SLICE = 16


class Leaving(NamedTuple):
    """Messages leave a conversation's history: all whose place lies before one."""

    conversation: ConversationId
    first: ConversationOffset  # the oldest that stays
    users: Sequence[UserId]  # who are or were in it


class Gone(NamedTuple):
    """A noun's part of what goes: its records, and the keys under which users have them in their state."""

    table: Table
    keys: list[Key]
    state_keys: Iterable[tuple[UserId, StateKey]] = ()


Leaves = Callable[[Reader, Leaving], Iterator[Gone]]


def leave(view: Reader, conversation: ConversationId, first: int, known: Conversation) -> list[Put]:
    """Takes away what stands under places before `first`."""
    leaving = Leaving(conversation, ConversationOffset(first), users_of(view, conversation, known))
    puts: list[Put] = []
    versions: dict[Key, None] = {}
    changes: dict[Key, None] = {}
    for gone in (gone for leaves in LEAVES for gone in leaves(view, leaving)):
        if gone.keys:
            puts.append((gone.table, dict.fromkeys(gone.keys)))
        for user, key in gone.state_keys:
            version: Version | None = view.get(Table.VERSIONS, (user, key))
            if version is not None:
                versions[user, key] = changes[user, version] = None
    if versions:
        puts += [(Table.VERSIONS, versions), (Table.CHANGES, changes)]
    return puts


def slice_of(known: Conversation, users: int, limit: int) -> int:
    """How many messages leave at once: fewer, where many are to be looked up for each."""
    return limit if known.members and not is_feed(known) else max(LEAST_SLICE, limit // max(1, users))


def users_of(view: Reader, conversation: ConversationId, known: Conversation) -> Sequence[UserId]:
    """Lists who is or was in a conversation."""
    if known.members and not is_feed(known):
        return known.members
    found = view.scan(Table.MEMBERS, (conversation,), (conversation + 1,), limit=MOST_MEMBERS)
    return [*known.members[1:], *(user for (_, user), _ in found)]


def _receipts(view: Reader, leaving: Leaving) -> Iterator[Gone]:
    """Parts that lie wholly before the first message that stays; of a block the rest stays, and its key."""
    for table, tag in ((Table.RECEIPTS, receipts.TAG), (Table.PRIVATE_READS, private_reads.TAG)):
        for member in leaving.users:
            for kind in ReceiptKind:
                whose = (leaving.conversation, member, kind)
                low, high = (*whose, 0), (*whose, receipts.part_of(leaving.first))
                keys = [key for key, _ in view.scan(table, low, high, limit=MOST_RECORDS)]
                blocks = {key[3] // receipts.PARTS for key in keys}
                state_keys = [
                    (user, receipts.KEY.pack(tag, *whose, block))
                    for block in sorted(blocks)
                    if block < receipts.block_of(leaving.first)
                    for user in leaving.users
                ]
                yield Gone(table, keys, state_keys)


def _message_states(view: Reader, leaving: Leaving) -> Iterator[Gone]:
    conversation, first, users = leaving
    low, high = (conversation, 0), (conversation, first)
    states = [key for key, _ in view.scan(Table.MESSAGE_STATES, low, high, limit=MOST_RECORDS)]
    places = [messages.pack_key(conversation, place) for _, place in states]
    yield Gone(Table.MESSAGE_STATES, states, [(user, key) for key in places for user in users])
    yield Gone(Table.REACTIONS, [key for key, _ in view.scan(Table.REACTIONS, low, high, limit=MOST_RECORDS)])
    for user in users:
        begin, end = (user, conversation, 0), (user, conversation, first)
        own = [key for key, _ in view.scan(Table.OWN_MESSAGES, begin, end, limit=MOST_RECORDS)]
        yield Gone(Table.OWN_MESSAGES, own, [(user, messages.pack_key(conversation, key[2])) for key in own])


def _mentions(view: Reader, leaving: Leaving) -> Iterator[Gone]:
    for user in leaving.users:
        low, high = (user, leaving.conversation, 0), (user, leaving.conversation, leaving.first)
        yield Gone(Table.MENTIONS, [key for key, _ in view.scan(Table.MENTIONS, low, high, limit=MOST_RECORDS)])


def _unheard(view: Reader, leaving: Leaving) -> Iterator[Gone]:
    for user in leaving.users:
        low, high = (user, leaving.conversation, 0), (user, leaving.conversation, leaving.first)
        found = view.scan(Table.UNHEARD, low, high, limit=MOST_RECORDS)
        yield Gone(Table.UNHEARD, [key for key, last in found if last < leaving.first])


LEAVES: tuple[Leaves, ...] = (_receipts, _message_states, _mentions, _unheard)
"""A noun that keeps records under places of a conversation has its row here."""
