"""What users say of themselves, AWAY, BUSY or DND, or take back with ONLINE: for all of their devices, until later."""

from functools import partial

from bimip.domain.core.ids import Millis, Version
from bimip.domain.core.operations import Refused, Result
from bimip.domain.core.records import Intent, Status
from bimip.domain.state.intents import CurrentIntent, SetIntent
from bimip.requests.asker import Asker
from bimip.requests.refusals import refuse
from bimip.wire import bimip_pb2 as pb
from bimip.wire import codec

SAID = frozenset({Status.ONLINE, Status.AWAY, Status.BUSY, Status.DND})


def say(asker: Asker, payload: pb.Awareness, ref: int) -> None:
    """Writes an intent, and answers with the one that stands then."""
    status = Status(payload.status)
    until = Millis(0 if status is Status.ONLINE else payload.until)
    intent = Intent(status, until, asker.stamp_for(payload.stamp), asker.number)
    operation = SetIntent(asker.user, intent)
    asker.services.queue.submit(operation, partial(_decided, asker, payload.id, ref), owner=asker.user)


def _decided(asker: Asker, request_id: str, ref: int, result: Result) -> None:
    if isinstance(result, Refused):
        refuse(asker, result, ref)
        return
    assert isinstance(result, CurrentIntent)
    asker.note_status()
    answer = told_intent(result.intent, result.version)
    answer.id = request_id
    asker.answer_alone(codec.encode(answer, ref))


def told_intent(intent: Intent, version: Version) -> pb.Awareness:
    """Makes what a user's devices are told of what the user said."""
    answer = pb.Awareness(until=intent.until, stamp=intent.stamp, version=version)
    answer.status = int(intent.status)  # type: ignore[assignment]  # the stub knows names of enums, not their numbers
    return answer
