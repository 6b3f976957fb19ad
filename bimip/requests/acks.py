"""DELIVERED: a device's acknowledgements, on their way into the journal.

They say where something stands and not how far it moved, so one that is not decided yet takes the next one in: the
faster a device acknowledges, the more of that is one operation.
"""

from bimip.domain.core.ids import Offset
from bimip.domain.core.operations import Acknowledge, Refused, Result
from bimip.journal.queue import Ticket
from bimip.requests.asker import Asker
from bimip.requests.named import named_ranges
from bimip.requests.refusals import no_partition, refuse
from bimip.wire import bimip_pb2 as pb
from bimip.wire.errors import WireError


def acknowledge(asker: Asker, payload: pb.Signal, ref: int) -> None:
    partition = payload.partition
    head = asker.head_of(partition)
    if head is None:
        raise no_partition(partition, asker.services.partitions)
    upto, ranges = Offset(payload.upto), named_ranges(asker, payload.offsets, payload.user_offset)
    furthest = max(upto, ranges[-1][1]) if ranges else upto
    if furthest > head:
        field = "upto" if upto > head else "user_offset" if payload.user_offset > head else "offsets"
        sentence = f"offset {furthest} was never given; the log of {partition!r} ends at {head}"
        raise WireError(pb.OFFSET_BEYOND_HEAD, sentence, field=field)
    asker.acknowledge(partition, upto, ranges)
    operation = Acknowledge(asker.user, asker.number, partition, upto, ranges)
    before = asker.acks.get(partition)
    if before is None or not before.merge(operation, ref):
        asker.acks[partition] = _PendingAck(asker, operation, ref)


class _PendingAck:
    __slots__ = ("_asker", "_ref", "_ticket")

    def __init__(self, asker: Asker, operation: Acknowledge, ref: int) -> None:
        self._asker = asker
        self._ref = ref
        self._ticket: Ticket | None = asker.services.queue.submit(operation, self._decided, owner=asker.user)

    def merge(self, operation: Acknowledge, ref: int) -> bool:
        """Takes a later one in, and its answer with it. False: that is an operation of its own, because this one is
        under way or an error would say which it was.
        """
        ticket = self._ticket
        if ticket is None or ticket.taken or ref != self._ref:
            return False
        mine = ticket.operation
        assert isinstance(mine, Acknowledge)
        if operation.ranges or mine.ranges:
            return False
        if operation.upto > mine.upto:
            ticket.operation = operation
        self._asker.owed -= 1  # not by `pay`, for each of them: nobody waits for room while they are taken
        return True

    def _decided(self, result: Result) -> None:
        asker = self._asker
        assert self._ticket is not None
        done = self._ticket.operation
        assert isinstance(done, Acknowledge)
        self._ticket = None  # which leads back here: the garbage collector would have a cycle for each ack
        if asker.acks.get(done.partition) is self:
            del asker.acks[done.partition]
        if isinstance(result, Refused):
            refuse(asker, result, self._ref)
        else:
            asker.pay(1)  # as `answer_errors_only` does, without a call for each ack
        if asker.pending is not None:
            asker.pending.acknowledged(done.partition, done.upto, done.ranges)
