"""Where the server's time goes, by function: the server itself, run with a sampler in it.

The sampler is a timer that counts the processor time of the process and interrupts the main thread, where the event
loop runs; it notes the stack and goes on. It needs nothing installed, costs a few percent, and charges C code to the
Python function that called it. (`py-spy record --native` and `perf record -g` see through that, where they exist.)

    python -m scripts.benchmarks.profiling OUTPUT serve --config FILE     what it does to the server
"""

import runpy
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

from scripts.benchmarks import results, server, throughput
from scripts.benchmarks.throughput import Load

EVERY_SECONDS = 0.002
TOP = 30


class Sampler:
    def __init__(self) -> None:
        self.samples = 0
        self.own: Counter[str] = Counter()
        self.cumulative: Counter[str] = Counter()

    def take(self, _signal: int, frame: FrameType | None) -> None:
        names = [_name(one) for one in _stack(frame)]
        self.samples += 1
        self.own[names[0]] += 1
        self.cumulative.update(set(names))

    def write(self, file: Path) -> None:
        lines = [
            [f"{own_name} {100 * own / self.samples:.1f}", f"{name} {100 * count / self.samples:.1f}"]
            for (own_name, own), (name, count) in zip(
                self.own.most_common(TOP), self._below_the_loop().most_common(TOP), strict=False
            )
        ]
        file.write_text(results.table([f"own % of {self.samples} samples", "with all that it calls %"], lines) + "\n")

    def _below_the_loop(self) -> Counter[str]:
        """Without what is on every stack: it says nothing."""
        return Counter({name: count for name, count in self.cumulative.items() if count < 0.97 * self.samples})


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
        plain = server.command

        def sampled(config: Path) -> list[str]:
            interpreter, *rest = plain(config)
            return [interpreter, "-m", "scripts.benchmarks.profiling", str(table), *rest[2:]]

        server.command = sampled
        try:
            with server.running(folder) as running:
                found: dict[str, Any] = throughput.measure(running, load)
        finally:
            server.command = plain
        head = f"{found['accepted_per_s']:,.0f} accepted/s, {found['server_us_per_message']:,.0f} µs each, while sampled"
        return f"{head}\n\n{table.read_text()}"


def main() -> None:
    output, *arguments = sys.argv[1:]
    sampler = Sampler()
    sys.argv = ["bimip", *arguments]
    signal.signal(signal.SIGPROF, sampler.take)
    signal.siginterrupt(signal.SIGPROF, False)  # noqa: FBT003 - positional in the standard library
    signal.setitimer(signal.ITIMER_PROF, EVERY_SECONDS, EVERY_SECONDS)
    try:
        runpy.run_module("bimip", run_name="__main__")
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        sampler.write(Path(output))


if __name__ == "__main__":
    main()
