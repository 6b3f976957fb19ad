"""Whether a message has become dearer: `scripts/check-speed`.

    scripts/check-speed              counts (see counting.py), and compares with the bounds below
    scripts/check-speed --show       only counts

The bounds are what was counted when they were recorded (50,856 and 504,135 calls, 817 and 15,282 system calls, 10 and
200 transactions), and a sixth more; half as much again for what a busy machine tears apart into more batches, and for
messages together the system calls of those. Whoever
makes something dearer sees it here at once, and either finds a cheaper way or records the new bound with the change
that wanted it.
"""

import argparse
import sys
from collections.abc import Mapping

from scripts.benchmarks import results
from scripts.benchmarks.counting import count
from scripts.benchmarks.throughput import Load

LOADS: Mapping[str, tuple[Load, int]] = {
    "20 together": (Load(pairs=10, window=20), 20),
    "alone": (Load(pairs=10, window=1), 40),
}
"""A load and its rounds: messages that come 20 in a frame, and one by one. Three devices get each."""

BOUNDS: Mapping[str, Mapping[str, int]] = {
    "20 together": {
        "Python calls": 60_000,
        "task steps": 70,
        "waits": 70,
        "frames in": 200,
        "frames out": 300,
        "transactions": 15,
        "system calls": 1_050,
        "syncs": 15,
    },
    "alone": {
        "Python calls": 600_000,
        "task steps": 1_350,
        "waits": 1_350,
        "frames in": 4_000,
        "frames out": 6_000,
        "transactions": 300,
        "system calls": 18_500,
        "syncs": 300,
    },
}
"""Per thousand messages. Recorded with CPython 3.11: another version may call differently."""


def compare(found: Mapping[str, float], bounds: Mapping[str, int]) -> list[str]:
    """What is dearer than it may be, in words."""
    return [
        f"{name}: {number:,.0f} for a thousand messages, and {bounds[name]:,} are allowed"
        for name, number in found.items()
        if name in bounds and number > bounds[name]
    ]


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="scripts/check-speed", description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--show", action="store_true", help="only count")
    options = parser.parse_args(argv)
    rows: list[list[str]] = []
    dearer: list[str] = []
    for name, (load, rounds) in LOADS.items():
        found = count(load, rounds)
        bounds = BOUNDS[name]
        rows += [[name, what, f"{number:,.0f}", f"{bounds.get(what, 0):,}"] for what, number in found.items()]
        dearer += [f"{name}: {line}" for line in compare(found, bounds)]
        if "system calls" not in found:
            print("system calls were not counted: strace is not installed, or not allowed here")
    print(results.table(["messages", "for a thousand", "counted", "bound"], rows))
    if options.show or not dearer:
        return 0
    print("\n".join(dearer))
    print("Find a cheaper way, or record the new bound in scripts/benchmarks/check_speed.py with what it bought.")
    return 1


if __name__ == "__main__":
    sys.exit(main())
