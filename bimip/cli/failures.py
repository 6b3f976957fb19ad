"""How a command fails: one line on standard error that says what to do, and an exit code for scripts."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import IntEnum
from typing import NoReturn

from bimip.config import ConfigError

_EXTRAS = {"textual": "chat", "vodozemac": "e2ee", "psycopg": "postgres"}
"""Which extra brings a library that one command alone needs."""


class Exit(IntEnum):
    OK = 0
    FAILED = 1  # what was asked for did not happen
    USAGE = 2  # the words of the command are wrong
    SETTINGS = 3  # a setting is wrong or missing
    UNREACHABLE = 4  # no server answers
    REFUSED = 5  # the server says no: a token, a recipient, a path
    INTERRUPTED = 130  # Ctrl-C


class Failure(Exception):  # noqa: N818 - what happened, and not always an error of this program
    """Ends the command with its sentence and its code."""

    def __init__(self, code: Exit, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


@contextmanager
def telling() -> Iterator[None]:
    """Around a command: what is expected to fail ends it with a sentence, not with a traceback."""
    try:
        yield
    except Failure as failure:
        leave(failure.code, str(failure))
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("bimip"):
            raise
        extra = _EXTRAS.get((error.name or "").split(".")[0], "server")
        leave(Exit.FAILED, f"this command needs {error.name}, which is not installed: pip install 'bimip[{extra}]'")
    except ConfigError as error:
        leave(Exit.SETTINGS, str(error))
    except KeyboardInterrupt:
        sys.exit(Exit.INTERRUPTED)


def leave(code: Exit, sentence: str) -> NoReturn:
    """End the process with a sentence."""
    with suppress(OSError):  # where it cannot be said, the code still tells
        for line in sentence.splitlines():
            print(f"bimip: {line}", file=sys.stderr)
    sys.exit(code)
