"""The server as a process of its own, that is killed and started again on the same store and ports."""

import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import trio

from bimip.gateway.authentication import issue

ROOT = Path(__file__).parents[2]
START_SECONDS = 60
STOP_SECONDS = 60
KEY = "a key for chaos tests, of 32 bytes or more"


def token(eid: str, device: str = "phone") -> str:
    """A token that such a server takes, for a day."""
    return issue(
        algorithm="HS256",
        signing_key=KEY,
        eid=eid,
        device=device,
        now_ms=int(time.time() * 1000),
        lifetime_seconds=86_400,
        jti=f"{eid}/{device}",
    )


def free_port() -> int:
    """One below those that the system gives to outgoing connections: it must still be free after a restart."""
    for _ in range(1000):
        port = random.SystemRandom().randint(12_000, 30_000)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
    raise AssertionError("no free port found")


class ServerProcess:
    """One after another: while one serves, those that follow it are already loaded."""

    def __init__(self, folder: Path, *, fault: str = "", **settings: str) -> None:
        self.port = free_port()
        self.up = trio.Event()
        """Set while somebody listens; a new one after each kill."""
        self.kills = 0
        self.log = folder / "server.log"
        self.settings = {
            "BIMIP_TOKENS_ALGORITHM": "HS256",
            "BIMIP_TOKENS_KEY": KEY,
            "BIMIP_STORE_PATH": str(folder / "store"),
            "BIMIP_STORE_MAP_SIZE_BYTES": str(1 << 30),
            "BIMIP_GATEWAY_PORT": str(self.port),
            "BIMIP_CONSOLE_PORT": str(free_port()),
            "BIMIP_CONSOLE_OPERATOR_TOKEN": "an operator's token",
            "BIMIP_LOGGING_FORMAT": "json",
            "CHAOS_FAULT": fault,
            **settings,
        }
        self._output = self.log.open("ab")
        self._running: subprocess.Popen[bytes] | None = None
        self._loaded: deque[subprocess.Popen[bytes]] = deque()

    def _load(self) -> subprocess.Popen[bytes]:
        environment = {name: text for name, text in os.environ.items() if not name.startswith("BIMIP_")}
        return subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.runner"],
            cwd=ROOT,
            env=environment | self.settings,
            stdin=subprocess.PIPE,
            stdout=self._output,
            stderr=self._output,
        )

    async def start(self) -> None:
        """Returns when it listens."""
        process = self._begin()
        deadline = trio.current_time() + START_SECONDS
        while not await self._listens():
            if process.poll() is not None:
                raise AssertionError(f"the server ended with {process.returncode} at its start:\n{self.tail()}")
            if trio.current_time() > deadline:
                raise AssertionError(f"the server does not listen after {START_SECONDS} s:\n{self.tail()}")
            await trio.sleep(0.01)
        self.up.set()

    async def start_and_kill(self, after_seconds: float) -> None:
        """Kill it while it starts, wherever it is by then."""
        self._begin()
        await trio.sleep(after_seconds)
        self.kill()

    def _begin(self) -> subprocess.Popen[bytes]:
        process = self._running = self._loaded.popleft() if self._loaded else self._load()
        assert process.stdin is not None
        process.stdin.write(b"go\n")
        process.stdin.flush()
        return process

    async def _listens(self) -> bool:
        try:
            stream = await trio.open_tcp_stream("127.0.0.1", self.port)
        except OSError:
            return False
        await stream.aclose()
        return True

    async def ask_console(self, method: str, what: str, **params: str) -> Any:
        """What an operator is answered; None where the server went away before it answered."""
        headers = {"Authorization": f"Bearer {self.settings['BIMIP_CONSOLE_OPERATOR_TOKEN']}"}
        url = f"http://127.0.0.1:{self.settings['BIMIP_CONSOLE_PORT']}"
        async with httpx.AsyncClient(base_url=url, headers=headers, trust_env=False) as console:
            try:
                return (await console.request(method, what, params=params)).json()
            except httpx.HTTPError:
                return None

    def load_ahead(self, count: int) -> None:
        """Load what `start` starts, so that it takes but a moment."""
        while len(self._loaded) < count:
            self._loaded.append(self._load())

    def kill(self) -> None:
        """`kill -9`. Returns when nothing of it is left."""
        self._down()
        self.kills += 1
        self._end(signal.SIGKILL)
        self._running = None

    async def terminate(self) -> int:
        """SIGTERM. Returns the exit code."""
        self._down()
        process, self._running = self._running, None
        assert process is not None
        process.send_signal(signal.SIGTERM)
        deadline = trio.current_time() + STOP_SECONDS
        while (code := process.poll()) is None:
            if trio.current_time() > deadline:
                process.kill()
                raise AssertionError(f"the server has not ended {STOP_SECONDS} s after SIGTERM:\n{self.tail()}")
            await trio.sleep(0.01)
        _bury(process)
        return code

    def _down(self) -> None:
        if self.up.is_set():  # else somebody waits for this one
            self.up = trio.Event()

    def _end(self, number: int) -> None:
        if self._running is not None:
            self._running.send_signal(number)
            _bury(self._running)

    def tail(self, characters: int = 3000) -> str:
        return self.log.read_text(errors="replace")[-characters:]

    def complaints(self) -> list[str]:
        """What the server logged that is worse than a warning."""
        lines = self.log.read_text(errors="replace").splitlines()
        return [line for line in lines if '"level": "error"' in line or not line.startswith("{")]

    def close(self) -> None:
        for process in (self._running, *self._loaded):
            if process is not None:
                process.kill()
                _bury(process)
        self._output.close()


def _bury(process: subprocess.Popen[bytes]) -> None:
    process.wait()
    if process.stdin is not None:
        with suppress(OSError):
            process.stdin.close()
