"""Receipts: who received, read or played which messages of a conversation, and when first.

For one conversation, member and kind they are a map from conversation offset to the earliest time, in runs. Merging is
union, the earliest time wins: it commutes, associates and is idempotent, so it does not matter in which order, how
often or from which device a receipt arrives (invariant I8).

What devices are told of, and what has a version, is a *block* of 256 offsets. What is stored is a *part* of one: an ack
rewrites all runs that stand with its own, and where messages come one at a time each has a run to itself.
"""

from collections.abc import Iterable
from struct import Struct

from bimip.domain.contacts.privacy import may_see
from bimip.domain.conversations.membership import SMALL_GROUP, listed_members, membership_of
from bimip.domain.core.ids import ConversationId, ConversationOffset, Millis, UserId
from bimip.domain.core.ranges import Range, Ranges, clip, from_offsets
from bimip.domain.core.records import (
    Conversation,
    LogTable,
    Member,
    Reader,
    ReceiptKey,
    ReceiptKind,
    ReceiptRun,
    Runs,
    StateKey,
    Table,
)
from bimip.domain.state.changes import Meant, StateKind

TAG = 1
"""Of their keys, as a kind of state."""
KEY = Struct(">BIIBI")
"""Of their keys: the tag, the conversation, the member, the kind of receipt, the block."""

BLOCK = 256
"""Offsets of a block: what changes is small however long the conversation is."""
PARTS = 16
PART = BLOCK // PARTS
"""Offsets of a part: small ones cost keys, in conversations whose messages are acknowledged many at a time."""

OTHERS, OWN = tuple(ReceiptKind), (ReceiptKind.READ, ReceiptKind.PLAYED)
"""The kinds that a user is told of: of others, and of their own reading."""


def block_of(offset: int) -> int:
    return (offset - 1) // BLOCK


def part_of(offset: int) -> int:
    return (offset - 1) // PART


def parts_of(ranges: Iterable[Range]) -> list[int]:
    """Lists the parts in which ascending ranges lie."""
    return list(dict.fromkeys(part for first, last in ranges for part in range(part_of(first), part_of(last) + 1)))


def by_part(ranges: Iterable[Range], time: Millis) -> dict[int, Runs]:
    """Ascending ranges as runs at one time, cut at the borders of parts."""
    parts: dict[int, Runs] = {}
    for first, last in ranges:
        if (first - 1) // PART == (last - 1) // PART and (part := part_of(first)) not in parts:
            parts[part] = (ReceiptRun(ConversationOffset(first), ConversationOffset(last), time),)
            continue
        while first <= last:
            part = part_of(first)
            end = (part + 1) * PART
            run = ReceiptRun(ConversationOffset(first), ConversationOffset(min(end, last)), time)
            parts[part] = (*parts[part], run) if part in parts else (run,)
            first = end + 1  # noqa: PLW2901 - what is left of it
    return parts


def pack_key(key: ReceiptKey) -> StateKey:
    return KEY.pack(TAG, *key)


def unpack_key(key: StateKey) -> ReceiptKey:
    _, conversation, member, kind, block = KEY.unpack(key)
    return ReceiptKey(conversation, member, ReceiptKind(kind), block)


def read_block(view: Reader, key: ReceiptKey, table: Table = Table.RECEIPTS) -> Runs:
    """All that is stored of a block."""
    conversation, member, kind, block = key
    low, high = (conversation, member, kind, block * PARTS), (conversation, member, kind, (block + 1) * PARTS)
    runs: Runs = ()
    for _, part in view.scan(table, low, high, limit=PARTS):
        runs = join(runs, part)
    return runs


def merge(one: Runs, other: Runs) -> Runs:
    """The union; where both know an offset, the earlier time."""
    if not one or not other or one[-1].last < other[0].first:
        return join(one, other)
    apart = _apart(one, other)
    before, one = one[:apart], one[apart:]
    times: dict[int, Millis] = {}
    for run in (*one, *other):
        for offset in range(run.first, run.last + 1):
            time = times.get(offset)
            if time is None or run.time < time:
                times[offset] = run.time
    return join(before, compress(sorted(times.items())))


def fresh(known: Runs, added: Runs) -> Runs:
    """Keeps what `added` tells that `known` did not: what travels to those who have `known`."""
    if not known or not added or known[-1].last < added[0].first:
        return added
    if len(added) == 1 and _within(added[0], known[-1]):
        return ()  # as when another device acknowledges the same
    near = known[_apart(known, added) :]
    if all(any(_within(run, one) for one in near) for run in added):
        return ()
    times = {offset: run.time for run in near for offset in range(run.first, run.last + 1)}
    return compress(
        (offset, run.time)
        for run in added
        for offset in range(run.first, run.last + 1)
        if offset not in times or run.time < times[offset]
    )


