"""What an operation is decided to: its result, what is to be written, and whom it concerns."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from bimip.domain.core.ids import Offset, UserId, Version
from bimip.domain.core.operations import Operation, Result
from bimip.domain.core.records import Entry, Index, IndexRow, Key, LogTable, StateKey, Table

Put = tuple[Table, dict[Key, Any]]
"""Records of a table by their keys; None as record: delete."""

LogAppend = tuple[LogTable, Key, list[tuple[int, Any]]]
"""A sequence, its key, and the records with their numbers, which follow each other."""

Cut = tuple[LogTable, Key, int]
"""A sequence, its key, and the number below which everything goes."""

Insert = tuple[Index, Key, list[IndexRow]]
"""An index, its key and the rows."""

Trim = tuple[Index, Key, int]
"""An index, its key, and the offset below which its lowest rows go."""


class LogNews(NamedTuple):
    """Entries that a user's log grew by, for those of their devices that are connected."""

    user: UserId
    partition: str
    first: Offset
    entries: list[Entry]  # by one device, and all addressed or none
    bodies: list[bytes]  # of each its stored form


class StateNews(NamedTuple):
    """A change of a user's shadow state, for those of their devices that are connected: only what is new."""

    user: UserId
    version: Version
    key: StateKey
    change: Any  # as the kind has it


class StateRestarted(NamedTuple):
    """All of a user's devices are to be sent their whole state again, up to and with this version."""

    user: UserId
    version: Version


class BodyNews(NamedTuple):
    """A message of a user's logs has another content, or may have from now on: what is in memory is not to be sent."""

    user: UserId


class UserErased(NamedTuple):
    """A user is no more: their devices are to go."""

    user: UserId


class TokensBarred(NamedTuple):
    """Tokens of a user may not count any more: devices that are connected by one of these are to go."""

    user: UserId


class PrivacyNews(NamedTuple):
    """A user may be seen in another way than before: whoever was told of them is to be told how it is now."""

    user: UserId
    viewer: UserId | None = None  # who alone may see another thing of them, and they of the viewer; None: anybody may


News = LogNews | StateNews | StateRestarted | BodyNews | UserErased | TokensBarred | PrivacyNews
"""What a decision tells once it is on disk. Each names the user whom it concerns, and is told by its class."""


class Writes(NamedTuple):
    """The writes of a decision. A batch takes the lists over, and lengthens them."""

    puts: Sequence[Put] = ()
    appends: Sequence[LogAppend] = ()
    inserts: Sequence[Insert] = ()
    cuts: Sequence[Cut] = ()
    trims: Sequence[Trim] = ()


NOTHING = Writes()


class Decision(NamedTuple):
    """A rule makes this of an operation."""

    result: Result
    writes: Writes = NOTHING
    news: Sequence[News] = ()
    then: Operation | None = None  # the rest of a long operation, to be decided in a later batch
    needs_room: bool = False  # it makes the store grow: a full one refuses it
