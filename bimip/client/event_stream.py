"""Taking events, and so acknowledging them."""

from collections.abc import Sequence
from typing import Self

import anyio.lowlevel

from bimip.client.events import Event
from bimip.client.facets.facet import Facet


class EventStream(Facet):
    """The part of a client that is iterated over: every event once, in its order."""

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        """Waits for the next event; asking for it says that the last one is done, and acknowledges it.

        Cancelling it loses nothing. After the last event it raises what stopped the client, or ends if it left.
        """
        await anyio.lowlevel.checkpoint()
        while True:
            event = self._device.inbox.take_next()
            self._device.changed.notify_all()
            if event is not None:
                return event
            if self._connector.failure is not None:
                raise self._connector.failure
            if self._connector.finished:
                raise StopAsyncIteration
            await self._device.changed.wait()

    def acknowledge(self, partition: str, offsets: Sequence[int]) -> None:
        """Acknowledge messages received by other means, such as `history.fetch`: they will not come as events.

        Raises InvalidArgument for a partition of which this client has no position, and for what is no offset.
        """
        self._device.inbox.acknowledge(partition, offsets)
        self._device.changed.notify_all()
