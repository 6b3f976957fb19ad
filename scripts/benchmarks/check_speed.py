"""Whether a message has become dearer: `scripts/check-speed`.

    scripts/check-speed              counts (see counting.py), and compares with the bounds below
    scripts/check-speed --show       only counts

Bytecodes are the honest ones: they grow with whatever Python does, within a function too, and are the same at every
run to a percent. Their bounds, and those of calls, are what was counted when they were recorded, and a twentieth more;
the others', half as much again, for what a busy machine tears apart into more batches. Whoever makes something dearer
sees it here at once, and either finds a cheaper way or records the new bound with the change that wanted it.
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

BOUNDS: Mapping[str, Mapping[str, int]] = {}
"""Per thousand. Recorded with CPython 3.11: another version may call and compile differently."""


def compare(found: Mapping[str, float], bounds: Mapping[str, int]) -> list[str]:
    """What is dearer than it may be, in words."""
    return [
        f"{name}: {number:,.0f} for a thousand, and {bounds[name]:,} are allowed"
        for name, number in found.items()
        if name in bounds and number > bounds[name]
    ]


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="scripts/check-speed", description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--show", action="store_true", help="only count")
    options = parser.parse_args(argv)
    rows: list[list[str]] = []
    dearer: list[str] = []
    for name, case in CASES.items():
        found = case.count()
        bounds = BOUNDS.get(name, {})
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
