"""Hello: a device says where it stands and what it wrote while it was away, and is told where the server stands.

Its partitions are opened and its messages decided in order, each on its own; the answer is one frame, and only then
does delivery begin.
"""

from collections.abc import Callable
from functools import partial
from sys import intern

import trio

from bimip.domain.core.ids import Offset
from bimip.domain.core.operations import Append, Fault, OpenPosition, Operation, PositionOpened, Refused, Result
from bimip.domain.core.ranges import above, normal
from bimip.domain.messages.chaining import STEP
from bimip.reading.heads import read_epoch
from bimip.reading.positions import read_offset_of_seq
from bimip.reading.snapshots import Claim, Match, judge, read_chain, read_checkpoint
from bimip.requests.appends import CheckedMessage, outcomes, sent
from bimip.requests.body import check_batch
from bimip.requests.message import asked_for, prepare
from bimip.requests.refusals import error_of, no_partition, rate_limited
from bimip.requests.route import Rest
from bimip.requests.snapshot import REQUESTS_FOR_AN_ENTRY, check_checksum, named_checkpoint
from bimip.session.close import Close
from bimip.session.window import Window
from bimip.users.device import Device, Phase
from bimip.wire import bimip_pb2 as pb
from bimip.wire import codec
from bimip.wire.checks import check_id, check_ranges, check_seq
from bimip.wire.errors import WireError
from bimip.wire.limits import Limits

MAX_AGENT_CHARS = 255

_STARTS = frozenset(pb.Start.values())

MESSAGES_AT_ONCE = 128
"""Of one Hello, until others have their turn."""
ENTRIES_AT_ONCE = 4 * STEP
"""Looked at to judge what a device says to have, until others have their turn."""
MAX_SNAPSHOTS = 128
"""In one Hello."""

CLOSES = {
    Fault.STORAGE_FULL: Close.TRY_AGAIN_LATER,
    Fault.UNAVAILABLE: Close.TRY_AGAIN_LATER,
    Fault.UNKNOWN_OUTCOME: Close.TRY_AGAIN_LATER,
    Fault.INTERNAL: Close.INTERNAL_ERROR,
}
"""A Hello that was refused for no fault of the client's: it is to connect again."""


def handle_hello(device: Device, hello: pb.Hello, ref: int) -> Rest:
    """Take up a Hello: its partitions at once, of its messages so many with each step of what is returned."""
    if device.phase is not Phase.CONNECTED:
        wait = device.rates.take(1, device.frame_bytes, device.heard_at)
        sentence = "one Hello begins a connection; connect again to say another"
        raise rate_limited(wait) if wait else WireError(pb.OUT_OF_ORDER, sentence)
    check_hello(hello, device.services.limits)
    openings = [_open_position(device, position) for position in hello.partitions]
    if len({one.partition for one in openings}) < len(openings):
        raise WireError(pb.INVALID, "a partition is named twice", field="partitions")
    device.phase = Phase.GREETING
    device.agent = intern(hello.agent)  # thousands of devices have the same few
    seqs = sum(bool(position.seq) for position in hello.partitions)
    wait = device.rates.take(1 + len(hello.messages) + seqs, hello.ByteSize(), trio.current_time())
    store, user = device.session.services.store, device.session.number
    epoch, same = read_epoch(store, user, hello.epoch, openings, hello.state_version)
    claims = [Claim(one.partition, one.offset, one.checksum) for one in hello.snapshots if one.checksum]
    if hello.snapshot_id and same:
        openings = _resumed(device, hello, openings, claims)
    opening = _Opening(device, hello, ref, epoch, wait, claims if same else [], same_epoch=same)
    return opening.begin(openings if same else [one._replace(same_epoch=False) for one in openings])


def _open_position(device: Device, position: pb.Position) -> OpenPosition:
    return OpenPosition(
        device.session.number,
        device.number,
        position.partition,
        _offset_of(device, position),
        normal((getattr(part, "from"), part.to) for part in position.held),
        position.start,
        position.last,
    )


def _offset_of(device: Device, position: pb.Position) -> Offset | None:
    """Up to where the device has all. A `seq` that nothing has says that it has nothing that is known here."""
    if position.seq:
        session = device.session
        found = read_offset_of_seq(session.services.store, session.number, position.partition, position.seq)
        return Offset(0) if found is None else found
    return Offset(position.offset) if position.HasField("offset") else None


def _resumed(device: Device, hello: pb.Hello, openings: list[OpenPosition], claims: list[Claim]) -> list[OpenPosition]:
    """Lets a partition begin at the checkpoint that is named and has the chain that is said, where it has no other
    beginning. Adds what is said to the claims.
    """
    partition, offset = named_checkpoint(hello.snapshot_id, "snapshot_id")
    claims.append(Claim(partition, offset, hello.snapshot_checksum))
    session = device.session
    checkpoint = read_checkpoint(session.services.store, session.number, partition, offset)
    if checkpoint is None or checkpoint.chain != hello.snapshot_checksum:
        return openings
    resumed = [
        one._replace(position=checkpoint.offset)
        if (one.partition, one.position, one.start) == (partition, None, 0)
        else one
        for one in openings
    ]
    if resumed != openings:
        hello.state_version = hello.state_version or checkpoint.state_version
    return resumed


