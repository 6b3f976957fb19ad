"""A process that ends at any of its writes leaves each operation whole or not at all, and all that it acknowledged.

strace ends it on the way into the n-th call of each kind, before the call does anything, for every n that there is:
between two neighbouring calls nothing happens that another process could see.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from tests.storage.crash_folder import RUN, CrashFolder, count_by, flat
from tests.storage.tracing import WRITES, Call


def writes(calls: list[Call]) -> list[Call]:
    return [call for call in calls if call.name in WRITES]


def kill_everywhere(
    crash_folder: CrashFolder, function: str = RUN, *, fresh: bool = False, only: str = "", **arguments: Any
) -> tuple[list[str], list[str]]:
    """Kill at every write: the names of the calls that did not happen, and what was wrong afterwards."""
    code, _, recorded = crash_folder.trace(crash_folder.place(empty=fresh), function, **arguments)
    assert code == 0
    total = [call.name for call in writes(recorded)]
    places, lines, points, reached = [], [], [], []
    for name, count in Counter(total).items():
        for number in range(1, count + 1 if only in {"", name} else 1):
            place = crash_folder.place(empty=fresh)
            inject = [f"{name}:signal=KILL:when={number}"]
            in_thread = {"in_thread": True} if name == "fdatasync" and not fresh else {}
            code, told, calls = crash_folder.trace(place, function, inject=inject, **arguments, **in_thread)
            assert code == -9, f"{name} {number} was not reached: {told[-1:]}"
            places.append(place)
            lines.append(told)
            points.append(f"{name} {number}")
            reached.append(len(writes(calls)))
    problems = crash_folder.verify(places, lines, fresh=fresh)
    crash_folder.clear()

    assert only or list(range(len(total))) == sorted(reached), "not every write of the run was a point to end at"
    return total, flat(problems, points)


def test_killed_at_every_write_of_every_operation(crash_folder: CrashFolder, tell: Callable[[str], None]) -> None:
    points, problems = kill_everywhere(crash_folder)

    tell(f"killed at {len(points)} write points ({count_by(points)}): {len(problems)} lost or half")
    assert not problems
    assert len(points) >= 100


def test_killed_at_every_write_while_the_store_is_made(crash_folder: CrashFolder, tell: Callable[[str], None]) -> None:
    points, problems = kill_everywhere(crash_folder, "tests.storage.crash_script:prepare", fresh=True)

    tell(f"killed at {len(points)} write points of a new store ({count_by(points)}): {len(problems)} lost or half")
    assert not problems
    assert len(points) >= 30


@pytest.mark.parametrize(("fault", "expected"), [("eager", "lost: "), ("split", "half: ")])
def test_deliberate_faults_are_found(crash_folder: CrashFolder, fault: str, expected: str) -> None:
    """An answer before the commit, and a message in two transactions."""
    _, problems = kill_everywhere(crash_folder, only="fdatasync", fault=fault)

    assert any(expected in problem for problem in problems), problems
