"""FORWARDED: a device says that its user forwarded a message. It is what the command FORWARD_MARK is, as a signal."""

from functools import partial

from bimip.domain.commands.operation import Commanded
from bimip.domain.core.operations import Refused, Result
from bimip.requests.asker import Asker
from bimip.requests.command import charge, operation_of
from bimip.requests.refusals import error_of
from bimip.wire import bimip_pb2 as pb


def note_forwarded(asker: Asker, payload: pb.Signal, ref: int) -> None:
    """Without an id of its own it is counted once for this device, however often it is said."""
    signal_id = payload.id or f"forwarded {payload.signal_offset}"
    command = pb.Command(id=signal_id, kind=pb.Command.FORWARD_MARK, target=payload.signal_offset)
    operation = operation_of(asker, command)
    asker.services.queue.submit(operation, partial(_decided, asker, payload.id, ref), owner=asker.user)


def _decided(asker: Asker, signal_id: str, ref: int, result: Result) -> None:
    """Answers errors only, as all signals are answered."""
    if isinstance(result, Refused):
        named = result._replace(field="signal_offset") if result.field == "target" else result
        asker.answer_error(error_of(named, ref, signal_id))
        return
    assert isinstance(result, Commanded)
    charge(asker, result)
    asker.pay(1)
