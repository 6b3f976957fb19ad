"""What a decoded payload may say. Checks raise WireError with the field at fault and what to do.

Only what can be judged from the payload alone is judged here: whether a user, partition or offset exists is the
store's to say. Fields that are the server's are ignored from clients, never refused. Names of people are put into their
normal form on the way (bimip.names), in the payload itself: everything behind this compares texts.
"""

import re
from collections.abc import MutableSequence, Sequence
from operator import attrgetter

from bimip.names import NameRefusedError, is_conversation_id, is_printable, normal_eid
from bimip.wire import bimip_pb2 as pb
from bimip.wire.errors import WireError
from bimip.wire.limits import Limits

LAST_MILLISECOND = 253_402_300_799_999  # of the year 9999: whoever sends more counts in another unit

MAX_AGENT_CHARS = 255

_DEFAULTS = Limits()
_SEQ = re.compile(r"([0-9]{1,18}):([0-9]{1,18}):(.+)")
_HIGHEST_LOCAL = 2**32 - 1
_WRITTEN = attrgetter("id", "timestamp", "type", "partition", "scope", "seq", "reply_to")
"""A message's plain fields, in one look."""
_STATUSES = frozenset(number for number in pb.MessageStatus.values() if number > pb.SENT)
_FETCH_KINDS = frozenset(pb.FetchKind.values())
_STARTS = frozenset(pb.Start.values())
_CONVERSATIONAL = frozenset({pb.READ, pb.PLAYED})


def partition_of(message: pb.Message) -> str:
    """The partition that a message goes to: the one it names, else the one that its scope or type implies."""
    if message.partition:
        return message.partition
    if message.scope == "friend":
        return "feed"
    return "notification" if message.type == pb.PUSH_NOTIFICATION else "chat"


def check_eid(text: str, what: str = "eid", limits: Limits = _DEFAULTS) -> str:
    """The normal form of an eid, which is the one to go on with."""
    _check_length(len(text), what, limits.max_eid_bytes)
    try:
        normal = normal_eid(text)
    except NameRefusedError as error:
        raise WireError(pb.INVALID, f"{what} {error}", field=what) from None
    _check_length(max(len(text.encode()), len(normal.encode())), what, limits.max_eid_bytes)
    return normal


def check_recipient(text: str, what: str, limits: Limits) -> str:
    """The normal form of what may be a user's eid or a conversation's id."""
    return text if is_conversation_id(text) and len(text) <= limits.max_id_bytes else check_eid(text, what, limits)


def _check_length(length: int, what: str, most_bytes: int) -> None:
    """Checks a length: of characters before anything else is done with a text, and of bytes once it is known."""
    if length > most_bytes:
        raise WireError(pb.TOO_LARGE, f"{what} is longer than {most_bytes} bytes of UTF-8.", field=what)


def check_id(text: str, what: str, limits: Limits = _DEFAULTS) -> None:
    """A device, message, conversation or partition: not empty, printable, short."""
    if 0 < len(text) <= limits.max_id_bytes and text.isascii() and text.isprintable():
        return  # as nearly all are
    if not text:
        raise WireError(pb.INVALID, f"{what} is empty: it must be given.", field=what)
    _check_length(len(text), what, limits.max_id_bytes)
    if not is_printable(text):
        raise WireError(pb.INVALID, f"{what} holds unprintable characters: leave them out.", field=what)
    _check_length(len(text.encode()), what, limits.max_id_bytes)


def check_message(message: pb.Message, limits: Limits, eid: str, *, most_bytes: int | None = None) -> None:
    """A Message that the user `eid` sends. `most_bytes`: of what it came in, which may tell that it is small enough."""
    try:
        if most_bytes is None or most_bytes > limits.max_message_bytes:
            _check_size(message, limits)
        _check_message(message, limits, eid)
    except WireError as error:
        error.id = message.id
        raise


def check_signal(signal: pb.Signal, limits: Limits, eid: str) -> None:
    """An ack, a receipt, an awareness or a call that the user `eid` sends."""
    try:
        _check_signal(signal, limits, eid)
    except WireError as error:
        error.id = signal.id
        raise


def check_hello(hello: pb.Hello, limits: Limits, eid: str = "") -> None:  # noqa: ARG001 - the checks of payloads have one shape
    """The client's Hello, but for its `messages`: each of them is accepted or refused on its own."""
    check_batch(hello, limits)
    positions = hello.partitions
    if len(positions) > limits.max_partitions:
        raise WireError(pb.TOO_LARGE, f"Name at most {limits.max_partitions} partitions.", field="partitions")
    for position in positions:
        _check_position(position, limits)
    if len({position.partition for position in positions}) != len(positions):
        raise WireError(pb.INVALID, "A partition is named twice: give it one position.", field="partitions.partition")
    if len(hello.agent) > MAX_AGENT_CHARS:
        sentence = f"agent is longer than {MAX_AGENT_CHARS} characters: give software and version."
        raise WireError(pb.TOO_LARGE, sentence, field="agent")


