"""How far this user has read each conversation, on whichever device: an offset that only moves forward."""

from typing import Any

from bimip.client.core.kinds.kind import Kind, Table
from bimip.client.events import ReadMarkerChanged
from bimip.client.store import StateKey, Store
from bimip.client.wire.bimip import ReadMarker


class ReadMarkersKind(Kind[ReadMarker, int]):
    field = "read_marker"

    def key(self, item: ReadMarker) -> StateKey | None:
        return (item.conversation,)

    def value(self, item: ReadMarker) -> int:
        return item.conversation_offset

    def merge(self, known: int, arrived: int) -> int:
        return max(known, arrived)

    def event(self, key: StateKey, before: int | None, now: int | None) -> ReadMarkerChanged | None:
        return ReadMarkerChanged(str(key[0]), now or 0) if (before or 0) != (now or 0) else None

    def load(self, stored: Any) -> int:  # noqa: ANN401 - as in Kind
        return int(stored)


READ_MARKERS = ReadMarkersKind()


def marker_of(store: Store, conversation: str) -> int:
    """Returns the conversation offset up to which all has been read; 0 where nothing has."""
    return Table(store, READ_MARKERS).get((conversation,)) or 0
