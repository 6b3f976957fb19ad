"""A real server: a process of its own, with its store on the disk, which can be killed and started again.

Its methods block until they are done, so that they serve any test. One that runs an event loop meanwhile, and must not
stop it, calls them in a thread: `await anyio.to_thread.run_sync(server.restart)`.
"""

import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

from bimip.testing.tokens import KEY, OPERATOR, issue_token

START_SECONDS = 60
STOP_SECONDS = 60
LOOPBACK = "127.0.0.1"
LEAST_PORT, MOST_PORT = 12_000, 30_000
"""Below those that systems give to outgoing connections: a port must still be free after a restart."""


class ServerFailedError(Exception):
    """A server did not start or did not stop. What it logged last is in the message."""


class ServerProcess:
    """One server after another, on the same store and ports: each can be killed, and the next one goes on.

    As a context manager it serves while the block runs. Stopped or killed, what was acknowledged is in its folder.
    """

    def __init__(self, folder: Path, **settings: str) -> None:
        """Prepares one in this folder. `settings` by their names in the environment: `BIMIP_LIMITS_MAX_USERS="3"`."""
        self.folder = folder
        self.port = free_port()
        self.console_port = free_port()
        self.kills = 0
        self.log = folder / "server.log"
        self.settings = {
            "BIMIP_TOKENS_ALGORITHM": "HS256",
            "BIMIP_TOKENS_KEY": KEY,
            "BIMIP_STORE_PATH": str(folder / "store"),
            "BIMIP_STORE_MAP_SIZE_BYTES": str(1 << 30),
            "BIMIP_GATEWAY_PORT": str(self.port),
            "BIMIP_CONSOLE_PORT": str(self.console_port),
            "BIMIP_CONSOLE_OPERATOR_TOKEN": OPERATOR,
            "BIMIP_LOGGING_FORMAT": "json",
            **settings,
        }
        self._output = self.log.open("ab")
        self._running: subprocess.Popen[bytes] | None = None
        self._loaded: deque[subprocess.Popen[bytes]] = deque()

    @property
    def url(self) -> str:
        """The address where devices connect; the REST API is there as `http://`, below `/api/v1`."""
        return f"ws://{LOOPBACK}:{self.port}"

    @property
    def console_url(self) -> str:
        """The address where operators ask, with `operator_token`."""
        return f"http://{LOOPBACK}:{self.console_port}"

    @property
    def operator_token(self) -> str:
        return self.settings["BIMIP_CONSOLE_OPERATOR_TOKEN"]

    def token(self, eid: str, device: str = "phone", *, seconds: int = 86_400) -> str:
        """Makes a token that this server takes."""
        return issue_token(eid, device, seconds=seconds, key=self.settings["BIMIP_TOKENS_KEY"])

    @property
    def is_running(self) -> bool:
        return self._running is not None and self._running.poll() is None

    def start(self) -> None:
        """Starts the server and returns when it accepts connections. Raises ServerFailedError."""
        process = self._begin()
        deadline = time.monotonic() + START_SECONDS
        while not self._listens():
            if process.poll() is not None:
                raise ServerFailedError(f"the server ended with {process.returncode} at its start:\n{self.tail()}")
            if time.monotonic() > deadline:
                raise ServerFailedError(f"the server does not listen after {START_SECONDS} s:\n{self.tail()}")
            time.sleep(0.01)

    def stop(self) -> int:
        """Stops the server by SIGTERM, as an operator does, and returns its exit code. Raises ServerFailedError."""
        process, self._running = self._running, None
        if process is None:
            raise ServerFailedError("there is no server that could be stopped")
        process.send_signal(signal.SIGTERM)
        try:
            code = process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            raise ServerFailedError(f"it has not ended {STOP_SECONDS} s after SIGTERM:\n{self.tail()}") from None
        finally:
            _bury(process)
        return code

    def kill(self) -> None:
        """Ends the server by `kill -9`, wherever it is. Returns when nothing of it is left."""
        self.kills += 1
        process, self._running = self._running, None
        if process is not None:
            process.kill()
            _bury(process)

    def restart(self) -> None:
        """Stops the server and starts the next one."""
        self.stop()
        self.start()

    def load_ahead(self, count: int = 1) -> None:
        """Loads the programs of the next servers, so that `start` takes but a moment."""
        while len(self._loaded) < count:
            self._loaded.append(self._load())

    def tail(self, characters: int = 3000) -> str:
        """Reads the end of what the servers logged."""
        return self.log.read_text(errors="replace")[-characters:]

    def complaints(self) -> list[str]:
        """Reads what the servers logged that is worse than a warning, where they log JSON."""
        lines = self.log.read_text(errors="replace").splitlines()
        return [line for line in lines if '"level": "error"' in line or not line.startswith("{")]

    def close(self) -> None:
        """Ends all that is left, whatever it does."""
        for process in (self._running, *self._loaded):
            if process is not None:
                process.kill()
                _bury(process)
        self._running = None
        self._loaded.clear()
        self._output.close()

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _command(self) -> Sequence[str]:
        return [sys.executable, "-m", "bimip.testing.runner"]

    def _load(self) -> subprocess.Popen[bytes]:
        environment = {name: text for name, text in os.environ.items() if not name.startswith("BIMIP_")}
        return subprocess.Popen(
            self._command(),
            env=environment | self.settings,
            stdin=subprocess.PIPE,
            stdout=self._output,
            stderr=self._output,
        )

    def _begin(self) -> subprocess.Popen[bytes]:
        if self.is_running:
            raise ServerFailedError("there is a server that runs: stop or kill it first")
        process = self._running = self._loaded.popleft() if self._loaded else self._load()
        assert process.stdin is not None
        process.stdin.write(b"go\n")
        process.stdin.flush()
        return process

    def _listens(self) -> bool:
        with suppress(OSError), socket.create_connection((LOOPBACK, self.port), timeout=1):
            return True
        return False


def free_port() -> int:
    """Finds a port of the loopback address that nobody has, and that nobody is given by chance."""
    for _ in range(1000):
        port = random.SystemRandom().randint(LEAST_PORT, MOST_PORT)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
        return port
    raise ServerFailedError("no port is free")


def _bury(process: subprocess.Popen[bytes]) -> None:
    process.wait()
    if process.stdin is not None:
        with suppress(OSError):
            process.stdin.close()
