"""`bimip/web/bimip.mjs` under Node: its rules against a server that says what a test wants, and the real server."""

import json
import re
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bimip.testing import free_port
from tests.chaos.process_driver import ROOT, Served, served, token

HERE = Path(__file__).parent
SECONDS = 60
README = (ROOT / "README.md").read_text("utf-8")


def node() -> list[str]:
    """The command that runs a module, in whose world there is a WebSocket; nothing where that cannot be had."""
    found = shutil.which("node")
    for flags in ([], ["--experimental-websocket"]):  # Node 22; Node 20 has it behind the flag
        if found is not None:
            test = [found, *flags, "-e", "process.exit(typeof WebSocket === 'undefined' ? 1 : 0)"]
            if subprocess.run(test, capture_output=True, check=False).returncode == 0:
                return [found, *flags]
    return []


NODE = node()
needs_node = pytest.mark.skipif(not NODE, reason="there is no Node with a WebSocket here (22, or 20.10)")


class Device:
    """A device in a process of its own."""

    def __init__(self, port: int, store: Path, shown: str) -> None:
        self.lines: list[dict[str, Any]] = []
        self._changed = threading.Condition()
        self.process = subprocess.Popen(
            [*NODE, str(HERE / "device.mjs"), f"ws://127.0.0.1:{port}", shown, str(store)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._changed:
                self.lines.append(json.loads(line))
                self._changed.notify_all()

    def say(self, **line: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{json.dumps(line)}\n")
        self.process.stdin.flush()

    def all(self, name: str) -> list[Any]:
        with self._changed:
            return [line[name] for line in self.lines if name in line]

    def wait(self, is_so: Callable[[], bool]) -> None:
        with self._changed:
            assert self._changed.wait_for(is_so, SECONDS), self.lines[-10:]

    def wait_for(self, name: str, count: int = 1) -> Any:
        self.wait(lambda: len(self.all(name)) >= count)
        return self.all(name)[count - 1]

    def leave(self) -> None:
        self.say()
        assert self.process.wait(SECONDS) == 0

    def end(self) -> None:
        self.process.kill()
        self._reader.join(SECONDS)
        with self.process:  # closes its pipes
            pass


Start = Callable[..., Device]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    devices: list[Device] = []

    def begin(port: int, user: str, shown: str = "") -> Device:
        devices.append(Device(port, tmp_path / f"{user}.json", shown or token(user)))
        return devices[-1]

    yield begin
    for device in devices:
        device.end()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server for tests that end none, each with users of its own."""
    with served(tmp_path_factory.mktemp("server")) as running:
        yield running


@needs_node
def test_it_obeys_the_rules_of_the_protocol() -> None:
    done = subprocess.run(
        [*NODE, str(HERE / "rules.mjs")], capture_output=True, text=True, timeout=SECONDS, check=False
    )

    assert done.returncode == 0, done.stdout[-500:] + done.stderr
    assert len(done.stdout.splitlines()) > 20


@needs_node
def test_each_message_is_shown_once_and_in_order_whoever_is_killed(tmp_path: Path, start: Start) -> None:
    port = free_port()
    texts = [f"message {number}" for number in range(120)]
    server = Served(tmp_path, BIMIP_GATEWAY_PORT=str(port))
    try:
        bob, alice = start(port, "bob"), start(port, "alice")
        bob.wait_for("connected")
        alice.say(send=texts[:40], to="bob")
        alice.wait_for("sent", 20)
        server.process.kill()
        server.process.wait()
        alice.say(send=texts[40:80], to="bob")
    finally:
        server.process.kill()
        server.process.wait()
    with served(tmp_path, BIMIP_GATEWAY_PORT=str(port)):
        bob.wait_for("shown", 60)
        bob.end()  # in the middle, with its place in its file
        alice.say(send=texts[80:], to="bob")
        alice.wait_for("sent", 120)
        again = start(port, "bob")
        again.wait(lambda: texts[-1] in again.all("shown"))
        before, behind = bob.all("shown"), again.all("shown")
        again.leave()
        alice.leave()

    assert before == texts[: len(before)]
    assert behind == texts[-len(behind) :]
    assert len(before) + len(behind) >= len(texts)
    assert alice.all("sent") == texts
    assert alice.all("refused") == bob.all("error") == again.all("error") == []


@needs_node
def test_a_device_that_left_is_sent_what_came_since_and_nothing_else(server: Served, start: Start) -> None:
    bob, alice = start(server.port, "rob"), start(server.port, "ada")
    bob.wait_for("connected")
    alice.say(send=["first"], to="rob")
    bob.wait_for("shown")
    bob.leave()
    alice.say(send=["second"], to="rob")
    alice.wait_for("sent", 2)
    again = start(server.port, "rob")
    again.wait_for("shown")
    again.say(request="fetch", payload={"kind": "INBOX"})
    inbox = again.wait_for("answer")
    again.say(request="command", payload={"kind": "EDIT", "id": "e1"})
    again.wait_for("refused")
    alice.wait(lambda: sum("receipts" in page for page in alice.all("state")) == 2)
    again.leave()

    assert again.all("shown") == ["second"]
    assert [one["peer"] for one in inbox["conversations"]] == ["ada"]
    assert [page["receipts"]["kind"] for page in alice.all("state") if "receipts" in page] == ["DELIVERED"] * 2


@needs_node
def test_a_token_that_does_not_hold_ends_it(server: Served, start: Start) -> None:
    bob = start(server.port, "bob", "no token")

    assert bob.wait_for("stopped") == 4100
    assert bob.all("again") == [False]


@needs_node
def test_the_lines_of_the_readme_do_what_it_says(server: Served, tmp_path: Path) -> None:
    script, _of_a_page = re.findall(r"^```js\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    demo = tmp_path / "data" / "demo"
    demo.mkdir(parents=True)
    for name in ("alice-laptop", "bob-laptop"):
        user, device = name.split("-")
        (demo / f"{name}.token").write_text(token(f"{user}@example.org", device))
    (tmp_path / "bimip" / "web").mkdir(parents=True)
    shutil.copy(ROOT / "bimip" / "web" / "bimip.mjs", tmp_path / "bimip" / "web")
    (tmp_path / "hello.mjs").write_text(script.replace("127.0.0.1:8470", f"127.0.0.1:{server.port}"))
    command = [*NODE, "hello.mjs"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=SECONDS, check=False)

    assert done.returncode == 0, done.stderr
    assert "alice@example.org: Hello from Node" in done.stdout
