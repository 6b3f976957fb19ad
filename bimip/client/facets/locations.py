"""Locations: where this user is, and with whom they share it.

    ends = await client.locations.share("bob@example.org", seconds=600)
    if await client.locations.send(52.5163, 13.3777, accuracy=5):  # degrees and metres
        for whom, until in client.locations.shares().items():
            print(whom, "sees it for", "ten minutes" if until == ends else "another time")
    await client.locations.stop_sharing("bob@example.org")

Events: LocationTold, LocationShareChanged.
"""

from bimip.client.arguments import checked_text, checked_ttl
from bimip.client.core.kinds.location_shares import shares_known
from bimip.client.errors import InvalidArgument
from bimip.client.facets.facet import Facet
from bimip.client.wire.bimip import Identity, LocationStream


class Locations(Facet):
    """Others' positions come as LocationTold events, as long as they share them with this user."""

    async def share(self, with_whom: str, *, seconds: float = 3600) -> int:
        """Share where this user is with a contact, or in a conversation: a name with an @ is a contact's. Returns when
        that ends, in milliseconds. Positions are said by `send`.

        Raises Refused (FORBIDDEN: they are no contact whom this user lets see them; NOT_FOUND: there is no such
        conversation), TimedOut, NotConnected, and InvalidArgument for what is no name or no time. Cancelled, it may be
        shared or not.
        """
        asked = _share(with_whom)
        asked.enabled, asked.expires_at = True, self._environment.now() + checked_ttl(seconds, "seconds")
        return (await self._connector.request(asked, LocationStream)).expires_at

    async def stop_sharing(self, with_whom: str) -> None:
        """Share it with them no more. They are told at once. Raises as `share` does. Cancelled, it may
        still be shared.
        """
        await self._connector.request(_share(with_whom), LocationStream)

    async def send(
        self, latitude: float, longitude: float, *, altitude: float = 0.0, accuracy: float = 0.0, time: int = 0
    ) -> bool:
        """Say where this user is, in degrees and metres, to all with whom they share it; `time` is when that was
        measured, in milliseconds, or now. Returns whether they share it with anybody: else there is no need to measure.

        Raises Refused for numbers that are no place, TimedOut, NotConnected, and InvalidArgument for what is none.
        Cancelled, it may have been said or not.
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

    def shares(self) -> dict[str, int]:
        """Returns with whom this user shares where they are, by eid or conversation, and until when: milliseconds since
        1970. Also without a connection.
        """
        return shares_known(self._device.store)


def _share(with_whom: str) -> LocationStream:
    if "@" in checked_text("with_whom", with_whom):
        return LocationStream(to=Identity(eid=with_whom))
    return LocationStream(conversation=with_whom)
