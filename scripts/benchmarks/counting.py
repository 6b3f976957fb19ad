"""What messages take, counted inside the server: what does not depend on how fast the machine is, or what else it does.

    python -m scripts.benchmarks.counting OUTPUT serve --config FILE       what it does to the server
    python -m scripts.benchmarks.counting - serve --config FILE            the same without counters, under callgrind

A load in lockstep: every sender posts, and nobody goes on before all have everything; of those who catch up or log in
each begins when the one before has ended. The counters sit in the server's process: bytecodes, calls of Python
functions, steps of tasks, waits for the system, frames, transactions. Bytecodes tell most: calls alone pass over
whatever a function does within itself. System calls are counted by strace, where it is installed and allowed. What the
server does by the clock, so that nobody waits for long, would be counted where a busy machine is slow: turns and
batches are not cut short here, acknowledgements wait longer, and no commit is too slow for the loop's thread.
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
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Protocol

import trio

from scripts.benchmarks import groups, server, tls
from scripts.benchmarks.device import Device, connect_all
from scripts.benchmarks.loop import Loop
from scripts.benchmarks.offline import eid_of, open_filling
from scripts.benchmarks.throughput import Load, World

ROUND_SECONDS = 300.0
"""The most that anything may take: under valgrind on a busy machine."""
ACK_DELAY_SECONDS = 0.1
QUIET_SECONDS, QUIET_LOOKS = 0.16, 8
"""A round is over when its acknowledgements, which wait for company, are on disk, and the devices that left are gone:
when for so long the server was asleep whenever it was looked at.
"""
WARM_ROUNDS = 3
AWAY_SECONDS = 600.0
"""Longer than any count takes, even on a busy machine."""


class Counters:
    """In the server's process. SIGUSR1: count from now on. SIGUSR2: write what was counted."""

    def __init__(self, output: Path) -> None:
        self._output = output
        self._counts = dict.fromkeys(("task steps", "waits", "frames in", "frames out", "transactions"), 0)
        self._profile = cProfile.Profile(builtins=False)
        self._bytecodes = Bytecodes()

    def install(self) -> None:
        from bimip.gateway.connection import WebSocketConnection  # noqa: PLC0415 - only the server's interpreter has these
        from bimip.storage.lmdb.store import LmdbStore  # noqa: PLC0415
        from bimip.users import intake  # noqa: PLC0415

        run = trio.run
        trio.run = lambda *args, **options: run(*args, instruments=[self._instrument()], **options)
        self._count("frames in", intake, "handle")
        self._count("frames out", WebSocketConnection, "_write")
        self._count("transactions", LmdbStore, "commit")
        signal.signal(signal.SIGUSR1, self._begin)
        signal.signal(signal.SIGUSR2, self._end)

    @staticmethod
    def forget_the_clock() -> None:
        """Nothing is cut short, or done, because the machine is slow."""
        from bimip.gateway import poller  # noqa: PLC0415 - see install
        from bimip.health import LoopWatch  # noqa: PLC0415
        from bimip.journal import worker  # noqa: PLC0415
        from bimip.requests import message  # noqa: PLC0415
        from bimip.supervision import turns  # noqa: PLC0415
        from bimip.users import device  # noqa: PLC0415

        worker.ThreadWorker.clock = staticmethod(float)
        worker.QUICK_SECONDS = ROUND_SECONDS
        poller.TURN_SECONDS = ROUND_SECONDS
        poller.MUCH_TURN_SECONDS = ROUND_SECONDS
        # What is done by the second, and not for what is asked, would be the more the slower the machine counts.
        vars(turns)["NOTED_SECONDS"] = ROUND_SECONDS
        vars(message)["SAMPLE_SECONDS"] = vars(device)["SAMPLE_SECONDS"] = AWAY_SECONDS
        setattr(LoopWatch, "run", staticmethod(trio.sleep_forever))  # noqa: B010 - no method is replaced by assignment

    def _instrument(self) -> trio.abc.Instrument:
        counts = self._counts

        class Steps(trio.abc.Instrument):
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

    def _begin(self, _signal: int, frame: FrameType | None) -> None:
        self._counts.update(dict.fromkeys(self._counts, 0))
        self._profile.enable()
        self._bytecodes.begin(frame)

    def _end(self, *_: object) -> None:
        self._bytecodes.end()
        self._profile.disable()
        calls = sum(entry.callcount for entry in self._profile.getstats() if not isinstance(entry.code, str))
        counts = {"bytecodes": self._bytecodes.count, "Python calls": calls, **self._counts}
        self._output.write_text(json.dumps(counts))


