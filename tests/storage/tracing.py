"""strace on a forked child: to end it at a system call, to have a call fail, or to see all that it wrote."""

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from tests.storage.forking import Forks

WRITES = ("pwrite64", "pwritev", "pwritev2", "writev", "write", "fdatasync", "fsync", "msync", "ftruncate")
"""Whatever changes a file, or makes it stay changed; and the lines that tell of it."""
POSITIONS = ("lseek", "openat")

_CALL = re.compile(r"(\w+)\((.*)\)\s+= (-?\d+)(.*)", re.DOTALL)
_FILE = re.compile(r"(\d+)<((?:[^>\\]|\\.)*)>(?:, )?(.*)", re.DOTALL)
_TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')


class Call(NamedTuple):
    name: str
    descriptor: int
    file: str  # the path that the descriptor leads to
    arguments: str
    result: int
    note: str  # the error's name, and whether it was injected


@cache
def why_not() -> str:
    """Why this machine cannot trace; empty where it can."""
    if shutil.which("strace") is None:
        return "strace is missing (apt-get install strace)"
    try:
        tried = subprocess.run(
            ["strace", "-o", "/dev/null", "-e", "inject=getppid:error=EIO:when=1", "true"],
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return "strace does not come back: tracing is not permitted here"
    return f"strace is not permitted here: {tried.stderr.strip()}" if tried.returncode else ""


def run_traced(
    forks: Forks,
    function: str,
    output: Path,
    *,
    log: Path,
    inject: Sequence[str] = (),
    record: bool = False,
    **arguments: Any,
) -> int:
    """Run a child under strace: its exit code, negative for a signal. `record`: the log holds all bytes written."""
    pid = forks.start(function, output, stopped=True, **arguments)
    command = ["strace", "-f", "-y", "-o", str(log), "-p", str(pid), "-e", f"trace={','.join(WRITES + POSITIONS)}"]
    command += ["-xx", "-s", "1000000"] if record else ["-s", "0"]
    for each in inject:
        command += ["-e", f"inject={each}"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as tracer:
        assert tracer.stderr is not None
        line = tracer.stderr.readline()
        if "attached" not in line:
            os.kill(pid, signal.SIGKILL)
            forks.wait()
            raise AssertionError(f"strace: {line}{tracer.stderr.read()}")
        os.kill(pid, signal.SIGCONT)
        code = forks.wait()
        tracer.stderr.read()
    return code


def read_calls(log: Path) -> Iterator[Call]:
    """The calls in the order in which they ended. One that the end of the process cut off is left away."""
    begun: dict[str, str] = {}
    with log.open() as lines:
        for line in lines:
            pid, rest = line.rstrip("\n").split(maxsplit=1)
            if rest.endswith("<unfinished ...>"):
                begun[pid] = rest.removesuffix("<unfinished ...>").rstrip()
                continue
            if rest.startswith("<... "):
                rest = begun.pop(pid, "") + rest.split("resumed>", 1)[1]
            call = _call(rest)
            if call is not None:
                yield call


def _call(text: str) -> Call | None:
    matched = _CALL.fullmatch(text)
    if matched is None:  # a signal, an exit, or `= ?`
        return None
    name, arguments, result, note = matched.groups()
    opened = name == "openat"
    filed = _FILE.fullmatch(f"{result}{note}" if opened else arguments)
    if filed is None:
        return None
    descriptor, path, rest = filed.groups()
    if path.startswith("\\x"):
        path = bytes.fromhex(path.replace("\\x", "")).decode()
    return Call(name, int(descriptor), path, arguments if opened else rest, int(result), note.strip())


def texts(arguments: str) -> bytes:
    """All bytes among the arguments of a recorded call."""
    return b"".join(bytes.fromhex(text.replace("\\x", "")) for text in _TEXT.findall(arguments))
