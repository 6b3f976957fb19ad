"""An echo service under systemd: it answers each message once, whatever is killed when.

    [Service]
    ExecStart=/opt/bimip/bin/python -m bimip.client.examples.echo
    LoadCredential=token:/etc/bimip/echo.token
    Environment=BIMIP_URL=wss://chat.example.org
    DynamicUser=yes
    StateDirectory=echo
    Restart=always

An event that was taken and not finished comes again after a kill. So the answer has an id made of the message that it
answers: the second answer is no second message, neither in the outbox nor on the server.
"""

import os
import signal
from pathlib import Path

import anyio

from bimip.client import Client, open_client
from bimip.client.events import Received, SendRefused


async def run(url: str, token: str, path: Path) -> None:
    """Answers until SIGTERM."""
    async with open_client(url, token=token, path=path) as client, anyio.create_task_group() as tasks:
        tasks.start_soon(_stop_at_signal, tasks.cancel_scope)
        await answer(client)


async def answer(client: Client) -> None:
    """Answers what comes, until the client has left."""
    async for event in client:
        match event:
            case Received(message=message, own=False) if message.from_ is not None:
                client.messages.send_nowait(message.from_.eid, message.payload, id=f"echo-{message.signal_id}")
                await client.messages.mark_read(message.conversation, message.conversation_offset)
            case SendRefused(id=own_id, message=why):
                print(f"{own_id} was refused: {why}", flush=True)
            case _:
                pass


async def _stop_at_signal(scope: anyio.CancelScope) -> None:
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for _ in signals:
            scope.cancel()


def main() -> None:
    """Reads what systemd gives: the token as a credential, and a folder that stays."""
    token = (Path(os.environ["CREDENTIALS_DIRECTORY"]) / "token").read_text(encoding="utf-8")
    anyio.run(run, os.environ["BIMIP_URL"], token, Path(os.environ["STATE_DIRECTORY"]) / "echo.db")


if __name__ == "__main__":
    main()