class Bytecodes:
    """Counts what this thread's interpreter executes. What tells of each is not counted itself."""

    def __init__(self) -> None:
        self.count = 0
        self._before: Any = None
        self._running: list[FrameType] = []

    def begin(self, running: FrameType | None) -> None:
        """`running`: the innermost frame; those that wait below it are counted when they go on, as new ones are."""
        self.count = 0
        while running is not None:
            self._follow(running)
            running.f_trace = self._trace
            self._running.append(running)
            running = running.f_back
        self._before = sys.gettrace()
        sys.settrace(self._enter)

    def end(self) -> None:
        """Gives back the tracer that was there before: coverage is one, and would measure nothing from then on."""
        sys.settrace(None)
        for frame in self._running:
            frame.f_trace_opcodes, frame.f_trace_lines, frame.f_trace = False, True, None
        self._running.clear()
        sys.settrace(self._before)

    def _enter(self, frame: FrameType, _event: str, _arg: object) -> Any:  # noqa: ANN401 - as sys.settrace wants it
        self._follow(frame)
        return self._trace

    def _trace(self, _frame: FrameType, event: str, _arg: object) -> Any:  # noqa: ANN401
        if event == "opcode":
            self.count += 1
        return self._trace

    @staticmethod
    def _follow(frame: FrameType) -> None:
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False


class Case(Protocol):
    """Something that is done over and over."""

    @property
    def what(self) -> str:
        """What is counted for a thousand of."""
        ...

    def count(self) -> dict[str, float]: ...


@dataclass(frozen=True)
class Messages:
    load: Load | groups.Load
    rounds: int
    what: str = "messages"

    def count(self) -> dict[str, float]:
        with counting() as (folder, counted), server.running(folder) as running:
            world = (
                groups.World(running, self.load) if isinstance(self.load, groups.Load) else World(running, self.load)
            )
            for _ in range(WARM_ROUNDS):
                _round(world, self.load, running.pid)
            before = world.ledger.sent
            with counted(running) as counts:
                for _ in range(self.rounds):
                    _round(world, self.load, running.pid)
            messages = world.ledger.sent - before
            world.close()
            return _per_thousand(counts, messages, world.loop)


@dataclass(frozen=True)
class OverTls:
    """The same, over TLS."""

    case: Case

    @property
    def what(self) -> str:
        return self.case.what

    def count(self) -> dict[str, float]:
        with tls.spoken():
            return self.case.count()


@dataclass(frozen=True)
class CatchUp:
    """Users come back, one after the other, to a log of which they have nothing; after a restart of the server."""

    users: int
    entries: int
    both: bool
    """They wrote every second entry of it themselves."""
    what: str = "entries"

    def count(self) -> dict[str, float]:
        with counting() as (folder, counted):
            trio.run(self._fill, folder)
            with server.running(folder) as running:
                loop = Loop()
                with counted(running) as counts:
                    for user in range(self.users):
                        self._pull(loop, running, eid_of(2 * user))
                loop.close()
                return _per_thousand(counts, self.users * self.entries, loop)

    async def _fill(self, folder: Path) -> None:
        async with open_filling(folder) as filling:
            await filling.register(2 * self.users)
            for user in range(self.users):
                await filling.converse(2 * user, 2 * user + 1, self.entries, both=self.both)

    def _pull(self, loop: Loop, running: server.Server, eid: str) -> None:
        device = Device(loop, running.port, server.token(eid, "phone"))
        if not loop.run(lambda: device.position >= self.entries or bool(loop.failures), ROUND_SECONDS):
            raise RuntimeError(f"{eid} got {device.position} of {self.entries} entries within {ROUND_SECONDS} s")
        _settle(loop, running.pid)
        device.close()


@dataclass(frozen=True)
class Logins:
    """Devices that were here before come back, one after the other, and miss nothing."""

    devices: int
    what: str = "logins"

    def count(self) -> dict[str, float]:
        with counting() as (folder, counted), server.running(folder) as running:
            loop = Loop()
            for device in self._connect(loop, running):
                device.close()
            _settle(loop, running.pid)
            with counted(running) as counts:
                self._connect(loop, running)
                _settle(loop, running.pid)
            loop.close()
            return _per_thousand(counts, self.devices, loop)

    def _connect(self, loop: Loop, running: server.Server) -> list[Device]:
        def make(index: int) -> Device:
            return Device(loop, running.port, server.token(eid_of(index), "phone"))

        return connect_all(loop, make, self.devices, at_once=1)


by_callgrind = False
"""Count instructions, of C too, and nothing else: valgrind runs the server, for which all takes 50 times as long."""


