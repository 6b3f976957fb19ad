"""The clients that the kit has pass all of it: the SDK on both loops, and the one in plain JavaScript. One process
hosts all lives of a client, as a process for each would take the time; where a kill is to be one, each has one.
"""

import json
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
from _pytest.mark import ParameterSet

from bimip.conformance.client import CommandLauncher, Port
from bimip.conformance.frames import BINARY, TEXT
from bimip.conformance.playing import Outcome, play_all
from bimip.conformance.report import row_of
from bimip.conformance.sequences import SEQUENCES
from bimip.conformance.server import ScriptedServer
from tests.web.test_javascript import NODE, needs_node

ROOT = Path(__file__).parents[2]
CLIENTS = ROOT / "bimip" / "conformance" / "clients"
PATIENCE = 60.0
KILLED = {
    "goes-on-after-a-kill",
    "loses-nothing-in-a-kill",
    "keeps-what-is-not-answered-over-a-kill",
    "knows-what-it-showed-after-a-kill",
    "keeps-the-version-of-the-state",
}
"""Sequences that kill a client. The host of JavaScript cannot: it loses what a client said before."""
FOUND = {"says-again-what-was-read", "answers-pings", "leaves-unknown-values-aside", "sends-once-what-is-answered"}
"""What `bimip.mjs` had wrong, beside what happens when it is killed. The rest of it is in tests/web/rules.mjs."""


class Host:
    """A process that hosts the lives of many clients."""

    def __init__(self, process: trio.Process) -> None:
        self._process = process
        self._lives = 0
        self._saying = trio.Lock()
        self._on_line: dict[int, Callable[[str], None]] = {}
        self._on_end: dict[int, Callable[[int], None]] = {}
        self._killed: dict[int, trio.Event] = {}

    async def read(self) -> None:
        assert self._process.stdout is not None
        buffer = b""
        async for data in self._process.stdout:
            *lines, buffer = (buffer + data).split(b"\n")
            for line in lines:
                told = json.loads(line)
                if "line" in told:
                    self._on_line[told["life"]](told["line"])
                elif "killed" in told:
                    self._killed[told["life"]].set()
                else:
                    self._on_end[told["life"]](told["ended"])

    async def say(self, **line: object) -> None:
        assert self._process.stdin is not None
        async with self._saying:
            await self._process.stdin.send_all(json.dumps(line).encode() + b"\n")

    def begin(self, on_line: Callable[[str], None], on_end: Callable[[int], None]) -> int:
        self._lives += 1
        self._on_line[self._lives], self._on_end[self._lives] = on_line, on_end
        return self._lives

    async def kill(self, life: int) -> None:
        self._killed[life] = trio.Event()
        await self.say(life=life, kill=True)
        await self._killed[life].wait()


class HostLauncher:
    """Starts one client's lives in a host."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._port = Port()

    async def launch(
        self,
        nursery: trio.Nursery,
        server: ScriptedServer,
        environment: Mapping[str, str],
        on_line: Callable[[str], None],
        on_end: Callable[[int], None],
    ) -> "Life":
        life = self._host.begin(on_line, on_end)
        url = await self._port.open(nursery, server)
        await self._host.say(life=life, environment={**environment, "BIMIP_URL": url})
        return Life(self._host, life)


class Life:
    def __init__(self, host: Host, number: int) -> None:
        self._host = host
        self._number = number

    async def say(self, line: str) -> None:
        await self._host.say(life=self._number, line=line)

    async def kill(self) -> None:
        await self._host.kill(self._number)


@asynccontextmanager
async def a_host(command: Sequence[str]) -> AsyncIterator[Host]:
    process = await trio.lowlevel.open_process(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT)
    async with trio.open_nursery() as nursery:
        host = Host(process)
        nursery.start_soon(host.read)
        try:
            yield host
        finally:
            nursery.cancel_scope.cancel()
            with trio.CancelScope(shield=True):
                process.kill()
                await process.wait()
                assert process.stdin is not None
                assert process.stdout is not None
                await process.stdin.aclose()
                await process.stdout.aclose()


SDK = [sys.executable, "-m", "bimip.conformance.clients.python_sdk"]
HOSTS = {
    "trio": (BINARY, [sys.executable, "-m", "tests.conformance.sdk_host", "trio"]),
    "asyncio": (BINARY, [sys.executable, "-m", "tests.conformance.sdk_host", "asyncio"]),
    "client.mjs": (TEXT, [*NODE, str(ROOT / "tests/conformance/host.mjs"), str(CLIENTS / "client.mjs")]),
}
PROCESSES = {
    "python_sdk.py": (BINARY, SDK, {"loses-nothing-in-a-kill"}),
    "client.mjs": (TEXT, [*NODE, str(CLIENTS / "client.mjs")], KILLED),
    "bimip_mjs.mjs": (TEXT, [*NODE, str(CLIENTS / "bimip_mjs.mjs")], KILLED | FOUND),
}


def each(clients: Iterable[str]) -> list[ParameterSet]:
    return [pytest.param(one, marks=[needs_node] if one.endswith(".mjs") else []) for one in clients]


def nothing(outcome: Outcome) -> None:
    pass


def failed(outcomes: Sequence[Outcome]) -> str:
    return "\n".join(row_of(one) for one in outcomes if not one.is_passed and not one.is_skipped)


@pytest.mark.parametrize("client", each(HOSTS))
async def test_a_client_passes_the_whole_kit(client: str) -> None:
    subprotocol, command = HOSTS[client]
    chosen = [one for one in SEQUENCES if client != "client.mjs" or one.name not in KILLED]
    async with a_host(command) as host:
        outcomes = await play_all(chosen, lambda: HostLauncher(host), subprotocol, nothing, jobs=12, patience=PATIENCE)

    assert failed(outcomes) == ""
    skipped = [one.sequence.name for one in outcomes if one.is_skipped]
    assert skipped == (["obeys-http"] if client == "client.mjs" else [])


@pytest.mark.parametrize("client", each(PROCESSES))
async def test_a_client_passes_in_processes_that_are_killed(client: str) -> None:
    subprotocol, command, names = PROCESSES[client]
    chosen = [one for one in SEQUENCES if one.name in names]
    outcomes = await play_all(chosen, lambda: CommandLauncher(command), subprotocol, nothing, jobs=4, patience=PATIENCE)

    assert failed(outcomes) == ""
    assert len(outcomes) == len(names)
