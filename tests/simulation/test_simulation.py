"""Seeds of the whole-server simulation. BIMIP_SEEDS says how many, BIMIP_FIRST_SEED where they begin."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace

import pytest

from tests.kit.coverage import unmeasured
from tests.simulation.simulation import MESSAGES, Options, Outcome, simulate
from tests.simulation.summary import failure, summary

SEEDS = int(os.environ.get("BIMIP_SEEDS", "80"))
FIRST = int(os.environ.get("BIMIP_FIRST_SEED", "1"))
CHUNK = 20
TRACED = 3
CHUNKS = [range(at, min(at + CHUNK, FIRST + SEEDS)) for at in range(FIRST, FIRST + SEEDS, CHUNK)]

PRINT_A_TRANSCRIPT = (
    "from tests.simulation.simulation import *; print(simulate({seed}, Options(messages=100)).transcript)"
)


@pytest.fixture(scope="module")
def happened(request: pytest.FixtureRequest) -> Iterator[Counter[str]]:
    """What happened in all seeds of this run, printed at its end."""
    counts: Counter[str] = Counter()
    yield counts
    capture = request.config.pluginmanager.getplugin("capturemanager")
    if counts["seeds"] and capture is not None:
        with capture.global_and_fixture_disabled():
            sys.stdout.write(f"\n{counts['seeds']} seeds of the simulation\n{summary(counts, counts['seeds'])}\n")


def what_is_missing(outcome: Outcome) -> list[str]:
    """A seed in which too little happened shows nothing."""
    least = {"written": MESSAGES, "cuts": 3, "task kills": 5, "power losses": 2, "resent": 1, "users": 6}
    return [f"{name}: {outcome.counts[name]}" for name, count in least.items() if outcome.counts[name] < count]


@pytest.mark.parametrize("seeds", CHUNKS, ids=lambda seeds: f"{seeds[0]}-{seeds[-1]}")
def test_nothing_is_lost_doubled_or_reordered_whatever_happens(seeds: range, happened: Counter[str]) -> None:
    moments: Counter[str] = Counter()
    for seed in seeds:
        with nullcontext() if seed < FIRST + TRACED else unmeasured():
            outcome = simulate(seed)
        happened.update(outcome.counts)
        moments.update(outcome.moments)
        happened["seeds"] += 1

        assert not outcome.violations, failure(outcome)
        assert not what_is_missing(outcome), f"seed {seed}: {what_is_missing(outcome)}"
    if len(seeds) == CHUNK:  # a trap for a commit that never springs is one at any moment
        assert set(moments) == {"now", "before", "after"}


def test_a_seed_gives_the_same_run_again_and_another_seed_another() -> None:
    short = Options(messages=100)
    first, again, traced, other = (
        simulate(7, short),
        simulate(7, short),
        simulate(7, replace(short, trace=True)),
        simulate(8, short),
    )

    assert first.transcript == again.transcript == traced.transcript
    assert first.history == again.history
    assert first.counts == again.counts
    assert first.transcript != other.transcript


def test_another_process_replays_a_seed_exactly() -> None:
    """Also where Python draws other hashes and other addresses."""
    program = PRINT_A_TRANSCRIPT.format(seed=7)
    printed = {
        subprocess.run(
            [sys.executable, "-c", program],
            env=os.environ | {"PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for hash_seed in ("1", "2")
    }

    assert printed == {simulate(7, Options(messages=100)).transcript}
