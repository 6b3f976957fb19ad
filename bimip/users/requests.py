"""What each kind of frame asks for. Plain code: nothing here waits.

A request that changes something becomes an operation, and is answered when that is on disk. All others are answered
at once. Whatever is wrong with a request is a WireError, which is its answer.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

from google.protobuf.message import Message

from bimip.domain.identity import Claims
from bimip.domain.ids import ConversationId, ConversationOffset, Millis, Offset
from bimip.domain.operations import (
    Acknowledge,
    Append,
    Forget,
    Operation,
    Receipt,
    Refused,
    Result,
    Revoke,
)
from bimip.domain.ranges import Ranges, normal
from bimip.domain.records import ReceiptKind
from bimip.names import conversation_number, is_conversation_id
from bimip.session.close import Close
from bimip.session.tokens import TokenError
from bimip.users.acks import acknowledge
from bimip.users.answers import appends, error_of, prepare, rate_limited, sent_parts
from bimip.users.device import Device, Rest
from bimip.users.hello import handle_hello
from bimip.wire import bimip_pb2 as pb
from bimip.wire import codec, frames
from bimip.wire.errors import WireError
from bimip.wire.validation import check_batch, check_fetch, check_id, check_signal, part_count

PARTS_AT_ONCE = 128
"""Of one batch, until others have their turn."""
RANGES_FOR_A_REQUEST = 8
"""What a receipt or an acknowledgement costs that names many."""
DONE = object()

WRITTEN = frozenset({"message", "body", "signal"})
"""What messages that were taken may wait for: it does not depend on them."""


def handle(device: Device, frame: bytes) -> Rest | None:
    """Does what a frame asks for; where that is much, a part of it, and returns the rest.

    Raises WireError with the frame's `ref`.
    """
    scheme = codec.decode(frame)
    name: str
    payload: Any
    name, payload = codec.payload_of(scheme)
    ref = scheme.ref
    if not device.said_hello and name != "hello":
        raise WireError(pb.OUT_OF_ORDER, "say Hello first", ref=ref)
    device.frame_bytes = len(frame)
    if device.checked and name not in WRITTEN:
        write(device)
    try:
        if name != "hello" or device.said_hello:  # the first one is charged where its messages are judged
            requests = 1
            if name == "body":
                requests = part_count(payload) or 1
                device.weight += requests - 1
            wait = device.rates.take(requests, len(frame), device.heard_at)
            if wait:
                _refuse(device, name, payload, ref, rate_limited(wait))
                return None
        rest = HANDLERS.get(name, _unsupported)(device, payload, ref)
        return rest if rest is not None and next(rest, DONE) is not DONE else None
    except WireError as error:
        error.ref = error.ref or ref
        error.id = error.id or getattr(payload, "id", "")
        raise
    except Exception as error:
        device.session.services.report("request failed", error)
        raise WireError(
            pb.INTERNAL, "the server failed at this request; the operator has been told", ref=ref
        ) from error


def _refuse(device: Device, name: str, payload: Any, ref: int, error: WireError) -> None:  # noqa: ANN401 - any payload
    """Refuse a frame. Of a batch each message, so that the client learns what became of it."""
    if name != "body" or not part_count(payload):
        raise error
    check_batch(payload, device.session.services.limits)
    for one in (*payload.messages, *payload.signals, *payload.commands):
        device.unanswered += 1
        error.id = one.id[: device.session.services.limits.max_id_bytes]
        device.fail(error, ref)


def _unsupported(_device: Device, payload: Message, _ref: int) -> None:
    raise unsupported(payload)


def unsupported(payload: Message) -> WireError:
    return WireError(pb.UNSUPPORTED, f"this server does not serve {type(payload).__name__} yet; leave it out")


def submit(device: Device, operation: Operation, done: Callable[[Result], None]) -> None:
    device.unanswered += 1
    device.session.services.queue.submit(operation, done, owner=device.session.number)


def message(device: Device, payload: pb.Message, ref: int) -> None:
    """Takes a message. What arrived together is written together, whatever frames it came in: see `write`."""
    device.checked.append(prepare(device, payload, ref, device.frame_bytes))
    device.unanswered += 1


def write(device: Device) -> None:
    """Submit the messages that were taken, to be called before anything else is asked for, and when all was taken."""
    checked, device.checked = device.checked, []
    submit, owner = device.session.services.queue.submit, device.session.number
    for append, refs in appends(device, checked):
        submit(append, partial(_appended, device, refs, append), owner=owner)


def _appended(device: Device, refs: list[int], append: Append, result: Result) -> None:
    device.reply(*sent_parts(append, result, refs))


def signal(device: Device, payload: pb.Signal, ref: int) -> None:
    check_signal(payload, device.session.services.limits, device.session.eid)
    if payload.status == pb.DELIVERED:
        _acknowledge(device, payload, ref)
    elif payload.status in {pb.READ, pb.PLAYED}:
        _receipt(device, payload, ref)
    else:
        name = pb.MessageStatus.Name(payload.status)
        raise WireError(pb.UNSUPPORTED, f"this server does not serve the signal {name} yet", field="status")


def _acknowledge(device: Device, payload: pb.Signal, ref: int) -> None:
    partition = payload.partition
    log = device.session.logs.get(partition)
    if log is None:
        known = ", ".join(sorted(device.session.logs))
        raise WireError(pb.NOT_FOUND, f"there is no partition {partition!r}; use one of: {known}", field="partition")
    upto, ranges = Offset(payload.upto), _ranges(payload.offsets, payload.user_offset)
    if len(ranges) >= RANGES_FOR_A_REQUEST:
        device.weigh(len(ranges) // RANGES_FOR_A_REQUEST)
    furthest = max(upto, ranges[-1][1]) if ranges else upto
    if furthest > log.head:
        sentence = f"offset {furthest} was never given; the log of {partition!r} ends at {log.head}"
        raise WireError(pb.OFFSET_BEYOND_HEAD, sentence, field="upto")
    device.acknowledge(partition, upto, ranges)
    acknowledge(device, Acknowledge(device.session.number, device.number, partition, upto, ranges), ref)


def _receipt(device: Device, payload: pb.Signal, ref: int) -> None:
    named = payload.conversation or payload.to.eid
    number = conversation_number(named)
    if number is None and (payload.conversation or is_conversation_id(named)):
        sentence = f"{named!r} is no conversation; name it as its messages do"
        raise WireError(pb.NOT_FOUND, sentence, field="conversation" if payload.conversation else "to.eid")
    ranges = _ranges(payload.offsets, payload.conversation_offset)
    if len(ranges) >= RANGES_FOR_A_REQUEST:
        device.weigh(len(ranges) // RANGES_FOR_A_REQUEST)
    kind = ReceiptKind(payload.status)
    upto = ConversationOffset(payload.upto)
    conversation = None if number is None else ConversationId(number)
    received = tuple(one for one in device.received if number in {None, one.conversation})
    operation = Receipt(device.session.number, kind, conversation, payload.to.eid, upto, ranges, received)
    submit(device, operation, partial(_only_errors, device, ref))


def _ranges(ranges: Sequence[pb.OffsetRange], one: int) -> Ranges:
    if not one and not ranges:
        return ()
    pairs = [(getattr(part, "from"), part.to) for part in ranges]
    return normal([*pairs, (one, one)] if one else pairs)


def _only_errors(device: Device, ref: int, result: Result) -> None:
    """Acks and receipts are answered by errors alone."""
    if isinstance(result, Refused):
        device.reply(frames.error_part(error_of(result, ref)))
    else:
        device.was_answered(1)


def body(device: Device, payload: pb.Body, ref: int) -> Rest | None:
    """A batch: each part succeeds or fails on its own, as if it had come alone. One without parts is answered so."""
    check_batch(payload, device.session.services.limits)
    count = part_count(payload)
    if not count:
        answer_now(device, pb.Body(ref=ref), ref)
    if count > PARTS_AT_ONCE:
        return _in_slices(device, payload, ref)
    _take_parts(device, payload.messages, payload.signals, payload.commands, ref)
    return None


def _in_slices(device: Device, payload: pb.Body, ref: int) -> Rest:
    messages, signals, commands = list(payload.messages), list(payload.signals), list(payload.commands)
    while messages or signals or commands:
        taken = messages[:PARTS_AT_ONCE]
        left = PARTS_AT_ONCE - len(taken)
        signalled = signals[:left]
        left -= len(signalled)
        _take_parts(device, taken, signalled, commands[:left], ref)
        del messages[: len(taken)], signals[: len(signalled)], commands[:left]
        if messages or signals or commands:
            yield


def _take_parts(
    device: Device,
    messages: Iterable[pb.Message],
    signals: Iterable[pb.Signal],
    commands: Iterable[pb.Command],
    ref: int,
) -> None:
    for one in messages:
        try:
            message(device, one, ref)
        except WireError as error:
            _fail_one(device, error, one.id, ref)
    for each in signals:
        try:
            signal(device, each, each.ref or ref)
        except WireError as error:
            _fail_one(device, error, each.id, each.ref or ref)
    for command in commands:
        _fail_one(device, unsupported(command), command.id, ref)


def _fail_one(device: Device, error: WireError, one_id: str, ref: int) -> None:
    error.id = error.id or one_id
    device.unanswered += 1
    device.fail(error, ref)


def ping_pong(device: Device, payload: pb.PingPong, ref: int) -> None:
    if payload.id:
        check_id(payload.id, "id", device.session.services.limits)
    if payload.kind == pb.PingPong.PING:
        now = device.session.services.wall_clock()
        answer_now(device, pb.PingPong(kind=pb.PingPong.PONG, id=payload.id, timestamp=now), ref)


def answer_now(device: Device, payload: Any, ref: int) -> None:  # noqa: ANN401 - any payload
    device.unanswered += 1
    device.answer(codec.encode(payload, ref))


def token_authority(device: Device, payload: pb.TokenAuthority, ref: int) -> None:
    if payload.action == pb.TokenAuthority.REFRESH:
        device.claims = _own_token(device, payload.token)
        device.wakeup.notify()
        answer = pb.TokenAuthority(action=payload.action, jti=device.claims.jti, expires_at=device.claims.expires_at)
        answer_now(device, answer, ref)
    elif payload.action == pb.TokenAuthority.REVOKE:
        _revoke(device, payload, ref)
    else:
        raise WireError(pb.INVALID, "name an action: REFRESH or REVOKE", field="action")


def _own_token(device: Device, token: str) -> Claims:
    """A token for this very device: another's would change who is talking."""
    services = device.session.services
    try:
        claims = services.verify(token)
    except TokenError as error:
        raise WireError(pb.UNAUTHENTICATED, f"this token does not do: {error.reason}", field="token") from error
    if (claims.eid, claims.device) != (device.session.eid, device.name):
        raise WireError(pb.FORBIDDEN, "this token is for another user or device", field="token")
    if device.session.is_revoked(claims.jti):
        raise WireError(pb.UNAUTHENTICATED, "this token was revoked; get a new one", field="token")
    return claims


