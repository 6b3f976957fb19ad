"""Whether a message has become dearer: `scripts/check-speed`.

    scripts/check-speed              counts (see counting.py), and compares with the bounds below
    scripts/check-speed --show       only counts
    scripts/check-speed --instructions [CASE]     counts instructions, where valgrind is: half a minute for each case
                                                  (the tests count what catching up takes)

Bytecodes are the honest ones: they grow with whatever Python does, within a function too, and are the same at every
run to a percent, where the machine is idle. What seems dearer is counted again, since a busy machine only adds. Their
bounds, and those of calls, are what was counted when they were recorded, and a twentieth more; of the others half as
much again, for what a busy machine tears apart into more batches, and a fifth of system calls where there are many.
Bytecodes do not see C: a longer loop in upb, LMDB or OpenSSL, a larger copy. Instructions do (callgrind, the whole
process, every library), for fifty times the time, so they are asked for by name; another machine's libraries take other
ways through them, and their bounds hold where they were recorded.

Whoever makes something dearer sees it here at once, and either finds a cheaper way or records the new bound with the
change that wanted it. Frames are exact.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence

from scripts.benchmarks import counting, groups, results
from scripts.benchmarks.counting import Case, CatchUp, Logins, Messages, OverTls
from scripts.benchmarks.throughput import Load

CASES: Mapping[str, Case] = {
    "20 together": Messages(Load(pairs=10, window=20), 20),
    "alone": Messages(Load(pairs=10, window=1), 40),
    "catch-up": CatchUp(users=10, entries=500, both=False),
    "catch-up, both wrote": CatchUp(users=10, entries=500, both=True),
    "a group of 50": Messages(groups.Load(members=50, window=1), 5),
    "alone, over TLS": OverTls(Messages(Load(pairs=10, window=1), 12)),
    "logins": Logins(devices=40),
}
"""Messages that come 20 in a frame, and one by one (three devices get each, in the group 49); entries of logs of which
devices that come back have nothing; logins of devices that miss nothing."""

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
        "bytecodes": 20_400_000,
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
        "bytecodes": 321_500,
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
        "bytecodes": 416_000,
        "Python calls": 14_300,
        "task steps": 132,
        "waits": 60,
        "frames in": 10,
        "frames out": 10,
        "transactions": 9,
        "system calls": 309,
        "syncs": 9,
    },
    "a group of 50": {
        "bytecodes": 259_200_000,
        "Python calls": 6_471_000,
        "task steps": 10_650,
        "waits": 10_650,
        "frames in": 50_000,
        "frames out": 50_000,
        "transactions": 3_000,
        "system calls": 171_700,
        "syncs": 3_000,
    },
    "alone, over TLS": {
        "bytecodes": 21_300_000,
        "Python calls": 610_000,
        "task steps": 1_060,
        "waits": 1_060,
        "frames in": 4_000,
        "frames out": 6_000,
        "transactions": 300,
        "system calls": 18_300,
        "syncs": 300,
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
INSTRUCTIONS: Mapping[str, int] = {
    "20 together": 342_000_000,
    "alone": 1_927_000_000,
    "catch-up": 57_000_000,
    "catch-up, both wrote": 65_000_000,
    "a group of 50": 23_350_000_000,
    "alone, over TLS": 1_998_000_000,
    "logins": 4_510_000_000,
}
"""Per thousand, by callgrind; a twentieth more than was counted."""
RECORDED_WITH = (3, 11)
BY_VERSION = frozenset({"bytecodes", "Python calls", "instructions"})
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
    parser.add_argument("--instructions", action="store_true", help="count instructions instead, by callgrind")
    parser.add_argument("cases", nargs="*", metavar="CASE", help="only these: " + ", ".join(CASES))
    options = parser.parse_args(argv)
    if unknown := set(options.cases) - set(CASES):
        parser.error(f"there is no case {', '.join(sorted(unknown))}; there are {', '.join(CASES)}")
    chosen = options.cases or list(CASES)
    if options.instructions:
        return check_instructions(chosen, only_show=options.show)
    rows: list[list[str]] = []
    dearer: list[str] = []
    for name in chosen:
        case = CASES[name]
        bounds = BOUNDS[name]
        found = least(case, bounds)
        rows += [[name, what, f"{number:,.0f}", f"{bounds.get(what, 0):,}"] for what, number in found.items()]
        dearer += [f"{name}: {line}" for line in compare(found, bounds)]
        if "system calls" not in found:
            print("system calls were not counted: strace is not installed, or not allowed here")
    return verdict(rows, dearer, only_show=options.show)


def check_instructions(chosen: Sequence[str], *, only_show: bool) -> int:
    if not counting.can_count_instructions():
        print("instructions were not counted: valgrind is not installed")
        return 0
    rows: list[list[str]] = []
    dearer: list[str] = []
    with counting.instructions():
        for name in chosen:
            bounds = {"instructions": INSTRUCTIONS[name]}
            found = least(CASES[name], bounds)
            rows += [[name, what, f"{number:,.0f}", f"{bounds[what]:,}"] for what, number in found.items()]
            dearer += [f"{name}: {line}" for line in compare(found, bounds)]
    return verdict(rows, dearer, only_show=only_show)


def verdict(rows: Sequence[Sequence[str]], dearer: Sequence[str], *, only_show: bool) -> int:
    print(results.table(["", "for a thousand", "counted", "bound"], rows))
    if only_show or not dearer:
        return 0
    print("\n".join(dearer))
    print("Find a cheaper way, or record the new bound in scripts/benchmarks/check_speed.py with what it bought.")
    return 1


if __name__ == "__main__":
    sys.exit(main())
