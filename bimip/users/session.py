"""A user's session: the registry group of their connected devices, and what is new for all of them.

It exists while a device of the user is connected. Whatever a commit brings reaches the session once; it wakes the
devices, each of which reads from its own position.
"""

from collections.abc import Callable, Hashable
from typing import Any, Final, NamedTuple, Protocol

from bimip.domain.accounts.barring import Bar
from bimip.domain.core.decision import (
    BodyNews,
    LogNews,
    News,
    PrivacyNews,
    StateNews,
    StateRestarted,
    TokensBarred,
    UserErased,
)
from bimip.domain.core.identity import Claims
from bimip.domain.core.ids import DeviceId, Offset, UserId, Version
from bimip.domain.core.ranges import Ranges
from bimip.domain.state.changes import UNSEEN
from bimip.reading.heads import read_heads
from bimip.reading.log import read_segments
from bimip.reading.people import read_bar
from bimip.reading.segments import Segment
from bimip.reading.state import read_changes
from bimip.requests.state_items import ENCODE, encode_page
from bimip.session.close import Close
from bimip.supervision import Children
from bimip.users.connection import Connection
from bimip.users.services import Services
from bimip.users.statistics import DeviceLag
from bimip.users.tail import LogTail, StateTail
from bimip.wire import state
from bimip.wire.stored import deliver_all

READ_LEAST, READ_AHEAD = 16, 256
"""Entries at once, whatever there is room for: some are not owed, and take none."""
STATE_PAGE = 128
ERASED = "this user was erased here, with all that was theirs"
REVOKED = "the token was revoked; log in again"
CLOSE_OF_BAR: Final = {
    Bar.REVOKED: (Close.TOKEN_REVOKED, REVOKED),
    Bar.DISABLED: (Close.USER_DISABLED, "an operator keeps this user out; ask them to enable the user again"),
    Bar.ERASED: (Close.USER_ERASED, ERASED),
}
"""How a device is closed whose token is barred."""


class Connected(Protocol):
    """A device, as its siblings see it."""

    number: DeviceId
    claims: Claims
    connection: Connection
    heard_at: float

    def send_soon(self, now: float) -> None: ...

    @property
    def is_open(self) -> bool:
        """Its Hello was answered."""
        ...

    def tell(self, about: Hashable, part: bytes, *, until: float) -> None:
        """Sends an element of Body that is stored nowhere, unless it is later by then: of what is about the same the
        last.
        """
        ...

    def acknowledge(self, partition: str, upto: Offset, ranges: Ranges) -> None:
        """The device holds these, whichever way it said so."""
        ...

    def renew(self, claims: Claims) -> None:
        """It has a newer token."""
        ...

    def note_event(self, what: str, said: str = "") -> None:
        """Has its flight recorder note something."""
        ...

    def statistics(self) -> dict[str, object]: ...

    def describe(self) -> dict[str, object]: ...

    def measure_lag(self) -> DeviceLag: ...


