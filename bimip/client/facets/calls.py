"""Calls: what the devices of two users say to each other until they talk. Sound and picture take another way.

    from bimip.client import CallStep, events

    call = await client.calls.call("bob@example.org", b"an offer, as SDP", ring_seconds=30)
    async for event in client:
        match event:
            case events.CallSignalled(call=name, step=CallStep.CALL_ANSWER) if name == call:
                print("Bob took it:", event.payload.decode())
                await client.calls.hang_up("bob@example.org", call)
            case events.CallEnded(call=name) if name == call:
                print("over:", event.end.name)
                break

Events: CallSignalled, CallEnded; and Received, whose message has a `call_event`, of a call that was missed.
"""

import anyio.lowlevel

from bimip.client.arguments import checked_text, checked_ttl
from bimip.client.errors import InvalidArgument, NotConnected
from bimip.client.facets.facet import Facet
from bimip.client.wire.bimip import CallStep

MAX_PAYLOAD_BYTES = 32 * 1024
MOST_MS = 2**32 - 1


class Calls(Facet):
    """Others' words come as CallSignalled, the end as CallEnded; it is known by the other user and the call's name.

    Nothing waits for an answer: what the server refuses is told by a ServerError whose `id` is the call's name. Each
    raises NotConnected, and InvalidArgument for what is no name or too large; cancelled, nothing was said. Of a call
    that is not over the server is asked when the client is connected again: one that it does not know is told by a
    CallEnded with CALL_LOST. What both sides say is bytes of theirs, such as SDP, 32 KiB at most.
    """

    async def call(self, eid: str, offer: bytes = b"", *, ring_seconds: float | None = None) -> str:
        """Call a user: it rings at all of their devices. Returns the call's name.

        `ring_seconds`: for so long at most, and no longer than the server lets it, by default a minute; None: as long.
        """
        call = f"{self._environment.random.getrandbits(128):032x}"
        ring_ms = 0 if ring_seconds is None else min(checked_ttl(ring_seconds, "ring_seconds"), MOST_MS)
        await self._say(eid, call, CallStep.CALL_OFFER, offer, ring_ms)
        return call

    async def offer_again(self, eid: str, call: str, offer: bytes) -> None:
        """Offer something else in a call: what rings instead, or what is talked with from now on."""
        await self._say(eid, call, CallStep.CALL_OFFER, offer)

    async def say_ringing(self, eid: str, call: str) -> None:
        """Tell the caller that it rings here."""
        await self._say(eid, call, CallStep.CALL_RINGING)

    async def answer(self, eid: str, call: str, answer: bytes = b"") -> None:
        """Answer a call, or what was offered in it: the first device of a user that does is the one that talks."""
        await self._say(eid, call, CallStep.CALL_ANSWER, answer)

    async def send_candidate(self, eid: str, call: str, candidate: bytes) -> None:
        """Tell the other side of another way to this device."""
        await self._say(eid, call, CallStep.CALL_CANDIDATE, candidate)

    async def hang_up(self, eid: str, call: str) -> None:
        """End a call, or decline one that rings."""
        await self._say(eid, call, CallStep.CALL_HANG_UP)

    async def _say(self, eid: str, call: str, step: CallStep, payload: bytes = b"", ring_ms: int = 0) -> None:
        checked_text("eid", eid)
        checked_text("call", call)
        _check_payload(payload)
        await anyio.lowlevel.checkpoint()
        if not self._connector.connected:
            raise NotConnected("nobody can be called without a connection")
        if step is CallStep.CALL_OFFER:
            self._device.calls.begin(eid, call)
        self._device.say_of_call(eid, call, step, payload, ring_ms)


def _check_payload(payload: object) -> None:
    if not isinstance(payload, bytes) or len(payload) > MAX_PAYLOAD_BYTES:
        raise InvalidArgument(f"what is said in a call is at most {MAX_PAYLOAD_BYTES} bytes")
