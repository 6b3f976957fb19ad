"""Messages that were taken together are appended together: one operation for all that go to one recipient in a row."""

from collections.abc import Iterable, Iterator
from itertools import repeat
from typing import NamedTuple, cast

from bimip.domain.core.clock import signal_id
from bimip.domain.core.ids import DeviceId, UserId
from bimip.domain.core.operations import Address, Append, Appended, NewMessage, Outcomes, Refused, Result
from bimip.domain.core.records import maker
from bimip.names import conversation_id
from bimip.wire import bimip_pb2 as pb

_append = maker(Append)


class CheckedMessage(NamedTuple):
    """A message that was checked, and what those that are appended together have in common."""

    to: str  # eid
    partition: str
    new: NewMessage
    addresses: tuple[Address, ...]
    ref: int
    is_complete: bool = False  # the addresses are to be all devices that there are
    ttl: int = 0  # ms


def appends(user: UserId, number: DeviceId, checked: Iterable[CheckedMessage]) -> Iterator[tuple[Append, list[int]]]:
    """Makes as few Appends as keep the order: one for all that go to one recipient in a row. With them, their refs."""
    messages: dict[str, NewMessage] = {}
    refs: list[int] = []
    to = partition = ""
    addresses: tuple[Address, ...] = ()
    complete, ttl = False, 0
    for one in checked:
        if messages and (
            one[0] != to or one[1] != partition or one[3] or addresses or one[2][0] in messages or one[6] != ttl
        ):
            yield _append((user, number, to, partition, tuple(messages.values()), addresses, complete, ttl)), refs
            messages, refs = {}, []
        to, partition, message, addresses, ref, complete, ttl = one
        messages[message[0]] = message
        refs.append(ref)
    if messages:
        yield _append((user, number, to, partition, tuple(messages.values()), addresses, complete, ttl)), refs


def outcomes(append: Append, result: Result) -> Iterable[Appended | Refused]:
    """Tells what became of each of an Append's messages."""
    return repeat(result, len(append.messages)) if isinstance(result, Refused) else cast("Outcomes", result)


def sent(result: Appended, ref: int) -> pb.Signal:
    """SENT: it is on disk, in every log concerned."""
    return pb.Signal(
        ref=ref,
        status=pb.SENT,
        id=result.id,
        partition=result.partition,
        signal_offset=result.stamp,
        signal_id=signal_id(result.stamp),
        user_offset=result.offset,
        conversation=conversation_id(result.conversation),
        conversation_offset=result.conversation_offset,
        timestamp=result.time,
        duplicate=result.duplicate,
    )
