"""Where the server's time goes, by function: the server itself, run with a sampler in it.

The sampler is a timer that counts the processor time of the process and interrupts the main thread, where the event
loop runs; it notes the stack and goes on. It needs nothing installed, costs a few percent, and charges C code to the
Python function that called it. (`py-spy record --native` and `perf record -g` see through that, where they exist.)

    python -m scripts.benchmarks.profiling OUTPUT serve --config FILE     what it does to the server
"""

import gc
import runpy
import signal
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import FrameType
from typing import Any

from scripts.benchmarks import results, server, throughput
from scripts.benchmarks.throughput import Load

EVERY_SECONDS = 0.002
TOP = 30
LOOP = "unrolled_run (_core/_run.py)"


class Sampler:
    def __init__(self) -> None:
        self.seconds = 0.0
        self._last = time.process_time()
        self.own: defaultdict[str, float] = defaultdict(float)
        self.cumulative: defaultdict[str, float] = defaultdict(float)

    def take(self, _signal: int, frame: FrameType | None) -> None:
        now = time.process_time()
        weight, self._last = now - self._last, now  # one interruption stands for all that came due meanwhile
        names = [_name(one) for one in _stack(frame)]
        if LOOP not in names:
            return  # it starts or stops
        names = names[: names.index(LOOP) + 1]  # what is above is on every stack
        self.seconds += weight
        self.own[names[0]] += weight
        for name in set(names):
            self.cumulative[name] += weight

    def write(self, file: Path) -> None:
        lines = [
            [own_name, f"{100 * own / self.seconds:.1f}", f"{100 * whole / self.seconds:.1f}", name]
            for (own_name, own), (name, whole) in zip(_most(self.own), _most(self.cumulative), strict=False)
        ]
        head = [f"of {self.seconds:.1f} s", "own %", "with all that it calls %", ""]
        file.write_text(results.table(head, lines) + "\n")


def garbage_collector(_phase: str, _details: object) -> None:
    """Called around each collection. A timer that ran out within one is noticed here, and so has a name."""


def _most(seconds: Mapping[str, float]) -> list[tuple[str, float]]:
    return sorted(seconds.items(), key=lambda item: item[1], reverse=True)[:TOP]


def _stack(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def _name(frame: FrameType) -> str:
    code = frame.f_code
    return f"{code.co_qualname} ({'/'.join(code.co_filename.split('/')[-2:])})"


def measure(load: Load) -> str:
    """Put a load on a server with a sampler in it; returns the table."""
    with server.temporary_folder() as folder:
        table = folder / "profile"
        with server.observed_by("profiling", table), server.running(folder) as running:
            found: dict[str, Any] = throughput.measure(running, load)
        rate, each = found["accepted_per_s"], found["server_us_per_message"]
        return f"{rate:,.0f} accepted/s, {each:,.0f} µs each, while sampled\n\n{table.read_text()}"


def main() -> None:
    output, *arguments = sys.argv[1:]
    sampler = Sampler()
    sys.argv = ["bimip", *arguments]
    signal.signal(signal.SIGPROF, sampler.take)
    gc.callbacks.append(garbage_collector)
    signal.siginterrupt(signal.SIGPROF, False)  # noqa: FBT003 - positional in the standard library
    signal.setitimer(signal.ITIMER_PROF, EVERY_SECONDS, EVERY_SECONDS)
    try:
        runpy.run_module("bimip", run_name="__main__")
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        sampler.write(Path(output))


if __name__ == "__main__":
    main()
