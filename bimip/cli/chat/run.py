"""From the command to the end of the screen."""

import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from bimip.cli.chat.app import ChatApp
from bimip.cli.chat.session import Session
from bimip.cli.devices import Device, failure_of
from bimip.cli.failures import Exit, Failure


def chat(
    device: Device, partitions: Sequence[str], token_file: Path | None, *, theme: str = "terminal", bell: bool = False
) -> None:
    """Shows the screen until it is left. Raises Failure where there is no terminal, and with what ended the client."""
    if not (sys.__stdin__ is not None and sys.__stdin__.isatty() and sys.__stderr__ is not None):
        sentence = "chat is for a terminal; in scripts and pipes there are `bimip listen` and `bimip send`"
        raise Failure(Exit.USAGE, sentence)
    session = Session(device, partitions, token=_reader(token_file, device.token))
    app = ChatApp(session, theme=theme, bell=bell)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, app.leave_at_signal)
    app.run()
    if session.failure is not None:
        raise failure_of(session.failure)


def _reader(file: Path | None, token: str) -> Callable[[], str] | None:
    """Reads the token anew for each connection: who puts another one into the file in time goes on."""
    if file is None:
        return None
    last = token

    def read() -> str:
        nonlocal last
        with suppress(OSError, UnicodeDecodeError):
            last = file.read_text(encoding="utf-8").strip() or last
        return last

    return read
