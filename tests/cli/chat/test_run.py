"""The full-screen client in a real terminal: tmux types, and what the terminal shows is read from it."""

import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bimip.cli.chat.run import chat
from bimip.cli.devices import Device
from bimip.cli.failures import Failure
from bimip.client.blocking import open_client
from bimip.client.events import MessageChanged, Received
from bimip.testing import ServerProcess

PATIENCE = 40.0
ALICE, BOB = "alice@example.org", "bob@example.org"

needs_tmux = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed: no terminal to look at")


class Terminal:
    """A terminal of 80 columns and 24 lines, in which one command runs."""

    def __init__(self, folder: Path, command: str) -> None:
        self._socket = folder / "tmux"
        self._tmux("-f", "/dev/null", "new-session", "-d", "-x", "80", "-y", "24", command)

    def type(self, text: str) -> None:
        self._tmux("send-keys", "-l", "--", text)

    def press(self, *keys: str) -> None:
        self._tmux("send-keys", *keys)

    def shown(self) -> str:
        return self._tmux("capture-pane", "-p")

    def sees(self, *texts: str) -> str:
        """Waits until the terminal shows all of it, and returns all that it shows."""
        until(lambda: all(text in self.shown() for text in texts), lambda: f"{texts} in\n{self.shown()}")
        return self.shown()

    def process(self) -> int:
        """Returns the number of the process that the terminal runs."""
        return int(self._tmux("display-message", "-p", "#{pane_pid}"))

    def close(self) -> None:
        subprocess.run(["tmux", "-S", self._socket, "kill-server"], capture_output=True, check=False)

    def _tmux(self, *words: str) -> str:
        environment = os.environ | {"LC_ALL": "C.UTF-8"}
        command = ["tmux", "-u", "-S", str(self._socket), *words]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout


def until(holds: Callable[[], object], said: Callable[[], str]) -> None:
    """Waits for what comes some time; a machine may be busy, so only what never comes fails."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, f"it never came: {said()}"
        time.sleep(0.05)


@pytest.fixture
def command(tmp_path: Path, bimip_server: ServerProcess) -> str:
    token = tmp_path / "alice.token"
    token.write_text(bimip_server.token(ALICE, "laptop"))
    words = [sys.executable, "-m", "bimip", "chat", "--as", str(token), "--url", bimip_server.url]
    chatting = shlex.join([*words, "--store", str(tmp_path / "alice.db")])
    return f"env -u BIMIP_CONFIG {chatting}; echo it ended with $?; sleep 600"


@pytest.fixture
def terminals(tmp_path: Path) -> Iterator[Callable[[str], Terminal]]:
    opened: list[Terminal] = []

    def open_one(command: str) -> Terminal:
        folder = tmp_path / f"terminal-{len(opened)}"
        folder.mkdir()
        opened.append(Terminal(folder, command))
        return opened[-1]

    yield open_one
    for one in opened:
        one.close()


@needs_tmux
def test_somebody_talks_in_a_terminal_and_the_server_and_the_terminal_are_killed(
    bimip_server: ServerProcess, command: str, terminals: Callable[[str], Terminal]
) -> None:
    terminal = terminals(command)
    terminal.sees("● connected")
    with open_client(bimip_server.url, token=bimip_server.token(BOB)) as bob:
        bob.wait_connected()
        bob.messages.send(ALICE, b"Hello \x1b[2J\x1b[31m[red]Alice[/red]")
        terminal.sees("Hello \\x1b[2J\\x1b[31m[red]Alice[/red]")
        terminal.type("Hello Bob")
        terminal.press("C-j")
        terminal.type("here I am")
        terminal.press("Enter")
        answer = next(event for event in bob if isinstance(event, Received) and not event.own)
        assert answer.message.payload == b"Hello Bob\nhere I am"
        terminal.sees("here I am", "✓")
        bob.messages.mark_read(answer.message.conversation, answer.message.conversation_offset)
        terminal.sees("here I am", "✓✓")
        terminal.press("Escape")
        terminal.sees("r Reply")
        terminal.press("Up")
        terminal.sees("▌ Hello \\x1b[2J")
        terminal.type("+")
        terminal.sees("Enter reacts")
        terminal.type("heart")
        terminal.press("Enter")
        terminal.sees("❤ 1")
        reaction = next(event for event in bob if isinstance(event, MessageChanged))
        assert dict(reaction.reactions) == {"❤": (ALICE,)}
    bimip_server.load_ahead()
    bimip_server.kill()
    terminal.sees("○ offline")
    terminal.press("Escape")
    terminal.sees("^j Line")
    terminal.type("written without a server")
    terminal.press("Enter")
    terminal.sees("written without a server", "⧖", "1 message waits to be sent")
    os.kill(child_of(terminal.process()), signal.SIGKILL)
    terminal.sees("it ended with 137")
    again = terminals(command)
    again.sees("written without a server", "⧖", "1 message waits to be sent")
    bimip_server.start()
    shown = again.sees("● connected", "❤ 1")
    assert shown.count("written without a server") == 1
    until(lambda: "⧖" not in again.shown(), again.shown)
    again.press("C-q")
    assert "it ended with 0" in again.sees("it ended with 0")
    third = terminals(command)
    third.sees("● connected")
    left = child_of(third.process())
    third.close()
    until(lambda: not Path(f"/proc/{left}").exists(), lambda: "its end, behind a terminal that is gone")
    with open_client(bimip_server.url, token=bimip_server.token(BOB)) as bob:
        late = next(event for event in bob if isinstance(event, Received) and b"without" in event.message.payload)
        assert late.message.payload == b"written without a server"


def child_of(shell: int) -> int:
    """Returns the process that a shell waits for."""
    return int(Path(f"/proc/{shell}/task/{shell}/children").read_text().split()[0])


def test_without_a_terminal_it_says_what_there_is_instead() -> None:
    with pytest.raises(Failure, match="chat is for a terminal"):
        chat(Device("ws://127.0.0.1:1", "token"), ("chat",), None)
