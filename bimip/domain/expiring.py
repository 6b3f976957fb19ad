"""What is older than the history period goes, a slice at a time. Offsets that were given are never given again."""

from bimip.domain.appending import EMPTY_LOG
from bimip.domain.batch import Decision
from bimip.domain.ids import ConversationOffset, DeviceId, Offset, Stamp
from bimip.domain.operations import (
    ExpireBodies,
    Expired,
    ExpireHistory,
    ExpireLog,
    ExpireRevoked,
    ExpireSeen,
)
from bimip.domain.records import Conversation, Key, Log, Reader, Sequence, Table
from bimip.domain.rules import Moment


def expire_log(view: Reader, op: ExpireLog, moment: Moment) -> Decision:
    key = (op.user, op.partition)
    log: Log = view.get(Table.LOGS, key) or EMPTY_LOG
    first, more = _first_kept(view, Sequence.ENTRIES, key, log.first, log.head, op.before, moment)
    if first == log.first:
        return Decision(Expired(0, more=False))
    put = (Table.LOGS, key, log._replace(first=Offset(first)))
    return Decision(Expired(first - log.first, more), (put,), cuts=((Sequence.ENTRIES, key, first),))


def expire_history(view: Reader, op: ExpireHistory, moment: Moment) -> Decision:
    key = (op.conversation,)
    known: Conversation | None = view.get(Table.CONVERSATIONS, key)
    if known is None:
        return Decision(Expired(0, more=False))
    first, more = _first_kept(view, Sequence.HISTORY, key, known.first, known.head, op.before, moment)
    if first == known.first:
        return Decision(Expired(0, more=False))
    put = (Table.CONVERSATIONS, key, known._replace(first=ConversationOffset(first)))
    return Decision(Expired(first - known.first, more), (put,), cuts=((Sequence.HISTORY, key, first),))


def _first_kept(
    view: Reader, sequence: Sequence, key: tuple[object, ...], first: int, head: int, before: Stamp, moment: Moment
) -> tuple[int, bool]:
    """The number of the oldest record that is not older than `before`, and whether a further slice is needed."""
    limit = moment.rules.slice_entries
    records = view.read(sequence, key, first - 1, limit=limit)
    for number, record in records:
        if record.stamp >= before:
            return number, False
        first = number + 1
    return first, len(records) == limit and first <= head


def expire_bodies(view: Reader, op: ExpireBodies, moment: Moment) -> Decision:
    limit = moment.rules.slice_entries
    bodies = view.scan(Table.BODIES, (0,), (op.before,), limit=limit)
    addressed = view.scan(Table.ADDRESSED, (0,), (op.before,), limit=limit)
    puts = [(Table.BODIES, key, None) for key, _ in bodies] + [(Table.ADDRESSED, key, None) for key, _ in addressed]
    return Decision(Expired(len(bodies), max(len(bodies), len(addressed)) == limit), puts)


def expire_seen(view: Reader, op: ExpireSeen, moment: Moment) -> Decision:
    """Deduplication has no index by time: all of it is walked, slowly, which costs no write for what stays."""
    limit = moment.rules.slice_entries
    found = view.scan(Table.SEEN, op.start, (DeviceId((1 << 32) - 1),), limit=limit)
    puts = [(Table.SEEN, key, None) for key, seen in found if seen.stamp < op.before]
    more = len(found) == limit
    return Decision(Expired(len(puts), more, _behind(found[-1][0]) if more else None), puts)


def expire_revoked(view: Reader, op: ExpireRevoked, moment: Moment) -> Decision:
    limit = moment.rules.slice_entries
    found = view.scan(Table.REVOKED, op.start, ("\U0010ffff",), limit=limit)
    puts = [(Table.REVOKED, key, None) for key, expires_at in found if expires_at < op.now]
    more = len(found) == limit
    return Decision(Expired(len(puts), more, _behind(found[-1][0]) if more else None), puts)


def _behind(key: Key) -> Key:
    """The least key that is greater, of keys that end with text."""
    return (*key[:-1], key[-1] + "\0")
