"""The same entries at the end of several logs: of both users of a direct conversation, of all members of a group.

One decision holds all of it, so a message is in all logs or in none. What the logs share (the entries, the stored
forms) is made once; what runs here runs for each log.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from bimip.domain.core.decision import LogAppend, LogNews
from bimip.domain.core.ids import UserId
from bimip.domain.core.records import Entry, Key, Log, LogTable, maker
from bimip.domain.messages.chaining import extend

ENTRIES, CHAINS = LogTable.ENTRIES, LogTable.CHAINS

_log, _news = maker(Log), maker(LogNews)


class FanOut(NamedTuple):
    """Logs grow by this."""

    heads: dict[Key, Log]
    appends: list[LogAppend]
    news: list[LogNews]


def fan_out(
    partition: str, logs: Iterable[tuple[UserId, Log]], entries: Sequence[Entry], bodies: Sequence[bytes]
) -> FanOut:
    """The entries become the newest of each of these logs."""
    heads: dict[Key, Log] = {}
    appends: list[LogAppend] = []
    news: list[LogNews] = []
    count = len(entries)
    for user, (first, head, before) in logs:
        place = (user, partition)
        chain, links = extend(before, head, entries)
        heads[place] = _log((first, head + count, chain))
        appends.append((ENTRIES, place, list(enumerate(entries, head + 1))))
        if links:
            appends.append((CHAINS, place, links))
        news.append(_news((user, partition, head + 1, entries, bodies)))
    return FanOut(heads, appends, news)
