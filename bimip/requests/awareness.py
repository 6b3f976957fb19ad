"""Awareness: a device says whether somebody is at it, a user how they are and what they are doing, or asks of another.

What is for one device stays with its connection; what a user says of themselves is an operation (`intents.py`); what
they are doing is told and forgotten (`activities.py`).
"""

from collections.abc import Callable

from bimip.domain.awareness.activities import Doing
from bimip.domain.awareness.status import Focus
from bimip.reading.presence import find_user, read_sight_and_last
from bimip.requests import activities, intents, resume
from bimip.requests.asker import Asker
from bimip.requests.message import LAST_MILLISECOND
from bimip.wire import bimip_pb2 as pb
from bimip.wire import codec
from bimip.wire.checks import check_author, check_id, check_recipient
from bimip.wire.errors import WireError

REQUESTS_FOR_A_LOOK = 2


def ask(asker: Asker, payload: pb.Awareness, ref: int) -> None:
    check_awareness(asker, payload)
    STATUSES[payload.status](asker, payload, ref)


def _be_online(asker: Asker, payload: pb.Awareness, ref: int) -> None:
    """Somebody is here, and takes back what they said; or nobody looks at the device, or they let it stand."""
    asker.set_focus(Focus.INACTIVE if payload.inactive else Focus.ACTIVE)
    if payload.inactive or payload.keep_intent:
        _answer(asker, payload, ref)
    else:
        intents.say(asker, payload, ref)


def _be_offline(asker: Asker, payload: pb.Awareness, ref: int) -> None:
    asker.set_focus(Focus.ABSENT)
    _answer(asker, payload, ref)


def _answer(asker: Asker, payload: pb.Awareness, ref: int) -> None:
    """Answers what was said of the device alone: as it was said."""
    answer = pb.Awareness(
        status=payload.status, inactive=payload.inactive, id=payload.id, timestamp=asker.services.wall_clock()
    )
    asker.answer_alone(codec.encode(answer, ref))


def _look(asker: Asker, payload: pb.Awareness, ref: int) -> None:
    """Tells how a user is. Who may not know, and who asks of nobody, are answered alike."""
    if not payload.to.eid:
        raise WireError(pb.INVALID, "Say of whom you ask: give to.eid; or a status.", field="to.eid")
    asker.weigh(REQUESTS_FOR_A_LOOK)
    owner = find_user(asker.services.store, payload.to.eid)
    sight, last_seen = read_sight_and_last(asker.services.store, asker.user, owner)
    shown = asker.shown_as(owner)
    answer = pb.Awareness(status=pb.OFFLINE, id=payload.id)
    if shown is not None and sight.is_shown:
        status, answer.timestamp = shown
        answer.status = int(status)  # type: ignore[assignment]  # the stub knows names of enums, not their numbers
    else:
        answer.last_seen = last_seen if sight.last_seen else sight.frozen
    position = asker.services.locations.position_of(owner, asker.user)
    if position is not None:
        answer.location_sharing = True
        answer.latitude, answer.longitude = position.latitude, position.longitude
    getattr(answer, "from").eid = payload.to.eid
    asker.answer_alone(codec.encode(answer, ref))


def _do(asker: Asker, payload: pb.Awareness, _ref: int) -> None:
    activities.say(asker, Doing(payload.status), payload.conversation, payload.to.eid, payload.ttl_ms)
    asker.pay(1)


def _resume(asker: Asker, payload: pb.Awareness, ref: int) -> None:
    activity = activities.say(asker, Doing.RESUME, payload.conversation, payload.to.eid, 0)
    resume.begin(asker, activity.conversation, ref)


STATUSES: dict[int, Callable[[Asker, pb.Awareness, int], None]] = {
    pb.AWARENESS_STATUS_UNSPECIFIED: _look,
    pb.ONLINE: _be_online,
    pb.OFFLINE: _be_offline,
    pb.AWAY: intents.say,
    pb.BUSY: intents.say,
    pb.DND: intents.say,
    pb.TYPING: _do,
    pb.RECORDING: _do,
    pb.RESUME: _resume,
    pb.PAUSED: _do,
    pb.CANCELLED: _do,
}

SIGNALS: dict[int, pb.AwarenessStatus] = {
    pb.STATUS_TYPING: pb.TYPING,
    pb.STATUS_RECORDING: pb.RECORDING,
    pb.STATUS_PAUSED: pb.PAUSED,
    pb.STATUS_CANCELLED: pb.CANCELLED,
    pb.STATUS_RESUME: pb.RESUME,
}
"""Statuses of Signal that mean an awareness."""


def ask_signal(asker: Asker, payload: pb.Signal, ref: int) -> None:
    """Takes an awareness that came as a Signal."""
    awareness = pb.Awareness(
        status=SIGNALS[payload.status], conversation=payload.conversation, ttl_ms=payload.ttl_ms, id=payload.id
    )
    awareness.to.eid = payload.to.eid
    ask(asker, awareness, ref)


def check_awareness(asker: Asker, payload: pb.Awareness) -> None:
    limits = asker.services.limits
    if payload.status not in STATUSES:
        raise WireError(pb.INVALID, f"There is no status {payload.status}: 1 is ONLINE, 6 TYPING.", field="status")
    if payload.HasField("from"):
        check_author(payload, asker.eid)
    if payload.id:
        check_id(payload.id, "id", limits)
    if payload.conversation:
        check_id(payload.conversation, "conversation", limits)
    if payload.to.eid:
        payload.to.eid = check_recipient(payload.to.eid, "to.eid", limits)
    if payload.status >= pb.TYPING and not (payload.conversation or payload.to.eid):
        raise WireError(pb.INVALID, "Name the conversation, or the peer in to.eid.", field="conversation")
    if not 0 <= payload.until <= LAST_MILLISECOND:
        sentence = "until is no time in milliseconds since 1970 (0: until another is said): mind the unit."
        raise WireError(pb.INVALID, sentence, field="until")