class _Opening:
    """Gathers the results of what a Hello asked for; the last one sends the answer."""

    def __init__(
        self,
        device: Device,
        hello: pb.Hello,
        ref: int,
        epoch: int,
        wait: float,
        claims: list[Claim],
        *,
        same_epoch: bool,
    ) -> None:
        """`epoch` is what the device is told. `wait`: seconds for which it may write nothing; 0: it may."""
        self._device = device
        self._hello = hello
        self._ref = ref
        self._same_epoch = same_epoch
        self._wait = wait
        self._claims = claims
        self._chained = {one.partition for one in hello.snapshots}
        """Partitions of which the device keeps the chain."""
        self._left = 1
        self._opened: list[PositionOpened] = []
        self._refused: Refused | None = None
        self._answer = pb.Hello(epoch=epoch, agent=device.session.services.agent)

    def begin(self, openings: list[OpenPosition]) -> Rest:
        known = self._device.services.partitions
        unknown = next((one.partition for one in openings if one.partition not in known), None)
        if unknown is not None:  # before any of the others is opened: a refused Hello moves nothing
            sentence = no_partition(unknown, known).sentence
            self._refused = Refused(Fault.NOT_FOUND, sentence, "partitions.partition")
            self._one_done()
            return iter(())
        for one in openings:
            self._submit(one, self._opened_one)
        return self._go_on()

    def _go_on(self) -> Rest:
        messages = list(self._hello.messages)
        while messages:
            self._write(messages[:MESSAGES_AT_ONCE])
            del messages[:MESSAGES_AT_ONCE]
            if messages:
                yield
        if self._claims:
            yield from self._judge()
        self._one_done()

    def _judge(self) -> Rest:
        """Judges what the device says to have of its logs, a few in each slice."""
        session, answer = self._device.session, self._answer
        judging = judge(session.services.store, session.number, self._claims)
        looked = 0
        while True:
            try:
                looked += next(judging)
            except StopIteration as end:
                matches: dict[str, Match] = end.value
                break
            if not looked % ENTRIES_AT_ONCE:
                yield
        self._device.rates.charge(looked * REQUESTS_FOR_AN_ENTRY, self._device.heard_at)
        for match in matches.values():
            answer.snapshots.add(**match._asdict())

    def _submit(self, operation: Operation, take: Callable[[Result], None]) -> None:
        def done(result: Result) -> None:
            take(result)
            self._one_done()

        self._left += 1
        session = self._device.session
        session.services.queue.submit(operation, done, owner=session.number)

    def _opened_one(self, result: Result) -> None:
        if isinstance(result, Refused):
            self._refused = result
        else:
            assert isinstance(result, PositionOpened)
            self._opened.append(result)

    def _write(self, messages: list[pb.Message]) -> None:
        """The next of its messages, in order, each answered for itself."""
        checked: list[CheckedMessage] = []
        waiting: list[pb.HelloResult] = []
        for message in messages:
            answer, given_id = self._answer.results.add(), message.id
            try:
                if self._wait:
                    raise rate_limited(self._wait)
                checked.append(prepare(self._device, message))
                waiting.append(answer)
            except WireError as error:
                error.id = given_id
                self._device.count_refusal(error.code)
                answer.error.CopyFrom(error.to_proto())
        for append, _ in asked_for(self._device, checked):
            count = len(append.messages)
            self._submit(append, partial(_take_outcomes, self._device, append, waiting[:count]))
            del waiting[:count]

    def _one_done(self) -> None:
        self._left -= 1
        if self._left:
            return
        if self._refused is not None:
            self._device.count_refusal(self._refused.fault)
            self._device.session.services.delivery.hellos["refused"] += 1
            self._device.note_event("hello refused", self._refused.sentence)
            frame = codec.encode(error_of(self._refused, self._ref), self._ref)
            self._device.answer_hello(frame, Phase.REFUSED)
            code = CLOSES.get(self._refused.fault, Close.HELLO_EXPECTED)
            self._device.close_after_answers(code, self._refused.sentence[:120])
        else:
            self._welcome()

    def _welcome(self) -> None:
        device, session, answer = self._device, self._device.session, self._answer
        answer.identity.eid = session.eid
        answer.identity.connection_resource_id = device.name
        answer.limits.CopyFrom(pb.Limits(**session.services.limits.told()))
        answer.server_time = session.services.wall_clock()
        answer.state_version = session.state.head
        for opened in map(self._place, self._opened):
            answer.logs.add(
                partition=opened.partition,
                first=opened.first,
                head=opened.head,
                floor=opened.floor,
                position=opened.position,
            )
            if opened.partition in self._chained:
                chain = read_chain(session.services.store, session.number, opened.partition, opened.position)
                answer.logs[-1].chain = chain or b""
            device.windows[opened.partition] = self._window(opened)
        outcome = self._outcome()
        session.services.delivery.hellos[outcome] += 1
        device.note_hello(outcome)
        device.state.resume(session, self._hello.state_version, same_epoch=self._same_epoch)
        device.answer_hello(codec.encode(answer, self._ref), Phase.OPEN)

    def _outcome(self) -> str:
        """Names where the device stands, by the worst of its partitions."""
        answer = self._answer
        if not self._same_epoch:
            return "another_epoch"
        if answer.gaps:
            return "gap"
        return "behind" if any(log.position < log.head for log in answer.logs) else "current"

    def _place(self, opened: PositionOpened) -> PositionOpened:
        """Tell what will not come; delivery begins behind what the log no longer has."""
        if opened.skipped is not None:
            self._add_gap(opened.partition, *opened.skipped, pb.SKIPPED)
        kept_after = Offset(opened.first - 1)
        if opened.position >= kept_after:
            return opened
        self._add_gap(opened.partition, Offset(opened.position + 1), kept_after, pb.EXPIRED)
        return opened._replace(position=kept_after, held=above(opened.held, kept_after))

    def _add_gap(self, partition: str, first: Offset, last: Offset, reason: pb.GapReason) -> None:
        self._device.session.services.delivery.gaps[reason] += 1
        gap = self._answer.gaps.add(partition=partition, to=last, reason=reason)
        setattr(gap, "from", first)

    def _window(self, opened: PositionOpened) -> Window:
        services = self._device.session.services
        limits = services.limits
        return Window(
            opened.position,
            opened.held,
            opened.head,
            max_entries=limits.window_entries,
            max_bytes=limits.window_bytes,
            grace_seconds=limits.grace_seconds,
            max_rounds=limits.redelivery_rounds,
        )


