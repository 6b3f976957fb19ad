"""This project's SDK as a client under test: python -m bimip.conformance.clients.python_sdk [--loop asyncio]."""

import argparse
import json
import os
import sys
from collections.abc import AsyncIterable, AsyncIterator, Callable, Mapping
from enum import IntEnum
from typing import Any

import anyio
import anyio.to_thread

from bimip.client import Backoff, Client, Stopped, events, open_client
from bimip.client.wire.bimip import ErrorCode, GapReason


class Driver:
    """Does what lines say with a client, and says in lines what happens to it."""

    def __init__(self, environment: Mapping[str, str], say: Callable[[dict[str, Any]], None]) -> None:
        self._environment = environment
        self._say = say
        self._client: Client | None = None
        self._is_open = anyio.Event()
        self._may_connect = anyio.Event()
        self._may_connect.set()

    async def run(self, lines: AsyncIterable[str]) -> None:
        """Runs until it is told to quit, or there are no more lines."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._stay_open)
            async for line in lines:
                told = json.loads(line)
                if told["do"] == "quit":
                    break
                await self._do(told)
            tasks.cancel_scope.cancel()

    async def _stay_open(self) -> None:
        """Opens the client, and again each time that the kit lets it after the server ended it for good."""
        while True:
            await self._may_connect.wait()
            self._may_connect = anyio.Event()
            async with open_client(
                self._environment["BIMIP_URL"],
                token=self._environment["BIMIP_TOKEN"],
                path=f"{self._environment['BIMIP_STORE']}/client.db",
                partitions=self._environment["BIMIP_PARTITIONS"].split(","),
                backoff=Backoff(longest=float(self._environment["BIMIP_BACKOFF_MS"]) / 1000),
                timeout=float(self._environment["BIMIP_TIMEOUT_MS"]) / 1000,
            ) as client:
                self._client = client
                self._is_open.set()
                try:
                    async for event in client:
                        self._tell(event)
                except Stopped as stopped:
                    self._say({"stopped": {"code": stopped.code}})

    async def _do(self, told: dict[str, Any]) -> None:
        await self._is_open.wait()
        assert self._client is not None
        match told["do"]:
            case "send":
                self._client.messages.send_nowait(told["to"], told["text"].encode(), id=told["id"])
            case "read":
                await self._client.messages.mark_read(told["conversation"], told["upto"])
            case "connect":
                self._may_connect.set()

    def _tell(self, event: events.Event) -> None:
        match event:
            case events.Received(message=message, partition=partition, offset=offset):
                shown = {
                    "partition": partition,
                    "offset": offset,
                    "signal_id": message.signal_id,
                    "id": message.id,
                    "from": message.from_.eid if message.from_ is not None else "",
                    "text": message.payload.decode("utf-8", "replace"),
                }
                self._say({"shown": shown})
            case events.Sent(id=message_id, signal_id=signal_id):
                self._say({"sent": {"id": message_id, "signal_id": signal_id}})
            case events.SendRefused(id=message_id, code=code):
                self._say({"refused": {"id": message_id, "code": _name(code, ErrorCode, "INTERNAL")}})
            case events.GapFound(partition=partition, first=first, last=last, reason=reason):
                gap = {"partition": partition, "from": first, "to": last, "reason": _name(reason, GapReason, "")}
                self._say({"gap": gap})
            case events.EpochChanged(now=now):
                self._say({"reset": {"epoch": str(now)}})
            case events.ReadMarkerChanged(conversation=conversation, conversation_offset=upto):
                self._say({"marker": {"conversation": conversation, "upto": upto}})
            case _:
                pass  # of no sequence


def _name(value: int, enum: type[IntEnum], unknown: str) -> str:
    """Names a value; one of a later version has no name."""
    return next((one.name for one in enum if one == value), unknown)


async def _lines_of_input() -> AsyncIterator[str]:
    while line := await anyio.to_thread.run_sync(sys.stdin.readline, abandon_on_cancel=True):
        yield line


def _print(line: dict[str, Any]) -> None:
    print(json.dumps(line), flush=True)


def main() -> None:
    """Runs the SDK on the loop that the arguments name."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--loop", choices=("trio", "asyncio"), default="trio")
    loop = parser.parse_args().loop
    anyio.run(Driver(os.environ, _print).run, _lines_of_input(), backend=loop)
    os._exit(0)  # a thread may still wait for a line


if __name__ == "__main__":
    main()
