import errno
import os
import threading
from collections.abc import Iterator

import pytest

from bimip.cli.log_lines import LogLines


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reader, writer = os.pipe()
    yield reader, writer
    for file in (reader, writer):
        try:
            os.close(file)
        except OSError:
            assert file == reader


def test_lines_come_out_whole_and_in_order(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    lines = LogLines(writer)
    for number in range(1000):
        lines.write(f"line {number} \udcff\n")
    lines.close()

    assert os.read(reader, 1 << 16).splitlines() == [b"line %d \\udcff" % number for number in range(1000)]
    assert lines.lost == 0


def test_a_disk_that_is_full_costs_lines_and_nothing_else() -> None:
    file = os.open("/dev/full", os.O_WRONLY)
    lines = LogLines(file)
    for _ in range(10):
        lines.write("line\n")
    lines.close()
    os.close(file)

    assert lines.lost == 10


def test_a_reader_that_went_away_costs_lines_and_nothing_else(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    os.close(reader)
    lines = LogLines(writer)
    lines.write("line\n")
    lines.close()

    assert lines.lost == 1


@pytest.mark.parametrize("blocking", [True, False])
def test_a_reader_that_stopped_reading_delays_nobody(pipe: tuple[int, int], *, blocking: bool) -> None:
    """Were a write to wait, this test would."""
    reader, writer = pipe
    os.set_blocking(writer, blocking)
    lines = LogLines(writer, max_bytes=100_000)
    count = 10_000
    for number in range(count):
        lines.write(f"{number:99}\n")
    lost = lines.lost
    told = threading.Thread(target=lines.close)
    told.start()
    found = b""
    while len(found) < 100 * (count - lost):
        found += os.read(reader, 1 << 16)
    told.join()

    assert 0 < lost < count
    assert [int(line) for line in found.splitlines()][:500] == list(range(500))


def test_a_line_that_broke_off_is_ended_before_the_next(pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = pipe
    write = os.write
    results: list[int | OSError] = [3, OSError(errno.ENOSPC, "full")]

    def fail(file: int, data: bytes) -> int:
        result = results.pop(0) if results else len(data)
        if isinstance(result, int):
            return write(file, data[:result])
        raise result

    monkeypatch.setattr(os, "write", fail)
    told: list[int] = []
    lines = LogLines(writer, told.append)
    lines.write("first\n")
    lines.write("second\n")
    lines.close()

    assert os.read(reader, 100) == b"fir\nsecond\n"
    assert told == [1]
