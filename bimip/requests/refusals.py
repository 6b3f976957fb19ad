"""Refusals that several routes give, each written once."""

from collections.abc import Iterable
from math import ceil

from google.protobuf.message import Message

from bimip.domain.core.operations import Refused, Result
from bimip.requests.asker import Asker
from bimip.storage.errors import is_passing
from bimip.wire import bimip_pb2 as pb
from bimip.wire.errors import WireError


def rate_limited(wait: float) -> WireError:
    """`wait`: seconds."""
    sentence = "this device or user asks faster than this server allows; nothing was stored, send it again later"
    return WireError(pb.RATE_LIMITED, sentence, retry_after_ms=max(1, ceil(wait * 1000)))


def unsupported(payload: Message) -> WireError:
    return WireError(pb.UNSUPPORTED, f"this server does not serve {type(payload).__name__} yet; leave it out")


def ask_unserved(_asker: Asker, payload: Message, _ref: int) -> None:
    """Serves what this server does not serve."""
    raise unsupported(payload)


def no_partition(name: str, known: Iterable[str]) -> WireError:
    sentence = f"there is no partition {name!r}; use one of: {', '.join(sorted(known))}"
    return WireError(pb.NOT_FOUND, sentence, field="partition")


def no_conversation(name: str, field: str) -> WireError:
    return WireError(pb.NOT_FOUND, f"{name!r} is no conversation; name it as its messages do", field=field)


def failed(error: Exception, ref: int = 0) -> WireError:
    """Refuses what met a defect of the server, or a store that cannot be read just now."""
    if is_passing(error):
        sentence = "the store cannot be read just now; nothing was stored, ask again later"
        return WireError(pb.UNAVAILABLE, sentence, ref=ref, retry_after_ms=1000)
    return WireError(pb.INTERNAL, "the server failed at this request; the operator has been told", ref=ref)


def error_of(refused: Refused, ref: int, message_id: str = "") -> pb.ErrorMessage:
    """Makes the answer of what the store refused."""
    error = WireError(
        refused.fault,
        refused.sentence,
        field=refused.field,
        retry_after_ms=refused.retry_after_ms,
        id=message_id,
        ref=ref,
    )
    answer = error.to_proto()
    if refused.missing or refused.extra:
        for told, devices in ((answer.missing, refused.missing), (answer.extra, refused.extra)):
            told.extend(pb.Identity(eid=eid, connection_resource_id=name) for eid, name in devices)
    return answer


def refuse(asker: Asker, refused: Refused, ref: int) -> None:
    """Answers one request with what the store refused."""
    asker.answer_error(error_of(refused, ref))


def answer_errors_only(asker: Asker, result: Result, ref: int) -> None:
    """Answers a request of ERRORS_ONLY."""
    if isinstance(result, Refused):
        refuse(asker, result, ref)
    else:
        asker.pay(1)
