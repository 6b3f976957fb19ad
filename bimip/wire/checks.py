"""What any payload may say: names of people, ids, ranges, authors. What else one may say lies with its route.

Checks raise WireError with the field at fault and what to do. Only what can be judged from the payload alone is judged:
whether a user, partition or offset exists is the store's to say. Fields that are the server's are ignored from clients,
never refused. Names of people are put into their normal form on the way (bimip.names), in the payload itself:
everything behind this compares texts.
"""

import re
from collections.abc import Sequence

from bimip.names import NameRefusedError, is_conversation_id, is_printable, normal_eid
from bimip.wire import bimip_pb2 as pb
from bimip.wire.errors import WireError
from bimip.wire.limits import Limits

_DEFAULTS = Limits()
_SEQ = re.compile(r"([0-9]{1,18}):([0-9]{1,18}):(.+)")
_SIGNAL_ID = re.compile(r"[0-9A-F][0-9A-HJKMNP-TV-Z]{12}")
_HIGHEST_LOCAL = 2**32 - 1


def check_eid(text: str, what: str = "eid", limits: Limits = _DEFAULTS) -> str:
    """The normal form of an eid, which is the one to go on with."""
    check_length(len(text), what, limits.max_eid_bytes)
    try:
        normal = normal_eid(text)
    except NameRefusedError as error:
        raise WireError(pb.INVALID, f"{what} {error}", field=what) from None
    check_length(max(len(text.encode()), len(normal.encode())), what, limits.max_eid_bytes)
    return normal


def check_recipient(text: str, what: str, limits: Limits) -> str:
    """The normal form of what may be a user's eid or a conversation's id."""
    return text if is_conversation_id(text) and len(text) <= limits.max_id_bytes else check_eid(text, what, limits)


def check_length(length: int, what: str, most_bytes: int) -> None:
    """Checks a length: of characters before anything else is done with a text, and of bytes once it is known."""
    if length > most_bytes:
        raise WireError(pb.TOO_LARGE, f"{what} is longer than {most_bytes} bytes of UTF-8.", field=what)


def check_id(text: str, what: str, limits: Limits = _DEFAULTS) -> None:
    """A device, message, conversation or partition: not empty, printable, short."""
    if 0 < len(text) <= limits.max_id_bytes and text.isascii() and text.isprintable():
        return  # as nearly all are
    if not text:
        raise WireError(pb.INVALID, f"{what} is empty: it must be given.", field=what)
    check_length(len(text), what, limits.max_id_bytes)
    if not is_printable(text):
        raise WireError(pb.INVALID, f"{what} holds unprintable characters: leave them out.", field=what)
    check_length(len(text.encode()), what, limits.max_id_bytes)


def check_signal_id(text: str, what: str) -> None:
    """Checks the name of a message, as the server gave it."""
    if not _SIGNAL_ID.fullmatch(text):
        sentence = f"{what} is no signal_id: give back that of a message, 13 characters."
        raise WireError(pb.INVALID, sentence, field=what)


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


def check_author(
    message: pb.Message | pb.Signal | pb.Awareness | pb.AwarenessVisibility | pb.LocationStream | pb.PeerSignal,
    eid: str,
) -> None:
    author = getattr(message, "from").eid
    if author not in {"", eid} and check_eid(author, "from.eid") != eid:
        raise WireError(
            pb.FORBIDDEN,
            "from.eid is not the user of your token: leave from away, the server sets it.",
            field="from.eid",
        )


def check_identity(identity: pb.Identity, what: str, limits: Limits) -> None:
    identity.eid = check_eid(identity.eid, f"{what}.eid", limits)
    if identity.HasField("connection_resource_id"):
        check_id(identity.connection_resource_id, f"{what}.connection_resource_id", limits)


def check_seq(text: str, what: str, limits: Limits) -> None:
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
