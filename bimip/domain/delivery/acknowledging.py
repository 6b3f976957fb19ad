"""A device acknowledges, a person reads: cursors move, and those who wrote learn of it."""

from collections.abc import Iterable, Sequence

from bimip.domain.contacts.access import blocked_among
from bimip.domain.contacts.privacy import may_see
from bimip.domain.conversations.membership import (
    SMALL_GROUP,
    beyond_head,
    conversation_of,
    group_of,
    membership_of,
)
from bimip.domain.core.decision import Decision, News, Put, Writes
from bimip.domain.core.ids import ConversationId, ConversationOffset, UserId
from bimip.domain.core.operation_kind import OperationKind
from bimip.domain.core.operations import Acknowledge, Acknowledged, Done, Fault, Receipt, Refused
from bimip.domain.core.packed import Packed
from bimip.domain.core.ranges import Ranges, clip, from_offsets, intersect, normal
from bimip.domain.core.records import (
    Conversation,
    Cursor,
    DamagedRecordError,
    Entry,
    HistoryEntry,
    Log,
    LogTable,
    Reader,
    ReceiptKind,
    Roster,
    Runs,
    Table,
    maker,
)
from bimip.domain.core.rules import Context
from bimip.domain.delivery.cursor import START, advance
from bimip.domain.messages.appending import EMPTY_LOG
from bimip.domain.state import private_reads, receipts
from bimip.domain.state.changes import UNSEEN, StateChanges
from bimip.domain.state.lifecycle import IMPLIED
from bimip.domain.webhooks.feed import received, write_events

# As often as here, an enum's members cost more by their class than as names of the module.
CONVERSATIONS, LOGS, CURSORS = Table.CONVERSATIONS, Table.LOGS, Table.CURSORS
ROSTERS = Table.ROSTERS
RECEIPTS, PRIVATE_READS = Table.RECEIPTS, Table.PRIVATE_READS
DELIVERED = ReceiptKind.DELIVERED
TAG, _pack_key = receipts.TAG, receipts.KEY.pack

_decision, _writes, _acknowledged = maker(Decision), maker(Writes), maker(Acknowledged)

Concerned = dict[UserId, Ranges | None]
"""Who is told of receipts, and of which places. None: of all."""

RANGES_PER_MESSAGE = 8
"""An acknowledgement of so many ranges costs as much as a message more."""


def acknowledge(view: Reader, op: Acknowledge, context: Context) -> Decision:
    user, device, partition, upto, more = op
    log: Log = view.get(LOGS, (user, partition)) or EMPTY_LOG
    furthest = max(upto, *(last for _, last in more)) if more else upto
    if furthest > log.head:
        sentence = f"offset {furthest} was never given; the log of {partition!r} ends at {log.head}"
        return Decision(Refused(Fault.OFFSET_BEYOND_HEAD, sentence, "upto"))
    place = (device, partition)
    try:
        before: Cursor = view.get(CURSORS, place) or START
    except DamagedRecordError:
        before = START  # it is written anew, and what comes again is known to the client
    cursor, entries, rest = advance(view, op, log, before, context.rules)
    puts, news = delivered(view, user, entries, context)
    if cursor != before:
        puts.append((CURSORS, {place: cursor}))
    return _decision((_acknowledged((cursor.floor,)), _writes((puts, (), (), (), ())), news, rest, False))


