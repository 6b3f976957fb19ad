import io
import re
from typing import Any

from rich.console import Console

from bimip.cli.show_tree import tree_lines


def node(path: str, *children: dict[str, Any], **fields: object) -> dict[str, Any]:
    return {
        "path": path,
        "id": path.rsplit("/", maxsplit=1)[-1],
        "kind": "supervisor" if children else "worker",
        "state": "running",
        "seconds_in_state": 3661.0,
        "restart": "permanent",
        "restarts": 0,
        "budget": {"restarts": 0, "intensity": 3, "period_seconds": 5.0} if children else None,
        "last_crash": None,
        "waiting_at": "",
        "details": {},
        "children": list(children),
    } | fields


def drawn(root: dict[str, Any], *, terminal: bool = False, width: int = 200) -> str:
    out = io.StringIO()
    Console(file=out, width=width, force_terminal=terminal, highlight=False).print(tree_lines(root, width))
    return out.getvalue()


TREE = node(
    "bimip",
    node("bimip/journal", restarts=2, last_crash={"type": "OSError", "message": "disk", "seconds_ago": 12.0}),
    node(
        "bimip/users", node("bimip/users/alice", node("bimip/users/alice/phone", waiting_at="users/intake.py:41 run"))
    ),
    node(
        "bimip/console",
        state="restarting",
        details={"requests": 3, "refused": 0, "fault": "", "fine": True, "open": False},
    ),
)


def test_each_process_stands_below_its_supervisor() -> None:
    names = [re.split(r"  +(?=kind|super|work)", line)[0] for line in drawn(TREE).splitlines()]

    assert names == [
        "process",
        "bimip",
        "├── journal",
        "├── users",
        "│   └── alice",
        "│       └── phone",
        "└── console",
    ]


def test_a_line_says_state_time_restarts_crash_place_and_details() -> None:
    _header, root, journal, _users, _alice, phone, console = drawn(TREE).splitlines()

    assert root.split() == ["bimip", "supervisor", "running", "1", "h", "1", "min", "0"]
    assert "OSError: disk, 12 s ago" in journal
    assert "users/intake.py:41 run" in phone
    assert "restarting" in console
    assert console.endswith("requests 3, not open")


def test_a_device_shows_how_far_it_lags_behind() -> None:
    partitions = {"chat": {"lag": 3, "in_flight": 2}, "feed": {"lag": 1, "in_flight": 0}}

    assert "lag 4" in drawn(node("phone", details={"partitions": partitions}))


def test_a_screen_that_is_narrow_cuts_lines() -> None:
    lines = drawn(TREE, width=40).splitlines()

    assert len(lines) == len(drawn(TREE).splitlines())
    assert lines[5].endswith("…")


def test_a_supervisor_that_spends_its_budget_shows_it() -> None:
    spent = {"restarts": 2, "intensity": 3, "period_seconds": 5.0}

    assert "1 (2/3 spent)" in drawn(node("bimip", node("bimip/a"), budget=spent, restarts=1))


def test_colours_are_for_terminals_only() -> None:
    assert "\x1b[" in drawn(TREE, terminal=True)
    assert "\x1b[" not in drawn(TREE)


def test_names_and_crashes_cannot_draw_on_the_screen() -> None:
    crash = {"type": "ValueError", "message": "a\n\x1b[31m[bold]", "seconds_ago": 1.0}
    shown = drawn(node("bimip", id="\x1b[2J", last_crash=crash))

    assert "\x1b" not in shown
    assert r"\x1b[2J" in shown
    assert r"ValueError: a\n\x1b[31m[bold]" in shown
