"""A device acknowledges, a person reads: cursors move, and those who wrote learn of it."""

from collections.abc import Sequence

from bimip.domain import receipts
from bimip.domain.appending import EMPTY_LOG
from bimip.domain.cursor import START, advance
from bimip.domain.decision import Decision, Put, StateNews, Writes
from bimip.domain.ids import ConversationId, ConversationOffset, UserId, Version
from bimip.domain.operation_kind import OperationKind
from bimip.domain.operations import Acknowledge, Acknowledged, Done, Fault, Receipt, Refused
from bimip.domain.ranges import Ranges, clip, from_offsets, intersect, normal
from bimip.domain.records import (
    Conversation,
    Cursor,
    DamagedRecordError,
    Entry,
    HistoryEntry,
    Key,
    Log,
    LogTable,
    Reader,
    ReceiptKey,
    ReceiptKind,
    Runs,
    State,
    StateKey,
    Table,
    maker,
)
from bimip.domain.rules import Context

# As often as here, an enum's members cost more by their class than as names of the module.
LOGS, CURSORS, RECEIPTS = Table.LOGS, Table.CURSORS, Table.RECEIPTS
CHANGES, VERSIONS, STATES = Table.CHANGES, Table.VERSIONS, Table.STATES
DELIVERED = ReceiptKind.DELIVERED

_decision, _writes, _acknowledged, _state = maker(Decision), maker(Writes), maker(Acknowledged), maker(State)
_news, _key = maker(StateNews), maker(ReceiptKey)

RANGES_PER_MESSAGE = 8
"""An acknowledgement of so many ranges costs as much as a message more."""

NO_STATE = State(Version(0), Version(0))
HIGHEST = Version((1 << 64) - 1)


def state_of(view: Reader, user: UserId) -> State:
    """Reads where a user's shadow state stands. Where that is damaged, behind its newest change, and whole to
    everybody.
    """
    try:
        return view.get(STATES, (user,)) or NO_STATE
    except DamagedRecordError:
        newest = view.scan(CHANGES, (user,), (user, HIGHEST), limit=1, reverse=True)
        head = Version(max([1, *(version + 1 for (_, version), _ in newest)]))
        return State(head, head)


IMPLIED = {
    ReceiptKind.DELIVERED: (ReceiptKind.DELIVERED,),
    ReceiptKind.READ: (ReceiptKind.READ, ReceiptKind.DELIVERED),
    ReceiptKind.PLAYED: (ReceiptKind.PLAYED, ReceiptKind.READ, ReceiptKind.DELIVERED),
}


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
    view: Reader, user: UserId, entries: Sequence[Entry], context: Context
) -> tuple[list[Put], list[StateNews]]:
    """The receipts of what one of the user's devices took in. What the user wrote is not delivered to them."""
    received: dict[ConversationId, tuple[list[int], set[UserId]]] = {}
    for _, conversation, place, author, _, _, _ in entries:
        if author != user:
            known = received.get(conversation)
            if known is None:
                received[conversation] = known = ([], set())
            known[0].append(place)
            known[1].add(author)
    if not received:
        return [], []
    changes = _StateChanges(view, context)
    for conversation, (places, authors) in received.items():
        changes.add(conversation, user, DELIVERED, from_offsets(places), authors)
    return changes.puts(), changes.news


def receipt(view: Reader, op: Receipt, context: Context) -> Decision:
    number = _conversation(view, op)
    if isinstance(number, Refused):
        return Decision(number)
    conversation: Conversation = view.get(Table.CONVERSATIONS, (number,))
    furthest = max([op.upto, *(last for _, last in op.ranges)])
    if furthest > conversation.head:
        sentence = f"conversation offset {furthest} was never given; the conversation ends at {conversation.head}"
        return Decision(Refused(Fault.OFFSET_BEYOND_HEAD, sentence, "upto"))
    wanted = clip(normal((*op.ranges, (conversation.first, op.upto))), conversation.first, furthest)
    slice_end = _slice_end(wanted, context.rules.slice_entries)
    arrived = _arrived(view, op, number, clip(wanted, conversation.first, slice_end))
    places, authors = _by_others(view, number, op.user, arrived)
    changes = _StateChanges(view, context)
    for kind in IMPLIED[op.kind]:
        concerned = authors if kind is ReceiptKind.DELIVERED else authors | {op.user}
        changes.add(number, op.user, kind, places, concerned)
    rest = clip(wanted, slice_end + 1, furthest)
    then = op._replace(conversation=number, upto=ConversationOffset(0), ranges=rest) if rest else None
    return Decision(Done(), Writes(changes.puts()), changes.news, then)


