"""With whom this user shares where they are, on whichever device they said so."""

from typing import Any, NamedTuple

from bimip.client.core.kinds.kind import Kind, Table
from bimip.client.events import LocationShareChanged
from bimip.client.store import StateKey, Store
from bimip.client.wire.bimip import LocationStream


class KnownShare(NamedTuple):
    version: int  # of the user's state, since when it stands so
    expires_at: int


class LocationSharesKind(Kind[LocationStream, KnownShare]):
    field = "location_share"

    def key(self, item: LocationStream) -> StateKey | None:
        eid = item.to.eid if item.to is not None else ""
        return (item.conversation or eid,)

    def value(self, item: LocationStream) -> KnownShare:
        return KnownShare(item.version, item.expires_at)

    def merge(self, known: KnownShare, arrived: KnownShare) -> KnownShare:
        """The server's newest word counts."""
        return max(known, arrived)

    def event(self, key: StateKey, before: KnownShare | None, now: KnownShare | None) -> LocationShareChanged | None:
        was, ends = (0 if known is None else known.expires_at for known in (before, now))
        return LocationShareChanged(str(key[0]), ends) if ends != was else None

    def load(self, stored: Any) -> KnownShare:  # noqa: ANN401 - as in Kind
        return KnownShare(*stored)


LOCATION_SHARES = LocationSharesKind()


def shares_known(store: Store) -> dict[str, int]:
    """Returns, by eid or conversation, until when the user shares where they are, as this device knows it."""
    return {str(name): share.expires_at for (name,), share in sorted(Table(store, LOCATION_SHARES).under(()))}