def _revoke(device: Device, payload: pb.TokenAuthority, ref: int) -> None:
    """A user may revoke the token of this connection, or any of theirs that they can show."""
    claims = device.claims
    if payload.token:
        services = device.session.services
        try:
            claims = services.verify(payload.token)
        except TokenError as error:
            raise WireError(pb.UNAUTHENTICATED, f"this token does not do: {error.reason}", field="token") from error
        if claims.eid != device.session.eid:
            raise WireError(pb.FORBIDDEN, "this token is another user's", field="token")
    elif payload.jti not in {"", claims.jti}:
        raise WireError(pb.FORBIDDEN, "show the token that is to be revoked, or revoke this connection's", field="jti")

    def done(result: Result) -> None:
        if isinstance(result, Refused):
            device.reply(frames.error_part(error_of(result, ref)))
            return
        device.answer(codec.encode(pb.TokenAuthority(action=payload.action, jti=claims.jti), ref))
        if device.claims.jti == claims.jti:
            device.close_after_answers(Close.TOKEN_REVOKED, "the token was revoked; log in again")
        _close_revoked(device, claims.jti)

    submit(device, _revocation(device, claims), done)


def _close_revoked(device: Device, jti: str) -> None:
    """Closes the token's connections in the user's session as it is now: the one that asked may have ended while this
    was written.
    """
    session = device.session.services.sessions.get(device.session.number)
    if session is not None:
        session.close_revoked(jti, but=device)


