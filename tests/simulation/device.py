"""A device of the simulation: without a task of its own, it lives in the calls of the agenda.

As tests/chaos/device.py it keeps over its connections what a client keeps on disk (epoch, positions with what it holds
beyond them, state version, outbox), sends again under the same id what it was not answered for, and puts all that it
does and sees into the history. Now and then it loses what it keeps, and begins anew.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Protocol

from bimip.wire import bimip_pb2 as pb
from tests.chaos.device import CALM
from tests.chaos.history import (
    Acked,
    Answered,
    Batch,
    Closed,
    Complaint,
    Event,
    Knocked,
    Name,
    Place,
    Read,
    Refused,
    Turn,
)
from tests.chaos.shelf import Shelf, lowest, runs
from tests.simulation import sight
from tests.simulation.agenda import Agenda
from tests.simulation.line import Line
from tests.simulation.writing import QuickWriter

ANSWER_SECONDS = 30.0
MAX_OUTBOX = 24
AGAIN = {pb.UNAVAILABLE, pb.STORAGE_FULL, pb.RATE_LIMITED, pb.UNKNOWN_OUTCOME}


class Surroundings(Protocol):
    """What a device needs of the simulation."""

    agenda: Agenda
    partitions: Sequence[str]
    told: int  # how many held offsets a Hello names at most

    def record(self, event: Event) -> None: ...

    def dial(
        self, name: Name, random: Random, on_frame: Callable[[bytes], None], on_end: Callable[[int], None]
    ) -> Line | None:
        """None: there is nobody."""
        ...

    def may_write(self) -> bool:
        """Takes one from the messages that are to be written; False when there is none left."""
        ...


@dataclass
class Link:
    """One connection."""

    line: Line
    welcomed: bool = False
    heads: dict[str, int] = field(default_factory=dict)  # as Hello told them
    version: int = 0
    offered: list[str] = field(default_factory=list)  # the messages in Hello
    contradictions: dict[int, str] = field(default_factory=dict)
    conversations: dict[int, str] = field(default_factory=dict)  # what a Fetch asked for
    left: int = 0  # frames until it is cut


class Device:
    def __init__(
        self,
        name: Name,
        around: Surroundings,
        random: Random,
        directory: Sequence[Name],
        start: pb.Start = pb.FIRST,
    ) -> None:
        self.name = name
        self.mood = CALM
        self.link: Link | None = None
        self.connections = 0
        self.shelves: dict[str, Shelf] = {}
        self.version = 0
        self.outbox: dict[str, pb.Message] = {}
        self.counts: Counter[str] = Counter()
        self._around = around
        self._random = random
        self._start = start
        self._epoch = 0
        self._whole_state = False
        self._refs = 0
        self._answered: list[pb.Message] = []
        self._sent_before: set[str] = set()
        self._writer = QuickWriter(name, directory, around.partitions, random)
        self._dawdling = False  # an ack is on its way to be sent

    @property
    def is_connected(self) -> bool:
        return self.link is not None and self.link.welcomed

    def begin(self) -> None:
        self._dial()
        self._write_later()

    def cut(self) -> None:
        """End the connection without a word."""
        if self.link is not None:
            self.link.line.cut()
            self._end(self.link, 1006)

    def _dial(self) -> None:
        frames: list[Link] = []
        line = self._around.dial(
            self.name,
            self._random,
            lambda frame: self._receive(frames[0], frame),
            lambda code: self._end(frames[0], code),
        )
        if line is None:
            self._dial_later()
            return
        self.link = Link(line, left=self._random.randint(4, 50))
        frames.append(self.link)
        self._say_hello(self.link)
        self._around.agenda.after(ANSWER_SECONDS, self._give_up, self.link)

    def _dial_later(self) -> None:
        away = self.mood.cuts and self._random.random() < 0.05
        self._around.agenda.after(self._random.uniform(0.0, 4.0 if away else 0.3), self._dial)

    def _give_up(self, link: Link) -> None:
        if link is self.link and not link.welcomed:
            self._complain("I7", "no answer", f"to Hello, for {ANSWER_SECONDS:g} s")
            self.cut()

    def _end(self, link: Link, code: int) -> None:
        if link is self.link:
            self.link = None
            self._around.record(Closed(self.name, code))
            self.counts[f"closed with {code}"] += 1
            self._dial_later()

    def _say_hello(self, link: Link) -> None:
        if self.mood.cuts and self.connections and self._random.random() < 0.03:
            self._lose_store()
        self._abandon_some()
        if self.mood.writes and self._random.random() < 0.3:  # offline
            self._compose_some(self._random.randint(1, 5))
        messages = list(self.outbox.values())
        first = self._random.randint(0, len(messages)) if self.mood.writes else len(messages)
        link.offered = [message.id for message in messages[:first]]
        hello = pb.Hello(
            partitions=[self._position(partition) for partition in self._around.partitions],
            epoch=self._epoch,
            state_version=self.version,
            messages=messages[:first],
            agent="simulation",
        )
        self._around.record(Knocked(self.name, self._places(), self.version))
        self._note_resends(messages)
        self._post(link, hello=hello)
        if messages[first:]:
            self._post(link, body=pb.Body(messages=messages[first:]))

    def _lose_store(self) -> None:
        """What was written and not answered is gone with it."""
        self.counts["stores lost"] += 1
        self._start = pb.FIRST
        self._epoch = self.version = 0
        self._whole_state = False
        self.outbox.clear()
        self._answered.clear()
        self.shelves = {}

    def _abandon_some(self) -> None:
        """Whether these were stored, nobody will ever tell this device, unless they come back as its own."""
        for message_id in list(self.outbox):
            if self.mood.writes and self._random.random() < 0.03:
                del self.outbox[message_id]
                self.counts["abandoned"] += 1

    def _note_resends(self, messages: Sequence[pb.Message]) -> None:
        for message in messages:
            self.counts["resent"] += message.id in self._sent_before
            self._sent_before.add(message.id)

    def _places(self) -> dict[str, Place]:
        """What it has by now, which is nothing where it lost its store."""
        if not self.connections:
            return {}
        return {
            partition: self.shelves[partition].place() if partition in self.shelves else Place(0)
            for partition in self._around.partitions
        }

    def _position(self, partition: str) -> pb.Position:
        shelf = self.shelves.get(partition)
        if shelf is None:
            return pb.Position(partition=partition, start=self._start)
        held = [sight.span(first, last) for first, last in lowest(shelf.place().held, self._around.told)]
        return pb.Position(partition=partition, offset=shelf.offset, held=held)

    def _receive(self, link: Link, frame: bytes) -> None:
        if link is not self.link:
            return
        scheme = pb.MessageScheme.FromString(frame)
        kind = scheme.WhichOneof("payload")
        if not link.welcomed:
            self._take_answer(link, scheme)
        elif kind == "body":
            self._take_body(link, scheme.body)
        elif kind == "error":
            self._take_error(link, scheme.error)
        else:
            self._complain("I5", "client", f"was sent {kind}")
        if link is self.link:
            self._behave(link)

    def _behave(self, link: Link) -> None:
        if self.mood.dawdles and self._random.random() < 0.02:
            link.line.linger(self._random.uniform(0.0, 0.5))
        link.left -= 1
        if self.mood.cuts and link.left <= 0:
            self.counts["cuts"] += 1
            self.cut()

    def _take_answer(self, link: Link, scheme: pb.MessageScheme) -> None:
        if scheme.WhichOneof("payload") == "hello":
            self._welcome(link, scheme.hello)
            return
        error = scheme.error
        if error.code not in AGAIN:
            self._complain("I5", "client", f"Hello was answered with {str(scheme)[:200]}")
        self.cut()

    def _welcome(self, link: Link, hello: pb.Hello) -> None:
        self._around.record(sight.opened(self.name, hello))
        if self._epoch not in {0, hello.epoch}:
            self._begin_anew()
        self._epoch, link.version = hello.epoch, hello.state_version
        for log in hello.logs:
            link.heads[log.partition] = log.head
            if log.partition not in self.shelves:
                shelf = self.shelves[log.partition] = Shelf()
                shelf.reach(log.position)
            self.shelves[log.partition].pending.clear()  # the position that was told has acknowledged them
        for gap in hello.gaps:
            self.shelves[gap.partition].hold(getattr(gap, "from"), gap.to)
        self._whole_state = False
        link.welcomed = True
        self.connections += 1
        for message_id, result in zip(link.offered, hello.results, strict=True):
            if result.HasField("sent"):
                self._take_sent(link, result.sent)
            else:
                result.error.id = result.error.id or message_id
                self._take_error(link, result.error)

    def _begin_anew(self) -> None:
        """Another epoch: an older copy of the server's store was put back."""
        self.counts["told another epoch"] += 1
        self.shelves = {}
        self.version = 0
        self._answered.clear()

    def _take_body(self, link: Link, body: pb.Body) -> None:
        for signal in body.signals:
            self._take_sent(link, signal)
        for error in body.errors:
            self._take_error(link, error)
        for delta in body.states:
            self._take_state(delta)
        if (body.partition or body.messages) and link is self.link:
            self._take_entries(link, body)

    def _take_state(self, delta: pb.StateDelta) -> None:
        self._around.record(sight.state(self.name, delta))
        self._whole_state = (self._whole_state or delta.reset) and not delta.complete
        if not self._whole_state:  # which counts when it is complete
            self.version = delta.upto

    def _take_sent(self, link: Link, signal: pb.Signal) -> None:
        if signal.ref in link.contradictions:
            self._complain("I5", "duplicated", f"other content under the id {signal.id} was accepted")
            return
        self.counts["acknowledged"] += not signal.duplicate
        self.counts["duplicates answered"] += signal.duplicate
        self._around.record(Answered(self.name, signal.id, sight.ids(signal), signal.duplicate))
        shelf = self.shelves.get(signal.partition)
        if shelf is not None:
            shelf.hold(signal.user_offset, signal.user_offset)
        message = self.outbox.pop(signal.id, None)
        if message is not None:
            self._answered = [*self._answered[-5:], message]

    def _take_error(self, link: Link, error: pb.ErrorMessage) -> None:
        code = pb.ErrorCode.Name(error.code)
        if link.contradictions.pop(error.ref, None) is not None:
            self.counts["conflicts answered"] += error.code == pb.CONFLICT
        elif error.id:
            unknown = error.code == pb.UNKNOWN_OUTCOME
            self._around.record(Refused(self.name, error.id, code, unknown=unknown))
            self.counts["outcome unknown" if unknown else "refused"] += 1
            if error.code in AGAIN:
                self.cut()  # and send it again behind the next Hello
            else:
                self.outbox.pop(error.id, None)
        else:
            self._complain("I5", "client", f"was told {code}: {error.message}")

    def _take_entries(self, link: Link, body: pb.Body) -> None:
        turn = Turn(body.turn)
        if body.ref in link.conversations:
            turn = Turn.HISTORY
        deliveries = tuple(map(sight.delivery, body.messages))
        batch = Batch(
            self.name, body.partition, body.after, body.upto, turn, deliveries, tuple(map(sight.gap, body.gaps))
        )
        self._around.record(batch)
        if turn is Turn.HISTORY:
            return
        self.counts["redelivered"] += len(deliveries) if turn is Turn.REDELIVERED else 0
        shelf = self.shelves[body.partition]
        if turn is Turn.IN_TURN and body.after > shelf.offset:
            self._complain("I4", "skipped", f"({body.after}, {body.upto}] begins beyond {shelf.offset}")
            self.cut()
            return
        self._take_deliveries(shelf, batch)
        if turn is Turn.IN_TURN:
            shelf.reach(body.upto)
        self._react(link, batch)

    def _take_deliveries(self, shelf: Shelf, batch: Batch) -> None:
        for gap in batch.gaps:
            shelf.hold(gap.first, gap.last)
        for delivery in batch.deliveries:
            shelf.pending.add(delivery.offset)
            if delivery.author == self.name:
                self.outbox.pop(delivery.id, None)  # as good as its SENT
            elif not shelf.has(delivery.offset):
                self.counts["delivered"] += 1
            if batch.turn is not Turn.IN_TURN:
                shelf.hold(delivery.offset, delivery.offset)

    def _react(self, link: Link, batch: Batch) -> None:
        """Acknowledge in one of the ways that there are, at once or late; tell what was read; ask for something."""
        shelf, random = self.shelves[batch.partition], self._random
        chance = random.random()
        if not self.mood.dawdles or chance < 0.25:
            self._acknowledge(link, batch.partition, upto=shelf.offset)
        elif chance < 0.35 and shelf.pending:
            self._acknowledge(link, batch.partition, one=random.choice(sorted(shelf.pending)))
        elif chance < 0.5 and shelf.pending:
            count = random.randint(1, len(shelf.pending))
            self._acknowledge(link, batch.partition, many=set(random.sample(sorted(shelf.pending), count)))
        elif chance < 0.7:
            self._around.agenda.after(random.uniform(0.0, 3.0), self._acknowledge_late, link, batch.partition)
        if batch.deliveries and self.mood.dawdles:
            if random.random() < 0.15:
                self._read_one(link, batch)
            if random.random() < 0.05:
                self._fetch(link, batch)

    def _acknowledge_late(self, link: Link, partition: str) -> None:
        if link is self.link:
            self._acknowledge(link, partition, upto=self.shelves[partition].offset)

    def acknowledge_all(self) -> None:
        for partition, shelf in self.shelves.items():
            if self.link is not None and self.link.welcomed and shelf.offset:
                self._acknowledge(self.link, partition, upto=shelf.offset)

    def _acknowledge(
        self,
        link: Link,
        partition: str,
        *,
        upto: int = 0,
        one: int = 0,
        many: set[int] = frozenset(),  # type: ignore[assignment]
    ) -> None:
        shelf = self.shelves[partition]
        if not (upto or one or many):
            return
        ranges = lowest(runs(many), self._around.told)[: self._around.told]
        told = ((one, one), *ranges) if one else ranges
        self._around.record(Acked(self.name, partition, upto, told))
        shelf.pending = {
            offset for offset in shelf.pending if offset > upto and not any(a <= offset <= b for a, b in told)
        }
        signal = pb.Signal(
            status=pb.DELIVERED,
            partition=partition,
            upto=upto,
            user_offset=one,
            offsets=[sight.span(a, b) for a, b in ranges],
        )
        self._post(link, signal=signal)

    def _read_one(self, link: Link, batch: Batch) -> None:
        delivery = self._random.choice(batch.deliveries)
        upto = self._random.random() < 0.5
        place = delivery.place
        ranges = () if upto else ((place, place),)
        self._around.record(Read(self.name, delivery.conversation, place if upto else 0, ranges))
        signal = pb.Signal(
            status=pb.READ,
            conversation=delivery.conversation,
            upto=place if upto else 0,
            conversation_offset=0 if upto else place,
        )
        self.counts["receipts"] += 1
        self._post(link, signal=signal)

    def _fetch(self, link: Link, batch: Batch) -> None:
        ref = self._next_ref()
        kind = self._random.choice([pb.UNACKNOWLEDGED, pb.LOG, pb.HISTORY])
        fetch = pb.Fetch(kind=kind, limit=self._random.randint(1, 40), backwards=False)
        if kind == pb.HISTORY:
            fetch.conversation = link.conversations[ref] = batch.deliveries[0].conversation
            fetch.backwards = self._random.random() < 0.5
        else:
            fetch.partition = batch.partition
        if self._random.random() < 0.5:
            fetch.offset = self._random.randint(1, max(1, batch.deliveries[0].offset))
        self._post(link, ref, fetch=fetch)
        self.counts["fetches"] += 1

    def _write_later(self) -> None:
        pause = self._random.expovariate(1 / self.mood.pause_seconds) if self.mood.writes else 0.2
        self._around.agenda.after(pause, self._write)

    def _write(self) -> None:
        self._write_later()
        link = self.link
        if link is None or not link.welcomed or not self.mood.writes or len(self.outbox) >= MAX_OUTBOX:
            return
        ref, chance = self._next_ref(), self._random.random()
        if self._answered and chance < 0.03:
            self.counts["resent"] += 1
            self._post(link, ref, message=self._random.choice(self._answered))
        elif self._answered and chance < 0.05:
            known = self._random.choice(self._answered)
            link.contradictions[ref] = known.id
            self._post(link, ref, message=self._writer.contradict(known))
        else:
            composed = self._compose_some(self._random.randint(2, 8) if chance < 0.3 else 1)
            self._note_resends(composed)
            if len(composed) == 1:
                self._post(link, ref, message=composed[0])
            elif composed:
                self._post(link, ref, body=pb.Body(messages=composed))

    def _compose_some(self, count: int) -> list[pb.Message]:
        return [self._compose() for _ in range(count) if self._around.may_write()]

    def _compose(self) -> pb.Message:
        written: Any = self._writer.write()
        message: pb.Message = written[0]
        self._around.record(written[1])
        self.outbox[message.id] = message
        self.counts["written"] += 1
        return message

    def _next_ref(self) -> int:
        self._refs += 1
        return self._refs

    def _post(self, link: Link, ref: int = 0, **payload: object) -> None:
        link.line.send(sight.encode(ref, **payload))

    def _complain(self, invariant: str, kind: str, line: str) -> None:
        self._around.record(Complaint(self.name, invariant, kind, line))