def _conversation(view: Reader, op: Receipt) -> ConversationId | Refused:
    """The conversation that a receipt names. Somebody else's is answered like one that does not exist."""
    number = op.conversation
    if number is None:
        peer = view.get(Table.USERS, (op.peer,))
        if peer is not None:
            number = view.get(Table.DIRECT, (min(op.user, peer.number), max(op.user, peer.number)))
    conversation = None if number is None else view.get(Table.CONVERSATIONS, (number,))
    if number is None or conversation is None or op.user not in conversation.members:
        sentence = "you are in no such conversation; name one by the id that its messages carry, or its other member"
        return Refused(Fault.NOT_FOUND, sentence, "conversation")
    return number


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


def _by_others(view: Reader, conversation: ConversationId, user: UserId, wanted: Ranges) -> tuple[Ranges, set[UserId]]:
    places: list[int] = []
    authors: set[UserId] = set()
    for first, last in wanted:
        for place, listed in _history(view, conversation, first, last):
            if place <= last and listed.author != user:
                places.append(place)
                authors.add(listed.author)
    return from_offsets(places), authors


def _history(view: Reader, conversation: ConversationId, first: int, last: int) -> Sequence[tuple[int, HistoryEntry]]:
    """Nothing where something is damaged: no receipt is better than one that claims what did not happen."""
    try:
        return view.read(LogTable.HISTORY, (conversation,), first - 1, limit=last - first + 1)
    except DamagedRecordError:
        return ()


class _StateChanges:
    """Gathers the parts that receipts change, and the state versions of the users who learn of them."""

    __slots__ = ("_changes", "_context", "_receipts", "_states", "_versions", "_view", "news")

    def __init__(self, view: Reader, context: Context) -> None:
        self.news: list[StateNews] = []
        self._view = view
        self._context = context
        self._receipts: dict[Key, Runs] = {}
        self._changes: dict[Key, StateKey | None] = {}
        self._versions: dict[Key, Version] = {}
        self._states: dict[Key, State] = {}

    def puts(self) -> list[Put]:
        tables: tuple[Put, ...] = (
            (RECEIPTS, self._receipts),
            (CHANGES, self._changes),
            (VERSIONS, self._versions),
            (STATES, self._states),
        )
        return [put for put in tables if put[1]]

    def add(
        self, conversation: ConversationId, member: UserId, kind: ReceiptKind, places: Ranges, concerned: set[UserId]
    ) -> None:
        told: dict[int, Runs] = {}
        for part, runs in receipts.by_part(places, self._context.now).items():
            key = (conversation, member, kind, part)
            try:
                known: Runs = self._view.get(RECEIPTS, key) or ()
            except DamagedRecordError:
                known = ()
            fresh = receipts.fresh(known, runs)
            if fresh:
                self._receipts[key] = receipts.merge(known, fresh)
                block = part // receipts.PARTS
                told[block] = receipts.join(told[block], fresh) if block in told else fresh
        for block, runs in told.items():
            key = (conversation, member, kind, block)
            packed = receipts.pack(receipts.TAG, *key)
            for user in sorted(concerned):
                self._tell(user, _key(key), packed, runs)

    def _tell(self, user: UserId, key: ReceiptKey, packed: StateKey, fresh: Runs) -> None:
        view, place = self._view, (user,)
        state = self._states.get(place) or state_of(view, user)
        version = Version(state.head + 1)
        self._states[place] = _state((version, state.floor))
        old: Version | None = self._versions.get((user, packed)) or view.get(VERSIONS, (user, packed))
        if old is not None:
            self._changes[user, old] = None
        self._changes[user, version] = packed
        self._versions[user, packed] = version
        self.news.append(_news((user, version, key, fresh)))


def _weight(operation: Acknowledge | Receipt) -> int:
    return 1 + len(operation.ranges) // RANGES_PER_MESSAGE


OPERATIONS: dict[type, OperationKind] = {
    Acknowledge: OperationKind(acknowledge, is_lazy=True, weight=_weight),
    Receipt: OperationKind(receipt, is_lazy=True, weight=_weight),
}
