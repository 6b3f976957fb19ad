"""Shadow state: what all devices of a user share and what changes, as versions that a device is told in their order.

A *kind* of state (receipts, read markers) has values under keys, in tables of its own. What is the same for all kinds
is here: every change of a value is the next version of each user concerned, of each key only the newest version counts,
and the news say what is new. A key is told apart by its kind's tag, the first byte of its packed form: so a journal, a
store and a session carry keys that they do not know, and `kinds.py` says who does.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from bimip.domain.core.decision import News, Put, StateNews, StateRestarted
from bimip.domain.core.ids import ConversationId, ConversationOffset, Millis, UserId, Version
from bimip.domain.core.ranges import Ranges
from bimip.domain.core.records import DamagedRecordError, Key, Reader, State, StateKey, Table, maker

# As often as here, an enum's members cost more by their class than as names of the module.
CHANGES, VERSIONS, STATES = Table.CHANGES, Table.VERSIONS, Table.STATES

_news, _state = maker(StateNews), maker(State)

UNSEEN = ()
"""A change that its user may not know: it takes its version, and tells nothing."""

NO_STATE = State(Version(0), Version(0))
HIGHEST = Version((1 << 64) - 1)


class Meant(NamedTuple):
    """Messages of a conversation of which a user is told what is so now, by their conversation offsets."""

    own: Ranges  # which the user wrote
    others: Ranges


KeysOf = Callable[[Reader, UserId, ConversationId, ConversationOffset, ConversationOffset], Sequence[StateKey]]
Cut = Callable[[UserId, StateKey, Any, Meant], Any]


@dataclass(frozen=True, slots=True)
class StateKind:
    """One kind of state."""

    tag: int
    """The first byte of its keys; never given to another kind."""
    read: Callable[[Reader, UserId, StateKey], Any]
    """The value under a key as the user may know it; None or empty where there is none for them."""
    of_messages: KeysOf | None = None
    """Lists the keys of what a user may know of a conversation's messages from one to another, both inclusive: of what
    they are told beside those messages. None: it is not of messages."""
    cut: Cut | None = None
    """Keeps what a value under a key says of the messages that are meant; None: it is told as it is."""
    has_removals: bool = False
    """A key without a value was removed, and devices are told so; else there is nothing to tell of it."""
    stored: Callable[[Reader, UserId, StateKey], Any] | None = None
    """The value under a key, whoever may know it; None: as `read` has it."""


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


class StateChanges:
    """Gathers the values that a decision changes, and the versions and news of the users who learn of them."""

    __slots__ = ("_changes", "_states", "_versions", "_view", "news", "values")

    def __init__(self, view: Reader) -> None:
        self.news: list[News] = []
        self.values: dict[Table, dict[Key, Any]] = {}
        """For the kinds to put their own records in."""
        self._view = view
        self._changes: dict[Key, StateKey | None] = {}
        self._versions: dict[Key, Version] = {}
        self._states: dict[Key, State] = {}

    def puts(self) -> list[Put]:
        tables = (*self.values.items(), (CHANGES, self._changes), (VERSIONS, self._versions), (STATES, self._states))
        return [put for put in tables if put[1]]

    def tell(self, user: UserId, key: StateKey, change: Any) -> Version:  # noqa: ANN401 - each kind has its own
        """The user's devices learn of a value what is new in it; of UNSEEN, that it is not for them."""
        view, place = self._view, (user,)
        state = self._states.get(place) or state_of(view, user)
        version = Version(state.head + 1)
        self._states[place] = _state((version, state.floor))
        old: Version | None = self._versions.get((user, key)) or view.get(VERSIONS, (user, key))
        if old is not None:
            self._changes[user, old] = None
        self._changes[user, version] = key
        self._versions[user, key] = version
        self.news.append(_news((user, version, key, change)))
        return version

    def remove(self, user: UserId, key: StateKey, now: Millis) -> Version:
        """A value is gone, and the user's devices are told so: for as long as one of them may be away."""
        version = self.tell(user, key, None)
        self.values.setdefault(Table.REMOVALS, {})[user, version] = now
        return version

    def restart(self, user: UserId) -> None:
        """The user's devices forget their state and are sent all of it: what they may know is another than before."""
        head = (self._states.get((user,)) or state_of(self._view, user)).head
        self._states[user,] = State(head, head)
        self.news.append(StateRestarted(user, head))

    def restart_at_next(self, user: UserId) -> None:
        """Restarts where nothing is told that would be the next version: that one is without a change."""
        state = self._states.get((user,)) or state_of(self._view, user)
        self._states[user,] = State(Version(state.head + 1), state.floor)
        self.news.append(StateNews(user, Version(state.head + 1), b"", UNSEEN))
        self.restart(user)