def part_count(body: pb.Body) -> int:
    """How much of a client's batch is answered for itself. What only a server says in one is ignored."""
    return len(body.messages) + len(body.signals) + len(body.commands)


def check_batch(batch: pb.Body | pb.Hello, limits: Limits) -> None:
    """An empty message takes two bytes, and costs the server as much as any other."""
    count = part_count(batch) if isinstance(batch, pb.Body) else len(batch.messages)
    if count > limits.max_batch:
        sentence = f"This frame holds {count} messages, signals and commands: send at most {limits.max_batch} in one."
        raise WireError(pb.TOO_LARGE, sentence, field="messages")


def check_fetch(fetch: pb.Fetch, limits: Limits, eid: str = "") -> None:  # noqa: ARG001 - the checks of payloads have one shape
    if fetch.kind not in _FETCH_KINDS:
        raise WireError(pb.INVALID, f"There is no kind {fetch.kind} of Fetch.", field="kind")
    if fetch.kind in {pb.UNACKNOWLEDGED, pb.LOG, pb.BY_SEQ} or fetch.partition:
        check_id(fetch.partition, "partition", limits)
    if fetch.kind in {pb.HISTORY, pb.RECEIPTS} or fetch.conversation:
        check_id(fetch.conversation, "conversation", limits)
    if fetch.kind == pb.BY_SEQ:
        for what in ("seq_from", "seq_to"):
            if getattr(fetch, what):
                _check_seq(getattr(fetch, what), what, limits)
    if fetch.HasField("from"):
        _check_identity(getattr(fetch, "from"), "from", limits)
    if fetch.to.eid:
        _check_identity(fetch.to, "to", limits)


def check_ranges(ranges: Sequence[pb.OffsetRange], limits: Limits, what: str) -> None:
    """At most a window of ranges, each the right way round, ascending and disjoint."""
    if len(ranges) > limits.max_held:
        raise WireError(pb.TOO_LARGE, f"{what} has more than {limits.max_held} ranges: send several.", field=what)
    last = 0
    for part in ranges:
        first = getattr(part, "from")
        if first <= last:
            why = "ranges begin at 1, ascend and do not overlap"
            raise WireError(pb.INVALID, f"{what} holds {first} after {last}: {why}.", field=f"{what}.from")
        last = part.to
        if last < first:
            raise WireError(
                pb.INVALID, f"{what} holds a range from {first} to {last}: turn it round.", field=f"{what}.to"
            )


def _check_size(message: pb.Message, limits: Limits) -> None:
    most = limits.max_message_bytes
    if message.ByteSize() > most:
        sentence = f"The message is larger than {most} bytes: send large content by reference."
        raise WireError(pb.TOO_LARGE, sentence, field="payload")


def _check_message(message: pb.Message, limits: Limits, eid: str) -> None:
    """This is the hot path: what every message has is looked at here, and what is wrong with it told elsewhere."""
    own_id, timestamp, kind, partition, scope, seq, reply_to = _WRITTEN(message)
    to = message.to.eid
    if own_id and not (len(own_id) <= limits.max_id_bytes and own_id.isascii() and own_id.isprintable()):
        check_id(own_id, "id", limits)
    if message.HasField("from"):
        _check_author(message, eid)
    if not (0 < len(to) <= limits.max_eid_bytes and to.isascii() and to.isprintable() and to[0] != " " != to[-1]):
        message.to.eid = check_eid(to, "to.eid", limits)
    if not 0 <= timestamp <= LAST_MILLISECOND:
        sentence = "timestamp is no time in milliseconds since 1970: mind the unit."
        raise WireError(pb.INVALID, sentence, field="timestamp")
    if kind < 0:
        raise WireError(pb.INVALID, "type is negative: 1 is a chat message, 2 a notification.", field="type")
    if partition:
        check_id(partition, "partition", limits)
    if scope and scope not in {"private", "friend"}:
        raise WireError(pb.INVALID, "scope is private, friend or empty.", field="scope")
    if seq:
        _check_seq(seq, "seq", limits)
    if reply_to:
        check_id(reply_to, "reply_to", limits)
    _check_lists(message, limits)


