"""Message: what may be said in one, and what is made of it to be appended.

All messages that arrive together are written together, in whatever frames they come: see `appends.py`.
"""

from collections.abc import Iterable, Iterator, MutableSequence, Sequence
from functools import partial
from operator import attrgetter

from bimip.domain.core.clock import stamp_of
from bimip.domain.core.ids import Stamp
from bimip.domain.core.operations import FRIEND, FRIENDS, Address, Append, Links, NewMessage, Refused, Result
from bimip.domain.core.records import maker
from bimip.names import is_conversation_id
from bimip.reading.groups import friends_reach, reach_of
from bimip.requests.appends import CheckedMessage, appends, outcomes, sent
from bimip.requests.asker import Asker
from bimip.requests.refusals import error_of
from bimip.requests.statistics import SAMPLE_SECONDS
from bimip.wire import bimip_pb2 as pb
from bimip.wire import frames, stored
from bimip.wire.checks import check_author, check_eid, check_id, check_seq, seq_numbers
from bimip.wire.errors import WireError
from bimip.wire.limits import Limits

NAMES_FOR_A_REQUEST = 4
"""What a message costs that names many: each is looked at letter by letter, and each device looked up."""

LOGS_FOR_A_REQUEST = 8
"""What is written to the logs of many costs as much as so many requests more."""
LOGS_AT_ONCE = 5000
"""Entries of one Append to a group, in all members' logs together, but for a single message: twenty milliseconds."""

_new, _checked = maker(NewMessage), maker(CheckedMessage)

LAST_MILLISECOND = 253_402_300_799_999  # of the year 9999: whoever sends more counts in another unit

LEAST_TTL_MS = 1000
"""A message that disappears is seen for so long at least."""

_WRITTEN = attrgetter("id", "timestamp", "type", "partition", "scope", "seq", "reply_to", "ttl_ms")
"""A message's plain fields, in one look."""


def ask(asker: Asker, payload: pb.Message, ref: int) -> None:
    """Takes a message, which waits for others: see `write`."""
    asker.checked.append(prepare(asker, payload, ref, asker.frame_bytes))


def write(asker: Asker) -> None:
    """Submit the messages that were taken, to be called before anything else is asked for, and when all was taken."""
    checked, asker.checked = asker.checked, []
    submit, owner = asker.services.queue.submit, asker.user
    for append, refs in asked_for(asker, checked):
        submit(append, partial(_appended, asker, refs, append, asker.heard_at), owner=owner)