class Session:
    def __init__(self, eid: str, number: UserId, services: Services) -> None:
        self.eid = eid
        self.number = number
        self.services = services
        self.rates = services.rates.of(number)
        self.children: Children | None = None
        self.devices: dict[str, Connected] = {}
        self.logs: dict[str, LogTail] = {}
        self.state = StateTail(Version(0))
        self.state_floor = Version(0)
        self.body_changes = 0
        """Messages whose content became another one, since this began."""
        self.news = 0
        """Rises with everything that devices may have to be sent."""
        self.bars_told = 0
        """Rises with everything that may bar a token which counted before."""
        self.is_over = False
        """The user was erased: the session is to end."""
        self.resync()

    def resync(self) -> None:
        """Begin with what the store holds; also when a commit may have gone by that nobody told of."""
        heads = read_heads(self.services.store, self.number, self.services.partitions)
        self.logs = {partition: LogTail(head) for partition, head in heads.logs.items()}
        self.state = StateTail(heads.state)
        self.state_floor = heads.state_floor
        self.body_changes += 1
        self.news += 1
        self.bars_told += 1

    def log_grew(self, news: LogNews) -> None:
        """Extends a log's tail by what one device wrote, all of it addressed or none."""
        _, partition, first, entries, bodies = news
        parts, written = deliver_all(bodies, first), entries[0]
        self.logs[partition].extend(Segment(first, entries, parts, {written.origin}, plain=not written.addressed))
        self.news += 1

    def state_changed(self, news: StateNews) -> None:
        """Extends the state's tail by what is new in one value; by nothing, where that is not for this user."""
        _, version, key, change = news
        self.state.add(version, b"" if change == UNSEEN else ENCODE[key[0]](self.services.eids, version, key, change))
        self.news += 1

    def state_restarted(self, news: StateRestarted) -> None:
        """Lets each device begin all of the state anew, in its turn."""
        self._raise_state_floor(news.version)

    def _raise_state_floor(self, version: Version) -> None:
        if version > self.state_floor:
            self.state_floor = version
            self.news += 1

    def body_changed(self, _news: BodyNews) -> None:
        """Forgets what is in memory of the logs: what is sent from now on is read again."""
        self.body_changes += 1
        for tail in self.logs.values():
            tail.forget()

    def user_erased(self, _news: UserErased) -> None:
        """Closes all devices: there is nobody to whom they belong."""
        self.bars_told += 1
        for device in self.devices.values():
            device.connection.close(Close.USER_ERASED, ERASED)
        self.is_over = True

    def tokens_barred(self, _news: TokensBarred) -> None:
        """Closes the devices whose tokens count no more."""
        self.bars_told += 1
        for device in self.devices.values():
            bar = self.read_bar(device.claims)
            if bar is not None:
                device.connection.close(*CLOSE_OF_BAR[bar])

    def privacy_changed(self, news: PrivacyNews) -> None:
        """Tells whoever shows others what this user does that they may be let see another thing of it now."""
        for listener in self.services.privacy_listeners:
            listener(news)

    def read_bar(self, claims: Claims) -> Bar | None:
        return read_bar(self.services.store, self.number, claims)

    def adopt(self, children: Children) -> None:
        self.children = children

    def close_revoked(self, jti: str, *, but: Connected | None = None) -> None:
        """Closes the devices that came by a token which was revoked."""
        self.bars_told += 1
        for device in self.devices.values():
            if device.claims.jti == jti and device is not but:
                device.connection.close(Close.TOKEN_REVOKED, REVOKED)

    def close_removed(self, number: DeviceId) -> None:
        """Ends what a device is connected by that was removed: not what took its name since."""
        for device in self.devices.values():
            if device.number == number:
                device.connection.close(Close.LOGGED_OUT, "this device was removed; log in again to be a new one")

    def read_log(self, partition: str, after: int, limit: int, size: int) -> list[Segment]:
        """The next entries behind an offset, from memory if they are all there: about as many as there is room for."""
        segments = self.logs[partition].after(after)
        if segments is None:
            limit = min(max(limit, READ_LEAST), READ_AHEAD)
            segments = read_segments(self.services.store, self.number, partition, after, limit, size)
        return segments

    def read_state(self, after: int, *, live: bool, reset: bool) -> "StatePage":
        """The next changes behind a version, for a device that is live there or is catching up.

        In memory there is of each change what was new in it: enough for a device that had all before (`live`). Any
        other gets whole values from the store, until a page ends at its head: the page in which a value stood may have
        passed before the value changed again, and then it stands further on. With `reset` it is all of the state.
        """
        part = self.state.delta(after) if live else None
        if part is not None:
            return StatePage(part, self.state.head, live=True)
        page = read_changes(self.services.store, self.number, after, STATE_PAGE)
        self._raise_state_floor(page.floor)  # what is on disk may be ahead of the news of it
        items, upto, is_all = encode_page(self.services.eids, page, whole=reset)
        part = state.delta_part(after, upto, items, reset=reset and after == 0, complete=reset and is_all)
        return StatePage(part, upto, live=is_all, is_read=True)


LISTENERS: dict[type[News], Callable[[Session, Any], None]] = {
    LogNews: Session.log_grew,
    StateNews: Session.state_changed,
    StateRestarted: Session.state_restarted,
    BodyNews: Session.body_changed,
    UserErased: Session.user_erased,
    TokensBarred: Session.tokens_barred,
    PrivacyNews: Session.privacy_changed,
}
"""What a session does with news of each class."""


class StatePage(NamedTuple):
    part: bytes  # an element of Body.states
    upto: Version
    live: bool  # whoever has this page and all before it has the whole state as of `upto`
    is_read: bool = False  # from the store, which takes longer
