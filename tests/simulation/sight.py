"""From the server's own codec to the events of a history: as tests/chaos/frames.py, by the codec that costs least."""

from bimip.wire import bimip_pb2 as pb
from tests.chaos.history import Delivery, Gap, GapReason, Ids, Kind, Name, Opened, Receipts, Seat, State

ROUTES = {"message": 6, "signal": 7, "body": 10, "hello": 13, "fetch": 17}


def encode(ref: int = 0, **payload: object) -> bytes:
    """One frame: `encode(message=pb.Message(...))`."""
    (name,) = payload
    scheme = pb.MessageScheme(route=ROUTES[name], ref=ref, **payload)  # type: ignore[arg-type]
    return scheme.SerializeToString()


def span(first: int, last: int) -> pb.OffsetRange:
    made = pb.OffsetRange(to=last)
    setattr(made, "from", first)
    return made


def opened(name: Name, hello: pb.Hello) -> Opened:
    gaps: dict[str, tuple[Gap, ...]] = {}
    for told in hello.gaps:
        gaps[told.partition] = (*gaps.get(told.partition, ()), gap(told))
    seats = {log.partition: Seat(log.first, log.head, log.floor, log.position) for log in hello.logs}
    return Opened(name, hello.epoch, seats, gaps, hello.state_version)


def gap(told: pb.Gap) -> Gap:
    return Gap(getattr(told, "from"), told.to, GapReason(told.reason))


def ids(signal: pb.Signal) -> Ids:
    return Ids(signal.signal_offset, signal.user_offset, signal.conversation, signal.conversation_offset)


def delivery(message: pb.Message) -> Delivery:
    author = getattr(message, "from")
    return Delivery(
        message.user_offset,
        message.signal_offset,
        Name(author.eid, author.connection_resource_id),
        message.id,
        message.conversation,
        message.conversation_offset,
        message.payload,
    )


def state(name: Name, delta: pb.StateDelta) -> State:
    receipts = tuple(_receipts(item.receipts) for item in delta.items if item.HasField("receipts"))
    return State(name, delta.after, delta.upto, receipts, delta.reset, delta.complete)


def _receipts(item: pb.Receipts) -> Receipts:
    runs = tuple((getattr(run, "from"), run.to, run.time) for run in item.runs)
    return Receipts(item.conversation, item.member, Kind(item.kind), runs)
