"""What retention walks, as a table: of which records, and which operation each of them is due for.

A walk looks at records in a snapshot, a slice at a time, and asks the journal for no more than what is due. The order
of the rows is the order of a round: logs go before the histories and bodies that they refer to.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from bimip.domain.accounts.registering import DropCursor, is_lost
from bimip.domain.commands.command import ExpireCommands
from bimip.domain.core.clock import earliest_stamp
from bimip.domain.core.ids import Millis, Stamp
from bimip.domain.core.operations import (
    ExpireBodies,
    ExpireHistory,
    ExpireLog,
    ExpireRevoked,
    ExpireSeen,
    Operation,
)
from bimip.domain.core.records import Conversation, Cursor, DamagedRecordError, Key, Log, LogTable, Reader, Table
from bimip.domain.keeping.timekeeping import DAY
from bimip.domain.messages.checkpoints import TakeCheckpoint, checkpoints_of, is_due
from bimip.domain.messages.committed import ExpireCommitted, committed_offset
from bimip.domain.messages.expiring import ExpireMentions, ExpireThreads, TrimHistory
from bimip.domain.state.pruning import PruneRemoval
from bimip.retention.settings import RetentionSettings

REVOKED_MS = DAY
"""How much longer a revocation is known than its token counts: clocks are set back by a little without a word."""


class Moment(NamedTuple):
    """The times and settings that a round goes by."""

    now: Millis
    before: Mapping[str, Stamp]  # by partition with a history period: what is older goes
    all_expire: bool  # every partition has one
    until_acked: frozenset[str]
    seen_since: Millis  # devices that were seen since then are live
    seen_before: Stamp  # message ids that are older are forgotten
    checkpoint_entries: int
    checkpoint_ms: int
    is_thorough: bool  # also what is hardly ever there is looked for

    @classmethod
    def of(
        cls,
        settings: RetentionSettings,
        partitions: tuple[str, ...],
        now: Millis,
        outage_ms: int,
        *,
        is_thorough: bool = True,
    ) -> "Moment":
        """`outage_ms`: for how long before this server began nobody could be seen."""
        periods = {partition: settings.history_days.get(partition, 0) for partition in partitions}
        return cls(
            now,
            {partition: _before(now, days) for partition, days in periods.items() if days},
            all(periods.values()),
            settings.until_acked,
            Millis(now - settings.live_ms(outage_ms)),
            _before(now, settings.dedup_days),
            settings.checkpoint_entries,
            int(settings.checkpoint_seconds * 1000),
            is_thorough,
        )

    @property
    def oldest(self) -> Stamp | None:
        """All that is older than this goes, from every partition; None: something is kept for ever."""
        return min(self.before.values()) if self.all_expire else None


def _before(now: Millis, days: int) -> Stamp:
    return earliest_stamp(Millis(max(0, now - days * DAY)))


@dataclass(frozen=True, slots=True)
class Walk:
    """A row: what is looked at, and what an operation is asked for."""

    table: Table
    due: Callable[[Reader, Moment, Key, Any], Operation | None]
    wanted: Callable[[Moment], bool]
    """Whether there can be anything that is due: else nothing is walked."""


def _old_log(view: Reader, moment: Moment, key: Key, log: Log) -> Operation | None:
    before = moment.before.get(key[1])
    if before is None or not _begins_before(view, LogTable.ENTRIES, key, log.first, before):
        return None
    return ExpireLog(key[0], key[1], before)


def _committed_log(view: Reader, moment: Moment, key: Key, log: Log) -> Operation | None:
    user, partition = key
    if partition not in moment.until_acked or log.first > log.head:
        return None
    upto = committed_offset(view, user, partition, moment.seen_since)
    return None if upto is None or upto < log.first else ExpireCommitted(user, partition, moment.seen_since)


def _old_history(view: Reader, moment: Moment, key: Key, conversation: Conversation) -> Operation | None:
    oldest = moment.oldest
    if oldest is None or not _begins_before(view, LogTable.HISTORY, key, conversation.first, oldest):
        return None
    return ExpireHistory(key[0], oldest)


def _empty_history(view: Reader, _moment: Moment, key: Key, conversation: Conversation) -> Operation | None:
    """A conversation whose oldest message went with the last log that had it."""
    try:
        listed = view.read(LogTable.HISTORY, key, conversation.first - 1, limit=1)
    except DamagedRecordError:
        return None
    if not listed or view.get(Table.BODIES, (listed[0][1].stamp,)) is not None:
        return None
    return TrimHistory(key[0])


def _grown_log(view: Reader, moment: Moment, key: Key, log: Log) -> Operation | None:
    """A log that has grown by enough since its last checkpoint."""
    known = checkpoints_of(view, *key)
    if not is_due(log, known, moment.now, moment.checkpoint_entries, moment.checkpoint_ms):
        return None
    return TakeCheckpoint(*key)


def _old_removal(_view: Reader, moment: Moment, key: Key, removed_at: Millis) -> Operation | None:
    return PruneRemoval(*key) if removed_at < moment.seen_since else None


def _lost_cursor(view: Reader, _moment: Moment, key: Key, _cursor: Cursor) -> Operation | None:
    """The cursor of a device that is none any more: an ack was on its way when it was forgotten."""
    return DropCursor(*key) if is_lost(view, key[0]) else None


def _begins_before(view: Reader, sequence: LogTable, key: Key, first: int, before: Stamp) -> bool:
    """Whether a run begins with something that is older. Of a damaged one nothing is known, and nothing removed."""
    try:
        return any(one.stamp < before for _, one in view.read(sequence, key, first - 1, limit=1))
    except DamagedRecordError:
        return False


WALKS = (
    Walk(Table.LOGS, _old_log, lambda moment: bool(moment.before)),
    Walk(Table.LOGS, _committed_log, lambda moment: bool(moment.until_acked)),
    Walk(Table.CONVERSATIONS, _old_history, lambda moment: moment.oldest is not None),
    Walk(Table.CONVERSATIONS, _empty_history, lambda moment: bool(moment.until_acked)),
    Walk(Table.LOGS, _grown_log, lambda _moment: True),
    Walk(Table.REMOVALS, _old_removal, lambda _moment: True),
    Walk(Table.CURSORS, _lost_cursor, lambda moment: moment.is_thorough),
)

SWEEPS: tuple[Callable[[Moment], Operation | None], ...] = (
    lambda moment: None if moment.oldest is None else ExpireBodies(moment.oldest),
    lambda moment: None if moment.oldest is None else ExpireMentions(moment.oldest),
    lambda moment: None if moment.oldest is None else ExpireThreads(moment.oldest),
    lambda moment: ExpireSeen(moment.seen_before),
    lambda moment: ExpireCommands(moment.seen_before),
    lambda moment: ExpireRevoked(Millis(moment.now - REVOKED_MS)),
)
"""Operations that walk a table themselves, behind all walks."""