def delivered(
    view: Reader, user: UserId, taken: Sequence[Sequence[Entry]], context: Context
) -> tuple[list[Put], list[News]]:
    """The receipts of what one of the user's devices took in. What the user wrote is not delivered to them; and whom
    they have blocked is not to learn that they are there, in a group neither: none is made of what those wrote.
    """
    received = _received(user, taken)
    if not received:
        return [], []
    changes = StateChanges(view)
    try:
        roster: Roster | None = view.get(ROSTERS, (user,))  # as of most there is none
    except DamagedRecordError:
        roster = Roster()
    if roster is not None and (
        blocked := blocked_among(view, user, set().union(*[authors for _, authors in received.values()]))
    ):
        taken = [[entry for entries in taken for entry in entries if entry.author not in blocked]]
        received = _received(user, taken)
    for conversation, (places, authors) in received.items():
        talk: Conversation | None = view.get(CONVERSATIONS, (conversation,))
        concerned: Concerned = dict.fromkeys(authors)
        if talk is not None and talk.members:
            concerned = dict.fromkeys(authors.intersection(talk.members))  # who was erased is in it no more
        elif talk is not None:
            wrote = [
                (entry.author, entry.conversation_offset)
                for entries in taken
                for entry in entries
                if entry.conversation == conversation
            ]
            concerned = _authors(view, conversation, wrote)
        _add(view, changes, (conversation, user, DELIVERED), from_offsets(places), context, concerned)
    return changes.puts(), changes.news


def _received(user: UserId, taken: Sequence[Sequence[Entry]]) -> dict[ConversationId, tuple[list[int], set[UserId]]]:
    """Sorts what others wrote by its conversation: its places there, and who wrote it."""
    received: dict[ConversationId, tuple[list[int], set[UserId]]] = {}
    for entries in taken:
        if type(entries) is Packed and user not in (authors := entries.distinct("author")):
            conversations = entries.distinct("conversation")
            if len(conversations) == 1:  # as mostly: nothing of ours runs for each
                places, writers = received.setdefault(conversations.pop(), ([], set()))
                places.extend(entries.column("conversation_offset"))
                writers.update(authors)
                continue
        for _, conversation, place, author, _, _, _ in entries:
            if author != user:
                known = received.get(conversation)
                if known is None:
                    received[conversation] = known = ([], set())
                known[0].append(place)
                known[1].add(author)
    return received


def _authors(
    view: Reader, conversation: ConversationId, wrote: Iterable[tuple[UserId, ConversationOffset]]
) -> Concerned:
    """Finds who of a group is told of receipts: whoever is in it and wrote what was received, of theirs alone, and not
    of what they wrote before they came back. In a large one nobody is: those who want to know ask.
    """
    if len(group_of(view, conversation).everybody) > SMALL_GROUP:
        return {}
    places: dict[UserId, list[int]] = {}
    for author, place in wrote:
        places.setdefault(author, []).append(place)
    return {
        author: from_offsets([place for place in sorted(theirs) if place >= found.since])
        for author, theirs in places.items()
        if (found := membership_of(view, author, conversation)) is not None
    }


def receipt(view: Reader, op: Receipt, context: Context) -> Decision:
    number = conversation_of(view, op.user, op.conversation, op.peer)
    if isinstance(number, Refused):
        return Decision(number)
    found = membership_of(view, op.user, number)
    assert found is not None
    conversation = found.conversation
    furthest = max([op.upto, *(last for _, last in op.ranges)])
    if refused := beyond_head(conversation, furthest, "upto" if op.upto == furthest else "offsets"):
        return Decision(refused)
    oldest = max(conversation.first, found.since)
    wanted = clip(normal((*op.ranges, (oldest, op.upto))), oldest, furthest)
    slice_end = _slice_end(wanted, context.rules.slice_entries)
    arrived = _arrived(view, op, number, clip(wanted, oldest, slice_end))
    wrote = _by_others(view, number, op.user, arrived)
    blocked = blocked_among(view, op.user, {author for author, _ in wrote})
    authors: Concerned = dict.fromkeys(author for author, _ in wrote if author in conversation.members)
    if not conversation.members:
        authors = _authors(view, number, wrote)
    changes = StateChanges(view)
    for kind in IMPLIED[op.kind]:
        key = number, op.user, kind
        if kind is DELIVERED:
            places = from_offsets([place for author, place in wrote if author not in blocked])
            _add(view, changes, key, places, context, authors)
            continue
        public, private = private_reads.split(view, changes, *key, wrote)
        if public:
            _add(view, changes, key, public, context, {**authors, op.user: None})
        if private:
            _add(view, changes, key, private, context, {op.user: None}, (PRIVATE_READS, private_reads.TAG))
    rest = clip(wanted, slice_end + 1, furthest)
    then = op._replace(conversation=number, upto=ConversationOffset(0), ranges=rest) if rest else None
    return Decision(Done(), Writes(changes.puts()), changes.news, then)


