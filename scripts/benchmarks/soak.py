"""Steady traffic for as long as you like, with devices that come and go: memory must not grow.

    python -m scripts.benchmarks.soak --seconds 3600

The first quarter warms up. Then the median of the second quarter is compared with that of the last.
"""

import argparse
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from scripts.benchmarks import accounting, server
from scripts.benchmarks.device import Device
from scripts.benchmarks.ledger import Ledger, now
from scripts.benchmarks.loop import Loop
from scripts.benchmarks.throughput import quiet_collector

HOUR = 3600.0
SAMPLE_SECONDS = 1.0
MOST_GROWTH = 0.10
"""Of the second quarter's median. LMDB's pages are counted apart: they are the system's cache, not ours."""
SLACK_BYTES = 8 << 20


@dataclass(frozen=True)
class Plan:
    seconds: float = HOUR
    pairs: int = 20
    rate: float = 200.0
    """Messages per second."""
    churn: float = 2.0
    """Receiving devices that leave and come back, per second."""
    seed: int = 0


class Soak:
    """Of each pair, a phone writes to the other's phone, which stays, and laptop, which comes and goes."""

    def __init__(self, running: server.Server, plan: Plan) -> None:
        self.loop = Loop()
        self.ledger = Ledger(plan.pairs, 1)
        self.samples: list[int] = []
        self.comings = 0
        self._running, self._plan = running, plan
        self._random = Random(plan.seed)
        self._senders = [self._connect(f"soak-a{pair:04d}", "phone", self.ledger) for pair in range(plan.pairs)]
        self._stayers = [self._connect(_reader(pair), "phone", self.ledger) for pair in range(plan.pairs)]
        self._laptops = [self._connect(_reader(pair), "laptop", None) for pair in range(plan.pairs)]
        for pair, sender in enumerate(self._senders):
            sender.write_to(pair, _reader(pair))
        self.loop.rest(1.0)
        self._began = now()
        self._sent = 0

    def run(self) -> None:
        self.loop.run(lambda: False, self._plan.seconds, self._tick)
        self.loop.run(lambda: self.ledger.is_settled, 20.0)

    def _tick(self, at: float) -> float:
        plan, passed = self._plan, at - self._began
        while self._sent < passed * plan.rate:
            self._senders[self._sent % plan.pairs].post(1)
            self._sent += 1
        if self.comings < passed * plan.churn:
            self._churn()
        if len(self.samples) * SAMPLE_SECONDS < passed:
            self.samples.append(accounting.private_bytes(self._running.pid))
        return 1 / plan.rate

    def _churn(self) -> None:
        pair = self._random.randrange(self._plan.pairs)
        gone = self._laptops[pair]
        gone.close()
        self._laptops[pair] = self._connect(_reader(pair), "laptop", None, offset=gone.position)
        self.comings += 1

    def _connect(self, eid: str, name: str, ledger: Ledger | None, *, offset: int = 0) -> Device:
        device = Device(self.loop, self._running.port, server.token(eid, name), ledger, offset=offset)
        device.position = offset
        return device


def _reader(pair: int) -> str:
    return f"soak-b{pair:04d}"


def verdict(samples: Sequence[int]) -> tuple[int, int, bool]:
    """The medians of the second and of the last quarter, in bytes, and whether that is no growth."""
    quarter = max(1, len(samples) // 4)
    early, late = (
        int(statistics.median(part)) for part in (samples[quarter : 2 * quarter] or samples, samples[-quarter:])
    )
    return early, late, late <= early * (1 + MOST_GROWTH) + SLACK_BYTES


def measure(plan: Plan) -> tuple[str, bool]:
    with server.running() as running:
        soak = Soak(running, plan)
        quiet_collector()
        soak.run()
        complaints = running.complaints()
    early, late, steady = verdict(soak.samples)
    ledger = soak.ledger
    missing = 2 * ledger.sent - ledger.accepted - ledger.whole
    told = (
        f"{plan.seconds:g} s, {ledger.sent} messages, {soak.comings} devices came back: private memory "
        f"{early / (1 << 20):.1f} MiB in the second quarter, {late / (1 << 20):.1f} MiB in the last; "
        f"{missing} missing, {ledger.duplicates} doubled, failures: {dict(soak.loop.failures)} {complaints}"
    )
    return told, steady and not missing and not ledger.duplicates and not soak.loop.failures


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="scripts/soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=HOUR)
    parser.add_argument("--pairs", type=int, default=Plan.pairs)
    parser.add_argument("--rate", type=float, default=Plan.rate, help="messages per second")
    parser.add_argument("--churn", type=float, default=Plan.churn, help="devices that leave and come back, per second")
    parser.add_argument("--seed", type=int, default=0)
    told, fine = measure(Plan(**vars(parser.parse_args(argv))))
    print(told)
    print("memory is steady and nothing was lost" if fine else "FAILED")
    return 0 if fine else 1


if __name__ == "__main__":
    server.stop_when_told()
    sys.exit(main())
