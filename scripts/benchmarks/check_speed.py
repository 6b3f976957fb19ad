"""Whether a message has become dearer: `scripts/check-speed`.

    scripts/check-speed              counts (see counting.py), and compares with the bounds below
    scripts/check-speed --show       only counts

Bytecodes are the honest ones: they grow with whatever Python does, within a function too, and are the same at every
run to a percent, where the machine is idle. What seems dearer is counted again, since a busy machine only adds. Their
bounds, and those of calls, are what was counted when they were recorded, and a twentieth more; of the others half as
much again, for what a busy machine tears apart into more batches, and a fifth of system calls where there are many.
Whoever makes something dearer sees it here at once, and either finds a cheaper way or records the new bound with the
change that wanted it. Frames are exact.
"""

import argparse
import sys
from collections.abc import Mapping

from scripts.benchmarks import results
from scripts.benchmarks.counting import Case, CatchUp, Logins, Messages
from scripts.benchmarks.throughput import Load

CASES: Mapping[str, Case] = {
    "20 together": Messages(Load(pairs=10, window=20, random_ids=True), 20),
    "alone": Messages(Load(pairs=10, window=1, random_ids=True), 40),
    "catch-up": CatchUp(users=10, entries=500, both=False),
    "catch-up, both wrote": CatchUp(users=10, entries=500, both=True),
    "logins": Logins(devices=40),
}
"""Messages that come 20 in a frame, and one by one (three devices get each); entries of logs of which devices that
come back have nothing; logins of devices that miss nothing."""

COUNTS = 3

BOUNDS: Mapping[str, Mapping[str, int]] = {
    "20 together": {
        "bytecodes": 2_330_000,
        "Python calls": 55_800,
        "task steps": 66,
        "waits": 65,
        "frames in": 200,
        "frames out": 300,
        "transactions": 15,
        "system calls": 1_380,
        "syncs": 15,
    },
    "alone": {
        "bytecodes": 20_100_000,
        "Python calls": 558_000,
        "task steps": 1_060,
        "waits": 1_060,
        "frames in": 4_000,
        "frames out": 6_000,
        "transactions": 300,
        "system calls": 18_700,
        "syncs": 300,
    },
    "catch-up": {
        "bytecodes": 380_500,
        "Python calls": 12_500,
        "task steps": 131,
        "waits": 60,
        "frames in": 10,
        "frames out": 10,
        "transactions": 9,
        "system calls": 305,
        "syncs": 9,
    },
    "catch-up, both wrote": {
        "bytecodes": 739_000,
        "Python calls": 21_100,
        "task steps": 132,
        "waits": 60,
        "frames in": 10,
        "frames out": 10,
        "transactions": 9,
        "system calls": 309,
        "syncs": 9,
    },
    "logins": {
        "bytecodes": 46_700_000,
        "Python calls": 2_345_000,
        "task steps": 27_300,
        "waits": 18_600,
        "frames in": 1_000,
        "frames out": 2_000,
        "transactions": 3_000,
        "system calls": 66_100,
        "syncs": 3_000,
    },
}
"""Per thousand."""
RECORDED_WITH = (3, 11)
BY_VERSION = frozenset({"bytecodes", "Python calls"})
"""Another version of Python compiles and calls differently: its counts of these are shown, and held to nothing."""


def compare(found: Mapping[str, float], bounds: Mapping[str, int]) -> list[str]:
    """What is dearer than it may be, in words."""
    return [
        f"{name}: {number:,.0f} for a thousand, and {bounds[name]:,} are allowed"
        for name, number in found.items()
        if name in bounds
        and number > bounds[name]
        and (name not in BY_VERSION or sys.version_info[:2] == RECORDED_WITH)
    ]


def least(case: Case, bounds: Mapping[str, int]) -> dict[str, float]:
    """What a case takes at least, of as many counts as it needs to be within its bounds."""
    found = case.count()
    for _ in range(COUNTS - 1):
        if not compare(found, bounds):
            break
        found = {name: min(number, found.get(name, number)) for name, number in case.count().items()}
    return found


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="scripts/check-speed", description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--show", action="store_true", help="only count")
    options = parser.parse_args(argv)
    rows: list[list[str]] = []
    dearer: list[str] = []
    for name, case in CASES.items():
        bounds = BOUNDS[name]
        found = least(case, bounds)
        rows += [[name, what, f"{number:,.0f}", f"{bounds.get(what, 0):,}"] for what, number in found.items()]
        dearer += [f"{name}: {line}" for line in compare(found, bounds)]
        if "system calls" not in found:
            print("system calls were not counted: strace is not installed, or not allowed here")
    print(results.table(["", "for a thousand", "counted", "bound"], rows))
    if options.show or not dearer:
        return 0
    print("\n".join(dearer))
    print("Find a cheaper way, or record the new bound in scripts/benchmarks/check_speed.py with what it bought.")
    return 1


if __name__ == "__main__":
    sys.exit(main())
