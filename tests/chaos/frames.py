"""Between the wire's dataclasses and the events of a history."""

from typing import Any

from bimip.client.wire import bimip as pb
from tests.chaos.history import Delivery, Gap, GapReason, Ids, Kind, Name, Opened, Receipts, Seat, State

ROUTES = {"message": 6, "signal": 7, "body": 10, "hello": 13, "fetch": 17}


def encode(ref: int = 0, **payload: Any) -> bytes:
    """One frame: `encode(message=pb.Message(...))`."""
    ((name, value),) = payload.items()
    return bytes(pb.MessageScheme(route=ROUTES[name], ref=ref, **{name: value}))


def opened(name: Name, hello: pb.Hello) -> Opened:
    gaps: dict[str, tuple[Gap, ...]] = {}
    for told in hello.gaps:
        gaps[told.partition] = (*gaps.get(told.partition, ()), gap(told))
    return Opened(
        name,
        hello.epoch,
        {log.partition: Seat(log.first, log.head, log.floor, log.position) for log in hello.logs},
        gaps,
        hello.state_version,
    )


def gap(told: pb.Gap) -> Gap:
    return Gap(told.from_, told.to, GapReason(int(told.reason)))


def gaps(body: pb.Body) -> tuple[Gap, ...]:
    return tuple(map(gap, body.gaps))


def ids(signal: pb.Signal) -> Ids:
    return Ids(signal.signal_offset, signal.user_offset, signal.conversation, signal.conversation_offset)


def deliveries(body: pb.Body) -> tuple[Delivery, ...]:
    return tuple(map(delivery, body.messages))


def delivery(message: pb.Message) -> Delivery:
    author = message.from_ or pb.Identity()
    return Delivery(
        message.user_offset or 0,
        message.signal_offset,
        Name(author.eid, author.connection_resource_id or ""),
        message.id,
        message.conversation,
        message.conversation_offset,
        message.payload,
    )


def state(name: Name, delta: pb.StateDelta) -> State:
    receipts = [item.receipts for item in delta.items if item.receipts is not None]
    return State(name, delta.after, delta.upto, tuple(map(_receipts, receipts)), delta.reset, delta.complete)


def _receipts(item: pb.Receipts) -> Receipts:
    runs = tuple((run.from_, run.to, run.time) for run in item.runs)
    return Receipts(item.conversation, item.member, Kind(int(item.kind)), runs)
