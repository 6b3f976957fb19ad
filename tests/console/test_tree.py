import trio

from bimip.console.tree import tree_json
from bimip.supervision import Budget, Crash, Restart, Snapshot, State
from bimip.supervision.snapshot import Kind


def node(**fields: object) -> Snapshot:
    values: dict[str, object] = {
        "path": "bimip",
        "id": "bimip",
        "kind": Kind.WORKER,
        "state": State.RUNNING,
        "restart": Restart.PERMANENT,
        "restarts": 0,
        "last_crash": None,
        "since": 0.0,
        "waiting_at": "",
        "details": None,
        "budget": None,
        "children": (),
    }
    return Snapshot(**(values | fields))  # type: ignore[arg-type] # the table above has the types


def test_times_become_ages() -> None:
    crash = Crash("KeyError", "'x'", "Traceback ...", when=97.5)
    shown = tree_json(node(since=40.0, last_crash=crash), now=100.0)

    assert shown["seconds_in_state"] == 60.0
    assert shown["last_crash"] == {
        "type": "KeyError",
        "message": "'x'",
        "seconds_ago": 2.5,
        "traceback": "Traceback ...",
    }


def test_a_place_in_the_code_is_shown_without_the_folders_of_this_machine() -> None:
    shown = tree_json(node(waiting_at="/srv/app/bimip/users/intake.py:41 Reader.run"), now=0)

    assert shown["waiting_at"] == "users/intake.py:41 Reader.run"
    assert tree_json(node(), now=0)["waiting_at"] == ""


def test_a_supervisor_shows_its_budget_and_its_children() -> None:
    shown = tree_json(node(budget=Budget(1, 3, 5.0), children=(node(path="bimip/a"),)), now=0)

    assert shown["budget"] == {"restarts": 1, "intensity": 3, "period_seconds": 5.0}
    assert [child["path"] for child in shown["children"]] == ["bimip/a"]


def test_what_a_part_tells_of_itself_is_shown_as_it_can_be() -> None:
    shown = tree_json(node(details={"backlog": 3, "place": trio.Path("x"), "lags": {"chat": (1, 2)}}), now=0)

    assert shown["details"] == {"backlog": 3, "place": "trio.Path('x')", "lags": {"chat": [1, 2]}}
