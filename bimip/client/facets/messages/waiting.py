"""Waiting for what becomes of a message that this device sent: that it arrived, and that it was read."""

from contextlib import suppress
from math import inf

import anyio

from bimip.client.errors import NotConnected, TimedOut
from bimip.client.events import Sent
from bimip.client.facets.messages.receipts import TWO, DeliveryState, Receipts, delivery_state_of
from bimip.domain.state.lifecycle import Stage

ASK_AGAIN_SECONDS = 10.0
"""How often a group is asked for again whose receipts are waited for: members come and go."""


class Waiting(Receipts):
    """Receipts come by themselves in a conversation of two; a group is asked for now and then."""

    async def wait_delivered(self, sent: Sent) -> DeliveryState:
        """Wait until a message that this device sent has reached a device of everybody whom it is for.

        Who blocked this user, or is no member any more, is not waited for. Raises what stopped the client, and Refused
        where there is no such conversation any more. Cancelling it, as a timeout does, changes nothing.
        """
        return await self._wait_for(sent, Stage.DELIVERED)

    async def wait_read(self, sent: Sent) -> DeliveryState:
        """Wait until everybody whom a message is for has read it. Of who sends no read receipts that is never told.

        Raises as `wait_delivered` does. Cancelling it, as a timeout does, changes nothing.
        """
        return await self._wait_for(sent, Stage.READ)

    async def _wait_for(self, sent: Sent, stage: Stage) -> DeliveryState:
        conversation, offset, clock = sent.conversation, sent.conversation_offset, self._environment.clock
        asked_at = -inf
        while True:
            if self._device.members_of(conversation) != TWO and clock() - asked_at >= ASK_AGAIN_SECONDS:
                with suppress(NotConnected, TimedOut):  # of two alone all comes by itself, and nobody comes or goes
                    await self.fetch_receipts(conversation, offset, offset)
                asked_at = clock()
            self._connector.check_running()
            others = self._device.members_of(conversation) - 1
            state = delivery_state_of(self._times_of_others(conversation, offset), others)
            if Stage[state.state.upper()] >= stage:
                return state
            with anyio.move_on_after(inf if others == 1 else ASK_AGAIN_SECONDS):
                await self._device.changed.wait()
