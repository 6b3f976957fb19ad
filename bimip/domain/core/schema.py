"""What a store has to know of a table, a log or an index, so that it needs to know none by name.

Each has its row in `records.py`, and everything that treats some of them in a way of their own reads it there: how keys
are packed and where they lie, how records are packed, what the journal keeps in memory, where walks begin and end.
"""

from dataclasses import dataclass
from typing import Any

BYTE, NUMBER, LONG = "B", "I", "Q"
"""Parts of keys and of plain records: numbers of 8, 32 and 64 bits, as `struct` writes them."""
TEXT, NAME, BYTES = "text", "name", "bytes"
"""Parts at the end of a key: text; text of which there are few, as of partitions; bytes that sort as they are."""


@dataclass(frozen=True, slots=True)
class Plain:
    """A record of numbers, or of bytes of a fixed length."""

    form: str
    """Its fields one behind the other, as `struct` writes them."""
    record: type = int
    """The named tuple that they make; int: it is one number."""


@dataclass(frozen=True, slots=True)
class Schema:
    """The row of a table, a log or an index."""

    name: str
    key: tuple[str, ...]
    plain: Plain | None = None
    """None: a packer of its own packs the records."""
    hot: int = 0
    """What every message writes is hot: it lies in one tree, side by side for each user or conversation. Its keys begin
    with that NUMBER, behind which stands this one, a tag of its own that is on disks. 0: it has a tree of its own.
    """
    cached: int = 0
    """Records that the journal keeps in memory; beyond it they are forgotten, and read again as they are needed."""
    is_ascending: bool = False
    """Each new record comes behind all that are there."""
    may_be_missing: bool = False
    """A damaged record counts as missing, and is no error: what refers to it knows what to do without."""

    @property
    def end(self) -> tuple[Any, ...]:
        """A bound behind all keys."""
        return ("\U0010ffff",) if self.key[0] == TEXT else (1 << 64,)


def behind(key: tuple[Any, ...]) -> tuple[Any, ...]:
    """The least bound that is greater than a key: where a scan goes on."""
    return (*key, 0)
