"""Clients of other servers, each as one process of its own that does what `sdk.py` has ours do.

Their servers are started by the harness that compares servers; their libraries live in an environment of their own,
which is made once beside what the harness keeps.
"""

import importlib
import json
import os
import subprocess
import sys
import venv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from scripts.benchmarks import sdk, server

PROGRAMS = Path(__file__).parent / "peer"
REQUIREMENTS = server.CHECKOUT / "scripts" / "requirements-peers.txt"
WAITING = 1_000
"""For a user of ejabberd: its store of such messages takes longer with each one."""
SECONDS = 900


def cases(harness: Path) -> list[tuple[str, Callable[[], dict[str, Any]]]]:
    """Lists what is measured of others; what is not installed says so when it is its turn."""
    sys.path[:0] = [str(harness / "bench")]
    nats, xmpp = partial(_measure, "nats", "nats-2.9-default"), partial(_measure, "xmpp", "ejabberd-mnesia")
    sends = (
        (f"sends {sdk.SENT_TOGETHER:,}, {sdk.TOGETHER} at a time", "together", sdk.SENT_TOGETHER),
        (f"sends {sdk.SENT_ALONE:,}, one after the other", "alone", sdk.SENT_ALONE),
    )
    found = [
        (f"{words}: {name}", partial(measure, what, count))
        for words, what, count in sends
        for name, measure in (("nats-py", nats), ("slixmpp", xmpp))
    ]
    return [
        *found,
        (f"takes {sdk.TAKEN:,}: nats-py", partial(nats, "take", sdk.TAKEN)),
        (f"takes {WAITING:,}: slixmpp", partial(xmpp, "take", WAITING)),
        (f"a month away, {sdk.AWAY:,}: nats-py", partial(nats, "take", sdk.AWAY)),
    ]


def _measure(peer: str, variant: str, what: str, count: int) -> dict[str, Any]:
    environment = _environment()
    with server.temporary_folder() as folder, _running(peer, variant, folder) as port:
        program = partial(_program, environment, peer, port)
        if peer == "nats" or what == "take":
            _finish(program("prepare", count if what == "take" else 0))
            return _finish(program(what, count))
        reader = program("read", 0)  # whom all is sent to: of one who is away the server would keep it
        try:
            assert reader.stdout is not None
            reader.stdout.readline()
            return _finish(program(what, count))
        finally:
            reader.kill()
            reader.wait()


def _program(environment: Path, peer: str, port: int, what: str, count: int) -> "subprocess.Popen[str]":
    numbers = (port, what, count, sdk.TOGETHER, len(sdk.PAYLOAD))
    command = [str(environment / "bin" / "python"), str(PROGRAMS / f"{peer}_client.py"), *map(str, numbers)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def _finish(program: "subprocess.Popen[str]") -> dict[str, Any]:
    said, _ = program.communicate(timeout=SECONDS)
    if program.returncode:
        raise RuntimeError(f"{program.args!r} ended with {program.returncode}")
    return dict(json.loads(said))


@contextmanager
def _running(peer: str, variant: str, folder: Path) -> Iterator[int]:
    of_the_harness = importlib.import_module({"nats": "nats", "xmpp": "ejabberd"}[peer])
    running = of_the_harness.start(variant, str(folder))
    try:
        if peer == "xmpp":
            of_the_harness.prepare(running, ["a0000", "b0000", "b0001"])
        yield running.port
    finally:
        running.stop()


def _environment() -> Path:
    kept = Path(os.environ.get("PEERBENCH_HOME", Path.home() / ".cache" / "peerbench"))
    made = kept / "venv-clients"
    if not (made / "bin" / "is-whole").exists():
        venv.create(made, with_pip=True)
        pip = [str(made / "bin" / "python"), "-m", "pip", "install", "--quiet", "--require-hashes"]
        subprocess.run([*pip, "--requirement", str(REQUIREMENTS)], check=True)
        (made / "bin" / "is-whole").touch()
    return made