def _slice_end(wanted: Ranges, limit: int) -> int:
    for first, last in wanted:
        if last - first + 1 >= limit:
            return first + limit - 1
        limit -= last - first + 1
    return wanted[-1][1] if wanted else 0


def _arrived(view: Reader, op: Receipt, conversation: ConversationId, wanted: Ranges) -> Ranges:
    """Which of the messages a device of the user received: no receipt claims what did not happen. Others were addressed
    to another device, say, or lie in a partition that none of them asked for.
    """
    received = [(first, last) for where, first, last in op.received if where == conversation]
    for part in receipts.parts_of(wanted):
        try:
            known: Runs = view.get(RECEIPTS, (conversation, op.user, DELIVERED, part)) or ()
        except DamagedRecordError:
            known = ()
        received += [(first, last) for first, last, _ in known]
    return intersect(wanted, normal(received))


def _by_others(
    view: Reader, conversation: ConversationId, user: UserId, wanted: Ranges
) -> list[tuple[UserId, ConversationOffset]]:
    """Which of these somebody else wrote, and who: in the order of their places."""
    return [
        (listed.author, ConversationOffset(place))
        for first, last in wanted
        for place, listed in _history(view, conversation, first, last)
        if place <= last and listed.author != user
    ]


def _history(view: Reader, conversation: ConversationId, first: int, last: int) -> Sequence[tuple[int, HistoryEntry]]:
    """Nothing where something is damaged: no receipt is better than one that claims what did not happen."""
    try:
        return view.read(LogTable.HISTORY, (conversation,), first - 1, limit=last - first + 1)
    except DamagedRecordError:
        return ()


def _add(
    view: Reader,
    changes: StateChanges,
    key: tuple[ConversationId, UserId, ReceiptKind],
    places: Ranges,
    context: Context,
    concerned: Concerned,
    into: tuple[Table, int] = (RECEIPTS, TAG),
) -> None:
    """Merges a member's receipts of one kind into what is stored, and tells whoever is concerned what is new; who may
    not see it, that there is something. `into`: the map, and the tag of its keys.
    """
    conversation, member, kind = key
    table, tag = into
    stored = changes.values.setdefault(table, {})
    told: dict[int, Runs] = {}
    for part, runs in receipts.by_part(places, context.now).items():
        place = (conversation, member, kind, part)
        try:
            known: Runs = view.get(table, place) or ()
        except DamagedRecordError:
            known = ()
        fresh = receipts.fresh(known, runs)
        if fresh:
            stored[place] = receipts.merge(known, fresh)
            block = part // receipts.PARTS
            told[block] = receipts.join(told[block], fresh) if block in told else fresh
    if table is RECEIPTS and told and kind in context.rules.events:
        for runs in told.values():
            write_events(view, changes.values, received(conversation, member, kind, runs))
    for block, runs in told.items():
        state_key = _pack_key(tag, conversation, member, kind, block)
        for user in sorted(concerned):
            theirs = concerned[user]
            some = runs if theirs is None else receipts.within(runs, theirs)
            if some:
                is_seen = kind is DELIVERED or may_see(view, user, member, kind)  # no call more for each ack
                changes.tell(user, state_key, some if is_seen else UNSEEN)


def _weight(operation: Acknowledge | Receipt) -> int:
    return 1 + len(operation.ranges) // RANGES_PER_MESSAGE


OPERATIONS: dict[type, OperationKind] = {
    Acknowledge: OperationKind(acknowledge, is_lazy=True, weight=_weight),
    Receipt: OperationKind(receipt, is_lazy=True, weight=_weight),
}
