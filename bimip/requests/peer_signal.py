"""PeerSignal: what a device says to others of its user, so that two of them connect to each other without the server.

It is relayed to those that are connected, in the order in which it is said, and stored nowhere.
"""

from typing import Final

from bimip.requests.asker import Asker
from bimip.requests.message import LOGS_FOR_A_REQUEST
from bimip.wire import bimip_pb2 as pb
from bimip.wire import codec, frames
from bimip.wire.checks import check_author, check_id
from bimip.wire.errors import WireError
from bimip.wire.limits import Limits

MAX_PAYLOAD_BYTES: Final = 32 * 1024
"""Of an offer, an answer or a candidate."""
KINDS: Final = ("hello", "offer", "answer", "candidate", "done")


def ask(asker: Asker, payload: pb.PeerSignal, ref: int) -> None:
    check_peer_signal(payload, asker.services.limits, asker.eid)
    name = payload.to.connection_resource_id
    said = pb.PeerSignal(to=payload.to, kind=payload.kind, payload=payload.payload, id=payload.id)
    author = getattr(said, "from")
    author.eid, author.connection_resource_id = asker.eid, asker.name
    said.to.eid = asker.eid
    reached = asker.tell_siblings(name, frames.peer_part(said))
    if name and not reached:
        sentence = f"Your device {name!r} is not connected: it is told nothing. `hello` to all tells who is there."
        raise WireError(pb.NOT_FOUND, sentence, field="to.connection_resource_id")
    asker.weigh(reached // LOGS_FOR_A_REQUEST)
    answer = pb.PeerSignal(to=said.to, kind=payload.kind, id=payload.id, reached=reached)
    asker.answer_alone(codec.encode(answer, ref))


def check_peer_signal(signal: pb.PeerSignal, limits: Limits, eid: str) -> None:
    """Checks what a device of the user `eid` says to another one. Raises WireError."""
    if signal.HasField("from"):
        check_author(signal, eid)
    if signal.to.eid not in {"", eid}:
        sentence = "Devices find each other among one user's: to.eid is yours, or empty."
        raise WireError(pb.FORBIDDEN, sentence, field="to.eid")
    if signal.to.connection_resource_id:
        check_id(signal.to.connection_resource_id, "to.connection_resource_id", limits)
    if signal.kind not in KINDS:
        raise WireError(pb.INVALID, f"kind is one of {', '.join(KINDS)}.", field="kind")
    if not signal.to.connection_resource_id and signal.kind not in {"hello", "done"}:
        sentence = f"{signal.kind} is for one device: name it. To all one says hello or done."
        raise WireError(pb.INVALID, sentence, field="to.connection_resource_id")
    if signal.id:
        check_id(signal.id, "id", limits)
    if len(signal.payload) > MAX_PAYLOAD_BYTES:
        sentence = f"What is relayed between devices has at most {MAX_PAYLOAD_BYTES} bytes."
        raise WireError(pb.TOO_LARGE, sentence, field="payload")
