"""The README's `curl` lines do what it says, as they stand there."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.chaos.process_driver import ROOT, served, token

LINES = re.findall(r"^curl (?:.*\\\n)*.*$", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE)
OURS = [line for line in LINES if "/api/v1/" in line]


def test_there_are_such_lines() -> None:
    assert len(OURS) >= 3


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl here")
def test_each_line_is_answered(tmp_path: Path) -> None:
    demo = tmp_path / "data" / "demo"
    demo.mkdir(parents=True)
    for name in ("alice-phone", "bob-phone"):
        user, device = name.split("-")
        (demo / f"{name}.token").write_text(token(f"{user}@example.org", device))
    answers = []
    with served(tmp_path) as server:
        for line in OURS:
            command = line.replace("127.0.0.1:8470", f"127.0.0.1:{server.port}")
            done = subprocess.run(["sh", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=True)
            answers.append(json.loads(done.stdout))
    sent, state, inbox = answers

    assert sent["messageId"] == state["messageId"]
    assert state["state"] == "sent"
    assert [one["peer"] for one in inbox["conversations"]] == ["alice@example.org"]
