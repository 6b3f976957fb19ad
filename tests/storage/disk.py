"""A disk that may lose power: what could stand on it at each moment of a recorded run.

The file is sectors of 512 bytes. A write reaches the page cache; a sync makes the newest content of every sector stay.
Until then each sector holds any of the contents that it had since the last sync, whatever its neighbours hold: so
unsynced writes are dropped, reordered and torn in every way that a sector allows. A sector itself is whole, as disks
promise: LMDB's meta page, of which 120 bytes are written, lies within one. (Were it torn, LMDB would still do if the
bytes arrive in their order, since the number that makes a meta page the newest is its last; `torn` tries that too.)

A write through a descriptor that syncs stays when it returns, alone. A sync that fails is the end of what it should
have written: each sector holds this or that, for ever, and later syncs do not write it again, as on Linux. A synced
write that fails may have reached the disk all the same; what was in the cache before it stays in the cache.
"""

from collections.abc import Iterator, Sequence
from copy import copy
from random import Random
from typing import NamedTuple

from tests.storage.tracing import Call, texts

SECTOR = 512
ZEROS = bytes(SECTOR)


class Disk:
    """What is certain, what is possible, and what those who read see."""

    def __init__(self, content: bytes) -> None:
        self.kept: dict[int, bytes] = {}
        self.pending: dict[int, list[bytes]] = {}
        self.cache: dict[int, bytes] = {}
        for number in range(-(-len(content) // SECTOR)):
            self.kept[number] = content[number * SECTOR : (number + 1) * SECTOR].ljust(SECTOR, b"\0")
        self.cache.update(self.kept)

    def fork(self) -> "Disk":
        other = copy(self)
        other.kept, other.cache = dict(self.kept), dict(self.cache)
        other.pending = {number: list(contents) for number, contents in self.pending.items()}
        return other

    def write(self, offset: int, data: bytes, *, cached: bool = True) -> list[int]:
        """Put data into the cache; without `cached` it may only reach the disk. The sectors concerned."""
        end = offset + len(data)
        numbers = list(range(offset // SECTOR, -(-end // SECTOR)))
        for number in numbers:
            start = number * SECTOR
            low, high = max(offset, start), min(end, start + SECTOR)
            before = self.cache.get(number, ZEROS)
            after = before[: low - start] + data[low - offset : high - offset] + before[high - start :]
            self.pending.setdefault(number, []).append(after)
            if cached:
                self.cache[number] = after
            else:
                self.pending[number].append(before)  # the cache's, which the next sync writes
        return numbers

    def sync(self, numbers: Sequence[int] | None = None) -> None:
        for number in list(self.pending) if numbers is None else numbers:
            self.kept[number] = self.pending.pop(number)[-1]

    def fail_to_sync(self, random: Random) -> None:
        for number, contents in self.pending.items():
            self.kept[number] = random.choice([self.kept.get(number, ZEROS), *contents])
        self.pending.clear()

    def dropped(self) -> bytes:
        return _bytes(self.kept)

    def cached(self) -> bytes:
        return _bytes(self.cache)

    def shuffled(self, random: Random) -> bytes:
        """One of the many that are possible."""
        share = random.choice([0.1, 0.5, 0.9])
        sectors = dict(self.kept)
        for number, contents in self.pending.items():
            if random.random() < share:
                sectors[number] = random.choice(contents)
        return _bytes(sectors)


def _bytes(sectors: dict[int, bytes]) -> bytes:
    end = max(sectors) + 1
    return b"".join([sectors.get(number, ZEROS) for number in range(end)])


class Moment(NamedTuple):
    """After a call: what the disk may hold, and how many lines were told by then."""

    disk: Disk
    told: int
    torn: tuple[int, bytes] | None  # the meta page's write that is under way: offset, data


class Recording:
    """The calls of a run on one store."""

    def __init__(self, calls: Sequence[Call]) -> None:
        self._calls = [call for call in calls if call.file.endswith(("/data.mdb", "/told"))]
        self._positions: dict[int, int] = {}
        self._synced: dict[int, bool] = {}  # whether a descriptor's writes are

    def moments(self, disk: Disk, random: Random) -> Iterator[Moment]:
        """After each call that changes the file, and in the middle of those that write and sync at once."""
        told = 0
        for call in self._calls:
            match call.name:
                case "openat":
                    self._synced[call.descriptor] = "O_DSYNC" in call.arguments
                case "lseek":
                    self._positions[call.descriptor] = call.result
                case "write":
                    told += texts(call.arguments).count(b"\n")
                case _:
                    yield from self._play(disk, call, random, told)
                    yield Moment(disk, told, None)

    def _play(self, disk: Disk, call: Call, random: Random, told: int) -> Iterator[Moment]:
        match call.name:
            case "fdatasync" | "fsync" if call.result < 0:
                disk.fail_to_sync(random)
            case "fdatasync" | "fsync":
                disk.sync()
            case "writev" if call.result >= 0:
                disk.write(self._positions[call.descriptor], texts(call.arguments))
            case "pwrite64" if call.result >= 0 or self._synced[call.descriptor]:
                yield from self._pwrite(disk, call, told)
            case "writev" | "pwrite64":
                pass
            case name:
                raise AssertionError(f"{name} is no call that this disk knows")

    def _pwrite(self, disk: Disk, call: Call, told: int) -> Iterator[Moment]:
        data, offset = texts(call.arguments), int(call.arguments.rsplit(", ", 1)[1])
        failed = call.result < 0
        numbers = disk.write(offset, data, cached=not failed)
        if self._synced[call.descriptor]:
            yield Moment(disk, told, None if failed else (offset, data))
            if not failed:
                disk.sync(numbers)


def torn(moment: Moment, length: int) -> bytes:
    """The image where only the first bytes of the meta page under way arrived."""
    assert moment.torn is not None
    offset, data = moment.torn
    image = bytearray(moment.disk.dropped())
    image[offset : offset + length] = data[:length]
    return bytes(image)
