"""`bimip serve` as a process of its own."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from bimip.cli.failures import Exit
from bimip.cli.serve import root_of
from bimip.supervision import SupervisionError

ENVIRONMENT = {"BIMIP_GATEWAY_PORT": "0", "BIMIP_CONSOLE_PORT": "0", "BIMIP_LOGGING_FORMAT": "json"}
DEMO = Path(__file__).parents[2] / "config" / "demo.toml"
ARGUMENTS = ("serve", "--demo", "--config", str(DEMO))


def process(folder: Path, *words: str, **environ: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "bimip", *words],
        cwd=folder,
        env={**os.environ, **ENVIRONMENT, "PYTHONPATH": str(DEMO.parents[1]), **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@contextmanager
def running(folder: Path) -> Iterator[tuple["subprocess.Popen[str]", dict[str, Any]]]:
    """A server, and what it logged when it began to serve."""
    with process(folder, *ARGUMENTS) as server:
        assert server.stderr is not None
        try:
            yield server, json.loads(server.stderr.readline())
        finally:
            server.kill()


def finished(folder: Path, *words: str, **environ: str) -> tuple[int, str, str]:
    with process(folder, *words, **environ) as command:
        out, errors = command.communicate(timeout=30)
    return command.returncode, out, errors


def test_the_demonstration_serves_its_devices_and_stops_in_order(tmp_path: Path) -> None:
    with running(tmp_path) as (server, serving):
        port = str(serving["port"])
        sent = finished(
            tmp_path, "send", "--as", "data/demo/alice-phone.token", "bob@example.org", "Hi", BIMIP_GATEWAY_PORT=port
        )
        tree = finished(tmp_path, "tree", "--json", "--config", str(DEMO), BIMIP_CONSOLE_PORT=str(serving["console"]))
        finished(tmp_path, "send", "bob@example.org", "Hi", BIMIP_GATEWAY_PORT=port, BIMIP_TOKEN="forged")
        by_http = httpx.get(f"http://127.0.0.1:{port}/api/v1/inbox", headers={"Authorization": "Bearer forged"})
        finished(tmp_path, "kill", "bimip/retention", "--config", str(DEMO), BIMIP_CONSOLE_PORT=str(serving["console"]))
        server.send_signal(signal.SIGTERM)
        out, errors = server.communicate(timeout=30)

    assert sent[0] == Exit.OK, sent
    assert "sent: Hi" in sent[1]
    assert next(child["id"] for child in json.loads(tree[1])["children"]) == "timers"
    assert (server.returncode, json.loads(errors.splitlines()[-1])["event"]) == (Exit.OK, "stopped")
    assert "Open this in a browser" in out
    assert "open more terminals in this folder" in out
    trail = tmp_path / "data" / "store.audit.log"
    records = [json.loads(line) for line in trail.read_text().splitlines()]
    assert [record["action"] for record in records] == ["start", "token refused", "token refused", "kill", "stop"]
    assert (by_http.status_code, records[2]["source"]) == (401, "127.0.0.1")
    assert records[3]["who"].startswith("operator")
    assert "forged" not in trail.read_text()
    assert trail.stat().st_mode & 0o777 == 0o600


def test_what_was_sent_is_there_after_kill_9(tmp_path: Path) -> None:
    with running(tmp_path) as (server, serving):
        port = str(serving["port"])
        finished(
            tmp_path, "send", "--as", "data/demo/alice-phone.token", "bob@example.org", "Hi", BIMIP_GATEWAY_PORT=port
        )
        os.kill(int((tmp_path / "data" / "demo" / "server.pid").read_text()), signal.SIGKILL)
        server.wait(timeout=10)
    with running(tmp_path) as (_server, serving):
        port = str(serving["port"])
        with process(
            tmp_path, "listen", "--json", "--as", "data/demo/bob-phone.token", BIMIP_GATEWAY_PORT=port
        ) as phone:
            assert phone.stdout is not None
            connected, received = (json.loads(phone.stdout.readline()) for _ in range(2))
            phone.send_signal(signal.SIGINT)

    assert connected["heads"]["chat"] == 1
    assert received["payload"] == "Hi"
    assert phone.returncode == Exit.OK


def test_systemd_hears_when_it_serves_lives_reloads_and_stops(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(30)
        environ = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "200000"}
        config = tmp_path / "bimip.toml"
        config.write_text(DEMO.read_text(encoding="utf-8"), encoding="utf-8")
        with process(tmp_path, "serve", "--demo", "--config", str(config), **environ) as server:
            try:
                heard = hear_until(manager, "READY=1")
                heard += hear_until(manager, "WATCHDOG=1")
                with config.open("a", encoding="utf-8") as file:
                    file.write("\n[health]\nmax_loop_lag_seconds = 9\n")
                server.send_signal(signal.SIGHUP)
                heard += hear_until(manager, "RELOADING=1") + hear_until(manager, "READY=1")
                server.send_signal(signal.SIGTERM)
                heard += hear_until(manager, "EXTEND_TIMEOUT_USEC=65000000")
                _, errors = server.communicate(timeout=30)
            finally:
                server.kill()
        lines = [json.loads(line) for line in errors.splitlines()]
        (reloaded,) = (line for line in lines if line["event"] == "a setting was reloaded")
        trail = [json.loads(line) for line in (tmp_path / "data" / "store.audit.log").read_text().splitlines()]

    assert (reloaded["setting"], reloaded["new"]) == ("health.max_loop_lag_seconds", 9.0)
    assert [one["outcome"] for one in trail if one["action"] == "reload"] == ["taken over"]
    assert "EXTEND_TIMEOUT_USEC=65000000" in heard
    told = [line for line in heard if line in {"READY=1", "RELOADING=1", "STOPPING=1"}]
    assert told == ["READY=1", "RELOADING=1", "READY=1", "STOPPING=1"]
    assert server.returncode == Exit.OK


def hear_until(manager: socket.socket, line: str) -> list[str]:
    """What a service manager is told up to and with a line."""
    heard: list[str] = []
    while line not in heard:
        heard += manager.recv(4096).decode().splitlines()
    return heard


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with running(tmp_path) as (_server, serving):
        other = tmp_path / "other"
        other.mkdir()
        console = finished(other, *ARGUMENTS, BIMIP_CONSOLE_PORT=str(serving["console"]))
        gateway = finished(other, *ARGUMENTS, BIMIP_GATEWAY_PORT=str(serving["port"]))

    assert console[0] == Exit.FAILED
    assert f"the console cannot listen on 127.0.0.1:{serving['console']}" in console[2].splitlines()[-1]
    assert gateway[0] == Exit.FAILED
    assert "bimip/gateway/listener: " in gateway[2].splitlines()[-1]


def test_a_store_is_one_servers(tmp_path: Path) -> None:
    with running(tmp_path):
        code, _, errors = finished(tmp_path, *ARGUMENTS)

    assert code == Exit.FAILED
    assert errors.splitlines()[-1].startswith("bimip: the server could not go on: ")
    assert "Traceback" not in errors


def test_without_a_key_it_says_what_to_set(tmp_path: Path) -> None:
    code, out, errors = finished(tmp_path, "serve")

    assert (code, out) == (Exit.SETTINGS, "")
    assert errors.startswith("bimip: tokens.key is not set: set tokens.key_file")


def test_the_cause_of_a_failure_is_what_it_began_with() -> None:
    first = OSError("the disk")
    first.__cause__ = OSError(5, "deeper than anybody wants to know")
    top = SupervisionError("gave up")
    top.__cause__ = ExceptionGroup("one", [first])

    assert root_of(top) == "the disk"
    assert root_of(KeyError()) == "KeyError"


def test_a_key_of_another_kind_is_refused_before_anything_starts(tmp_path: Path) -> None:
    code, out, errors = finished(tmp_path, "serve", BIMIP_TOKENS_KEY="k" * 32)

    assert (code, out) == (Exit.SETTINGS, "")
    assert errors.startswith("bimip: tokens.key does not fit tokens.algorithm: ")


@pytest.mark.parametrize("words", [("--help",), ("serve", "--help")])
def test_help_needs_no_server(tmp_path: Path, words: tuple[str, ...]) -> None:
    assert finished(tmp_path, *words)[0] == Exit.OK
