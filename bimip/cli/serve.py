"""The server itself, until it is told to stop."""

import os
import sys
from pathlib import Path

import trio

from bimip import app
from bimip.cli import demo, logs
from bimip.cli.failures import Exit, Failure
from bimip.config import Settings
from bimip.supervision import SupervisionError


def serve(settings: Settings, *, with_demo: bool, config: Path | None) -> None:
    """Returns after SIGTERM or SIGINT, when everything has stopped in order."""
    if with_demo:
        prepared = demo.prepare(settings)
        print(demo.next_steps(prepared, _program(), config), flush=True)
    settings.tokens.read_key()
    settings.console.read_operator_token()
    logs.configure(settings.logging)
    try:
        trio.run(app.serve, settings)
    except SupervisionError as error:
        raise Failure(Exit.FAILED, f"the server could not go on: {_root_of(error)}") from error


def _root_of(error: BaseException) -> str:
    """What it began with, below what it brought down."""
    while True:
        if error.__cause__ is not None:
            error = error.__cause__
        elif isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        else:
            return str(error) or type(error).__name__


def _program() -> str:
    """How this command was called, as somebody in this folder would type it."""
    called = Path(sys.argv[0])
    return os.path.relpath(called) if called.name == "bimip" and called.is_absolute() else "bimip"
