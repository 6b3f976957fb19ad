"""Snapshot: a device asks whether its copy of a log is the server's, and what it would cost to go on from there.

A checkpoint's id names its log and where it was taken, `chat:1000`: within an epoch there is nothing else to know.
"""

from bimip.domain.core.records import DamagedRecordError
from bimip.reading.snapshots import read_chain, read_checkpoint, read_state_head, weigh
from bimip.requests.asker import Asker
from bimip.requests.refusals import failed, no_partition
from bimip.requests.route import Rest
from bimip.wire import bimip_pb2 as pb
from bimip.wire import codec
from bimip.wire.checks import check_id
from bimip.wire.errors import WireError
from bimip.wire.limits import Limits

CHAIN_BYTES = 16
REQUESTS_FOR_AN_ENTRY = 0.25
"""What an entry that is looked at to tell a cost is charged as: its message is read and not sent."""
MAX_OFFSET_DIGITS = 20


def ask(asker: Asker, payload: pb.Snapshot, ref: int) -> Rest:
    services = asker.services
    check_snapshot(payload, services.limits)
    head = asker.head_of(payload.partition)
    if head is None:
        raise no_partition(payload.partition, services.partitions)
    if payload.offset > head:
        sentence = f"offset {payload.offset} was never given; the log of {payload.partition!r} ends at {head}"
        raise WireError(pb.OFFSET_BEYOND_HEAD, sentence, field="offset")
    answer = _judged(asker, payload)
    version = payload.state_version or answer.state_version
    return _weighed(asker, answer, version, ref)


def _judged(asker: Asker, payload: pb.Snapshot) -> pb.Snapshot:
    """Answers but for the costs."""
    store, user, partition = asker.services.store, asker.user, payload.partition
    checkpoint = read_checkpoint(store, user, partition, payload.offset)
    if checkpoint is None and payload.id:
        sentence = "there is no such checkpoint any more; ask without an id for the newest one"
        raise WireError(pb.NOT_FOUND, sentence, field="id")
    answer = pb.Snapshot(partition=partition)
    if checkpoint is not None:
        answer.id = checkpoint_id(partition, checkpoint.offset)
        answer.offset = checkpoint.offset
        answer.checksum = checkpoint.chain
        answer.state_version = checkpoint.state_version
        answer.time = checkpoint.time
    else:
        found = read_chain(store, user, partition, payload.offset)
        answer.offset = payload.offset
        answer.state_version = read_state_head(store, user)
        answer.checksum = found or b""
        answer.unknown = found is None
    answer.matches = bool(payload.checksum) and answer.checksum == payload.checksum
    return answer


def _weighed(asker: Asker, answer: pb.Snapshot, version: int, ref: int) -> Rest:
    """Adds the costs, a slice at a time, and sends the answer."""
    services = asker.services
    weighing = weigh(services.store, asker.user, answer.partition, answer.offset, version, services.limits.max_fetch)
    try:
        while True:
            try:
                looked = next(weighing)
            except StopIteration as end:
                delta, whole = end.value
                break
            asker.rates.charge(looked * REQUESTS_FOR_AN_ENTRY, asker.heard_at)
            yield
    except DamagedRecordError as error:
        services.report("snapshot failed", error)
        asker.fail(failed(error), ref)
        return
    answer.delta.CopyFrom(pb.Cost(**delta._asdict()))
    answer.whole.CopyFrom(pb.Cost(**whole._asdict()))
    asker.answer_alone(codec.encode(answer, ref))


def checkpoint_id(partition: str, offset: int) -> str:
    return f"{partition}:{offset}"


def named_checkpoint(text: str, field: str) -> tuple[str, int]:
    """Reads a checkpoint's id: its partition, and its offset. Raises WireError."""
    partition, colon, digits = text.rpartition(":")
    if not (partition and colon and digits.isascii() and digits.isdecimal() and len(digits) <= MAX_OFFSET_DIGITS):
        raise WireError(pb.INVALID, f"{field} is no checkpoint's id: give one that this server told.", field=field)
    return partition, int(digits)


def check_checksum(checksum: bytes, field: str) -> None:
    if len(checksum) != CHAIN_BYTES:
        sentence = f"{field} has {len(checksum)} bytes: a chain has {CHAIN_BYTES}."
        raise WireError(pb.INVALID, sentence, field=field)


def check_snapshot(snapshot: pb.Snapshot, limits: Limits) -> None:
    """A Snapshot that stands alone. One that names its checkpoint by id gets partition and offset from that."""
    if snapshot.id:
        partition, offset = named_checkpoint(snapshot.id, "id")
        if (snapshot.partition or partition, snapshot.offset or offset) != (partition, offset):
            sentence = "id names another partition or offset: give the id alone."
            raise WireError(pb.INVALID, sentence, field="id")
        snapshot.partition, snapshot.offset = partition, offset
    check_id(snapshot.partition, "partition", limits)
    if snapshot.checksum:
        check_checksum(snapshot.checksum, "checksum")
        if not snapshot.offset:
            sentence = "checksum is the chain at an offset: give offset, from 1 on, or the id of a checkpoint."
            raise WireError(pb.INVALID, sentence, field="offset")
