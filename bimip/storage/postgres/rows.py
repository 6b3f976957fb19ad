"""How a log's records and an index's rows are packed for a row each.

A log's record has its seal behind it, over the log's key and the number as well. An index's row has none: it is a key
and says nothing but where an entry is, which whoever finds it asks the log.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import starmap
from operator import itemgetter
from struct import Struct
from struct import error as StructError  # noqa: N812 - the module's own name for it says nothing
from typing import Any

from bimip.domain.core.packed import Layout
from bimip.domain.core.records import Index, IndexRow, LogTable
from bimip.storage.keys import bound_of
from bimip.storage.packing import LOG_FORMS, ROW_FORMS
from bimip.storage.postgres.statements import OFFSET_BYTES
from bimip.storage.seals import SEAL_BYTES, content, is_whole, seal_all

_NUMBER = Struct(">q")
_record: Callable[[Any], Any] = itemgetter(1)


class LogRows:
    def __init__(self, narrow: str, wide: str, record: type) -> None:
        self._layouts = tuple(Layout(form, record) for form in (narrow, wide))
        each: Callable[..., Iterator[bytes]] = map if record is bytes else starmap
        self._pack_narrow, self._pack_wide = (partial(each, layout.struct.pack) for layout in self._layouts)

    def pack(self, key: bytes, run: Sequence[tuple[int, Any]]) -> Iterable[bytes]:
        """Packs and seals a run's records. One is narrow unless it holds a number beyond 32 bits."""
        records = list(map(_record, run))
        try:
            packed = list(self._pack_narrow(records))
        except StructError:
            packed = [self._pack_one(record) for record in records]
        keys = [key + _NUMBER.pack(number) for number, _ in run]
        return map(_record, seal_all(zip(keys, packed, strict=True)))

    def _pack_one(self, record: object) -> bytes:
        try:
            (packed,) = self._pack_narrow([record])
        except StructError:
            (packed,) = self._pack_wide([record])
        return packed

    def read(self, key: bytes, rows: Iterable[tuple[bytes, bytes]]) -> list[tuple[int, Any]]:
        """Unpacks rows of a log. None in place of a record: it is not the one that was written."""
        return [
            (_NUMBER.unpack(number)[0], self._unpack(sealed) if is_whole(key + number, sealed) else None)
            for number, sealed in rows
        ]

    def salvage(self, rows: Iterable[tuple[bytes, bytes]]) -> list[tuple[int, Any]]:
        """Unpacks what can be unpacked, be it what was written or not."""
        found = ((_NUMBER.unpack(number)[0], self._unpack(sealed)) for number, sealed in rows)
        return [(number, record) for number, record in found if record is not None]

    def _unpack(self, sealed: bytes) -> Any:  # noqa: ANN401 - each log has its own record
        for layout in self._layouts:
            if len(sealed) == layout.struct.size + SEAL_BYTES:
                return layout.make(layout.struct.unpack(content(sealed)))
        return None


class IndexRows:
    def __init__(self, numbers: str, row: type) -> None:
        struct = Struct(">" + numbers)
        self._numbers = numbers
        self._row_bytes = struct.size
        self._pack, self._iter_unpack = struct.pack, struct.iter_unpack
        self._make: Callable[[Any], Any] = partial(tuple.__new__, row)

    @property
    def end(self) -> bytes:
        """A bound behind all rows."""
        return b"\xff" * (self._row_bytes + 1)

    def bound(self, row: IndexRow) -> bytes:
        """Packs where a range begins or ends: also a row's beginning."""
        return bound_of(self._numbers, row)[: self._row_bytes + 1]

    def pack(self, rows: Iterable[IndexRow]) -> Iterable[bytes]:
        return starmap(self._pack, rows)

    def unpack(self, rows: Iterable[bytes]) -> list[IndexRow]:
        return list(map(self._make, self._iter_unpack(b"".join(rows))))


def offset_bound(offset: int) -> bytes:
    """Packs an offset as the last numbers of rows are packed."""
    return bound_of("Q", (max(offset, 0),))[:OFFSET_BYTES]


LOGS: dict[LogTable, LogRows] = {log: LogRows(*form) for log, form in LOG_FORMS.items()}
ROWS: dict[Index, IndexRows] = {index: IndexRows(*form) for index, form in ROW_FORMS.items()}
