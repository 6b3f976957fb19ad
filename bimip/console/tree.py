"""A snapshot of the supervision tree as JSON: what `bimip tree` and the live page draw."""

from collections.abc import Iterator, Mapping
from math import isfinite
from typing import Any

from bimip.supervision import Budget, Crash, Snapshot

Json = dict[str, Any]


def tree_json(snapshot: Snapshot, now: float) -> Json:
    """Times become ages in seconds, so that a reader needs no clock of ours."""
    return {
        "path": snapshot.path,
        "id": snapshot.id,
        "kind": snapshot.kind.value,
        "state": snapshot.state.value,
        "seconds_in_state": _age(snapshot.since, now),
        "restart": snapshot.restart.value,
        "restarts": snapshot.restarts,
        "strategy": snapshot.strategy.value if snapshot.strategy else None,
        "budget": _budget(snapshot.budget),
        "last_crash": _crash(snapshot.last_crash, now),
        "waiting_at": _short(snapshot.waiting_at),
        "details": {key: _plain(value) for key, value in (snapshot.details or {}).items()},
        "children": [tree_json(child, now) for child in snapshot.children],
    }


def tree_rows(snapshot: Snapshot, parent: str = "") -> Iterator[Json]:
    """A row for each process, parents first. Times stay times, so that a row is the same while nothing happens."""
    crash = snapshot.last_crash
    yield {
        "path": snapshot.path,
        "parent": parent,
        "id": snapshot.id,
        "kind": snapshot.kind.value,
        "state": snapshot.state.value,
        "since": round(snapshot.since, 3),
        "restart": snapshot.restart.value,
        "restarts": snapshot.restarts,
        "strategy": snapshot.strategy.value if snapshot.strategy else None,
        "budget": _budget(snapshot.budget),
        "last_crash": crash
        and {"type": crash.type, "message": crash.message, "when": crash.when, "traceback": crash.traceback},
        "waiting_at": _short(snapshot.waiting_at),
        "details": {key: _plain(value) for key, value in (snapshot.details or {}).items()},
        "child_count": snapshot.child_count,
    }
    for child in snapshot.children:
        yield from tree_rows(child, snapshot.path)


def _budget(budget: Budget | None) -> Json | None:
    if budget is None:
        return None
    return {"restarts": budget.restarts, "intensity": budget.intensity, "period_seconds": budget.period}


def _crash(crash: Crash | None, now: float) -> Json | None:
    if crash is None:
        return None
    return {
        "type": crash.type,
        "message": crash.message,
        "seconds_ago": _age(crash.when, now),
        "traceback": crash.traceback,
    }


def _age(then: float, now: float) -> float:
    return round(max(0.0, now - then), 3)


def _short(place: str) -> str:
    """'/somewhere/bimip/users/intake.py:41 run' as 'users/intake.py:41 run': a place in the code, not on the disk."""
    file, separator, rest = place.partition(":")
    return "/".join(file.split("/")[-2:]) + separator + rest


def _plain(value: object) -> object:
    """Makes JSON of what a part tells of itself; what JSON does not have comes as text."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not isfinite(value):
        return repr(value)
    return value if value is None or isinstance(value, str | int | float | bool) else repr(value)