def _check_lists(message: pb.Message, limits: Limits) -> None:
    if message.devices:
        _check_devices(message.devices, limits)
    if message.mentions:
        _check_mentions(message.mentions, limits)
    if message.audiences:
        _check_audiences(message.audiences, limits)


def _check_author(message: pb.Message | pb.Signal, eid: str) -> None:
    author = getattr(message, "from").eid
    if author not in {"", eid} and check_eid(author, "from.eid") != eid:
        raise WireError(
            pb.FORBIDDEN,
            "from.eid is not the user of your token: leave from away, the server sets it.",
            field="from.eid",
        )


def _check_seq(text: str, what: str, limits: Limits) -> None:
    parts = _SEQ.fullmatch(text)
    if not parts:
        raise WireError(pb.INVALID, f"{what} is not of the form timestamp:localSeq:device.", field=what)
    if int(parts[2]) > _HIGHEST_LOCAL:
        raise WireError(pb.INVALID, f"{what} has a localSeq beyond {_HIGHEST_LOCAL}: count from 1.", field=what)
    check_id(parts[3], what, limits)


def seq_numbers(text: str) -> tuple[int, int]:
    """The time and the number of a `seq` that was checked."""
    time, local, _ = text.split(":", 2)
    return int(time), int(local)


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


def _check_identity(identity: pb.Identity, what: str, limits: Limits) -> None:
    identity.eid = check_eid(identity.eid, f"{what}.eid", limits)
    if identity.HasField("connection_resource_id"):
        check_id(identity.connection_resource_id, f"{what}.connection_resource_id", limits)


def _check_signal(signal: pb.Signal, limits: Limits, eid: str) -> None:
    """Checks a signal in the short way, as a message: an ack comes with each frame."""
    status = signal.status
    if status not in _STATUSES:
        raise WireError(
            pb.INVALID, f"A client sends no Signal of status {status}: 2 is DELIVERED, 3 is READ.", field="status"
        )
    if signal.HasField("from"):
        _check_author(signal, eid)
    if signal.id:
        check_id(signal.id, "id", limits)
    if signal.offsets:
        check_ranges(signal.offsets, limits, "offsets")
    if status == pb.DELIVERED:
        partition = signal.partition
        if not (0 < len(partition) <= limits.max_id_bytes and partition.isascii() and partition.isprintable()):
            check_id(partition, "partition", limits)
        if not (signal.upto or signal.user_offset or signal.offsets):
            raise WireError(pb.INVALID, "Nothing is acknowledged: give upto, offsets or user_offset.", field="upto")
    elif status in _CONVERSATIONAL:
        _check_conversational(signal, limits)


def _check_conversational(signal: pb.Signal, limits: Limits) -> None:
    if signal.conversation:
        check_id(signal.conversation, "conversation", limits)
    elif signal.to.eid:
        signal.to.eid = check_recipient(signal.to.eid, "to.eid", limits)
    else:
        raise WireError(pb.INVALID, "Name the conversation, or the peer in to.eid.", field="conversation")
    if signal.upto and signal.status == pb.PLAYED:
        sentence = "PLAYED is said of single messages: give conversation_offset or offsets, not upto."
        raise WireError(pb.INVALID, sentence, field="upto")
    if not (signal.upto or signal.conversation_offset or signal.offsets):
        raise WireError(pb.INVALID, "Say what was read: give upto, offsets or conversation_offset.", field="upto")


def _check_position(position: pb.Position, limits: Limits) -> None:
    check_id(position.partition, "partitions.partition", limits)
    if position.start not in _STARTS:
        raise WireError(pb.INVALID, f"There is no start {position.start}.", field="partitions.start")
    if position.start and (position.HasField("offset") or position.held or position.seq):
        raise WireError(
            pb.INVALID, "start is for a device without a position: give one or the other.", field="partitions.start"
        )
    if (position.start == pb.LAST) != bool(position.last):
        raise WireError(pb.INVALID, "start LAST goes with last, the number of entries.", field="partitions.last")
    if position.seq:
        _check_seq(position.seq, "partitions.seq", limits)
    _check_held(position, limits)


def _check_held(position: pb.Position, limits: Limits) -> None:
    held = position.held
    check_ranges(held, limits, "partitions.held")
    if held and getattr(held[0], "from") <= position.offset:
        raise WireError(
            pb.INVALID, "held begins above offset: it names what is held beyond it.", field="partitions.held"
        )
    if sum(part.to - getattr(part, "from") + 1 for part in held) > limits.max_held:
        raise WireError(
            pb.TOO_LARGE,
            f"held names more than {limits.max_held} offsets: leave out the highest, you will know them again.",
            field="partitions.held",
        )
