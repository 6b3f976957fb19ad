"""The audit trail, on a real disk."""

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest

from bimip.audit import MAX_TEXT, MOST_A_MINUTE, AuditTrail

NOON = 1_795_860_000_000


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> int:
        return self.now


def trail_in(folder: Path, clock: Clock | None = None, **options: int) -> AuditTrail:
    return AuditTrail(folder / "audit.log", wall_clock=clock or Clock(), **options)


def records(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_a_record_says_who_did_what_when_from_where_and_how_it_went(tmp_path: Path) -> None:
    trail_in(tmp_path).note("kill", who="operator", source="127.0.0.1", target="bimip/journal", outcome="200")

    assert records(tmp_path / "audit.log") == [
        {
            "time": "2026-11-28T10:00:00.000+00:00",
            "action": "kill",
            "who": "operator",
            "source": "127.0.0.1",
            "target": "bimip/journal",
            "outcome": "200",
        }
    ]


def test_it_is_its_owners_alone_also_where_it_was_not(tmp_path: Path) -> None:
    file = tmp_path / "audit.log"
    file.touch(mode=0o644)
    trail_in(tmp_path).note("kill", who="operator")

    assert file.stat().st_mode & 0o777 == 0o600


def test_it_is_gone_on_with_after_a_restart_and_after_it_was_moved_away(tmp_path: Path) -> None:
    trail_in(tmp_path).note("one", who="operator")
    trail = trail_in(tmp_path)
    trail.note("two", who="operator")
    (tmp_path / "audit.log").rename(tmp_path / "moved")
    trail.note("three", who="operator")

    assert [record["action"] for record in records(tmp_path / "moved")] == ["one", "two"]
    assert [record["action"] for record in records(tmp_path / "audit.log")] == ["three"]


def test_it_is_rotated_by_size_and_so_many_are_kept(tmp_path: Path) -> None:
    trail = trail_in(tmp_path, max_bytes=100, kept_files=2)
    for number in range(6):
        trail.note(f"act {number}", who="operator")
    names = sorted(file.name for file in tmp_path.iterdir())

    assert names == ["audit.log", "audit.log.1", "audit.log.2"]
    assert [records(tmp_path / name)[0]["action"] for name in names] == ["act 5", "act 4", "act 3"]
    assert {file.stat().st_mode & 0o777 for file in tmp_path.iterdir()} == {0o600}


def test_what_anybody_can_cause_is_recorded_so_often_and_then_counted(tmp_path: Path) -> None:
    clock = Clock()
    trail = trail_in(tmp_path, clock)
    for _ in range(MOST_A_MINUTE + 7):
        trail.note_sampled("token refused", who="", source="192.0.2.1")
    flood = len(records(tmp_path / "audit.log"))
    trail.note("kill", who="operator")
    clock.now += 60_000
    trail.note_sampled("token refused", who="", source="192.0.2.1")
    *_, act, refused = records(tmp_path / "audit.log")

    assert flood == MOST_A_MINUTE
    assert (act["action"], act["kept_back"]) == ("kill", 7)
    assert "kept_back" not in refused


def test_what_somebody_else_chose_is_bounded_and_stays_on_its_line(tmp_path: Path) -> None:
    trail_in(tmp_path).note_sampled("device removed", who="a\nb", target="x" * 9999)
    (record,) = records(tmp_path / "audit.log")

    assert (record["who"], len(record["target"])) == ("a\nb", MAX_TEXT)


def test_what_cannot_be_written_is_counted_and_ends_nothing(tmp_path: Path) -> None:
    (tmp_path / "audit.log").mkdir()
    trail = trail_in(tmp_path)
    trail.note("kill", who="operator")
    lost = trail.lost
    (tmp_path / "audit.log").rmdir()
    trail.note("kill", who="operator")

    assert (lost, trail.lost, trail.records) == (1, 1, 1)


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    other = tmp_path / "other"
    (tmp_path / "audit.log").symlink_to(other)
    trail = trail_in(tmp_path)
    trail.note("kill", who="operator")

    assert trail.lost == 1
    assert not other.exists()


def test_a_disk_that_takes_half_a_record_leaves_none_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trail = trail_in(tmp_path)
    trail.note("one", who="operator")
    with monkeypatch.context() as patched:
        whole = os.write
        patched.setattr(os, "write", lambda file, line: whole(file, line[:10]))
        trail.note("two", who="operator")
        patched.setattr(os, "write", full)
        trail.note("three", who="operator")
    trail.note("four", who="operator")

    assert [record["action"] for record in records(tmp_path / "audit.log")] == ["one", "four"]
    assert trail.lost == 2


def full(_file: int, _line: bytes) -> int:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_without_a_disk_nothing_is_kept() -> None:
    trail = AuditTrail(wall_clock=Clock())
    trail.note("kill", who="operator")

    assert (trail.records, trail.lost) == (0, 0)
