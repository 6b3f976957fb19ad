"""Where the tests of crashes work: a folder in memory where there is one, the prepared store, and the forking process.

What matters of these disks is what was written and in which order, which tests see or decide; that they are in memory
makes hundreds of them possible.
"""

import json
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.storage.durability_claims import Line, read_lines
from tests.storage.forking import Forks
from tests.storage.tracing import Call, read_calls, run_traced

RUN = "tests.storage.crash_script:run"
VERIFY = "tests.storage.durability_claims:verify_all"
MORE = int(os.environ.get("BIMIP_DISK_TESTS", "1"))
"""1 in the normal run; more: every error at every call, and so many times the images."""


class CrashFolder:
    def __init__(self, folder: Path, forks: Forks) -> None:
        self.folder = folder
        self.forks = forks
        self.prepared = folder / "prepared"
        self._number = 0

    def prepare(self) -> None:
        assert (
            self.forks.run("tests.storage.crash_script:prepare", self.folder / "preparing", folder=str(self.prepared))
            == 0
        )

    def place(self, *, empty: bool = False) -> Path:
        """A copy of the prepared store."""
        self._number += 1
        place = self.folder / str(self._number)
        place.mkdir()
        if not empty:
            shutil.copy(self.prepared / "data.mdb", place)
        return place

    def trace(self, place: Path, function: str = RUN, **arguments: Any) -> tuple[int, list[Line], list[Call]]:
        """Run the script on that store under strace: how it ended, what it told, and what it wrote."""
        output, log = place / "told", place / "trace"
        output.unlink(missing_ok=True)
        code = run_traced(self.forks, function, output, log=log, folder=str(place), **arguments)
        return code, read_lines(output), list(read_calls(log))

    def verify(self, places: Sequence[Path], lines: Sequence[list[Line]], **options: Any) -> list[list[str]]:
        """What is wrong with each of these stores. One that takes its reader down is wrong too."""
        problems: list[list[str]] = []
        output = self.folder / "verified"
        while len(problems) < len(places):
            output.unlink(missing_ok=True)
            rest = len(problems)
            code = self.forks.run(
                VERIFY, output, folders=[str(place) for place in places[rest:]], lines=lines[rest:], **options
            )
            told = output.read_text(errors="replace").splitlines()
            problems += [json.loads(line)["problems"] for line in told if line.startswith('{"folder"')]
            if len(problems) < len(places):
                problems.append([f"whoever read it ended with {code}: {told[-1:]}"])
        return problems

    def clear(self) -> None:
        for each in self.folder.iterdir():
            if each.name.isdigit():
                shutil.rmtree(each)


@contextmanager
def open_crash_folder() -> Iterator[CrashFolder]:
    memory = Path("/dev/shm")
    parent = str(memory) if os.access(memory, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="bimip-disk-", dir=parent) as folder, Forks() as forks:
        crash_folder = CrashFolder(Path(folder), forks)
        crash_folder.prepare()
        yield crash_folder


def flat(problems: Sequence[list[str]], names: Sequence[str]) -> list[str]:
    return [f"{name}: {problem}" for name, each in zip(names, problems, strict=True) for problem in each]


def count_by(names: Sequence[str]) -> str:
    return ", ".join(f"{count} x {name}" for name, count in sorted(Counter(names).items()))
