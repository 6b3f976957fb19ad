import errno
import json
import logging
import os
import sys
import time
from collections.abc import Iterator

import pytest
import structlog

from bimip.cli import logs
from bimip.config import LoggingSettings


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers = []
    yield
    structlog.reset_defaults()
    root.handlers, root.level = handlers, level


def fail_with_a_secret() -> None:
    token = "ey" + "J-a-secret-token"
    raise ValueError(len(token))


@pytest.mark.parametrize("form", ["console", "json"])
def test_a_traceback_does_not_show_variables(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(LoggingSettings(format=form), sys.stderr)
    try:
        fail_with_a_secret()
    except ValueError:
        structlog.get_logger().exception("it failed", path="bimip/journal")
    said = capsys.readouterr().err

    assert "it failed" in said
    assert "ValueError: 18" in said
    assert "eyJ-a-secret" not in said


def test_another_level_holds_for_loggers_that_have_said_something(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(LoggingSettings(format="json"), sys.stderr)
    log, library = structlog.get_logger("bimip"), logging.getLogger("some.library")
    said = []
    for turn, level in enumerate(("info", "debug", "error", "info")):
        logs.set_level(level)
        for tell in (log.debug, log.info, log.error, library.warning):
            tell(f"{turn} {tell.__name__}")
        said.append([json.loads(line)["level"] for line in capsys.readouterr().err.splitlines()])

    assert said == [
        ["info", "error", "warning"],
        ["debug", "info", "error", "warning"],
        ["error"],
        ["info", "error", "warning"],
    ]


def test_json_is_one_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(LoggingSettings(format="json"), sys.stderr)
    structlog.get_logger().info("started", port=8470)
    event = json.loads(capsys.readouterr().err)

    assert (event["event"], event["level"], event["port"]) == ("started", "info", 8470)


def test_what_is_below_the_level_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(LoggingSettings(level="warning"), sys.stderr)
    structlog.get_logger().info("started")
    logging.getLogger("bimip.supervision").info("noise")

    assert capsys.readouterr().err == ""


def test_libraries_are_heard_when_something_is_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(LoggingSettings(level="info"), sys.stderr)
    logging.getLogger("trio").info("noise")
    logging.getLogger("bimip.supervision").error("the report hook raised")

    assert "noise" not in (said := capsys.readouterr().err)
    assert "the report hook raised" in said


def test_what_python_itself_says_goes_through_the_log_and_comes_out(capfd: pytest.CaptureFixture[str]) -> None:
    before = sys.stderr
    with logs.open_log(LoggingSettings(format="json")):
        sys.stderr.write("Exception ignored\n")
        structlog.get_logger().info("started")
    said = capfd.readouterr().err

    assert said.startswith("Exception ignored\n{")
    assert sys.stderr is before


def test_lines_that_were_lost_are_told_in_the_logs_own_form(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write, failures = os.write, [OSError(errno.ENOSPC, "full"), OSError(errno.EIO, "broken")]

    def fail(file: int, data: bytes) -> int:
        if failures:
            raise failures.pop()
        return write(file, data)

    monkeypatch.setattr(os, "write", fail)
    with logs.open_log(LoggingSettings(format="json")) as log:
        for number in range(3):
            structlog.get_logger().info("started", number=number)
        while not log.is_idle:
            time.sleep(0.001)
    said = [json.loads(line) for line in capfd.readouterr().err.splitlines()]

    assert [event.get("number") for event in said] == [2, None]
    assert (said[-1]["lost"], said[-1]["level"]) == (2, "warning")
    assert log.lost == 2


def test_what_libraries_say_has_the_format_of_the_rest_and_is_not_said_again_and_again(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs.configure(LoggingSettings(format="json"), sys.stderr)
    for number in range(500):
        logging.getLogger("trio.serve_listeners").error("accept returned %s", number)
    logging.getLogger("another").error("accept returned %s", 7)
    events = [json.loads(line) for line in capsys.readouterr().err.splitlines()]

    assert [(event["library"], event["event"]) for event in events] == [
        ("trio.serve_listeners", "accept returned 0"),
        ("another", "accept returned 7"),
    ]
    assert {event["level"] for event in events} == {"error"}
