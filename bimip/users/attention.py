"""Whether somebody sits before a user's devices, and whether the user wants to be told anything: what push goes by."""

from collections.abc import Collection, Mapping
from typing import Any

from bimip.domain.awareness.status import Focus
from bimip.domain.core.ids import DeviceId, Millis, UserId
from bimip.domain.core.records import Cursor, Reader, Status
from bimip.domain.state.intents import intent_of, standing

LOOK_AGAIN_MS = 60_000
"""They may say something else before it ends."""


class Attention:
    def __init__(self, sessions: Mapping[UserId, Any]) -> None:
        """`sessions`: of each user that is connected."""
        self._sessions = sessions

    def is_away(self, user: UserId) -> bool:
        """Whether nobody sits before any device of a user."""
        return not any(device.is_open and device.focus is Focus.ACTIVE for device in self._devices(user))

    def inactive(self, user: UserId) -> Mapping[DeviceId, Mapping[str, Cursor]]:
        """Finds devices that are connected, and before which nobody sits; and, by partition, what each of them had
        acknowledged while somebody did.
        """
        return {device.number: device.attended for device in self._devices(user) if device.attended is not None}

    def quiet_until(self, view: Reader, user: UserId, now: Millis) -> Millis | None:
        """Tells until when a user wants to be left alone; None: they do not."""
        intent = intent_of(view, user)
        if standing(intent, now) not in {Status.BUSY, Status.DND}:
            return None
        again = now + LOOK_AGAIN_MS
        return Millis(min(intent.until or again, again))

    def _devices(self, user: UserId) -> Collection[Any]:
        session = self._sessions.get(user)
        return () if session is None else session.devices.values()
