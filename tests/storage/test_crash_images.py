"""Whatever the disk made of what was not synced when the power went: all that was acknowledged is there, whole.

A run's writes and syncs are recorded, and images of the disk are built for every moment of it (disk.py says which).
Each is opened, compared with what had been told by then, and everything is sent to it again.
"""

from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import NamedTuple

import pytest

from tests.storage.crash_folder import MORE, CrashFolder, flat
from tests.storage.disk import Disk, Moment, Recording, torn
from tests.storage.durability_claims import Line
from tests.storage.tracing import Call

SEED = 20


class Image(NamedTuple):
    name: str
    content: bytes
    lines: Sequence[Line]  # told by then


def images(
    calls: Sequence[Call], disk: Disk, lines: list[Line], random: Random, *, shuffles: int, before: Sequence[Line] = ()
) -> Iterator[Image]:
    """Of each moment of a run: with all that is not synced gone, and with any part of it there."""
    seen: set[bytes] = set()
    for number, moment in enumerate(Recording(calls).moments(disk, random)):
        contents = [("dropped", disk.dropped()), ("kept", disk.cached())] if disk.pending else [("", disk.dropped())]
        contents += [("shuffled", disk.shuffled(random)) for _ in range(shuffles) if disk.pending]
        contents += [(f"torn at {length}", torn(moment, length)) for length in lengths(moment, random)]
        for name, content in contents:
            told = [*before, *lines[: moment.told]]
            key = content + len(told).to_bytes(4, "big")
            if key not in seen:
                seen.add(key)
                yield Image(f"moment {number} {name}", content, told)


def lengths(moment: Moment, random: Random) -> list[int]:
    return [] if moment.torn is None else random.sample(range(8, 120, 8), k=min(14, MORE))


def examine(crash_folder: CrashFolder, made: Sequence[Image]) -> list[str]:
    """What is wrong with them."""
    problems: list[str] = []
    for first in range(0, len(made), 100):
        some = made[first : first + 100]
        places = [crash_folder.place(empty=True) for _ in some]
        for place, image in zip(places, some, strict=True):
            (place / "data.mdb").write_bytes(image.content)
        problems += flat(
            crash_folder.verify(places, [list(image.lines) for image in some]), [image.name for image in some]
        )
        crash_folder.clear()
    return problems


def content(crash_folder: CrashFolder) -> bytes:
    return (crash_folder.prepared / "data.mdb").read_bytes()


def lose_power(crash_folder: CrashFolder, *, fault: str = "", shuffles: int = 1) -> list[Image]:
    """At each moment of the script."""
    code, lines, calls = crash_folder.trace(crash_folder.place(), record=True, fault=fault)
    assert code == 0
    return list(images(calls, Disk(content(crash_folder)), lines, Random(SEED), shuffles=shuffles))


def test_nothing_acknowledged_is_lost_with_the_power(crash_folder: CrashFolder, tell: Callable[[str], None]) -> None:
    made = lose_power(crash_folder, shuffles=2 * MORE)
    problems = examine(crash_folder, made)

    tell(f"opened {len(made)} images of power losses: {len(problems)} lost, half or falsely acknowledged")
    assert not problems
    assert len(made) > 200


def test_without_syncing_acknowledged_messages_are_lost(crash_folder: CrashFolder) -> None:
    problems = examine(crash_folder, lose_power(crash_folder, fault="unsynced", shuffles=0))

    assert any("lost: " in problem for problem in problems)


def kill_and_lose_power(crash_folder: CrashFolder, *, fault: str = "") -> list[Image]:
    """Killed in a commit's last write, started again on what the page cache has, reads told, then the power goes."""
    random = Random(SEED)
    code, lines, calls = crash_folder.trace(crash_folder.place(), record=True)
    assert code == 0
    disk = Disk(content(crash_folder))
    made: list[Image] = []
    for moment in Recording(calls).moments(disk, random):
        if moment.torn is None:
            continue
        place = crash_folder.place(empty=True)
        (place / "data.mdb").write_bytes(disk.cached())
        code, again, second = crash_folder.trace(place, record=True, fault=fault, reads=True, steps=2)
        assert code == 0
        before = lines[: moment.told]
        made += images(second, disk.fork(), again, random, shuffles=MORE, before=before)
    return made


def test_what_was_read_after_a_kill_outlives_the_power(crash_folder: CrashFolder, tell: Callable[[str], None]) -> None:
    made = kill_and_lose_power(crash_folder)
    problems = examine(crash_folder, made)

    tell(
        f"opened {len(made)} images of kill, restart, serve, power loss: {len(problems)} told or acknowledged and gone"
    )
    assert not problems
    assert len(made) > 100


def test_without_sync_and_start_record_what_was_read_is_gone(crash_folder: CrashFolder) -> None:
    problems = examine(crash_folder, kill_and_lose_power(crash_folder, fault="hasty"))

    assert any("told and gone" in problem for problem in problems)


def fail_and_lose_power(
    crash_folder: CrashFolder, call: str, *, fault: str = "", keep: int = 12, seed: int = SEED
) -> list[Image]:
    """The disk fails once, at each sync or at each write of a meta page, and the power goes at any time afterwards."""
    _, _, calls = crash_folder.trace(crash_folder.place(), record=True)
    found = [each for each in calls if each.name == call]
    made: list[Image] = []
    for number, each in enumerate(found, 1):
        if call == "fdatasync" or each.arguments.endswith((", 120, 32", ", 120, 4128")):
            inject = [f"{call}:error=EIO:when={number}"]
            code, lines, failing = crash_folder.trace(
                crash_folder.place(), record=True, inject=inject, fault=fault, in_thread=call == "fdatasync"
            )
            assert code == 0
            random = Random(seed + number)
            all_of_it = list(images(failing, Disk(content(crash_folder)), lines, random, shuffles=2))
            first = next(
                index for index, image in enumerate(all_of_it) if len(image.lines) >= max(told_before(lines), 1)
            )
            made += all_of_it[first : first + keep * MORE]
    return made


def told_before(lines: Sequence[Line]) -> int:
    """How many lines were told before the disk failed."""
    return next((number for number, line in enumerate(lines) if line.get("fault") in {12, 13}), 0)


@pytest.mark.parametrize("call", ["fdatasync", "pwrite64"])
def test_a_disk_that_failed_may_lose_power_too(
    crash_folder: CrashFolder, call: str, tell: Callable[[str], None]
) -> None:
    made = fail_and_lose_power(crash_folder, call)
    problems = examine(crash_folder, made)

    tell(f"opened {len(made)} images of power losses after a failed {call}: {len(problems)} lost, half or broken")
    assert not problems
    assert len(made) > 100


def test_without_a_sync_at_opening_a_failed_meta_page_may_come_back(crash_folder: CrashFolder) -> None:
    """To find pages that another transaction uses by now: rarely, so this looks at more disks until one shows it."""
    seeds = range(SEED, SEED + 8)

    assert any(
        examine(crash_folder, fail_and_lose_power(crash_folder, "pwrite64", fault="unsettled", keep=25, seed=seed))
        for seed in seeds
    )
