"""A server in a process of its own, as whoever tests with it sees it."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from bimip.testing import ServerFailedError, ServerProcess
from bimip.testing.process import START_SECONDS


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    process = ServerProcess(tmp_path)
    yield process
    process.close()


def ask(server: ServerProcess, what: str, **body: object) -> httpx.Response:
    url = f"{server.url.replace('ws', 'http')}/api/v1/{what}"
    headers = {"Authorization": f"Bearer {server.token('alice@example.org')}"}
    return httpx.request("POST" if body else "GET", url, json=body or None, headers=headers, trust_env=False)


def test_what_was_acknowledged_is_there_after_a_kill_and_after_a_stop(server: ServerProcess) -> None:
    server.settings["BIMIP_USERS_ACCEPT_UNKNOWN_RECIPIENTS"] = "true"
    server.start()
    server.load_ahead()
    with pytest.raises(ServerFailedError, match="stop or kill it first"):
        server.start()
    sent = ask(server, "messages", to={"eid": "bob@example.org"}, text="Hello").json()["signal_id"]
    server.kill()
    assert not server.is_running
    server.start()
    after_kill = ask(server, f"messages/{sent}/delivery-state")
    assert server.stop() == 0
    server.start()
    after_stop = ask(server, f"messages/{sent}/delivery-state")
    live = httpx.get(f"{server.console_url}/livez", trust_env=False)

    assert (server.kills, after_kill.status_code, after_stop.status_code, live.status_code) == (1, 200, 200, 200)
    assert server.complaints() == []


def test_one_that_cannot_start_says_why(server: ServerProcess) -> None:
    server.settings["BIMIP_GATEWAY_PORT"] = "none"

    with pytest.raises(ServerFailedError, match=r"BIMIP_GATEWAY_PORT is 'none'; allowed: a whole number"):
        server.start()
    server.kill()
    with pytest.raises(ServerFailedError, match="no server"):
        server.stop()


def test_a_server_stops_when_whoever_started_it_is_gone(server: ServerProcess) -> None:
    server.start()
    process = server._running
    assert process is not None
    assert process.stdin is not None
    process.stdin.close()  # as the system closes it for who is killed

    assert process.wait(START_SECONDS) == 0
