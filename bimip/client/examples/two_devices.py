"""Two devices of one user: what the phone writes while the laptop is away, and reads, is on both.

BIMIP_TOKEN is the phone's token, BIMIP_OTHER_TOKEN the laptop's, of the same user.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio

from bimip.client import Client, Start, open_client
from bimip.client.events import MessageChanged, Received


@asynccontextmanager
async def device(url: str, token: str, path: Path) -> AsyncIterator[Client]:
    """A device whose file has its place, its outbox and its messages."""
    async with open_client(url, token=token, path=path, keep_messages=True, start=Start.FIRST) as client:
        yield client


async def take(client: Client, count: int) -> list[str]:
    """Takes so many messages, the last of which is edited, and returns them as they are then."""
    texts: dict[int, str] = {}
    edits: dict[int, str] = {}
    async for event in client:
        match event:
            case Received(message=message):
                texts[message.conversation_offset] = message.payload.decode()
            case MessageChanged(conversation_offset=offset, payload=payload) if payload is not None:
                edits[offset] = payload.decode()
            case _:
                pass
        if len(texts) == count and edits.keys() >= {max(texts)}:
            break
    return [edits.get(offset, text) for offset, text in sorted(texts.items())]


async def run(url: str, phone_token: str, laptop_token: str, to: str, folder: Path) -> list[list[str]]:
    """Writes three messages on the phone, one of which it has no connection for, and returns what each device has."""
    async with device("ws://localhost:1", phone_token, folder / "phone.db") as phone:  # where nobody answers
        phone.messages.send_nowait(to, b"written on the train")
    async with device(url, phone_token, folder / "phone.db") as phone:
        await phone.messages.send(to, b"written at home")
        sent = await phone.messages.send(to, b"and edited")
        await phone.messages.edit(sent.signal_offset, b"and edited, on the phone")
        async with device(url, laptop_token, folder / "laptop.db") as laptop:
            with anyio.fail_after(30):
                on_the_laptop = await take(laptop, 3)
        on_the_phone = [kept.payload.decode() for kept in phone.history.kept(sent.conversation)]
        return [on_the_phone, on_the_laptop]


async def main() -> None:
    """Shows what both have."""
    url = os.environ.get("BIMIP_URL", "ws://localhost:8470")
    tokens = os.environ["BIMIP_TOKEN"], os.environ["BIMIP_OTHER_TOKEN"]
    for texts in await run(url, *tokens, os.environ["BIMIP_TO"], Path.cwd()):
        print(texts)


if __name__ == "__main__":
    anyio.run(main)