def _revocation(device: Device, claims: Claims) -> Revoke:
    """The token would count until then, and its revocation must not be forgotten before."""
    counts_until = Millis(claims.expires_at + int(device.session.services.token_leeway_seconds * 1000))
    return Revoke(device.session.number, claims.jti, counts_until)


def logout(device: Device, payload: pb.Logout, ref: int) -> None:
    claims = device.claims
    wanted: list[Operation] = [_revocation(device, claims)] if payload.revoke else []
    if payload.forget:
        wanted.append(Forget(device.number))

    def go_on(result: Result | None = None) -> None:
        """One after the other: where the first is refused, the device may ask for all of it again."""
        if isinstance(result, Refused):
            device.reply(frames.error_part(error_of(result, ref)))
        elif wanted:
            device.session.services.queue.submit(wanted.pop(0), go_on, owner=device.session.number)
        else:
            device.answer(codec.encode(pb.Logout(forget=payload.forget, revoke=payload.revoke), ref))
            device.close_after_answers(Close.NORMAL, "logged out")
            if payload.revoke:
                _close_revoked(device, claims.jti)

    device.unanswered += 1
    go_on()


def fetched(device: Device, payload: pb.Fetch, ref: int) -> None:
    check_fetch(payload, device.session.services.limits, device.session.eid)
    device.fetch(payload, ref)


def hello(device: Device, payload: pb.Hello, ref: int) -> Rest:
    return handle_hello(device, payload, ref)


HANDLERS: dict[str, Callable[[Device, Any, int], Rest | None]] = {
    "body": body,
    "fetch": fetched,
    "hello": hello,
    "logout": logout,
    "message": message,
    "ping_pong": ping_pong,
    "signal": signal,
    "token_authority": token_authority,
}
