"""A call that nobody answered becomes a message: from the caller, in the conversation of the two, by the server.

It is appended as the caller's messages are, so whatever holds for those holds for it: whoever blocks the caller has it
not, and it counts among what the caller has stored. It is of no device, so that all of the caller's are told of it. It
is deduplicated under its id, with the device that called.
"""

from hashlib import blake2b
from typing import NamedTuple

from bimip.domain.awareness.calls import End
from bimip.domain.core.decision import Decision
from bimip.domain.core.ids import DeviceId, Millis, UserId
from bimip.domain.core.operation_kind import OperationKind
from bimip.domain.core.operations import Append, Done, Fault, NewMessage, Refused
from bimip.domain.core.records import DIGEST_BYTES, Reader, Table
from bimip.domain.core.rules import Context
from bimip.domain.messages.appending import NOBODY, append

PARTITION = "chat"
"""Where they stand: the one partition that every server has."""


class MissCall(NamedTuple):
    """Nobody answered a call."""

    user: UserId  # who called
    device: DeviceId
    to: str  # eid
    call: str
    end: End
    started: Millis

    @property
    def id(self) -> str:
        """The message's: another one for each call, also where a device gives a name twice."""
        said = f"{self.user}/{self.device}/{self.started}/{self.to}/{self.call}"
        return blake2b(said.encode(), digest_size=16).hexdigest()


def miss_call(view: Reader, op: MissCall, context: Context) -> Decision:
    if view.get(Table.SEEN, (op.device, op.id)) is not None:
        return Decision(Done())
    eid: str | None = view.get(Table.EIDS, (op.user,))
    if not eid or view.get(Table.DEVICE_OWNERS, (op.device,)) is None:
        return Decision(Refused(Fault.NOT_FOUND, "whoever called is gone"))
    digest = blake2b(f"{op.id}/{op.end.value}".encode(), digest_size=DIGEST_BYTES).digest()
    sent = context.rules.bodies.encode_call(op, eid, digest)
    decision = append(view, Append(op.user, NOBODY, op.to, PARTITION, (NewMessage(op.id, digest, sent),)), context)
    if isinstance(decision.result, Refused):
        return decision
    (outcome,) = decision.result
    if isinstance(outcome, Refused):
        return Decision(outcome)
    seen = {(NOBODY, op.id): (op.device, op.id)}
    puts = [
        (table, {seen[key]: record for key, record in records.items()} if table is Table.SEEN else records)
        for table, records in decision.writes.puts
    ]
    return decision._replace(result=Done(), writes=decision.writes._replace(puts=puts))


OPERATIONS: dict[type, OperationKind] = {MissCall: OperationKind(miss_call)}
