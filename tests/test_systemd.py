"""What a service manager hears, on a socket of the test's."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from bimip.systemd import ServiceManager

DATAGRAMS = socket.SOCK_DGRAM | socket.SOCK_NONBLOCK


@pytest.fixture
def listening(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, DATAGRAMS) as listener:
        listener.bind(str(tmp_path / "notify"))
        yield listener


def heard(listener: socket.socket) -> list[str]:
    lines: list[str] = []
    while True:
        try:
            lines += listener.recv(4096).decode().splitlines()
        except BlockingIOError:
            return lines


def told_by(listener: socket.socket, **environ: str) -> ServiceManager:
    return ServiceManager.of({"NOTIFY_SOCKET": str(listener.getsockname()), **environ})


def test_it_is_told_of_a_servers_whole_life(listening: socket.socket) -> None:
    manager = told_by(listening, WATCHDOG_USEC="30000000")
    manager.tell_ready("serving")
    manager.tell_alive()
    manager.tell_reloading()
    manager.tell_stopping(65)
    ready, status, watchdog, reloading, at, *stopping = heard(listening)

    assert (ready, status, watchdog, reloading) == ("READY=1", "STATUS=serving", "WATCHDOG=1", "RELOADING=1")
    assert at.startswith("MONOTONIC_USEC=")
    assert at.partition("=")[2].isdecimal()
    assert stopping == ["STOPPING=1", "STATUS=stopping", "EXTEND_TIMEOUT_USEC=65000000"]
    assert manager.watchdog_seconds == 30


@pytest.mark.parametrize("environ", [{}, {"WATCHDOG_USEC": "soon"}, {"WATCHDOG_USEC": "9", "WATCHDOG_PID": "1"}])
def test_without_a_watchdog_of_ours_it_is_not_told_that_we_live(
    listening: socket.socket, environ: dict[str, str]
) -> None:
    manager = told_by(listening, **environ)
    manager.tell_alive()

    assert heard(listening) == []
    assert manager.watchdog_seconds == 0


def test_a_watchdog_may_name_us(listening: socket.socket) -> None:
    assert told_by(listening, WATCHDOG_USEC="500000", WATCHDOG_PID=str(os.getpid())).watchdog_seconds == 0.5


def test_an_abstract_name_is_one() -> None:
    with socket.socket(socket.AF_UNIX, DATAGRAMS) as listener:
        listener.bind(f"\0bimip-test-{os.getpid()}")
        ServiceManager(f"@bimip-test-{os.getpid()}").tell_ready("serving")

        assert heard(listener) == ["READY=1", "STATUS=serving"]


def test_one_that_does_not_listen_ends_and_delays_nothing(listening: socket.socket, tmp_path: Path) -> None:
    ServiceManager("").tell_ready("serving")
    ServiceManager(str(tmp_path / "nobody")).tell_ready("serving")
    manager = told_by(listening)
    for _ in range(10_000):  # more than a socket keeps
        manager.tell_ready("serving")

    assert len(heard(listening)) < 20_000
