"""The server of `bimip.testing` in chaos runs: while it is up somebody waits for it, it may have a fault built in, and
its operator asks it things.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import trio

from bimip.testing import process
from bimip.testing.tokens import issue_token as token

__all__ = ["ROOT", "ServerProcess", "token"]

ROOT = Path(__file__).parents[2]


class ServerProcess(process.ServerProcess):
    """One after another: while one serves, those that follow it are already loaded."""

    def __init__(self, folder: Path, *, fault: str = "", **settings: str) -> None:
        super().__init__(folder, **{"CHAOS_FAULT": fault, "PYTHONPATH": str(ROOT), **settings})
        self.up = trio.Event()
        """Set while somebody listens; a new one after each kill."""

    def _command(self) -> Sequence[str]:
        return [sys.executable, "-m", "tests.chaos.runner"]

    async def start_up(self) -> None:
        """Returns when it listens; others have their turn meanwhile."""
        await trio.to_thread.run_sync(self.start)
        self.up.set()

    async def start_and_kill(self, after_seconds: float) -> None:
        """Kill it while it starts, wherever it is by then."""
        self._begin()
        await trio.sleep(after_seconds)
        self.kill()

    async def ask_console(self, method: str, what: str, **params: str) -> Any:
        """What an operator is answered; None where the server went away before it answered."""
        headers = {"Authorization": f"Bearer {self.operator_token}"}
        async with httpx.AsyncClient(base_url=self.console_url, headers=headers, trust_env=False) as console:
            try:
                return (await console.request(method, what, params=params)).json()
            except httpx.HTTPError:
                return None

    def kill(self) -> None:
        self._down()
        super().kill()

    async def terminate(self) -> int:
        """SIGTERM. Returns the exit code."""
        self._down()
        return await trio.to_thread.run_sync(self.stop)

    def _down(self) -> None:
        if self.up.is_set():  # else somebody waits for this one
            self.up = trio.Event()
