"""scripts/simulate: seeds, one after the other, and what happened in them."""

import argparse
import sys
import time
from collections import Counter
from random import SystemRandom

from tests.kit.checker import explain
from tests.simulation.event_queue import TICKS
from tests.simulation.simulation import MESSAGES, Options, Outcome, simulate
from tests.simulation.summary import failure, summary


def main() -> int:
    options = _parse()
    if options.seed is not None:
        return _show_one(options.seed, messages=options.messages, verbose=options.verbose)
    first = options.first if options.first is not None else SystemRandom().getrandbits(31)
    return _run_many(range(first, first + options.seeds), messages=options.messages)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/simulate",
        description="The whole server and many clients in one thread and virtual time, each run from one seed: "
        "cuts, kills of tasks and of the process, power losses, restores; then the invariants are checked.",
    )
    parser.add_argument("--seeds", type=int, default=20, help="how many (default: 20)")
    parser.add_argument("--first", type=int, help="the first seed (default: a random one)")
    parser.add_argument("--seed", type=int, help="this seed alone: what a failure prints")
    parser.add_argument("--messages", type=int, default=MESSAGES, help=f"in each seed (default: {MESSAGES})")
    parser.add_argument("--verbose", action="store_true", help="with --seed: everything that devices saw and did")
    return parser.parse_args()


def _run_many(seeds: range, *, messages: int) -> int:
    began = time.monotonic()
    counts: Counter[str] = Counter()
    failed: list[Outcome] = []
    for done, seed in enumerate(seeds, 1):
        outcome = simulate(seed, Options(messages=messages))
        counts.update(outcome.counts)
        if outcome.violations:
            failed.append(outcome)
            print(f"\r{failure(outcome)}")
        spent = time.monotonic() - began
        line = f"\r{done} of {len(seeds)} seeds, {len(failed)} failed, {spent / done:.2f} s each"
        print(line, end="\n" if done == len(seeds) else "", flush=True)  # over the last one
    print(summary(counts, len(seeds)))
    violations = sum(len(outcome.violations) for outcome in failed)
    print(f"\nseeds {seeds[0]} to {seeds[-1]}: {violations} violations")
    return 1 if failed else 0


def _show_one(seed: int, *, messages: int, verbose: bool) -> int:
    outcome = simulate(seed, Options(messages=messages, trace=verbose))
    for tick, line in outcome.trace:
        print(f"{tick / TICKS:9.4f} {line[:400]}")
    print(summary(outcome.counts, 1))
    print(f"\nseed {seed}: {outcome.seconds:g} s of virtual time, transcript {outcome.transcript[:16]}")
    print(explain(outcome.violations) if outcome.violations else "0 violations")
    return 1 if outcome.violations else 0


if __name__ == "__main__":
    sys.exit(main())
