"""Where this user is, and with whom they share it."""

from bimip.client.arguments import checked_text, checked_ttl
from bimip.client.core.kinds.location_shares import shares_known
from bimip.client.errors import InvalidArgument
from bimip.client.facets.facet import Facet
from bimip.client.wire.bimip import Identity, LocationStream


class Locations(Facet):
    """Others' positions come as LocationTold events, as long as they share them with this user."""

    async def share_location(self, with_whom: str, *, seconds: float = 3600) -> int:
        """Share where this user is with a contact, or in a conversation: a name with an @ is a contact's. Returns when
        that ends, in milliseconds. Positions are said by `send_location`.

        Raises Refused (FORBIDDEN: they are no contact whom this user lets see them; NOT_FOUND: there is no such
        conversation), TimedOut, NotConnected, and InvalidArgument for what is no name or no time.
        """
        asked = _share(with_whom)
        asked.enabled, asked.expires_at = True, self._environment.now() + checked_ttl(seconds, "seconds")
        return (await self._connector.request(asked, LocationStream)).expires_at

    async def stop_sharing_location(self, with_whom: str) -> None:
        """Share it with them no more. They are told at once. Raises as `share_location` does."""
        await self._connector.request(_share(with_whom), LocationStream)

    async def send_location(
        self, latitude: float, longitude: float, *, altitude: float = 0.0, accuracy: float = 0.0, time: int = 0
    ) -> bool:
        """Say where this user is, in degrees and metres, to all with whom they share it; `time` is when that was
        measured, in milliseconds, or now. Returns whether they share it with anybody: else there is no need to measure.

        Raises Refused for numbers that are no place, TimedOut, NotConnected, and InvalidArgument for what is none.
        """
        position = {"latitude": latitude, "longitude": longitude, "altitude": altitude, "accuracy": accuracy}
        for name, value in position.items():
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise InvalidArgument(f"{name} is a number, not {value!r}")
        told = LocationStream(
            latitude=float(latitude),
            longitude=float(longitude),
            altitude=float(altitude),
            accuracy=float(accuracy),
            timestamp=time,
            has_position=True,
        )
        return (await self._connector.request(told, LocationStream)).enabled

    def location_shares(self) -> dict[str, int]:
        """Returns, by eid or conversation, until when this user shares where they are, also without a connection."""
        return shares_known(self._device.store)


def _share(with_whom: str) -> LocationStream:
    if "@" in checked_text("with_whom", with_whom):
        return LocationStream(to=Identity(eid=with_whom))
    return LocationStream(conversation=with_whom)
