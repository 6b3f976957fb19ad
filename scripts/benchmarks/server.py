"""The server under measurement: a process of its own, as an operator runs it, on a new store, with everything on.

Only the standard library, so that it also runs inside the harness of the peers.
"""

import http.client
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from scripts.benchmarks import tls, wire

CHECKOUT = Path(__file__).resolve().parents[2]
KEY = "a key of the benchmarks, which never leave this machine"
STORE = ("BIMIP_STORE_ENGINE", "BIMIP_STORE_DSN")
"""Settings of the environment that count: with them another engine is measured."""
START_SECONDS = 300.0  # under valgrind, on a busy machine
STOP_SECONDS = 60.0
PORTS = (20_000, 32_000)
CONFIG = """[gateway]
port = {port}
[console]
port = {console_port}
operator_token = "{key}"
[store]
path = "{folder}/store"
[tokens]
algorithm = "HS256"
key = "{key}"
[users]
accept_unknown_recipients = true
[limits]
uncounted_addresses = ["127.0.0.1/32"]
[logging]
level = "warning"
"""


def python() -> str:
    """The interpreter that has the server's libraries: the project's own, where there is one."""
    own = CHECKOUT / ".venv" / "bin" / "python"
    return str(own) if own.exists() else sys.executable


def command(config: Path) -> list[str]:
    return [python(), "-m", "bimip", "serve", "--config", str(config)]


def write_config(folder: Path, port: int, console_port: int) -> Path:
    config = folder / "bimip.toml"
    text = CONFIG.format(port=port, console_port=console_port, folder=folder, key=KEY)
    if tls.certificate is not None:
        text = text.replace("[console]", f'tls_certificate = "{tls.certificate}"\n[console]')
    config.write_text(text)
    return config


def free_port() -> int:
    """Not one of those that the system gives away (32,768 and up, by default): until the server listens, somebody else
    who asked for any port could get it, and would be measured in its place.
    """
    while True:
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", random.randrange(*PORTS)))
            return int(probe.getsockname()[1])


def token(eid: str, device: str) -> str:
    return wire.token(KEY, eid, device)


@contextmanager
def observed_by(module: str, output: Path) -> Iterator[None]:
    """Servers that are started in here run inside a module of ours, which writes what it saw when they end."""

    def observed(words: list[str]) -> list[str]:
        interpreter, *rest = words
        return [interpreter, "-m", f"scripts.benchmarks.{module}", str(output), *rest[2:]]

    with _started_by(observed):
        yield


@contextmanager
def under(program: list[str]) -> Iterator[None]:
    """Servers that are started in here are run by another program, which is given their command."""
    with _started_by(lambda words: [*program, *words]):
        yield


@contextmanager
def _started_by(change: Callable[[list[str]], list[str]]) -> Iterator[None]:
    global command  # noqa: PLW0603 - it is what starts them
    plain = command
    command = lambda config: change(plain(config))  # noqa: E731
    try:
        yield
    finally:
        command = plain


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """On the disk that holds the checkout: /tmp is memory on many machines, and memory syncs for nothing."""
    (CHECKOUT / "data").mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="bench-", dir=CHECKOUT / "data"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def stop_when_told() -> None:
    """SIGTERM ends this process as Ctrl-C does: with the server stopped and its folder removed."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))


class Server:
    def __init__(self, folder: Path, wrapped_in: Sequence[str] = ()) -> None:
        """Starts it and waits until it can be connected to. `wrapped_in` is put before its command."""
        self.folder = folder
        self.port = free_port()
        self.console_port = free_port()
        self.log = folder / "log"
        began = time.perf_counter()
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [*wrapped_in, *command(write_config(folder, self.port, self.console_port))],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=CHECKOUT,
                env={name: it for name, it in os.environ.items() if not name.startswith("BIMIP_") or name in STORE},
            )
        self.pid = self._process.pid
        self._wait_listening()
        self.ready_seconds = time.perf_counter() - began

    def _wait_listening(self) -> None:
        deadline = time.perf_counter() + START_SECONDS
        while True:
            if self._process.poll() is not None:
                raise RuntimeError(f"the server ended: {self.log.read_text()[-2000:]}")
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                if time.perf_counter() > deadline:
                    self.stop()
                    raise RuntimeError(f"the server does not listen: {self.log.read_text()[-2000:]}") from None
                time.sleep(0.005)
            else:
                return

    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def longest_turn(self, path: str) -> tuple[float, str]:
        """The longest turn of the last one to two minutes that a process tells of: milliseconds, and whose it was."""
        told = re.search(rf'"path": ?"{path}".*?"longest_turn": ?"([0-9.]+) ms \((.*?)\)"', self._tree(), re.DOTALL)
        return (float(told[1]), told[2]) if told else (0.0, "")

    def details(self, name: str) -> dict[str, Any]:
        """What a process below the root tells of itself."""
        children = json.loads(self._tree())["children"]
        return next(child["details"] for child in children if child["id"] == name)

    def _tree(self) -> str:
        connection = http.client.HTTPConnection("127.0.0.1", self.console_port, timeout=30)
        connection.request("GET", "/debug/tree", headers={"Authorization": f"Bearer {KEY}"})
        answer = connection.getresponse().read().decode()
        connection.close()
        return answer

    def complaints(self) -> str:
        """What it logged, from warnings up."""
        return self.log.read_text()[-2000:]


@contextmanager
def running(folder: Path | None = None) -> Iterator[Server]:
    """A server, on a new store unless a folder with one is given."""
    if folder is None:
        with temporary_folder() as new, running(new) as server:
            yield server
        return
    server = Server(folder)
    try:
        yield server
    finally:
        server.stop()