def _take_outcomes(device: Device, append: Append, waiting: list[pb.HelloResult], result: Result) -> None:
    statistics = device.services.statistics
    for new, answer, outcome in zip(append.messages, waiting, outcomes(append, result), strict=True):
        if isinstance(outcome, Refused):
            device.count_refusal(outcome.fault)
            answer.error.CopyFrom(error_of(outcome, 0, new.id))
        else:
            statistics.duplicates += outcome.duplicate
            statistics.accepted += not outcome.duplicate
            answer.sent.CopyFrom(sent(outcome, 0))


def check_hello(hello: pb.Hello, limits: Limits) -> None:
    """The client's Hello, but for its `messages`: each of them is accepted or refused on its own."""
    check_batch(hello, limits)
    positions = hello.partitions
    if len(positions) > limits.max_partitions:
        raise WireError(pb.TOO_LARGE, f"Name at most {limits.max_partitions} partitions.", field="partitions")
    for position in positions:
        _check_position(position, limits)
    if len({position.partition for position in positions}) != len(positions):
        raise WireError(pb.INVALID, "A partition is named twice: give it one position.", field="partitions.partition")
    _check_snapshots(hello, limits)
    if len(hello.agent) > MAX_AGENT_CHARS:
        sentence = f"agent is longer than {MAX_AGENT_CHARS} characters: give software and version."
        raise WireError(pb.TOO_LARGE, sentence, field="agent")


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
    if position.seq and position.HasField("offset"):
        raise WireError(pb.INVALID, "seq and offset both say up to where: give one of them.", field="partitions.seq")
    if position.seq:
        check_seq(position.seq, "partitions.seq", limits)
    _check_held(position, limits)


def _check_snapshots(hello: pb.Hello, limits: Limits) -> None:
    if hello.snapshot_id:
        named_checkpoint(hello.snapshot_id, "snapshot_id")
        check_checksum(hello.snapshot_checksum, "snapshot_checksum")
    elif hello.snapshot_checksum:
        sentence = "snapshot_checksum is the chain of a checkpoint: name that by snapshot_id."
        raise WireError(pb.INVALID, sentence, field="snapshot_id")
    if len(hello.snapshots) > MAX_SNAPSHOTS:
        raise WireError(pb.TOO_LARGE, f"Say at most {MAX_SNAPSHOTS} snapshots: the newest ones.", field="snapshots")
    for one in hello.snapshots:
        check_id(one.partition, "snapshots.partition", limits)
        if one.checksum:
            check_checksum(one.checksum, "snapshots.checksum")
        if bool(one.checksum) != bool(one.offset):
            sentence = "checksum is the chain at an offset, from 1 on: give both, or neither."
            raise WireError(pb.INVALID, sentence, field="snapshots.offset")


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
