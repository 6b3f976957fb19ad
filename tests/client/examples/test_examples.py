"""The programs to begin with do what they say, against a real server."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import anyio
import httpx
import pytest

from bimip.client import Start, blocking
from bimip.client.blocking import open_client
from bimip.client.events import Received
from bimip.client.examples import back_end, bot, importing, two_devices
from bimip.testing import ServerProcess

ROOT = Path(__file__).parents[3]
BOT_LINES = 20
ALICE = "alice@example.org"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("server")) as running:
        yield running


def exists(server: ServerProcess, eid: str, device: str = "phone") -> None:
    """A user exists once they were here."""
    with open_client(server.url, token=server.token(eid, device), start=Start.HEAD) as client:
        client.wait_connected()


def texts(client: blocking.Client, count: int) -> list[str]:
    found: list[str] = []
    while len(found) < count:
        event = client.next_event(wait=20)
        assert event is not None, f"nothing came behind {found}"
        if isinstance(event, Received):
            found.append(event.message.payload.decode())
    return found


def start(example: str, folder: Path, **environment: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", f"bimip.client.examples.{example}"]
    told = {"PATH": "", "PYTHONPATH": str(ROOT), **environment}
    return subprocess.Popen(command, cwd=folder, env=told)


def test_the_bot_answers_and_is_short(server: ServerProcess, tmp_path: Path) -> None:
    token = server.token("bot@example.org", "bot")
    exists(server, "bot@example.org", "bot")
    with open_client(server.url, token=server.token("carol@example.org")) as carol:
        carol.messages.send("bot@example.org", b"time")
        carol.messages.send("bot@example.org", b"what?")
        program = start("bot", tmp_path, BIMIP_URL=server.url, BIMIP_TOKEN=token)
        time_told, unknown = texts(carol, 2)
        program.kill()
        program.wait()

    assert time_told[2] == ":"
    assert "and not 'what?'" in unknown
    source = Path(bot.__file__).read_text(encoding="utf-8").splitlines()
    assert len([line for line in source[1:] if line.strip() and '"""' not in line]) <= BOT_LINES


def test_two_devices_have_the_same(server: ServerProcess, tmp_path: Path) -> None:
    exists(server, "dave@example.org")
    tokens = server.token(ALICE, "phone"), server.token(ALICE, "laptop")
    both = anyio.run(two_devices.run, server.url, *tokens, "dave@example.org", tmp_path)

    assert both == [["written on the train", "written at home", "and edited, on the phone"]] * 2


def test_the_echo_answers_once_though_it_is_killed(server: ServerProcess, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(server.token("echo@example.org", "service") + "\n")
    surroundings = {"CREDENTIALS_DIRECTORY": str(tmp_path), "STATE_DIRECTORY": str(tmp_path), "BIMIP_URL": server.url}
    exists(server, "echo@example.org", "service")
    with open_client(server.url, token=server.token("erin@example.org")) as erin:
        erin.messages.send("echo@example.org", b"one")
        first = start("echo", tmp_path, **surroundings)
        assert texts(erin, 1) == ["one"]
        first.kill()
        first.wait()
        erin.messages.send("echo@example.org", b"two")
        second = start("echo", tmp_path, **surroundings)
        assert texts(erin, 1) == ["two"]
        second.terminate()
        assert second.wait(10) == 0
        more = iter(lambda: erin.next_event(wait=0.2), None)
        assert [event for event in more if isinstance(event, Received)] == []


def test_a_back_end_writes_and_asks(server: ServerProcess) -> None:
    http_url = server.url.replace("ws", "http", 1)
    with open_client(server.url, token=server.token("frank@example.org")) as frank:
        frank.wait_connected()
        with back_end.open_back_end(http_url, server.token("shop@example.org", "back-end")) as http:
            shop = back_end.BackEnd(http)
            told = shop.order_shipped("frank@example.org", 7)
            assert shop.order_shipped("frank@example.org", 7) == told
            assert not shop.has_read(told)
            event = next(event for event in frank if isinstance(event, Received))
            assert event.message.payload == b"Your order 7 is on its way."
            frank.messages.mark_read(event.message.conversation, event.message.conversation_offset)
            frank.ping()
            while not shop.has_read(told):
                frank.ping()
            with pytest.raises(httpx.HTTPStatusError):
                shop.order_shipped("nobody@example.org", 8)


def test_an_import_may_be_run_again(server: ServerProcess, capsys: pytest.CaptureFixture[str]) -> None:
    exists(server, "grace@example.org")
    lines = [json.dumps({"id": f"old-{n}", "to": "grace@example.org", "text": f"message {n}"}) for n in range(300)]
    lines.append(json.dumps({"id": "lost", "to": "nobody@example.org", "text": "?"}))
    token = server.token(ALICE, "import")

    assert anyio.run(importing.run, server.url, token, lines[100:]) == (200, 0, 1)
    assert anyio.run(importing.run, server.url, token, lines) == (100, 200, 1)
    assert "lost was refused" in capsys.readouterr().err