def asked_for(asker: Asker, checked: Iterable[CheckedMessage]) -> Iterator[tuple[Append, list[int]]]:
    """Makes Appends of messages, with their refs. What goes to a group is charged by how many logs it is written to,
    and is several Appends where it would take long: others have their turn between them.
    """
    for append, refs in appends(asker.user, asker.number, checked):
        to, messages = append.to, append.messages
        if to and not (to[0] == "c" and is_conversation_id(to)):  # as most
            yield append, refs
            continue
        store = asker.services.store
        reached = friends_reach(store, asker.user) if to == FRIENDS else reach_of(store, asker.user, to)
        if reached == 1:
            yield append, refs
            continue
        asker.weigh(reached * len(messages) // LOGS_FOR_A_REQUEST)
        most = max(1, LOGS_AT_ONCE // reached)
        for first in range(0, len(messages), most):
            yield append._replace(messages=messages[first : first + most]), refs[first : first + most]


def _appended(asker: Asker, refs: list[int], append: Append, came_at: float, result: Result) -> None:
    services = asker.services
    statistics = services.statistics
    asker.answer_together(*responses(asker, append, result, refs))
    if came_at >= statistics.sample_at:
        statistics.sample_at = came_at + SAMPLE_SECONDS
        statistics.accept_seconds.observe(services.monotonic() - came_at)


def responses(asker: Asker, append: Append, result: Result, refs: Iterable[int]) -> list[bytes]:
    """Makes for each message the element of Body that answers it, and counts them."""
    statistics = asker.services.statistics
    parts: list[bytes] = []
    not_new = 0
    for message, ref, outcome in zip(append.messages, refs, outcomes(append, result), strict=True):
        if isinstance(outcome, Refused):
            asker.count_refusal(outcome.fault)
            not_new += 1
            parts.append(frames.error_part(error_of(outcome, ref, message.id)))
        else:
            parts.append(frames.signal_part(sent(outcome, ref)))
            if outcome.duplicate:
                statistics.duplicates += 1
                not_new += 1
    statistics.accepted += len(parts) - not_new
    return parts


def prepare(asker: Asker, message: pb.Message, ref: int = 0, most_bytes: int | None = None) -> CheckedMessage:
    """Checks a message and makes of it what is appended. Changes the message. Raises WireError. `most_bytes`: see
    `check_message`.
    """
    services = asker.services
    check_message(message, services.limits, asker.eid, most_bytes=most_bytes)
    if not message.id:
        message.id = services.new_id()
    to, partition, seq = message.to.eid, partition_of(message), message.seq
    message.partition = partition  # whoever reads it elsewhere than in its log is told too
    addresses: tuple[Address, ...] = ()
    is_complete = False
    if message.devices:
        addresses, is_complete = tuple(map(_address, message.devices)), message.devices_complete
        asker.weigh(len(addresses) // NAMES_FOR_A_REQUEST)
    if message.mentions or message.audiences:
        asker.weigh((len(message.mentions) + len(message.audiences)) // NAMES_FOR_A_REQUEST)
    digest = stored.digest(message, to, partition)
    sent = stored.outgoing(message, asker.author_part, digest)
    links = _links(message) if message.reply_to or message.mentions else None
    new = _new((message.id, digest, sent, seq_numbers(seq) if seq else None, links))
    return _checked((to, partition, new, addresses, ref, is_complete, message.ttl_ms))


def _links(message: pb.Message) -> Links:
    """Whom it mentions, and what it answers. A `reply_to` that is no signal id is carried, and names nothing here."""
    try:
        parent = stamp_of(message.reply_to)
    except ValueError:
        parent = Stamp(0)
    return Links(parent, tuple(dict.fromkeys(message.mentions)))


def _address(one: pb.DeviceAddress) -> Address:
    payload = one.payload if one.HasField("payload") else None
    return Address(one.identity.eid, one.identity.connection_resource_id, payload)


def partition_of(message: pb.Message) -> str:
    """The partition that a message goes to: the one it names, else the one that its scope or type implies."""
    if message.partition:
        return message.partition
    if message.scope == FRIEND:
        return "feed"
    return "notification" if message.type == pb.PUSH_NOTIFICATION else "chat"


def check_message(message: pb.Message, limits: Limits, eid: str, *, most_bytes: int | None = None) -> None:
    """A Message that the user `eid` sends. `most_bytes`: of what it came in, which may tell that it is small enough."""
    try:
        if most_bytes is None or most_bytes > limits.max_message_bytes:
            _check_size(message, limits)
        _check_message(message, limits, eid)
    except WireError as error:
        error.id = message.id
        raise


def _check_size(message: pb.Message, limits: Limits) -> None:
    most = limits.max_message_bytes
    if message.ByteSize() > most:
        sentence = f"The message is larger than {most} bytes: send large content by reference."
        raise WireError(pb.TOO_LARGE, sentence, field="payload")


def _check_message(message: pb.Message, limits: Limits, eid: str) -> None:
    """This is the hot path: what every message has is looked at here, and what is wrong with it told elsewhere."""
    own_id, timestamp, kind, partition, scope, seq, reply_to, ttl = _WRITTEN(message)
    to = message.to.eid
    if own_id and not (len(own_id) <= limits.max_id_bytes and own_id.isascii() and own_id.isprintable()):
        check_id(own_id, "id", limits)
    if message.HasField("from"):
        check_author(message, eid)
    if not (0 < len(to) <= limits.max_eid_bytes and to.isascii() and to.isprintable() and to[0] != " " != to[-1]):
        _check_recipient(message, limits)
    if not 0 <= timestamp <= LAST_MILLISECOND:
        sentence = "timestamp is no time in milliseconds since 1970: mind the unit."
        raise WireError(pb.INVALID, sentence, field="timestamp")
    if kind < 0:
        raise WireError(pb.INVALID, "type is negative: 1 is a chat message, 2 a notification.", field="type")
    if partition:
        check_id(partition, "partition", limits)
    if scope:
        _check_scope(message, eid)
    if seq:
        check_seq(seq, "seq", limits)
    if reply_to or ttl:
        _check_seldom(message, limits)
    _check_lists(message, limits)


def _check_recipient(message: pb.Message, limits: Limits) -> None:
    if message.to.eid or message.scope != FRIEND:
        message.to.eid = check_eid(message.to.eid, "to.eid", limits)


def _check_scope(message: pb.Message, eid: str) -> None:
    """Checks what a scope asks for. With `friend` `to` is absent, or oneself; from then on it is absent."""
    if message.scope not in {"private", FRIEND}:
        raise WireError(pb.INVALID, "scope is private, friend or empty.", field="scope")
    if message.scope != FRIEND:
        return
    if message.to.eid not in {"", eid}:
        sentence = "What has the scope friend is for all whom you let see you: leave to away."
        raise WireError(pb.INVALID, sentence, field="to.eid")
    if message.devices or message.devices_complete:
        sentence = "What has the scope friend is for all devices of those whom you let see you: leave devices away."
        raise WireError(pb.INVALID, sentence, field="devices")
    message.ClearField("to")


def _check_seldom(message: pb.Message, limits: Limits) -> None:
    if message.reply_to:
        check_id(message.reply_to, "reply_to", limits)
    if 0 < message.ttl_ms < LEAST_TTL_MS:
        raise WireError(pb.INVALID, f"A message is seen for {LEAST_TTL_MS} ms at least: mind the unit.", field="ttl_ms")


def _check_lists(message: pb.Message, limits: Limits) -> None:
    if message.devices:
        _check_devices(message.devices, limits)
    elif message.devices_complete:
        sentence = "devices is empty, and is said to be complete: name the devices that the message is for."
        raise WireError(pb.INVALID, sentence, field="devices")
    if message.mentions:
        _check_mentions(message.mentions, limits)
    if message.audiences:
        _check_audiences(message.audiences, limits)


def _check_devices(devices: Sequence[pb.DeviceAddress], limits: Limits) -> None:
    if len(devices) > limits.max_devices:
        raise WireError(pb.TOO_LARGE, f"A message addresses at most {limits.max_devices} devices.", field="devices")
    named = set()
    for address in devices:
        identity = address.identity
        identity.eid = check_eid(identity.eid, "devices.identity.eid", limits)
        check_id(identity.connection_resource_id, "devices.identity.connection_resource_id", limits)
        named.add((identity.eid, identity.connection_resource_id))
    if len(named) != len(devices):
        raise WireError(pb.INVALID, "A device is addressed twice: address it once.", field="devices")


def _check_mentions(mentions: MutableSequence[str], limits: Limits) -> None:
    if len(mentions) > limits.max_mentions:
        raise WireError(pb.TOO_LARGE, f"A message mentions at most {limits.max_mentions} users.", field="mentions")
    for at, eid in enumerate(mentions):
        mentions[at] = check_eid(eid, "mentions", limits)


def _check_audiences(audiences: "pb.Message.AudiencesEntry | object", limits: Limits) -> None:
    names = list(audiences)  # type: ignore[call-overload]
    if len(names) > limits.max_audiences:
        raise WireError(pb.TOO_LARGE, f"A message has at most {limits.max_audiences} audiences.", field="audiences")
    for name in names:
        check_eid(name, "audiences", limits)
