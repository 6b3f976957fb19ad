import sys

import pytest

from scripts.benchmarks import check_speed
from scripts.benchmarks.check_speed import BOUNDS, LOADS, compare
from scripts.benchmarks.device import Device
from scripts.benchmarks.throughput import Load


def test_a_message_has_not_become_dearer(capfd: pytest.CaptureFixture[str]) -> None:
    """`scripts/check-speed`, whole: counts do not depend on the machine, so that this may be a test."""
    failed = check_speed.main([])

    with capfd.disabled():
        sys.stdout.write("\n" + capfd.readouterr().out)
    assert failed == 0


def test_what_is_dearer_than_its_bound_is_said() -> None:
    found = {"Python calls": 60_001.0, "frames in": 200.0, "something else": 1e9}

    assert compare(found, BOUNDS["20 together"]) == [
        "Python calls: 60,001 for a thousand messages, and 60,000 are allowed"
    ]


def test_one_frame_more_for_each_message_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The deliberate fault: messages that could share a frame come one in each."""
    monkeypatch.setattr(check_speed, "LOADS", {"20 together": (Load(pairs=2, window=20), 3)})
    post = Device.post
    monkeypatch.setattr(Device, "post", lambda self, count: post(self, count, together=False))

    assert check_speed.main([]) == 1


def test_every_load_has_bounds() -> None:
    assert set(BOUNDS) == set(LOADS)
    assert all({"Python calls", "system calls", "syncs"} <= set(bounds) for bounds in BOUNDS.values())
