"""Writing messages."""

from typing import Any

from bimip.client.core.outbox import refusal
from bimip.client.errors import InvalidArgument
from bimip.client.events import SendRefused, Sent
from bimip.client.facets.facet import Facet
from bimip.client.wire.bimip import Identity as WireIdentity
from bimip.client.wire.bimip import Message


class Messages(Facet):
    @property
    def unsent(self) -> int:
        """Number of messages in the outbox without an answer."""
        return self._device.store.outbox_size()

    def send_nowait(
        self,
        to: str,
        payload: bytes,
        *,
        type: int = 1,  # noqa: A002 - the field's name
        partition: str = "",
        id: str | None = None,  # noqa: A002 - the field's name
        **fields: Any,  # noqa: ANN401 - each field has its own type
    ) -> str:
        """Put a message into the outbox and return its id. Its answer comes as an event, Sent or SendRefused.

        It is on disk then and is sent, in order, whenever there is a connection, until it is answered.
        `fields` are others of Message: reply_to, devices, encryption_type, mentions, seq …
        The same id again while the first waits is no second message; with other content it raises DuplicateId.
        Raises InvalidArgument for values that their fields cannot hold, StoreError where the file fails.
        """
        try:
            message = Message(
                id=id or f"{self._environment.random.getrandbits(128):032x}",
                to=WireIdentity(eid=to),
                type=type,
                timestamp=self._environment.now(),
                payload=payload,
                partition=partition,
                **fields,
            )
        except TypeError as problem:
            raise InvalidArgument(f"no field of a message: {problem}") from None
        self._device.outbox.put(message)
        return message.id

    async def send(
        self,
        to: str,
        payload: bytes,
        *,
        type: int = 1,  # noqa: A002 - the field's name
        partition: str = "",
        id: str | None = None,  # noqa: A002 - the field's name
        **fields: Any,  # noqa: ANN401 - each field has its own type
    ) -> Sent:
        """Send a message as `send_nowait` does, and wait until the server has it on disk.

        That may take several connections. Raises Refused, what `send_nowait` raises, or what stopped the client.
        Cancelled or stopped, the message stays in the outbox and is sent all the same; its answer then comes as an
        event.
        """
        message_id = self.send_nowait(to, payload, type=type, partition=partition, id=id, **fields)
        if self._connector.failure is not None:
            raise self._connector.failure
        answer = await self._device.outbox.wait(message_id)
        if isinstance(answer, SendRefused):
            raise refusal(answer)
        return answer
