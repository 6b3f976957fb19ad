"""The kinds of state. One that is added is a file of rules beside these, and its row below."""

from typing import Any

from bimip.domain.core.ids import UserId
from bimip.domain.core.records import Reader, StateKey
from bimip.domain.state import (
    contacts,
    conversation_settings,
    devices,
    groups,
    intents,
    location_shares,
    messages,
    privacy_exceptions,
    private_reads,
    read_markers,
    receipts,
    settings,
)
from bimip.domain.state.changes import StateKind

KINDS: dict[int, StateKind] = {
    kind.tag: kind
    for kind in (
        receipts.KIND,
        read_markers.KIND,
        messages.KIND,
        conversation_settings.KIND,
        settings.KIND,
        privacy_exceptions.KIND,
        devices.KIND,
        private_reads.KIND,
        groups.KIND,
        location_shares.KIND,
        contacts.KIND,
        intents.KIND,
    )
}
"""By the tag of their keys."""


def kind_of(key: StateKey) -> StateKind:
    """Tells which kind a key is of. Raises KeyError for one that this version does not know."""
    return KINDS[key[0]]


def read_value(view: Reader, user: UserId, key: StateKey) -> Any:  # noqa: ANN401 - each kind has its own
    """Reads the value under a key; None where there is none, or it is of a kind that a later version wrote."""
    kind = KINDS.get(key[0])
    return None if kind is None else kind.read(view, user, key)


def has_removals(key: StateKey) -> bool:
    """Whether a key without a value is one that was removed, so that devices are told so."""
    kind = KINDS.get(key[0])
    return kind is not None and kind.has_removals
