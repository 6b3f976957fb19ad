"""How the server logs: one event a line, for people or as JSON, on standard error, which may fail (log_lines.py)."""

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO, cast

import structlog

from bimip.cli.log_lines import LogLines
from bimip.config import LoggingSettings

STANDARD_ERROR = 2
REPEAT_SECONDS = 30.0
MOST_REMEMBERED = 1000
"""Different things that libraries say."""


@contextmanager
def open_log(settings: LoggingSettings) -> Iterator[LogLines]:
    """Everything that is said on standard error goes through it, and what libraries and Python itself say, too."""
    lines = LogLines(STANDARD_ERROR, _tell_lost)
    before, sys.stderr = sys.stderr, cast("TextIO", lines)
    try:
        configure(settings, sys.stderr)
        yield lines
    finally:
        sys.stderr = before
        lines.close()


def _tell_lost(count: int) -> None:
    structlog.get_logger("bimip").warning("lines of the log could not be written", lost=count)


def configure(settings: LoggingSettings, file: TextIO) -> None:
    set_level(settings.level)
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, *_ending(settings.format, file)],
        wrapper_class=_Logger,
        logger_factory=structlog.WriteLoggerFactory(file),
        cache_logger_on_first_use=True,
    )
    # Libraries speak through the standard module; of them only what is wrong matters.
    logging.basicConfig(level=_library_level(settings.level), handlers=[_Libraries()], force=True)


class _Logger(structlog.make_filtering_bound_logger(logging.INFO)):  # type: ignore[misc] # it is made by a function
    """The class of all loggers, which keep it: so it is this that another level changes."""


def set_level(name: str) -> None:
    """Says from now on what is of this level or above, whoever said something before."""
    filtering = structlog.make_filtering_bound_logger(_number(name))
    for method, does in vars(filtering).items():
        if not method.startswith("__"):
            setattr(_Logger, method, does)
    logging.getLogger().setLevel(_library_level(name))


def _number(level: str) -> int:
    return logging.getLevelNamesMapping()[level.upper()]


def _library_level(level: str) -> int:
    return max(_number(level), logging.WARNING)


class _Libraries(logging.Handler):
    """Says what a library says in the format of all the rest, the same thing once in a while."""

    def __init__(self) -> None:
        super().__init__()
        self._said: dict[tuple[str, str], tuple[float, int]] = {}  # when, and how often it was kept back since

    def emit(self, record: logging.LogRecord) -> None:
        what, now = (record.name, str(record.msg)), time.monotonic()
        last, kept_back = self._said.get(what, (-REPEAT_SECONDS, 0))
        if now < last + REPEAT_SECONDS:
            self._said[what] = last, kept_back + 1
            return
        if len(self._said) >= MOST_REMEMBERED:
            self._said.clear()
        self._said[what] = now, 0
        more = {"kept_back": kept_back} if kept_back else {}
        log = structlog.get_logger(record.name)
        log.log(record.levelno, record.getMessage(), library=record.name, exc_info=record.exc_info, **more)


def _ending(form: str, file: TextIO) -> list[structlog.typing.Processor]:
    if form == "json":
        return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    # Plain tracebacks: the pretty ones print local variables, which hold payloads and tokens.
    plain = structlog.dev.plain_traceback
    return [structlog.dev.ConsoleRenderer(colors=file.isatty(), exception_formatter=plain)]
