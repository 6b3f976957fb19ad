"""Whether somebody sits before a user's devices, and whether the user wants to be told anything: what push goes by."""

from collections.abc import Collection, Mapping
from typing import Any

from bimip.domain.core.ids import DeviceId, Millis, UserId
from bimip.domain.core.records import Reader


class Attention:
    def __init__(self, sessions: Mapping[UserId, Any]) -> None:
        """`sessions`: of each user that is connected."""
        self._sessions = sessions

    def is_away(self, user: UserId) -> bool:
        """Whether nobody sits before any device of a user."""
        session = self._sessions.get(user)
        return session is None or not session.devices

    def inactive(self, _user: UserId) -> Collection[DeviceId]:
        """Lists devices that are connected, and before which nobody sits."""
        return ()

    def quiet_until(self, _view: Reader, _user: UserId, _now: Millis) -> Millis | None:
        """Tells until when a user wants to be left alone; None: they do not."""
        return None
