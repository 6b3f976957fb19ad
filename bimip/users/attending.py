"""Who is told that devices come and go."""

from collections.abc import Hashable, Mapping
from typing import Any, Protocol

from bimip.domain.core.ids import DeviceId, UserId


class Attending(Protocol):
    """A connected device, as those see it who are told of it."""

    user: UserId
    eid: str
    number: DeviceId

    @property
    def name(self) -> str: ...

    def tell(self, about: Hashable, part: bytes) -> None:
        """Sends an element of Body that is stored nowhere: of what is about the same the last."""
        ...


class Group(Protocol):
    """A user's connected devices."""

    devices: Mapping[str, Any]


class Attendant(Protocol):
    def joined(self, device: Attending) -> None:
        """A device is connected now. It is told something once its Hello was answered."""
        ...

    def left(self, device: Attending) -> None:
        """A connection of a device has ended. There may be another one of it by now."""
        ...
