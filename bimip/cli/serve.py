"""The server itself, until it is told to stop."""

import os
import sys
from functools import partial
from pathlib import Path

import trio

from bimip import run
from bimip.cli import demo, logs
from bimip.cli.config import problems_of
from bimip.cli.failures import Exit, Failure
from bimip.cli.log_lines import LogLines
from bimip.cli.settings import find_settings
from bimip.config import ConfigError, Settings
from bimip.storage.errors import StorageError
from bimip.supervision import ChildFailedToStart, SupervisionError, root_error

STANDARD_OUTPUT = 1


def serve(settings: Settings, *, with_demo: bool, config: Path | None) -> None:
    """Returns after SIGTERM or SIGINT, when everything has stopped in order."""
    demonstration = None
    if with_demo:
        prepared = demo.prepare(settings)
        demonstration = demo.demonstration(prepared, _program())
        _say(demo.next_steps(prepared, _program(), config))
    _check(settings)

    def load() -> Settings:
        again = find_settings(config)
        _check(again)
        return again

    with logs.open_log(settings.logging) as log:
        try:
            serving = partial(
                run.serve,
                settings,
                load=load,
                lost_log_lines=lambda: log.lost,
                set_log_level=logs.set_level,
                demonstration=demonstration,
            )
            trio.run(serving)
        except (SupervisionError, StorageError, OSError) as error:
            raise Failure(Exit.FAILED, f"the server could not go on: {root_of(error)}") from error


def _check(settings: Settings) -> None:
    if problems := [*problems_of(settings)]:
        raise ConfigError("\n".join(problems))


def _say(text: str) -> None:
    """Prints a line; where nobody can hear it, the server starts all the same."""
    output = LogLines(STANDARD_OUTPUT)
    output.write(f"{text}\n")
    output.close()


def root_of(error: BaseException) -> str:
    """Finds what a failure began with and where, below the supervisors that it brought down."""
    where = ""
    while isinstance(error, SupervisionError) and error.__cause__ is not None:
        where = f"{error.path}: " if isinstance(error, ChildFailedToStart) else where
        error = root_error(error.__cause__)
    return where + (str(error) or type(error).__name__)


def _program() -> str:
    """How this command was called, as somebody in this folder would type it."""
    called = Path(sys.argv[0])
    return os.path.relpath(called) if called.name == "bimip" and called.is_absolute() else "bimip"
