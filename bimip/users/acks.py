"""A device's acknowledgements on their way into the journal.

They say where something stands and not how far it moved, so one that is not decided yet takes the next one in: the
faster a device acknowledges, the more of that is one operation.
"""

from bimip.domain.operations import Acknowledge, Refused, Result
from bimip.journal.queue import Ticket
from bimip.users.answers import error_of
from bimip.users.device import Device
from bimip.wire import frames


def acknowledge(device: Device, operation: Acknowledge, ref: int) -> None:
    """Answered by an error alone."""
    before = device.acks.get(operation.partition)
    if before is None or not before.merge(operation, ref):
        device.acks[operation.partition] = _PendingAck(device, operation, ref)


class _PendingAck:
    __slots__ = ("_device", "_ref", "_ticket")

    def __init__(self, device: Device, operation: Acknowledge, ref: int) -> None:
        self._device = device
        self._ref = ref
        device.unanswered += 1
        session = device.session
        self._ticket: Ticket | None = session.services.queue.submit(operation, self._decided, owner=session.number)

    def merge(self, operation: Acknowledge, ref: int) -> bool:
        """False: that is an operation of its own, because this one is under way or an error would say which it was."""
        ticket = self._ticket
        if ticket is None or ticket.taken or ref != self._ref:
            return False
        mine = ticket.operation
        assert isinstance(mine, Acknowledge)
        if operation.ranges or mine.ranges:
            return False
        if operation.upto > mine.upto:
            ticket.operation = operation
        return True

    def _decided(self, result: Result) -> None:
        device = self._device
        assert self._ticket is not None
        done = self._ticket.operation
        assert isinstance(done, Acknowledge)
        self._ticket = None  # which leads back here: the garbage collector would have a cycle for each ack
        if device.acks.get(done.partition) is self:
            del device.acks[done.partition]
        if isinstance(result, Refused):
            device.reply(frames.error_part(error_of(result, self._ref)))
        else:
            device.was_answered(1)
        if device.fetching is not None:
            device.fetching.acknowledged(done.partition, done.upto, done.ranges)