def _within(run: ReceiptRun, other: ReceiptRun) -> bool:
    """Whether a run tells nothing new to who knows the other."""
    return other.first <= run.first and run.last <= other.last and other.time <= run.time


def _apart(known: Runs, added: Runs) -> int:
    """How many of the known runs lie wholly before what is added: live receipts come at the end."""
    at = len(known)
    while at and known[at - 1].last >= added[0].first:
        at -= 1
    return at


def covers(runs: Runs, offset: int) -> bool:
    return any(run.first <= offset <= run.last for run in runs)


def compress(times: Iterable[tuple[int, Millis]]) -> Runs:
    """Ascending (offset, time) pairs as runs."""
    runs: list[ReceiptRun] = []
    for offset, time in times:
        if runs and runs[-1].last == offset - 1 and runs[-1].time == time:
            runs[-1] = runs[-1]._replace(last=ConversationOffset(offset))
        else:
            runs.append(ReceiptRun(ConversationOffset(offset), ConversationOffset(offset), time))
    return tuple(runs)


def join(one: Runs, other: Runs) -> Runs:
    """Joins two lists of runs, of which the second begins behind the first."""
    if not one or not other:
        return one or other
    end, begin = one[-1], other[0]
    if end.last + 1 == begin.first and end.time == begin.time:
        return (*one[:-1], ReceiptRun(end.first, begin.last, end.time), *other[1:])
    return one + other


def keys_of(
    view: Reader, user: UserId, conversation: ConversationId, first: ConversationOffset, last: ConversationOffset
) -> list[StateKey]:
    """Lists the keys under which receipts of these messages may be that a member of the conversation is told of."""
    if membership_of(view, user, conversation) is None:
        return []
    members = listed_members(view, user, conversation)
    if len(members) > SMALL_GROUP:
        return []
    blocks = range(block_of(first), block_of(last) + 1)
    return [pack_key(key) for block in blocks for key in keys_of_block(user, members, conversation, block)]


def keys_of_block(
    user: UserId, members: Iterable[UserId], conversation: ConversationId, block: int
) -> list[ReceiptKey]:
    """Lists the keys of a block of which a user may be told, in their order."""
    return [
        ReceiptKey(conversation, member, kind, block)
        for member in members
        for kind in (OWN if member == user else OTHERS)
    ]


def cut(user: UserId, key: StateKey, runs: Runs, meant: Meant) -> Runs:
    """Keeps what runs say of messages that are meant: of the user's own, who else has them; of others', that the user
    has.
    """
    wanted = meant.others if unpack_key(key).member == user else meant.own
    return within(runs, wanted)


def within(runs: Runs, ranges: Ranges) -> Runs:
    """Keeps of runs what lies within ranges."""
    return tuple(
        ReceiptRun(ConversationOffset(first), ConversationOffset(last), run.time)
        for run in runs
        for first, last in clip(ranges, run.first, run.last)
    )


def _read(view: Reader, user: UserId, key: StateKey) -> Runs:
    """Reads a block as a user may know it. Of a group's receipts a member knows their own, and others' of what they
    wrote themselves, in this membership and as long as they are in it.
    """
    unpacked = unpack_key(key)
    if not may_see(view, user, unpacked.member, unpacked.kind):
        return ()
    runs = read_block(view, unpacked)
    conversation: Conversation | None = view.get(Table.CONVERSATIONS, (unpacked.conversation,))
    if conversation is None or conversation.members or not runs:
        return runs
    member: Member | None = view.get(Table.MEMBERS, (unpacked.conversation, user))
    if member is None:
        return ()
    if not member.role:  # what was told before they left
        runs = tuple(run for run in runs if run.time <= member.joined)
    if unpacked.member == user:
        return runs
    after, count = unpacked.block * BLOCK, BLOCK
    listed = view.read(LogTable.HISTORY, (unpacked.conversation,), after, limit=count)
    return within(runs, from_offsets([place for place, one in listed if one.author == user and place >= member.since]))


def _stored(view: Reader, _user: UserId, key: StateKey) -> Runs:
    return read_block(view, unpack_key(key))


KIND = StateKind(TAG, _read, of_messages=keys_of, cut=cut, stored=_stored)