@contextmanager
def instructions() -> Iterator[None]:
    """Cases that are counted in here are counted by callgrind."""
    global by_callgrind  # noqa: PLW0603 - a case is counted in the same way whatever counts
    by_callgrind = True
    try:
        yield
    finally:
        by_callgrind = False


def can_count_instructions() -> bool:
    return shutil.which("valgrind") is not None and shutil.which("callgrind_control") is not None


@contextmanager
def _counting_instructions() -> Iterator[
    tuple[Path, Callable[[server.Server], AbstractContextManager[dict[str, int]]]]
]:
    with server.temporary_folder() as folder:
        output = folder / "callgrind"

        @contextmanager
        def counted(running: server.Server) -> Iterator[dict[str, int]]:
            counts: dict[str, int] = {}
            _control(running.pid, "--instr=on")
            yield counts
            _control(running.pid, "--dump")
            _control(running.pid, "--instr=off")
            totals = [int(found) for file in folder.glob("callgrind.*") for found in _TOTALS.findall(file.read_text())]
            counts["instructions"] = sum(totals)

        with server.observed_by("counting", Path("-")), server.under([*VALGRIND, f"--callgrind-out-file={output}"]):
            yield folder, counted


_TOTALS = re.compile(r"^totals: (\d+)$", re.MULTILINE)
VALGRIND = ["valgrind", "--tool=callgrind", "--instr-atstart=no", "-q"]
MAP_BYTES = 1 << 30
"""Of the store, under valgrind: it has no room for a terabyte of addresses."""


def _control(pid: int, what: str) -> None:
    subprocess.run(["callgrind_control", what, str(pid)], check=True, capture_output=True)


@contextmanager
def counting() -> Iterator[tuple[Path, Callable[[server.Server], AbstractContextManager[dict[str, int]]]]]:
    """A new folder, and what counts in the servers that are started on it."""
    if by_callgrind:
        with _counting_instructions() as found:
            yield found
        return
    with server.temporary_folder() as folder:
        output = folder / "counts"

        @contextmanager
        def counted(running: server.Server) -> Iterator[dict[str, int]]:
            counts: dict[str, int] = {}
            with traced(running.pid, folder / "strace") as calls:
                _tell(running.pid, signal.SIGUSR1)
                yield counts
                _tell(running.pid, signal.SIGUSR2)
            counts |= json.loads(output.read_text()) | calls

        with server.observed_by("counting", output):
            yield folder, counted


def _per_thousand(counts: dict[str, int], done: int, loop: Loop) -> dict[str, float]:
    if loop.failures:
        raise RuntimeError(f"what was counted means nothing: {dict(loop.failures)}")
    return {name: 1000 * number / done for name, number in counts.items()}


def _round(world: World | groups.World, load: Load | groups.Load, pid: int) -> None:
    for sender in world.senders:
        sender.post(load.window)
    if not world.loop.run(lambda: world.ledger.is_settled, ROUND_SECONDS):
        raise RuntimeError(f"messages were not delivered within {ROUND_SECONDS} s")
    _settle(world.loop, pid)


def _settle(loop: Loop, pid: int) -> None:
    """Waits until the server has done all that was asked of it; on a busy machine that takes longer."""
    until, asleep = time.monotonic() + ROUND_SECONDS, 0
    while asleep < QUIET_LOOKS:
        loop.rest(QUIET_SECONDS / QUIET_LOOKS)
        asleep = asleep + 1 if _is_asleep(pid) else 0
        if time.monotonic() > until:
            raise RuntimeError(f"the server had not done what was asked of it within {ROUND_SECONDS} s")


def _is_asleep(pid: int) -> bool:
    """Whether no thread of a process runs, would run, or waits for a disk."""
    states = [stat.read_text().rpartition(")")[2].split()[0] for stat in Path(f"/proc/{pid}/task").glob("*/stat")]
    return all(state in {"S", "t"} for state in states)


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
    Counters.forget_the_clock()
    if output == "-":
        os.environ["BIMIP_STORE_MAP_SIZE_BYTES"] = str(MAP_BYTES)
    else:
        Counters(Path(output)).install()
    os.environ["BIMIP_LIMITS_ACK_DELAY_SECONDS"] = str(ACK_DELAY_SECONDS)
    os.environ["BIMIP_PRESENCE_OFFLINE_DELAY_SECONDS"] = str(AWAY_SECONDS)
    sys.argv = ["bimip", *arguments]
    runpy.run_module("bimip", run_name="__main__")


if __name__ == "__main__":
    serve()
