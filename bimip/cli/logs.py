"""How the server logs: one event a line, for people or as JSON, on standard error, which may fail (log_lines.py)."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO, cast

import structlog

from bimip.cli.log_lines import LogLines
from bimip.config import LoggingSettings

STANDARD_ERROR = 2


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
    level = logging.getLevelNamesMapping()[settings.level.upper()]
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, *_ending(settings.format, file)],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file),
        cache_logger_on_first_use=True,
    )
    # Libraries speak through the standard module; of them only what is wrong matters.
    logging.basicConfig(level=max(level, logging.WARNING), stream=file, force=True)


def _ending(form: str, file: TextIO) -> list[structlog.typing.Processor]:
    if form == "json":
        return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    # Plain tracebacks: the pretty ones print local variables, which hold payloads and tokens.
    plain = structlog.dev.plain_traceback
    return [structlog.dev.ConsoleRenderer(colors=file.isatty(), exception_formatter=plain)]
