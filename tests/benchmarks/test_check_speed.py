import sys
from types import FrameType

import pytest

from scripts.benchmarks import check_speed
from scripts.benchmarks.check_speed import BOUNDS, CASES, INSTRUCTIONS, compare
from scripts.benchmarks.counting import Bytecodes, Messages, can_count_instructions
from scripts.benchmarks.device import Device
from scripts.benchmarks.throughput import Load


def test_a_message_has_not_become_dearer(capfd: pytest.CaptureFixture[str]) -> None:
    """`scripts/check-speed`, whole: counts do not depend on the machine, so that this may be a test."""
    failed = check_speed.main([])

    with capfd.disabled():
        sys.stdout.write("\n" + capfd.readouterr().out)
    assert failed == 0


@pytest.mark.skipif(not can_count_instructions(), reason="valgrind is missing (apt-get install valgrind)")
@pytest.mark.parametrize("case", ["catch-up", "catch-up, both wrote"])
def test_nothing_takes_more_instructions(case: str, capfd: pytest.CaptureFixture[str]) -> None:
    """Cases that are the same on a busy machine, where messages share fewer batches; the others take minutes."""
    failed = check_speed.main(["--instructions", case])

    with capfd.disabled():
        sys.stdout.write("\n" + capfd.readouterr().out)
    assert failed == 0


def test_what_is_dearer_than_its_bound_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check_speed, "RECORDED_WITH", sys.version_info[:2])
    most = BOUNDS["20 together"]["bytecodes"]
    found = {"bytecodes": most + 1.0, "frames in": 200.0, "something else": 1e9}

    assert compare(found, BOUNDS["20 together"]) == [
        f"bytecodes: {most + 1:,} for a thousand, and {most:,} are allowed"
    ]


def test_what_a_version_of_python_counts_is_held_to_the_one_it_was_recorded_with(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(check_speed, "RECORDED_WITH", (2, 7))

    assert compare({"bytecodes": 1e12, "frames in": 1e6}, BOUNDS["alone"]) == [
        "frames in: 1,000,000 for a thousand, and 4,000 are allowed"
    ]


def test_one_frame_more_for_each_message_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The deliberate fault: messages that could share a frame come one in each."""
    monkeypatch.setattr(check_speed, "CASES", {"20 together": Messages(Load(pairs=2, window=20), 3)})
    post = Device.post
    monkeypatch.setattr(Device, "post", lambda self, count: post(self, count, together=False))

    assert check_speed.main([]) == 1


class Unsteady:
    """Counts one number after the other."""

    what = "messages"

    def __init__(self, *counts: float) -> None:
        self.counts = list(counts)

    def count(self) -> dict[str, float]:
        return {"waits": self.counts.pop(0)}


@pytest.mark.parametrize(
    ("counts", "found", "left"), [((99, 1), 99, 1), ((101, 90, 1), 90, 1), ((105, 101, 102, 1), 101, 1)]
)
def test_what_a_busy_machine_makes_dearer_is_counted_again(counts: tuple[float, ...], found: float, left: int) -> None:
    case = Unsteady(*counts)

    assert check_speed.least(case, {"waits": 100}) == {"waits": found}
    assert len(case.counts) == left


def test_every_case_has_bounds() -> None:
    assert set(BOUNDS) == set(CASES)
    assert all({"bytecodes", "Python calls", "system calls"} <= set(bounds) for bounds in BOUNDS.values())


def test_a_case_that_there_is_not_is_refused_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        check_speed.main(["alone", "catchup"])

    assert "there is no case catchup; there are 20 together, alone," in capsys.readouterr().err


def test_without_valgrind_instructions_are_not_counted_and_that_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "")

    assert check_speed.main(["--instructions"]) == 0
    assert "valgrind is not installed" in capsys.readouterr().out


def test_every_case_has_a_bound_of_instructions() -> None:
    assert set(INSTRUCTIONS) == set(CASES)


def spin(times: int) -> int:
    """Work without a call, which a count of calls does not see."""
    total = 0
    for number in range(times):
        total += number
    return total


def bytecodes_of(times: int) -> int:
    counted = Bytecodes()
    counted.begin(None)
    spin(times)
    counted.end()
    return counted.count


def test_bytecodes_grow_with_work_that_calls_nothing() -> None:
    bytecodes_of(1)  # CPython 3.13 begins to tell with the function behind the first
    one, two = bytecodes_of(1_000), bytecodes_of(2_000)

    assert two - one >= 3_000  # an iteration has at least so many, in any version
    assert two < 2.1 * one


def test_bytecodes_are_counted_in_a_frame_that_was_running_already() -> None:
    counted = Bytecodes()
    counted.begin(sys._getframe())
    for _ in range(100):
        pass
    counted.end()

    assert counted.count >= 200


def test_a_tracer_that_was_there_goes_on_when_counting_ends() -> None:
    seen: list[str] = []

    def trace(frame: FrameType, _event: str, _arg: object) -> None:
        seen.append(frame.f_code.co_name)

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        bytecodes_of(1)
        seen.clear()
        spin(1)
    finally:
        sys.settrace(before)

    assert seen == ["spin"]
