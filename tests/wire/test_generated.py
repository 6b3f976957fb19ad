"""What scripts/generate makes from the contract, and the record of released numbers."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bimip.wire import bimip_pb2 as pb

ROOT = Path(__file__).parents[2]
MADE = [
    "bimip/wire/bimip_pb2.py",
    "bimip/wire/bimip_pb2.pyi",
    "bimip/client/wire/message_pool.py",
    "bimip/client/wire/bimip/__init__.py",
    "bimip/client/blocking/facets.py",
    "proto/numbers.txt",
    "bimip/conformance/vectors/body.json",
]


@pytest.fixture(scope="module")
def made_again(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("generated")
    here = os.environ | {"PYTHON": sys.executable}  # another one would be given the project's environment, under us
    subprocess.run([ROOT / "scripts/generate", folder], check=True, env=here)
    return folder


@pytest.mark.parametrize("path", MADE)
def test_what_is_committed_is_what_the_contract_generates(path: str, made_again: Path) -> None:
    hint = f"{path} is not what proto/bimip.proto says: run scripts/generate."

    assert (made_again / path).read_text("utf-8") == (ROOT / path).read_text("utf-8"), hint


def test_no_released_number_has_changed_or_gone(tmp_path: Path) -> None:
    """Recording into an empty file gives exactly the numbers of now; every line ever recorded must be among them."""
    now = tmp_path / "numbers.txt"
    now.touch()
    program = ROOT / "scripts/record_numbers.py"
    subprocess.run([sys.executable, program, now], check=True, env={"PYTHONPATH": str(ROOT / "bimip/wire")})

    gone = set((ROOT / "proto/numbers.txt").read_text("utf-8").splitlines()) - set(now.read_text("utf-8").splitlines())

    assert gone == set(), "released numbers never change: give what is new a new number"


def test_the_record_is_not_empty() -> None:
    recorded = (ROOT / "proto/numbers.txt").read_text("utf-8").splitlines()

    assert "bimip.Message.user_offset = 13 optional fixed64" in recorded
    assert "bimip.MessageStatus.DECLINE = 12" in recorded
    assert "bimip.TokenAuthority.Action.REVOKE = 2" in recorded
    assert len(recorded) > 300


def test_thirteen_stays_no_message_status() -> None:
    assert 13 not in pb.MessageStatus.values()
