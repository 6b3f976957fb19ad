"""Devices that have something to send, until all that is being answered or told is done: then each sends once."""

from typing import Protocol


class Sender(Protocol):
    def send_soon(self, now: float) -> None: ...


class PendingSends(dict[Sender, None]):
    """Devices that have something to send, in the order in which that came up.

    A dict with no method to add one: that would be a call for each answer.
    """

    def flush(self, now: float) -> None:
        """Lets each send. Whoever has something to send by then comes next."""
        while self:
            for device in list(self):
                self.pop(device, None)
                device.send_soon(now)
