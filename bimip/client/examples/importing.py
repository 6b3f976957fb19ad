"""Brings many messages from elsewhere, one JSON object a line: {"id": "7", "to": "bob@example.org", "text": "Hello"}.

It may be killed and run again: each message keeps its own id, under which the server takes it once. So it needs no file
of its own, and nothing is synced here: the source is what is there to begin anew.

    python -m bimip.client.examples.importing < old.jsonl
"""

import json
import os
import sys
from collections.abc import Sequence
from typing import NamedTuple

import anyio

from bimip.client import Client, open_client
from bimip.client.events import SendRefused, Sent

MOST_WAITING = 2000


class Imported(NamedTuple):
    new: int
    known: int
    refused: int


async def run(url: str, token: str, lines: Sequence[str]) -> Imported:
    """Imports them, in their order, and returns how many were new, there already, and refused."""
    counts = {"new": 0, "known": 0, "refused": 0}
    async with open_client(url, token=token, partitions=()) as client, anyio.create_task_group() as tasks:
        tasks.start_soon(_write, client, lines)
        async for event in client:
            if isinstance(event, Sent):
                counts["known" if event.duplicate else "new"] += 1
            elif isinstance(event, SendRefused):
                counts["refused"] += 1
                print(f"{event.id} was refused: {event.message}", file=sys.stderr)
            if sum(counts.values()) == len(lines):
                break
    return Imported(**counts)


async def _write(client: Client, lines: Sequence[str]) -> None:
    for line in lines:
        message = json.loads(line)
        client.messages.send_nowait(message["to"], message["text"].encode(), id=message["id"])
        while client.messages.unsent >= MOST_WAITING:  # noqa: ASYNC110 - the answers are the other task's
            await anyio.sleep(0.01)


if __name__ == "__main__":
    server = os.environ.get("BIMIP_URL", "ws://localhost:8470")
    print(anyio.run(run, server, os.environ["BIMIP_TOKEN"], list(sys.stdin)))
