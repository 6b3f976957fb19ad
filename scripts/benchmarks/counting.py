"""What messages take, counted inside the server: what does not depend on how fast the machine is, or what else it does.

    python -m scripts.benchmarks.counting OUTPUT serve --config FILE       what it does to the server

A load in lockstep: every sender posts, and nobody goes on before all have everything. The counters sit in the server's
process: calls of Python functions, steps of tasks, waits for the system, frames, transactions. System calls are counted
by strace, where it is installed and allowed. What the server does by the clock, so that nobody waits for long, would be
counted where a busy machine is slow: turns and batches are not cut short here, and acknowledgements wait longer.
"""

import cProfile
import json
import os
import re
import runpy
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from scripts.benchmarks import server
from scripts.benchmarks.throughput import Load, World

ROUND_SECONDS = 30.0
ACK_DELAY_SECONDS = 0.1
QUIET_SECONDS = 0.16
"""A round is over when its acknowledgements, which wait for company, are on disk."""
WARM_ROUNDS = 3


class Counters:
    """In the server's process. SIGUSR1: count from now on. SIGUSR2: write what was counted."""

    def __init__(self, output: Path) -> None:
        self._output = output
        self._counts = dict.fromkeys(("task steps", "waits", "frames in", "frames out", "transactions"), 0)
        self._profile = cProfile.Profile(builtins=False)

    def install(self) -> None:
        import trio  # noqa: PLC0415 - only the server's interpreter has these

        from bimip.gateway import poller  # noqa: PLC0415
        from bimip.gateway.connection import WebSocketConnection  # noqa: PLC0415
        from bimip.storage.lmdb import LmdbStore  # noqa: PLC0415
        from bimip.storage.worker import ThreadWorker  # noqa: PLC0415
        from bimip.users import reader  # noqa: PLC0415

        ThreadWorker.clock = staticmethod(float)
        poller.TURN_SECONDS = ROUND_SECONDS
        poller.MUCH_TURN_SECONDS = ROUND_SECONDS
        run = trio.run
        trio.run = lambda *args, **options: run(*args, instruments=[self._instrument(trio)], **options)  # type: ignore[assignment]
        self._count("frames in", reader, "handle")
        self._count("frames out", WebSocketConnection, "_write")
        self._count("transactions", LmdbStore, "commit")
        signal.signal(signal.SIGUSR1, self._begin)
        signal.signal(signal.SIGUSR2, self._end)

    def _instrument(self, trio: Any) -> Any:  # noqa: ANN401 - the module and its class
        counts = self._counts

        class Steps(trio.abc.Instrument):  # type: ignore[misc]
            def before_task_step(self, _task: object) -> None:
                counts["task steps"] += 1

            def before_io_wait(self, _timeout: float) -> None:
                counts["waits"] += 1

        return Steps()

    def _count(self, name: str, owner: object, function: str) -> None:
        counted: Callable[..., Any] = vars(owner)[function]

        def count(*args: Any, **options: Any) -> Any:  # noqa: ANN401 - whatever it takes and returns
            self._counts[name] += 1
            return counted(*args, **options)

        setattr(owner, function, count)

    def _begin(self, *_: object) -> None:
        self._counts.update(dict.fromkeys(self._counts, 0))
        self._profile.enable()

    def _end(self, *_: object) -> None:
        self._profile.disable()
        calls = sum(entry.callcount for entry in self._profile.getstats() if not isinstance(entry.code, str))
        self._output.write_text(json.dumps({"Python calls": calls, **self._counts}))


def count(load: Load, rounds: int) -> dict[str, float]:
    """Per thousand messages, by name."""
    with server.temporary_folder() as folder:
        output = folder / "counts"
        with server.observed_by("counting", output), server.running(folder) as running:
            return _measure(running, load, rounds, output)


def _measure(running: server.Server, load: Load, rounds: int, output: Path) -> dict[str, float]:
    world = World(running, load)
    for _ in range(WARM_ROUNDS):
        _round(world, load)
    before = world.ledger.sent
    with traced(running.pid, running.folder / "strace") as calls:
        _tell(running.pid, signal.SIGUSR1)
        for _ in range(rounds):
            _round(world, load)
        _tell(running.pid, signal.SIGUSR2)
    counts = json.loads(output.read_text()) | calls
    messages = world.ledger.sent - before
    failures = dict(world.loop.failures)
    world.close()
    if failures:
        raise RuntimeError(f"what was counted means nothing: {failures}")
    return {name: 1000 * number / messages for name, number in counts.items()}


def _round(world: World, load: Load) -> None:
    for sender in world.senders:
        sender.post(load.window)
    if not world.loop.run(lambda: world.ledger.is_settled, ROUND_SECONDS):
        raise RuntimeError(f"messages were not delivered within {ROUND_SECONDS} s")
    world.loop.rest(QUIET_SECONDS)


def _tell(pid: int, number: int) -> None:
    """And give it a moment: a signal is heard at the next call."""
    subprocess.run(["kill", f"-{number}", str(pid)], check=True)
    time.sleep(0.2)


@contextmanager
def traced(pid: int, output: Path) -> Iterator[dict[str, int]]:
    """The system calls of a process, by name, once the context has ended; nothing where that cannot be."""
    calls: dict[str, int] = {}
    if shutil.which("strace") is None:
        yield calls
        return
    tracer = subprocess.Popen(
        ["strace", "-f", "-c", "-o", str(output), "-p", str(pid)], stderr=subprocess.PIPE, text=True
    )
    assert tracer.stderr is not None
    allowed = "attached" in tracer.stderr.readline()
    yield calls
    tracer.send_signal(signal.SIGINT)
    tracer.communicate()
    if allowed:
        found = re.findall(r"^ *[\d.]+ +[\d.]+ +\d+ +(\d+) +(?:\d+ +)?(\w+)$", output.read_text(), re.MULTILINE)
        by_name = {name: int(number) for number, name in found if name != "total"}
        calls["system calls"] = sum(number for name, number in by_name.items() if name != "futex")  # who waits for whom
        calls["syncs"] = by_name.get("fdatasync", 0) + by_name.get("fsync", 0)


def serve() -> None:
    output, *arguments = sys.argv[1:]
    Counters(Path(output)).install()
    os.environ["BIMIP_LIMITS_ACK_DELAY_SECONDS"] = str(ACK_DELAY_SECONDS)
    sys.argv = ["bimip", *arguments]
    runpy.run_module("bimip", run_name="__main__")


if __name__ == "__main__":
    serve()
