"""A bot answers what it is asked: write `time` to its user."""

import os
import time

import anyio

from bimip.client import open_client
from bimip.client.events import Received


async def run(url: str, token: str) -> None:
    """Answers for ever. What was written while it was away it answers when it is back: `path` says where it was."""
    async with open_client(url, token=token, path="bot.db") as client:
        async for event in client:
            if isinstance(event, Received) and not event.own and event.message.from_ is not None:
                asked = event.message.payload.decode(errors="replace").strip()
                answer = time.strftime("%H:%M") if asked == "time" else f"I know `time`, and not {asked!r}"
                client.messages.send_nowait(event.message.from_.eid, answer.encode())


if __name__ == "__main__":
    anyio.run(run, os.environ.get("BIMIP_URL", "ws://localhost:8470"), os.environ["BIMIP_TOKEN"])
