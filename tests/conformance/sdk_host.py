"""Many clients in one process, so that the whole kit is quick: a line has the number of the life that it concerns."""

import json
import sys
from collections.abc import Callable
from typing import Any

import anyio
import anyio.to_thread
from anyio.abc import TaskGroup

from bimip.conformance.clients.python_sdk import Driver


class Host:
    def __init__(self, tasks: TaskGroup) -> None:
        self._tasks = tasks
        self._lives: dict[int, tuple[Any, anyio.CancelScope, anyio.Event]] = {}

    async def do(self, told: dict[str, Any]) -> None:
        number = told["life"]
        if "environment" in told:
            send, receive = anyio.create_memory_object_stream[str](100)
            scope, ended = anyio.CancelScope(), anyio.Event()
            self._lives[number] = send, scope, ended
            self._tasks.start_soon(self._live, number, told["environment"], receive, scope, ended)
        elif told.get("kill"):
            _, scope, ended = self._lives.pop(number)
            scope.cancel()
            await ended.wait()
            _print({"life": number, "killed": True})
        elif number in self._lives:
            await self._lives[number][0].send(told["line"])

    async def _live(
        self, number: int, environment: dict[str, str], lines: Any, scope: anyio.CancelScope, ended: anyio.Event
    ) -> None:
        say: Callable[[dict[str, Any]], None] = lambda line: _print({"life": number, "line": json.dumps(line)})  # noqa: E731
        with scope:
            await Driver(environment, say).run(lines)
        ended.set()


def _print(line: dict[str, Any]) -> None:
    sys.stdout.write(f"{json.dumps(line)}\n")
    sys.stdout.flush()


async def run() -> None:
    async with anyio.create_task_group() as tasks:
        host = Host(tasks)
        while line := await anyio.to_thread.run_sync(sys.stdin.readline, abandon_on_cancel=True):
            await host.do(json.loads(line))
        tasks.cancel_scope.cancel()


anyio.run(run, backend=sys.argv[1])
