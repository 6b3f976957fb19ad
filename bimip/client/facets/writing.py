"""Making messages and awaiting their answers, for the facets by which one writes."""

from collections.abc import Mapping
from typing import Any

from bimip.client.arguments import checked_ttl
from bimip.client.core.outbox import refusal
from bimip.client.errors import InvalidArgument
from bimip.client.events import SendRefused, Sent
from bimip.client.facets.facet import Facet
from bimip.client.wire.bimip import DeviceAddress, Message
from bimip.client.wire.bimip import Identity as WireIdentity


class Writing(Facet):
    """The base of the facets by which one writes messages: to somebody, or for friends."""

    def _write(
        self,
        to: str | None,
        payload: bytes,
        *,
        type: int = 1,  # noqa: A002 - the field's name
        partition: str = "",
        id: str | None = None,  # noqa: A002 - the field's name
        payloads: Mapping[tuple[str, str], bytes] | None = None,
        ttl: float | None = None,
        **fields: Any,  # noqa: ANN401 - each field has its own type
    ) -> Message:
        try:
            return Message(
                id=id or self._environment.new_id(),
                to=None if to is None else WireIdentity(eid=to),
                type=type,
                timestamp=self._environment.now(),
                payload=payload,
                partition=partition,
                **_addressed(payloads),
                ttl_ms=0 if ttl is None else checked_ttl(ttl),
                **fields,
            )
        except TypeError as problem:
            raise InvalidArgument(f"no field of a message: {problem}") from None

    async def _wait_sent(self, message_id: str) -> Sent:
        """Waits for the answer to a message in the outbox. Raises and is cancelled as `messages.send` is."""
        self._connector.check_running()
        answer = await self._device.outbox.wait(message_id)
        if isinstance(answer, SendRefused):
            raise refusal(answer)
        return answer


def _addressed(payloads: Mapping[tuple[str, str], bytes] | None) -> dict[str, Any]:
    """Returns the fields that address a message to devices, each with its own payload."""
    if payloads is None:
        return {}
    try:
        devices = [
            DeviceAddress(identity=WireIdentity(eid=eid, connection_resource_id=device), payload=payload)
            for (eid, device), payload in payloads.items()
        ]
    except (AttributeError, TypeError, ValueError):
        raise InvalidArgument("payloads are bytes by (eid, device)") from None
    return {"devices": devices, "devices_complete": True}
