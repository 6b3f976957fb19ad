"""The client under test: a command that does what lines of JSON say, and says in such lines what happened (README)."""

import json
import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Protocol

import trio

from bimip.conformance.server import ScriptedServer

LONGEST_LINE: Final = 1_048_576


class Running(Protocol):
    """A client that runs."""

    async def say(self, line: str) -> None:
        """Gives it a line. Where it does not run any more, nothing happens."""
        ...

    async def kill(self) -> None:
        """Ends it in the middle of whatever it does."""
        ...


class Launcher(Protocol):
    """Starts clients, and has them find the server."""

    async def launch(
        self,
        nursery: trio.Nursery,
        server: ScriptedServer,
        environment: Mapping[str, str],
        on_line: Callable[[str], None],
        on_end: Callable[[int], None],
    ) -> Running: ...


class Port:
    """A port of this machine at which one server listens."""

    def __init__(self) -> None:
        self._url = ""

    async def open(self, nursery: trio.Nursery, server: ScriptedServer) -> str:
        """Has the server listen, once. Returns its URL."""
        if not self._url:
            [listener] = await nursery.start(_serve, server)
            self._url = f"ws://127.0.0.1:{listener.socket.getsockname()[1]}"
        return self._url


class CommandLauncher:
    """Starts a command as a process for each life of one client; it reaches its server over TCP, on this machine."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = list(command)
        self._port = Port()

    async def launch(
        self,
        nursery: trio.Nursery,
        server: ScriptedServer,
        environment: Mapping[str, str],
        on_line: Callable[[str], None],
        on_end: Callable[[int], None],
    ) -> "Process":
        """Starts the command. Raises OSError where it cannot be started."""
        url = await self._port.open(nursery, server)
        with (Path(environment["BIMIP_STORE"]).parent / "stderr.txt").open("ab") as errors:
            process = await trio.lowlevel.open_process(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env={**os.environ, **environment, "BIMIP_URL": url},
            )
        running = Process(process)
        nursery.start_soon(running.run, on_line, on_end)
        return running


async def _serve(server: ScriptedServer, task_status: trio.TaskStatus[Any]) -> None:
    async with trio.open_nursery() as nursery:
        await trio.serve_tcp(server.handle, 0, host="127.0.0.1", handler_nursery=nursery, task_status=task_status)


class Process:
    """A client's process."""

    def __init__(self, process: trio.Process) -> None:
        self._process = process
        self._ended = trio.Event()

    async def run(self, on_line: Callable[[str], None], on_end: Callable[[int], None]) -> None:
        """Reads its lines until it ends. Cancelling it kills the process."""
        output = self._process.stdout
        assert output is not None
        buffer = b""
        try:
            async for data in output:
                *lines, buffer = (buffer + data).split(b"\n")
                for line in lines:
                    on_line(line.decode("utf-8", "replace"))
                if len(buffer) > LONGEST_LINE:
                    break
            on_end(await self._process.wait())
        finally:
            with trio.CancelScope(shield=True):
                if self._process.returncode is None:
                    self._process.kill()
                await self._process.wait()
                if self._process.stdin is not None:
                    await self._process.stdin.aclose()
                await output.aclose()
            self._ended.set()

    async def say(self, line: str) -> None:
        """Gives it a line. Where it does not run any more, nothing happens."""
        assert self._process.stdin is not None
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            await self._process.stdin.send_all(line.encode() + b"\n")

    async def kill(self) -> None:
        """Ends it in the middle of whatever it does."""
        if self._process.returncode is None:
            self._process.kill()
        await self._ended.wait()


def line_of(text: str) -> dict[str, Any]:
    """Reads a line that a client said. Raises ValueError where it is no object with one name."""
    value = json.loads(text)
    if not isinstance(value, dict) or len(value) != 1:
        raise ValueError("it is not a JSON object with one name")
    return value
