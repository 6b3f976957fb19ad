"""A program that is a device, as a process that is killed: it writes to somebody, and shows what comes.

It loads the SDK once, and forks for each life: a line `begin BACKEND SEED` or `rest BACKEND SEED` (in which nothing is
written) on its standard input begins one and is answered with its process id; `reap` waits until it is gone, and is
answered with its exit code.

All that it does is a line of `notes`, synced to the disk: `tries ID` before a message is handed to the SDK and
`accepted ID` behind that; `shown OFFSET ID` before the next event is asked for, and `again OFFSET ID` where a message
is the very last one that was shown. To some of what it is shown it reacts: `reacted CONVERSATION OFFSET ID`
stands behind the command that the SDK took.
"""

import os
import sys
import traceback
from functools import partial
from importlib import import_module
from pathlib import Path
from random import Random

import anyio

from bimip.client import Backoff, Client, Start, open_client
from bimip.client.events import Received, UndecryptableMessage
from bimip.client.wire.bimip import Message

QUICK = Backoff(base=0.01, longest=0.05)
PAUSE_SECONDS = 0.006
REACTS = 0.3


class Notes:
    """A file of lines that are on the disk when `add` returns."""

    def __init__(self, path: Path) -> None:
        self.last_shown = next((line[1:] for line in reversed(read(path)) if line[0] in {"shown", "again"}), [])
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def add(self, *words: object) -> None:
        os.write(self._file, (" ".join(map(str, words)) + "\n").encode())
        os.fsync(self._file)


def read(path: Path) -> list[list[str]]:
    return [line.split() for line in path.read_text().splitlines()] if path.exists() else []


async def write(client: Client, notes: Notes, peer: str, random: Random) -> None:
    while True:
        await anyio.sleep(random.uniform(0, PAUSE_SECONDS))
        message_id = f"t-{random.getrandbits(64):016x}"
        notes.add("tries", message_id)
        client.messages.send_nowait(peer, b"text", id=message_id)
        notes.add("accepted", message_id)


def react(client: Client, notes: Notes, message: Message) -> None:
    """Has a command wait in the file: it has an id of its own, so that one that is given again is done once."""
    client.messages.react_nowait(message.signal_offset, "+", id=f"r-{message.id}")
    notes.add("reacted", message.conversation, message.conversation_offset, message.id)


async def program(url: str, token: str, folder: Path, peer: str, *, writes: bool, random: Random) -> None:
    notes = Notes(folder / "notes")
    encrypts = os.environ.get("ENCRYPTS") == "yes"
    opening = open_client(
        url, token=token, path=folder / "device.db", start=Start.FIRST, backoff=QUICK, encryption=encrypts
    )
    async with opening as client, anyio.create_task_group() as tasks:
        if writes:
            tasks.start_soon(write, client, notes, peer, random)
        async for event in client:
            if isinstance(event, UndecryptableMessage):
                notes.add("unreadable", event.message.id, event.reason.name)
            if isinstance(event, Received):
                if encrypts and (event.sealed_by is None or event.message.payload != b"text"):
                    notes.add("unreadable", event.message.id, "CLEAR")
                await anyio.sleep(random.uniform(0, PAUSE_SECONDS))  # killed here, it has it and has not shown it
                entry = [str(event.message.user_offset), event.message.id]
                notes.add("again" if entry == notes.last_shown else "shown", *entry)
                notes.last_shown = entry
                if writes and not encrypts and random.random() < REACTS:
                    react(client, notes, event.message)
                await anyio.sleep(random.uniform(0, PAUSE_SECONDS))  # and here it has shown it, and not said so


def live(url: str, token: str, folder: Path, peer: str, words: list[str]) -> None:
    what, backend, seed = words
    running = partial(program, url, token, folder, peer, writes=what == "begin", random=Random(seed))
    anyio.run(running, backend=backend)


def main() -> None:
    url, token, folder, peer = sys.argv[1:]
    if os.environ.get("ENCRYPTS") == "yes":
        import_module("bimip.client.encryption.sealer")
    for backend in ("trio", "asyncio"):  # each loads what it needs once it runs
        anyio.run(anyio.sleep, 0, backend=backend)
    pid = 0
    for line in sys.stdin:
        if line.strip() == "reap":
            answer = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        else:
            pid = os.fork()
            if pid == 0:
                try:
                    live(url, token, Path(folder), peer, line.split())
                except BaseException:  # noqa: BLE001 - the test is told, and reads it
                    traceback.print_exc()
                finally:
                    os._exit(1)  # nothing but a kill ends it
            answer = pid
        sys.stdout.write(f"{answer}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
