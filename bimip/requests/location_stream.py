"""LocationStream: a user shares where they are, with a contact or in a conversation, and says where that is."""

from functools import partial
from math import isfinite
from typing import Final

from bimip.domain.awareness.locations import LocationShared, Position, ShareLocation
from bimip.domain.core.ids import ConversationId, Millis, Version
from bimip.domain.core.operations import Refused, Result
from bimip.domain.core.records import LocationShare
from bimip.domain.state.location_shares import OtherEnd, With
from bimip.names import conversation_id, conversation_number, is_conversation_id
from bimip.reading.people import Eids
from bimip.requests.asker import Asker
from bimip.requests.message import LAST_MILLISECOND, LOGS_FOR_A_REQUEST
from bimip.requests.refusals import no_conversation, refuse
from bimip.wire import bimip_pb2 as pb
from bimip.wire import codec
from bimip.wire.checks import check_author, check_eid, check_id
from bimip.wire.errors import WireError
from bimip.wire.limits import Limits

HOUR_MS: Final = 3_600_000
USUAL_MS: Final = HOUR_MS
"""How long a share lasts of which nothing else is said."""
LONGEST_MS: Final = 7 * 24 * HOUR_MS

BOUNDS: Final = {
    "latitude": (-90.0, 90.0),
    "longitude": (-180.0, 180.0),
    "altitude": (-100_000.0, 100_000_000.0),
    "accuracy": (0.0, 100_000_000.0),
}
"""Degrees, and metres."""


def ask(asker: Asker, payload: pb.LocationStream, ref: int) -> None:
    limits = asker.services.limits
    check_location(payload, limits, asker.eid)
    position = _position_in(payload, asker.services.wall_clock()) if payload.has_position else None
    if not payload.to.eid and not payload.conversation:
        reached = _publish(asker, position)
        answer = pb.LocationStream(id=payload.id, enabled=reached, has_position=True)
        asker.answer_alone(codec.encode(answer, ref))
        return
    conversation = _conversation_in(payload)
    operation = ShareLocation(asker.user, payload.to.eid, conversation, _end_of(payload, asker.services.wall_clock()))
    asker.services.queue.submit(operation, partial(_decided, asker, position, payload.id, ref), owner=asker.user)


def _decided(asker: Asker, position: Position | None, own_id: str, ref: int, result: Result) -> None:
    if isinstance(result, Refused):
        refuse(asker, result, ref)
        return
    assert isinstance(result, LocationShared)
    asker.services.locations.share_changed(asker.user, result.other, result.share)
    if position is not None and result.share is not None:
        _publish(asker, position)
    answer = share_told(asker.services.eids, result.other, result.share, result.version)
    answer.id = own_id
    asker.answer_alone(codec.encode(answer, ref))


def _publish(asker: Asker, position: Position | None) -> bool:
    """Whether a position is shown to anybody. It is charged by how many that were the last time."""
    if position is None:
        return False
    reached = asker.services.locations.publish(asker.user, position)
    asker.weigh((reached or 0) // LOGS_FOR_A_REQUEST)
    return reached is not None


def share_told(eids: Eids, other: OtherEnd, share: LocationShare | None, version: Version) -> pb.LocationStream:
    """Makes what a user's devices are told of one of their shares."""
    answer = pb.LocationStream(version=version, enabled=share is not None)
    answer.conversation = conversation_of(other)
    if not answer.conversation:
        answer.to.eid = eids.of(other.number)  # type: ignore[arg-type]  # the number of a user
    if share is not None:
        answer.expires_at, answer.timestamp = share.expires_at, share.since
    return answer


def conversation_of(other: OtherEnd) -> str:
    """Names the conversation in which it is shared; empty: it is shared with a user."""
    return conversation_id(ConversationId(other.number)) if other.kind is With.CONVERSATION else ""


def _position_in(payload: pb.LocationStream, now: Millis) -> Position:
    time = Millis(payload.timestamp or now)
    return Position(payload.latitude, payload.longitude, payload.altitude, payload.accuracy, time)


def _conversation_in(payload: pb.LocationStream) -> ConversationId | None:
    if not payload.conversation:
        return None
    number = conversation_number(payload.conversation)
    if number is None:
        raise no_conversation(payload.conversation, "conversation")
    return ConversationId(number)


def _end_of(payload: pb.LocationStream, now: Millis) -> Millis:
    """When a share ends; 0: it does now."""
    if not payload.enabled:
        return Millis(0)
    end = payload.expires_at or now + USUAL_MS
    if not now < end <= now + LONGEST_MS:
        sentence = f"A share ends in the future, and within {LONGEST_MS} ms: give the time in ms since 1970."
        raise WireError(pb.INVALID, sentence, field="expires_at")
    return Millis(end)


def check_location(payload: pb.LocationStream, limits: Limits, eid: str) -> None:
    """Checks what the user `eid` says of where they are, and to whom. Raises WireError."""
    if payload.HasField("from"):
        check_author(payload, eid)
    if payload.id:
        check_id(payload.id, "id", limits)
    if not 0 <= payload.timestamp <= LAST_MILLISECOND:
        sentence = "timestamp is no time in milliseconds since 1970: mind the unit."
        raise WireError(pb.INVALID, sentence, field="timestamp")
    if payload.has_position:
        _check_position(payload)
    if payload.to.eid and payload.conversation:
        sentence = "It is shared with a user or in a conversation: give one of them."
        raise WireError(pb.INVALID, sentence, field="conversation")
    if payload.conversation:
        check_id(payload.conversation, "conversation", limits)
    elif payload.to.eid:
        _check_peer(payload, limits, eid)
    elif not payload.has_position:
        sentence = "Say with whom you share where you are, or where that is, with has_position."
        raise WireError(pb.INVALID, sentence, field="has_position")


def _check_peer(payload: pb.LocationStream, limits: Limits, eid: str) -> None:
    if is_conversation_id(payload.to.eid):
        raise WireError(pb.INVALID, "Name a conversation in conversation, and a user here.", field="to.eid")
    payload.to.eid = check_eid(payload.to.eid, "to.eid", limits)
    if payload.to.eid == eid:
        raise WireError(pb.INVALID, "Your own devices are no contact: name another user.", field="to.eid")


def _check_position(payload: pb.LocationStream) -> None:
    for name, (least, most) in BOUNDS.items():
        value = getattr(payload, name)
        if not (isfinite(value) and least <= value <= most):
            raise WireError(pb.INVALID, f"{name} is a number from {least:g} to {most:g}.", field=name)
