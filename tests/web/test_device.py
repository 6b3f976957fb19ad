"""`bimip/web/device.mjs` and what it stands on, under Node: rules without a server, and devices with the real one."""

import subprocess
from pathlib import Path

from tests.chaos.process_driver import served, token
from tests.web.test_javascript import HERE, NODE, SECONDS, needs_node


def run(name: str, *given: str) -> list[str]:
    """Runs a module that checks itself, and returns what it says holds."""
    command = [*NODE, str(HERE / name), *given]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == 0, done.stdout[-500:] + done.stderr
    return done.stdout.splitlines()


@needs_node
def test_copies_of_the_state_obey_the_rules_of_the_protocol() -> None:
    assert len(run("state_rules.mjs")) > 8


@needs_node
def test_a_device_obeys_the_rules_of_the_protocol() -> None:
    assert len(run("device_rules.mjs")) > 9


@needs_node
def test_devices_do_what_a_messenger_does(tmp_path: Path) -> None:
    tokens = [token("alice", "phone"), token("bob", "phone"), token("alice", "laptop"), token("alice", "tablet")]
    with served(tmp_path) as server:
        steps = run("messenger.mjs", f"ws://127.0.0.1:{server.port}", *tokens)

    assert len(steps) > 15
