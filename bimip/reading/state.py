"""What of a user's state changed."""

from typing import Any, NamedTuple

from bimip.domain.core.ids import UserId, Version
from bimip.domain.core.records import State, StateKey, Table
from bimip.domain.state.changes import state_of
from bimip.domain.state.kinds import read_value
from bimip.storage.interface import Store

Change = tuple[Version, StateKey, Any]
"""A value of the state, whole, with the version of its last change."""


class ChangesPage(NamedTuple):
    changes: list[Change]  # ascending by version
    upto: Version  # all that changed up to here is in this page or in the pages before
    complete: bool  # the page reaches the head
    floor: Version  # the state's: who is below it needs all of it


def read_changes(store: Store, user: UserId, after: int, limit: int) -> ChangesPage:
    """Reads the values that changed behind a version, and have not changed since: at most so many."""
    with store.snapshot() as view:
        head, floor = state_of(view, user)
        found = view.scan(Table.CHANGES, (user, after + 1), (user + 1, 0), limit=limit)
        changes = [(Version(version), key, read_value(view, user, key)) for (_, version), key in found]
    complete = len(changes) < limit
    return ChangesPage(changes, head if complete else changes[-1][0], complete, floor)


def read_standing(store: Store, user: UserId) -> State:
    """Reads where a user's state stands: its head, and the floor below which a device needs all of it."""
    with store.snapshot() as view:
        return state_of(view, user)
