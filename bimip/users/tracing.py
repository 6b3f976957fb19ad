"""Follows single messages through the log, from their acceptance to the last receipt, by one `signal_id` in each line.

Which messages these are their stamps decide, so that all lines of one are there or none: one in so many, as an operator
sets it. By default it is none, and costs a look for each commit. What `bimip message explain` tells of any message
later, this tells of some as it happens.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from bimip.domain.core.clock import signal_id
from bimip.domain.core.decision import LogNews, News, StateNews
from bimip.domain.core.ids import Stamp, UserId
from bimip.domain.core.records import HistoryEntry, LogTable, ReceiptKind
from bimip.domain.state.receipts import TAG, unpack_key
from bimip.reading.people import Eids
from bimip.storage.interface import Store
from bimip.wire import stored

RECEIPTS: Final = bytes([TAG])
SAID: Final = {
    ReceiptKind.DELIVERED: "message delivered",
    ReceiptKind.READ: "message read",
    ReceiptKind.PLAYED: "message played",
}
MIXER: Final = 0x9E3779B97F4A7C15
"""The golden ratio, times 2^64: stamps that are near each other come to lie apart (Knuth, 6.4)."""


class MessageTraces:
    def __init__(self, store: Store, eids: Eids, says: Sequence[Callable[..., object]], every: int) -> None:
        """Each of `says` takes what happened, and more by name."""
        self._store = store
        self._eids = eids
        self._says = tuple(says)
        self.every = every
        """One in so many messages is followed; 0: none."""

    def follows(self, stamp: Stamp) -> bool:
        return bool(self.every) and (stamp * MIXER >> 32 & 0xFFFFFFFF) % self.every == 0

    def committed(self, news: Iterable[News]) -> None:
        """Tells of the messages that are followed what is on disk now of them."""
        for one in news:
            if isinstance(one, LogNews):
                self._entered(one)
            elif isinstance(one, StateNews) and one.key[:1] == RECEIPTS and isinstance(one.change, tuple):
                self._received(one)

    def pushed(self, stamp: Stamp, user: UserId, platform: str) -> None:
        """A gateway took a notification whose newest message is this one."""
        if self.follows(stamp):
            self._tell("message pushed", stamp, user, platform=platform)

    def _entered(self, news: LogNews) -> None:
        for offset, (entry, body) in enumerate(zip(news.entries, news.bodies, strict=True), news.first):
            if self.follows(entry.stamp):
                what = "message accepted" if entry.author == news.user else "message in log"
                place = {"partition": news.partition, "user_offset": offset, "id": stored.parse(body).id}
                self._tell(what, entry.stamp, news.user, **place)

    def _received(self, news: StateNews) -> None:
        """Tells of a receipt once: that somebody read as their own devices learn it, a delivery as the author does."""
        conversation, member, kind, _ = unpack_key(news.key)
        if (news.user == member) == (kind is ReceiptKind.DELIVERED):
            return
        with self._store.snapshot() as view:
            for run in news.change:  # within a block of 256
                found: list[tuple[int, HistoryEntry]] = view.read(
                    LogTable.HISTORY, (conversation,), run.first - 1, limit=run.last - run.first + 1
                )
                for place, entry in found:
                    if place <= run.last and self.follows(entry.stamp):
                        self._tell(SAID[kind], entry.stamp, member)

    def _tell(self, what: str, stamp: Stamp, user: UserId, **more: object) -> None:
        told = {"signal_id": signal_id(stamp), "user": self._eids.of(user), **more}
        for say in self._says:
            say(what, **told)
