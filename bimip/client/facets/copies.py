"""Whether what this device has of its logs is what the server has, and what it would cost to begin anew."""

from bimip.client.arguments import checked_number, checked_text
from bimip.client.errors import InvalidArgument
from bimip.client.facets.facet import Facet
from bimip.client.wire.bimip import Snapshot


class CopiesOfLogs(Facet):
    """On every connecting the copies are compared (LogDiverged); these are for programs that want to do more."""

    async def snapshot(self, partition: str = "chat", *, offset: int = 0) -> Snapshot:
        """Ask what it costs to go on behind an offset, `delta`, and to begin anew, `whole`; 0: this device's position.

        `checksum` is the server's chain there. Raises Refused, TimedOut, NotConnected, InvalidArgument.
        """
        checked_text("partition", partition)
        offset = checked_number("offset", offset, least=0) or self._device.inbox.offset_of(partition)
        asked = Snapshot(partition=partition, offset=offset, state_version=self._device.state.version)
        return await self._connector.request(asked, Snapshot)

    def read_again(self, first: int, last: int, partition: str = "chat") -> None:
        """Have entries sent again, as ReadAgain events: a program that finds its own copy damaged asks so.

        It is remembered until it is done, also when there is no connection now. Raises InvalidArgument for what is no
        stretch of offsets that this device was sent.
        """
        checked_number("first", first)
        if not first <= checked_number("last", last) <= self._device.inbox.offset_of(partition):
            raise InvalidArgument(f"{first} to {last} is no stretch of {partition!r} that this device was sent")
        self._device.store.add_stretch(partition, first, last)
        if self._connector.connected:
            self._device.read_again()
