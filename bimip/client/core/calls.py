"""Calls that a device takes part in: what is new of what it is told, and which are to be asked for after a cut."""

from bimip.client.events import CallEnded, CallSignalled, Identity
from bimip.client.wire.bimip import CallStep, Signal

Key = tuple[str, str]
"""The other user's eid, and the name of a call."""

MOST_REMEMBERED = 256
"""Calls that are over, of which the server may tell again."""


class Calls:
    def __init__(self) -> None:
        self._open: dict[Key, int] = {}  # -> the last number that was told
        self._over: dict[Key, int] = {}

    def begin(self, peer: str, call: str) -> None:
        """Notes a call that this device makes."""
        self._open.setdefault((peer, call), 0)

    def open(self) -> list[Key]:
        """Lists the calls that are not over."""
        return list(self._open)

    def take(self, signal: Signal) -> CallSignalled | CallEnded | None:
        """Makes an event of what is told of a call; None: it was told before."""
        peer = signal.to.eid if signal.to is not None else ""
        key = (peer, signal.call)
        if signal.step is CallStep.CALL_ENDED:
            return self._end(key, signal)
        if signal.sequence <= max(self._open.get(key, 0), self._over.get(key, 0)):
            return None
        self._open[key] = signal.sequence
        return CallSignalled(peer, signal.call, signal.step, signal.payload, signal.ttl_ms)

    def _end(self, key: Key, signal: Signal) -> CallEnded | None:
        """Ends a call, which may be one that the server does not know, and so has no number."""
        if self._open.pop(key, None) is None and (key in self._over or not signal.sequence):
            return None
        self._over[key] = signal.sequence
        if len(self._over) > MOST_REMEMBERED:
            del self._over[next(iter(self._over))]
        by = signal.from_
        who = None if by is None else Identity(by.eid, by.connection_resource_id or "")
        return CallEnded(*key, signal.end, who)
