"""Records that follow each other, as they lie in the store: those that are only passed on never become tuples."""

from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from itertools import accumulate
from operator import attrgetter, itemgetter
from struct import Struct, calcsize
from typing import Any, overload

_getter = cache(attrgetter)


class Layout:
    """How a record lies in bytes: its fields side by side, each of a fixed width, highest byte first."""

    def __init__(self, codes: str, record: type) -> None:
        """`codes` are the struct module's, one for each field, with spaces between; records are tuples, or bytes."""
        fields = codes.split()
        self.struct = Struct(">" + codes)
        # Twice as fast as a named tuple's own _make.
        self.make: Callable[[Any], Any] = itemgetter(0) if record is bytes else partial(tuple.__new__, record)
        ends = [0, *accumulate(calcsize(">" + code) for code in fields)]
        names: Sequence[str] = getattr(record, "_fields", ())  # bytes have none
        self.columns = dict(zip(names, zip(fields, ends, ends[1:], strict=False), strict=False))


class Packed(Sequence[Any]):
    """Records side by side in bytes. Those that somebody asks for are made then."""

    __slots__ = ("_layout", "_packed", "_size")

    def __init__(self, packed: bytes, layout: Layout) -> None:
        self._packed = packed
        self._layout = layout
        self._size = layout.struct.size

    def __len__(self) -> int:
        return len(self._packed) // self._size

    @overload
    def __getitem__(self, at: int) -> Any: ...  # noqa: ANN401 - each sequence has its own record

    @overload
    def __getitem__(self, at: slice) -> "Packed": ...

    def __getitem__(self, at: int | slice) -> Any:
        layout, size = self._layout, self._size
        if isinstance(at, slice):
            first, end, _ = at.indices(len(self))
            return Packed(self._packed[first * size : end * size], layout)
        return layout.make(layout.struct.unpack_from(self._packed, range(len(self))[at] * size))

    def __iter__(self) -> Iterator[Any]:
        return map(self._layout.make, self._layout.struct.iter_unpack(self._packed))

    def column(self, field: str) -> Sequence[Any]:
        """One field of each record, a number."""
        code, _, _ = self._layout.columns[field]
        return Struct(f">{len(self)}{code}").unpack(self._laid(field))

    def distinct(self, field: str) -> set[Any]:
        """The values that a field has, a number."""
        code, start, end = self._layout.columns[field]
        laid = self._laid(field)
        value = laid[: end - start]
        if laid == value * len(self):  # nearly always: no number is made then
            return set(Struct(">" + code).unpack(value)) if value else set()
        return set(self.column(field))

    def _laid(self, field: str) -> bytearray:
        """A field's bytes side by side: put there byte by byte, so that nothing of ours runs for each record."""
        _, start, end = self._layout.columns[field]
        width = end - start
        laid = bytearray(width * len(self))
        for at in range(width):
            laid[at::width] = self._packed[start + at :: self._size]
        return laid


def column(records: Sequence[Any], field: str) -> Sequence[Any]:
    """One field of each record, a number."""
    if type(records) is Packed:  # isinstance asks the abstract class, where it is a list
        return records.column(field)
    return list(map(_getter(field), records))


def distinct(records: Sequence[Any], field: str) -> set[Any]:
    """The values that a field of records has, a number."""
    if type(records) is Packed:
        return records.distinct(field)
    return set(map(_getter(field), records))
