"""Processes that start in a few milliseconds: forked from one that has everything loaded.

A test that ends a few hundred processes has no time to start each. `Forks` starts one that loads the storage floor;
each request forks it, and the child runs one function. A child that is to be traced stops itself first, so that the
tracer sees all that it does.
"""

import ctypes
import importlib
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Generator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

ROOT = Path(__file__).parents[2]
PATIENCE = 300  # seconds; a child that hangs, and not one that waits for its turn on a busy machine
DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG


class Forks:
    """The test's end."""

    def __init__(self, *modules: str) -> None:
        """`modules` are loaded beside the storage floor."""
        environment = {name: text for name, text in os.environ.items() if not name.startswith("COVERAGE_")}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.storage.forking", *modules],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate()

    def start(self, function: str, output: Path, *, stopped: bool = False, **arguments: Any) -> int:
        """Fork a child that calls `module:function`, and writes to `output`. Returns its number."""
        request = {"function": function, "output": str(output), "stopped": stopped, "arguments": arguments}
        self._ask(json.dumps(request))
        return int(self._answer())

    def wait(self) -> int:
        """Wait for the child: its exit code, negative for a signal."""
        return os.waitstatus_to_exitcode(int(self._answer()))

    def run(self, function: str, output: Path, **arguments: Any) -> int:
        self.start(function, output, **arguments)
        return self.wait()

    def check(self, words: Sequence[str], output: Path) -> Generator[str, None, int]:
        """Starts a part of `check_apart`. What is no line of its went to standard error."""
        output.unlink(missing_ok=True)
        code = self.run("bimip.storage.care.check_apart:main", output, words=words)
        yield from (line for line in output.read_text().splitlines(keepends=True) if line[0] in '["')
        return code

    def _ask(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def _answer(self) -> str:
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], PATIENCE)
        line = self._process.stdout.readline() if ready else ""
        if not line:
            self._process.kill()
            raise AssertionError("a child does not end" if not ready else "the process that forks has ended")
        return line


def main() -> None:
    """The other end: a line with a request, answered by a line with the child's number and one with its status."""
    importlib.import_module("bimip.storage.care.check_apart")
    importlib.import_module("tests.storage.crash_script")
    importlib.import_module("tests.storage.durability_claims")
    for module in sys.argv[1:]:
        importlib.import_module(module)
    for line in sys.stdin:
        request = json.loads(line)
        pid = os.fork()
        if not pid:
            be_child(**request)
        if request["stopped"]:
            os.waitpid(pid, os.WUNTRACED)
        answer(pid)
        answer(os.waitpid(pid, 0)[1])


def answer(number: int) -> None:
    os.write(1, b"%d\n" % number)


def be_child(function: str, output: str, arguments: dict[str, Any], *, stopped: bool) -> None:
    code = 1
    try:
        ctypes.CDLL(None).prctl(DIE_WITH_PARENT, signal.SIGKILL)
        file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.dup2(file, 1)
        os.dup2(file, 2)
        os.close(file)
        os.close(0)
        if stopped:
            os.kill(os.getpid(), signal.SIGSTOP)
        module, name = function.split(":")
        getattr(importlib.import_module(module), name)(**arguments)
        code = 0
    except BaseException:  # noqa: BLE001 - told in the output
        sys.excepthook(*sys.exc_info())
        sys.stderr.flush()
    finally:
        os._exit(code)


if __name__ == "__main__":
    main()
