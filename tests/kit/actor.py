"""A client that behaves badly from a seed, without I/O: what it says goes to a `Link`, and time is its driver's.

What it keeps over its connections is what a client keeps on disk: epoch, positions with what it holds beyond them,
state version, and the messages that it was not answered for, which it sends again under the same id. Everything that
it does and sees goes into the history, an ack or a message before it leaves. Now and then it loses what it keeps.

A driver (a socket and a task, or calls in virtual time) opens links, says Hello over each, hands over frames, and calls
`write` when the time has come. A new behaviour is written here, once.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random

from tests.kit.befriender import Befriender
from tests.kit.caller import SIGNS, Caller
from tests.kit.codecs import AUDIENCES, FOR_WHOM, SETTINGS, VISIBLE, Codec, Message, error_name, ids
from tests.kit.commander import Commander
from tests.kit.herald import Herald
from tests.kit.history import (
    Acked,
    Answered,
    Batch,
    CallSaid,
    Complaint,
    ContactAnswered,
    ContactRefused,
    ContactSaid,
    Delivery,
    Done,
    Event,
    ExceptionSaid,
    GroupAnswered,
    GroupAsked,
    Kind,
    Knocked,
    Labelled,
    LabelSaid,
    Marked,
    Name,
    Opened,
    Place,
    Read,
    ReadSet,
    Refused,
    SettingsAnswered,
    SettingsSaid,
    Shown,
    Turn,
    Wrote,
)
from tests.kit.locator import Locator
from tests.kit.position_model import PositionModel, lowest, runs
from tests.kit.writer import Writer

MAX_OUTBOX = 24
FIRST = 1
"""A Position's `start`, as a number: the same in both codecs."""
GREETS_EVERY = 13
"""Requests, between two greetings of its siblings."""
UNKNOWN = "UNKNOWN_OUTCOME"
AGAIN = {UNKNOWN, "UNAVAILABLE", "STORAGE_FULL", "RATE_LIMITED"}
"""Errors after which a client connects again, and sends again."""


@dataclass(frozen=True)
class Mood:
    """How a device behaves just now."""

    writes: bool = False
    cuts: bool = False
    dawdles: bool = False
    """Acknowledges late, reads slowly, asks for what it has."""
    forgets: bool = False
    """Loses its store, now and then."""
    pause_seconds: float = 0.01
    """Between two writes, on average."""


CALM = Mood()
IDLE_SECONDS = 0.2
"""Until a device that does not write looks again whether it should."""


@dataclass(frozen=True)
class Habits:
    """How one driver's devices differ from another's."""

    agent: str
    frames: tuple[int, int]
    """How many it takes until it cuts: at least, at most."""
    acks: tuple[float, float, float, float]
    """Chances of an ack of all, one, some, and of all but later: each with those before it."""
    late_seconds: float = 0.0
    """An ack that comes later, at most."""
    linger_seconds: float = 0.0
    """How long nothing is taken, at most, now and then."""
    pushes: bool = False
    """The server has a gateway of push."""
    blocks: bool = False
    """It blocks others, now and then: of some messages nobody knows then for whom they are."""
    may_be_refused: bool = False
    """Hello may be answered with an error after which one tries again: the disk fails."""


@dataclass
class Link:
    """One connection. Its driver says how frames leave, how it is cut, how time passes."""

    welcomed: bool = False
    is_cut: bool = False
    heads: dict[str, int] = field(default_factory=dict)  # as Hello told them
    version: int = 0
    offered: list[str] = field(default_factory=list)  # the messages in Hello
    contradictions: dict[int, str] = field(default_factory=dict)
    conversations: dict[int, str] = field(default_factory=dict)  # what a Fetch asked for
    states: set[int] = field(default_factory=set)  # what asked for the state
    intents: set[int] = field(default_factory=set)  # what said how the user is
    wishes: set[int] = field(default_factory=set)  # changes of settings, labels, and FORWARDED
    frames_left: int = 0  # until it is cut

    def send(self, frame: bytes) -> None:
        raise NotImplementedError

    def cut(self) -> None:
        """End it without a word. What arrives afterwards is not taken."""
        self.is_cut = True

    def linger(self, seconds: float) -> None:
        """Take nothing for a while."""
        raise NotImplementedError

    def after(self, seconds: float, call: Callable[[], None]) -> None:
        """Call later, unless the link has ended by then."""
        raise NotImplementedError


class Actor:
    def __init__(
        self,
        name: Name,
        codec: Codec,
        *,
        habits: Habits,
        random: Random,
        record: Callable[[Event], None],
        directory: Sequence[Name],
        partitions: Sequence[str],
        told: int,
        start: int = FIRST,
        may_write: Callable[[], bool] = lambda: True,
    ) -> None:
        """`told`: how many held offsets a Hello or an ack names at most. `may_write`: asked for each message."""
        self.name = name
        self.mood = CALM
        self.link: Link | None = None
        """The connection whose Hello was answered."""
        self.connections = 0
        self.positions: dict[str, PositionModel] = {}
        self.version = 0
        self.outbox: dict[str, Message] = {}
        self.counts: Counter[str] = Counter()
        self._codec = codec
        self._habits = habits
        self._random = random
        self._record = record
        self._partitions = partitions
        self._told = told
        self._start = start
        self._may_write = may_write
        self._epoch = 0
        self.is_subscribed = False
        """It was answered that it is reached by push."""
        self._whole_state = False
        self._refs = 0
        self._greetings = 0
        self._greeted: Counter[str] = Counter()  # by sibling, the last that was heard
        self._answered: list[Message] = []
        self._users = list(dict.fromkeys(other.eid for other in directory))
        self._groups: dict[str, str] = {}  # that it believes to be in, with its role
        self._commander = Commander(codec, name, random)
        self._caller = Caller(codec, name, random)
        self._locator = Locator(codec, name, random)
        self._befriender = Befriender(codec, name, self._users, random, blocks=habits.blocks)
        self._herald = Herald(codec, name, random)
        self._commands: dict[str, Message] = {}  # that were not answered
        self._requests: dict[str, Message] = {}  # changes of groups that were not answered
        self._sent_before: set[str] = set()
        self._whole: dict[str, Wrote] = {}  # what was written to all devices
        self._directory = directory
        self._writer = Writer(codec, name, directory, partitions, random)

    @property
    def lacks(self) -> str:
        """What it waits for before it has everything that the last Hello spoke of; empty when it has."""
        if self.link is None:
            return "a connection"
        if self.calls:
            return f"the end of {self.calls}"
        contacts = self._befriender.unanswered
        if self.outbox or self._requests or self._commands or contacts:
            return f"answers for {[*self.outbox, *self._requests, *self._commands, *contacts]}"
        for partition, head in self.link.heads.items():
            if self.positions[partition].offset < head:
                return f"{partition} up to {head}: it has {self.positions[partition].place()}"
        return "" if self.version >= self.link.version else f"state up to {self.link.version}: it has {self.version}"

    @property
    def calls(self) -> list[str]:
        """Lists the calls of which it was told no end."""
        return self._caller.open

    def cut(self) -> None:
        if self.link is not None:
            self.link.cut()

    # Hello.

    def say_hello(self, link: Link) -> None:
        link.frames_left = self._random.randint(*self._habits.frames)
        if self.mood.forgets and self.connections and self._random.random() < 0.03:
            self._lose_store()
        self._abandon_some()
        if self.mood.writes and self._random.random() < 0.3:  # offline
            self._compose_some(self._random.randint(1, 5))
        messages = list(self.outbox.values())
        first = self._random.randint(0, len(messages)) if self.mood.writes else len(messages)
        link.offered = [message.id for message in messages[:first]]
        hello = self._codec.messages.Hello(
            partitions=[self._position(partition) for partition in self._partitions],
            epoch=self._epoch,
            state_version=self.version,
            messages=messages[:first],
            agent=self._habits.agent,
        )
        self._record(Knocked(self.name, self._places(), self.version))
        self._note_resends(messages)
        self._post(link, hello=hello)
        if messages[first:]:
            self._post(link, body=self._codec.messages.Body(messages=messages[first:]))

    def _lose_store(self) -> None:
        """What was written and not answered is gone with it."""
        self.counts["stores lost"] += 1
        self._start = FIRST
        self._epoch = self.version = 0
        self._whole_state = False
        self.outbox.clear()
        self._requests.clear()
        self._commands.clear()
        self._commander.forget()
        self._caller.forget()
        self._befriender.forget()
        self._answered.clear()
        self.positions = {}

    def _abandon_some(self) -> None:
        """Whether these were stored, nobody will ever tell this device, unless they come back as its own."""
        for message_id in list(self.outbox):
            if self.mood.writes and self._random.random() < 0.03:
                del self.outbox[message_id]
                self.counts["abandoned"] += 1

    def _note_resends(self, messages: Sequence[Message]) -> None:
        for message in messages:
            self.counts["resent"] += message.id in self._sent_before
            self._sent_before.add(message.id)

    def _places(self) -> dict[str, Place]:
        """What it has by now, which is nothing where it lost its store."""
        if not self.connections:
            return {}
        return {
            partition: self.positions[partition].place() if partition in self.positions else Place(0)
            for partition in self._partitions
        }

    def _position(self, partition: str) -> Message:
        position = self.positions.get(partition)
        if position is None:
            return self._codec.messages.Position(partition=partition, start=self._start)
        held = [self._codec.span(first, last) for first, last in lowest(position.place().held, self._told)]
        return self._codec.messages.Position(partition=partition, offset=position.offset, held=held)

    # What comes.

    def receive(self, link: Link, frame: bytes) -> None:
        if link.is_cut:
            return
        scheme = self._codec.decode(frame)
        payload = self._codec.payload_of(scheme)
        if not link.welcomed:
            self._take_answer(link, payload, scheme)
        elif payload == "body":
            self._take_body(link, scheme.body)
        elif payload == "error":
            self._take_error(link, scheme.error)
        elif payload == "settings":
            told = scheme.settings
            exceptions = tuple(self._codec.excepted(one) for one in told.exceptions)
            self._record(SettingsAnswered(self.name, self._codec.settings(told), exceptions))
        elif payload == "awareness_visibility":
            self.counts["switches answered"] += 1
        elif payload == "contact":
            self._take_contact(scheme.contact)
        elif payload == "conversation":
            self._take_group(scheme.conversation)
        elif payload == "state_delta" and scheme.ref in link.states:
            link.states.remove(scheme.ref)
            self._record(self._codec.state(self.name, scheme.state_delta)._replace(asked=True))
            self.counts["states answered"] += 1
        elif payload == "push_notification":
            self.is_subscribed = True
        elif payload == "awareness":
            self._take_status(link, scheme)
        elif payload == "peer_signal":
            self.counts["siblings greeted"] += scheme.peer_signal.reached
        elif payload == "location_stream":
            self._record(self._locator.answered(scheme.location_stream))
            self.counts["locations answered"] += 1
        elif payload == "devices":
            self._take_label(scheme.devices)
        else:
            self._complain("I5", "client", f"was sent {payload}")
        if not link.is_cut:
            self._behave(link)

    def _behave(self, link: Link) -> None:
        if self.mood.dawdles and self._random.random() < 0.02:
            link.linger(self._random.uniform(0.0, self._habits.linger_seconds))
        link.frames_left -= 1
        if self.mood.cuts and link.frames_left <= 0:
            self.counts["cuts"] += 1
            link.cut()

    def _take_answer(self, link: Link, payload: str, scheme: Message) -> None:
        if payload == "hello":
            self._welcome(link, scheme.hello)
            return
        is_usual = self._habits.may_be_refused and payload == "error" and error_name(scheme.error) in AGAIN
        if not is_usual:
            self._complain("I5", "client", f"Hello was answered with {str(scheme)[:200]}")
        link.cut()

    def _welcome(self, link: Link, hello: Message) -> None:
        opened = self._codec.opened(self.name, hello)
        self._record(opened)
        if self._epoch not in {0, opened.epoch}:
            self._begin_anew()
        self._epoch, link.version = opened.epoch, opened.version
        self._take_seats(link, opened)
        self._whole_state = False
        self.link = link
        link.welcomed = True
        self.connections += 1
        for message_id, result in zip(link.offered, hello.results, strict=True):
            if self._codec.has(result, "sent"):
                self._take_sent(link, result.sent)
            elif self._codec.has(result, "error"):
                result.error.id = result.error.id or message_id
                self._take_error(link, result.error)
        for said in [*self._caller.again()]:
            self._say_of_call(link, *said)
        for request in self._requests.values():
            self._post(link, self._next_ref(), conversation=request)
        for request in self._befriender.unanswered.values():
            self._post(link, self._next_ref(), contact=request)
        if self._commands:
            self._post(link, body=self._codec.messages.Body(commands=list(self._commands.values())))

    def _take_seats(self, link: Link, opened: Opened) -> None:
        for partition, seat in opened.seats.items():
            link.heads[partition] = seat.head
            if partition not in self.positions:
                position = self.positions[partition] = PositionModel()
                position.reach(seat.position)
            self.positions[partition].pending.clear()  # the position that was told has acknowledged them
        for partition, gaps in opened.gaps.items():
            for gap in gaps:
                self.positions[partition].hold(gap.first, gap.last)

    def _begin_anew(self) -> None:
        """Another epoch: an older copy of the server's store was put back."""
        self.counts["told another epoch"] += 1
        self.positions = {}
        self.version = 0
        self._answered.clear()
        self._commander.forget()

    def _take_body(self, link: Link, body: Message) -> None:
        for signal in body.signals:
            if signal.call:
                self._take_call(link, signal)
            else:
                self._take_sent(link, signal)
        for location in body.locations:
            self._record(self._locator.told(location))
            self.counts["locations told"] += location.has_position
        for signal in body.peer_signals:
            self._take_peer_signal(signal)
        if body.awareness or body.awareness_reset:
            self._take_awareness(body)
        for command in body.commands:
            self._take_done(command)
        for error in body.errors:
            self._take_error(link, error)
        if int(body.turn) not in {Turn.FETCH, Turn.RESUME}:  # else: what is so now of its messages, and no page
            for delta in body.states:
                self._take_state(delta)
        if (body.partition or body.messages) and not link.is_cut:
            self._take_entries(link, body)

    def _greet_siblings(self, link: Link) -> None:
        """Says something to all other devices of its user, numbered."""
        self._greetings += 1
        self._post(
            link, self._next_ref(), peer_signal=self._codec.messages.PeerSignal(kind="hello", id=str(self._greetings))
        )

    def _take_peer_signal(self, signal: Message) -> None:
        """Only devices of the same user say any, each in its order, and nothing comes twice."""
        author, number = self._codec.author(signal), int(signal.id)
        if author.eid != self.name.eid or author == self.name:
            self._complain("I5", "misdirected", f"hears {signal} of {author}")
        if number <= self._greeted[author.device]:
            self._complain("I3", "reordered", f"hears {number} of {author} behind {self._greeted[author.device]}")
        self._greeted[author.device] = number
        self.counts["greetings of siblings"] += 1

    def _take_call(self, link: Link, signal: Message) -> None:
        told = self._codec.told_of_call(self.name, signal)
        self._record(told)
        self.counts[f"calls: {told.end.name if told.end else told.step.name}".lower()] += 1
        said = self._caller.told(told)
        if said is not None and not link.is_cut:
            self._say_of_call(link, *said)

    def _say_of_call(self, link: Link, signal: Message, said: CallSaid) -> None:
        self._record(said)
        self._post(link, self._next_ref(), signal=signal)

    def _take_state(self, delta: Message) -> None:
        state = self._codec.state(self.name, delta)
        self._record(state)
        self._befriender.told(state.contacts)
        for group in state.groups:
            self._groups.pop(group.id, None)
            if group.role:
                self._groups[group.id] = group.role
        self._whole_state = (self._whole_state or delta.reset) and not delta.complete
        if not self._whole_state:  # which counts when it is complete
            self.version = delta.upto

    def _take_sent(self, link: Link, signal: Message) -> None:
        if signal.ref in link.contradictions:
            self._complain("I5", "duplicated", f"other content under the id {signal.id} was accepted")
            return
        self.counts["acknowledged"] += not signal.duplicate
        self.counts["duplicates answered"] += signal.duplicate
        self._record(Answered(self.name, signal.id, ids(signal), signal.duplicate))
        position = self.positions.get(signal.partition)
        if position is not None:
            position.hold(signal.user_offset, signal.user_offset)
        message = self.outbox.pop(signal.id, None)
        if message is not None:
            self._answered = [*self._answered[-5:], message]

    def _take_error(self, link: Link, error: Message) -> None:
        code = error_name(error)
        if link.contradictions.pop(error.ref, None) is not None:
            self.counts["conflicts answered"] += code == "CONFLICT"
        elif error.id in self._commands:
            self._take_failure(link, error.id, code)
        elif error.id in self._requests:
            self._take_refusal(link, error.id, code)
        elif error.id in self._befriender.unanswered:
            self._take_contact_refusal(link, error.id, code)
        elif code == "NOT_FOUND" and error.field == "conversation":  # the user left it, as another device may have said
            self.counts["told that it is in no such group"] += 1
        elif error.ref in link.states and code in AGAIN:
            self.counts["states refused"] += 1
        elif error.id.startswith(SIGNS):
            self._caller.refused(error.id)
            self.counts["calls refused"] += 1
        elif error.ref in link.wishes and code in {*AGAIN, "NOT_FOUND"}:
            self.counts["wishes refused"] += 1
        elif error.id in self._whole and code == "CONFLICT":
            self._write_to_all(link, error)
        elif error.id:
            self._record(Refused(self.name, error.id, code, unknown=self._is_unknown(code)))
            self.counts["outcome unknown" if code == UNKNOWN else "refused"] += 1
            if code in AGAIN:
                link.cut()  # and send it again behind the next Hello
            else:
                self.outbox.pop(error.id, None)
        elif self._habits.may_be_refused and code in AGAIN:
            self.counts["asked too early"] += 1
        else:
            self._complain("I5", "client", f"was told {code}: {error.message}")

    def _is_unknown(self, code: str) -> bool:
        """Whether the message may be stored all the same."""
        return code == UNKNOWN

    def _take_entries(self, link: Link, body: Message) -> None:
        turn = Turn.HISTORY if body.ref in link.conversations else Turn(int(body.turn))
        batch = self._codec.batch(self.name, body, turn)
        self._record(batch)
        if turn is Turn.HISTORY:
            return
        self.counts["redelivered"] += len(batch.deliveries) if turn is Turn.REDELIVERED else 0
        position = self.positions[batch.partition]
        if turn is Turn.IN_TURN and batch.after > position.offset:
            self._complain("I4", "skipped", f"({batch.after}, {batch.upto}] begins beyond {position.offset}")
            link.cut()
            return
        self._take_deliveries(position, batch)
        if turn is Turn.IN_TURN:
            position.reach(batch.upto)
        self._react(link, batch)

    def _take_deliveries(self, position: PositionModel, batch: Batch) -> None:
        for gap in batch.gaps:
            position.hold(gap.first, gap.last)
        for delivery in batch.deliveries:
            self._commander.saw(delivery)
            position.pending.add(delivery.offset)
            if delivery.author == self.name:
                self.outbox.pop(delivery.id, None)  # as good as its SENT
            elif not position.has(delivery.offset):
                self.counts["delivered"] += 1
            if batch.turn is not Turn.IN_TURN:
                position.hold(delivery.offset, delivery.offset)

    # What it does about it.

    def _react(self, link: Link, batch: Batch) -> None:
        """Acknowledge in one of the ways that there are, at once or late; tell what was read; ask for something."""
        position, random = self.positions[batch.partition], self._random
        everything, one, some, late = self._habits.acks
        chance = random.random()
        if batch.turn is Turn.RESUME and batch.deliveries and random.random() < 0.8:
            self._acknowledge(link, batch.partition, many={delivery.offset for delivery in batch.deliveries})
        if not self.mood.dawdles or chance < everything:
            self._acknowledge(link, batch.partition, upto=position.offset)
        elif chance < one and position.pending:
            self._acknowledge(link, batch.partition, one=random.choice(sorted(position.pending)))
        elif chance < some and position.pending:
            count = random.randint(1, len(position.pending))
            self._acknowledge(link, batch.partition, many=set(random.sample(sorted(position.pending), count)))
        elif some <= chance < late:
            seconds = random.uniform(0.0, self._habits.late_seconds)
            link.after(seconds, lambda: self._acknowledge_late(link, batch.partition))
        if batch.deliveries and self.mood.dawdles:
            if random.random() < 0.15:
                self._read_one(link, batch)
            if random.random() < 0.05:
                self._fetch(link, batch)
            if random.random() < 0.1:
                self._mark_read(link, random.choice(batch.deliveries))
            if random.random() < 0.2:
                self._command(link)
            if random.random() < 0.04:
                self._forward(link)
            if random.random() < 0.03:
                self._label(link)
            if random.random() < 0.04:
                self._change_setting(link)
            if random.random() < 0.03:
                self._except(link)
            if random.random() < 0.04:
                self._ask_state(link)
            if random.random() < 0.1:
                self._say_location(link)
            if random.random() < 0.1:
                self._say_of_user(link)
            if random.random() < 0.03:
                self._resume(link, random.choice(batch.deliveries).conversation)
            if self._habits.pushes and random.random() < 0.03:
                self.subscribe()

    def _acknowledge_late(self, link: Link, partition: str) -> None:
        if link is self.link and partition in self.positions:
            self._acknowledge(link, partition, upto=self.positions[partition].offset)

    def acknowledge_all(self) -> None:
        if self.link is not None:
            for partition, position in self.positions.items():
                self._acknowledge(self.link, partition, upto=position.offset)

    def _acknowledge(
        self,
        link: Link,
        partition: str,
        *,
        upto: int = 0,
        one: int = 0,
        many: set[int] = frozenset(),  # type: ignore[assignment]
    ) -> None:
        position = self.positions[partition]
        if not (upto or one or many):
            return
        ranges = lowest(runs(many), self._told)[: self._told]
        told = ((one, one), *ranges) if one else ranges
        self._record(Acked(self.name, partition, upto, told))
        position.pending = {
            offset for offset in position.pending if offset > upto and not any(a <= offset <= b for a, b in told)
        }
        signal = self._codec.messages.Signal(
            status=self._codec.messages.MessageStatus.DELIVERED,
            partition=partition,
            upto=upto,
            user_offset=one,
            offsets=[self._codec.span(a, b) for a, b in ranges],
        )
        self._post(link, signal=signal)

    def _read_one(self, link: Link, batch: Batch) -> None:
        delivery = self._random.choice(batch.deliveries)
        upto = self._random.random() < 0.5
        place = delivery.place
        kind = Kind.READ if upto or self._random.random() < 0.6 else Kind.PLAYED
        read = Read(self.name, delivery.conversation, place if upto else 0, () if upto else ((place, place),), kind)
        self._record(read)
        self.counts["played"] += kind is Kind.PLAYED
        signal = self._codec.messages.Signal(
            status=getattr(self._codec.messages.MessageStatus, kind.name),
            conversation=delivery.conversation,
            upto=place if upto else 0,
            conversation_offset=0 if upto else place,
        )
        self.counts["receipts"] += 1
        self._post(link, signal=signal)

    def _mark_read(self, link: Link, delivery: Delivery) -> None:
        self._record(ReadSet(self.name, delivery.conversation, delivery.place))
        command = self._codec.messages.Command(
            kind=self._codec.command_kind("MARK_READ"),
            conversation=delivery.conversation,
            conversation_offset=delivery.place,
        )
        self.counts["read markers"] += 1
        self._post(link, command=command)

    def _command(self, link: Link) -> None:
        composed = self._commander.command()
        if composed is not None and len(self._commands) < MAX_OUTBOX:
            command, given = composed
            self._record(given)
            self._commands[command.id] = command
            self.counts["commands"] += 1
            self._post(link, command=command)

    def _forward(self, link: Link) -> None:
        """Says by a signal that a message was forwarded, and now and then by the command as well: it counts once."""
        composed = self._commander.forwarded()
        if composed is None or len(self._commands) >= MAX_OUTBOX:
            return
        signal, command, given = composed
        self._record(given)
        self.counts["forwarded"] += 1
        ref = self._next_ref()
        link.wishes.add(ref)
        self._post(link, ref, signal=signal)
        if self._random.random() < 0.6:
            self._commands[command.id] = command
            self._post(link, command=command)

    def _say_of_user(self, link: Link) -> None:
        """How the user is, how far somebody is at the device, or what the user does."""
        ref, chance = self._next_ref(), self._random.random()
        link.wishes.add(ref)
        if chance < 0.3:
            awareness, intent = self._herald.intent()
            self._record(intent)
            link.intents.add(ref)
            self.counts["intents"] += 1
        elif chance < 0.5:
            awareness, focus = self._herald.any_focus()
            self._record(focus)
        else:
            others = [user for user in self._users if user != self.name.eid]
            awareness, activity = self._herald.activity(sorted(self._groups), others)
            self._record(activity)
            self.counts["activities"] += 1
        self._post(link, ref, awareness=awareness)

    def say_of_user(self, times: int) -> None:
        if self.link is not None:
            for _ in range(times):
                self._say_of_user(self.link)

    def look_away(self) -> None:
        """Says that nobody looks at the device."""
        assert self.link is not None
        awareness, focus = self._herald.focus(Shown.AWAY)
        self._record(focus)
        ref = self._next_ref()
        self.link.wishes.add(ref)
        self._post(self.link, ref, awareness=awareness)

    def _take_status(self, link: Link, scheme: Message) -> None:
        if scheme.ref in link.intents:
            self._record(self._herald.answered(scheme.awareness))
            self.counts["intents answered"] += 1

    def _take_awareness(self, body: Message) -> None:
        presence, doing = self._herald.told(body)
        self._record(presence)
        for activity in doing:
            self._record(activity)
        self.counts["users shown"] += len(presence.shown)
        self.counts["activities told"] += len(doing)

    def _resume(self, link: Link, conversation: str) -> None:
        ref = self._next_ref()
        link.wishes.add(ref)
        self.counts["conversations resumed"] += 1
        self._post(link, ref, awareness=self._herald.resume(conversation))

    def _say_location(self, link: Link) -> None:
        location, said = self._locator.say(sorted(self._groups))
        self._record(said)
        ref = self._next_ref()
        link.wishes.add(ref)
        self.counts["locations"] += 1
        self._post(link, ref, location_stream=location)

    def _label(self, link: Link) -> None:
        """Calls a device of its user something, or nothing any more."""
        own = [self.name, *(name for name in self._directory if name.eid == self.name.eid and name != self.name)]
        named, ref = self._random.choice(own), self._next_ref()
        label = "" if self._random.random() < 0.2 else f"called {ref} by {self.name.device}"
        link.wishes.add(ref)
        self._record(LabelSaid(self.name, named, label))
        action = self._codec.device_actions.RENAME
        self.counts["labels"] += 1
        self._post(link, ref, devices=self._codec.messages.Devices(action=action, name=named.device, label=label))

    def _take_label(self, answer: Message) -> None:
        self._record(Labelled(self.name, Name(self.name.eid, answer.name), answer.label))

    def _take_done(self, command: Message) -> None:
        if command.kind == self._codec.command_kind("MARK_READ"):
            self._record(Marked(self.name, command.conversation, command.conversation_offset))
            return
        self._commands.pop(command.id, None)
        place = command.conversation_offset
        done = Done(self.name, command.id, command.conversation, place, command.stamp, command.version)
        self._record(done._replace(duplicate=command.duplicate, superseded=command.superseded))
        self.counts["commands superseded"] += command.superseded
        self.counts["commands answered"] += not command.duplicate

    def _take_failure(self, link: Link, command_id: str, code: str) -> None:
        if code in AGAIN:
            link.cut()  # and say it again behind the next Hello
        else:
            del self._commands[command_id]
            self.counts[f"commands refused: {code}"] += 1

    def _change_setting(self, link: Link) -> None:
        """With a clock of its own, which may run ahead, or none."""
        random, messages = self._random, self._codec.messages
        number, value, ref = random.randint(1, VISIBLE), random.choice([0, 1, 1, 2]), self._next_ref()
        stamp = random.choice([0, 2**64 - 1, random.getrandbits(40)])
        link.wishes.add(ref)
        self.counts["settings"] += 1
        if number == VISIBLE:
            self._record(SettingsSaid(self.name, number, value % 2))
            if random.random() < 0.5:
                switch = messages.AwarenessVisibility(visible=bool(value % 2), stamp=stamp)
                self._post(link, ref, awareness_visibility=switch)
            else:
                self._post(link, ref, settings=messages.Settings(visible=bool(value % 2), stamp=stamp))
            return
        self._record(SettingsSaid(self.name, number, value))
        settings = messages.Settings(stamp=stamp)
        if value == FOR_WHOM[2] or random.random() < 0.5:
            told = next(told for told, meant in FOR_WHOM.items() if meant == value)
            setattr(settings, AUDIENCES[number - 1], told)
        else:
            setattr(settings, SETTINGS[number - 1], bool(value))
        self._post(link, ref, settings=settings)

    def _except(self, link: Link) -> None:
        """Says what holds for another user, or nothing any more."""
        random, messages = self._random, self._codec.messages
        other, number, value = random.choice(self._users), random.randint(1, len(SETTINGS)), random.randint(1, 3)
        if other == self.name.eid:
            return
        ref = self._next_ref()
        link.wishes.add(ref)
        self._record(ExceptionSaid(self.name, other, number, value))
        exception = messages.PrivacyException(eid=other, stamp=random.choice([0, random.getrandbits(40)]))
        setattr(exception, SETTINGS[number - 1], value)
        self.counts["exceptions"] += 1
        self._post(link, ref, settings=messages.Settings(exceptions=[exception]))

    def _change_group(self, link: Link, ref: int) -> None:
        """Creates a group, or does to one whatever there is to do, whether its role allows it or not."""
        random, actions, message = self._random, self._codec.actions, self._codec.messages
        request = message.Conversation(request_id=f"{self.name.device}-g{ref}")
        if not self._groups or (len(self._groups) < 3 and random.random() < 0.3):
            request.action, request.title = actions.CREATE, f"group of {self.name} {ref}"
            others = random.sample(self._users, random.randint(0, min(4, len(self._users))))
            request.members.extend([message.Member(eid=eid) for eid in others])
        else:
            request.id = random.choice(sorted(self._groups))
            request.action = random.choice(
                [
                    *[actions.INVITE] * 4,
                    *[actions.REMOVE_MEMBER] * 2,
                    actions.LEAVE,
                    actions.RENAME,
                    actions.SET_ROLE,
                    actions.SET_ROLE,
                ]
            )
            if request.action == actions.RENAME:
                request.title = f"renamed by {self.name} {ref}"
            elif request.action != actions.LEAVE:
                role = random.choice(["owner", "admin", "member"]) if request.action == actions.SET_ROLE else ""
                request.members.extend([message.Member(eid=random.choice(self._users), role=role)])
        self._requests[request.request_id] = request
        self._record(GroupAsked(self.name, request.request_id))
        self.counts["changes of groups"] += 1
        self._post(link, ref, conversation=request)

    def _take_group(self, answer: Message) -> None:
        self._requests.pop(answer.request_id, None)
        self._record(GroupAnswered(self.name, answer.request_id, answer.id, answer.conversation_offset))
        self.counts["groups changed"] += not answer.duplicate

    def _take_refusal(self, link: Link, request_id: str, code: str) -> None:
        if code in AGAIN:
            link.cut()  # and ask again behind the next Hello
        else:
            del self._requests[request_id]
            self.counts["changes of groups refused"] += 1

    def _change_contact(self, link: Link, ref: int) -> None:
        composed = self._befriender.change()
        if composed is not None:
            self._say_of_contact(link, ref, *composed)

    def befriend(self, other: str) -> None:
        """Asks a user that both see each other, now or when it connects."""
        self._say_of_contact(self.link, self._next_ref(), *self._befriender.ask(other))

    def _say_of_contact(self, link: Link | None, ref: int, request: Message, said: ContactSaid) -> None:
        self._record(said)
        self.counts[f"contacts: {said.action}"] += 1
        if link is not None:
            self._post(link, ref, contact=request)

    def _take_contact(self, answer: Message) -> None:
        self._befriender.unanswered.pop(answer.id, None)
        self._record(ContactAnswered(self.name, answer.id, self._codec.contact(answer)))
        self.counts["contacts changed"] += not answer.duplicate

    def _take_contact_refusal(self, link: Link, request_id: str, code: str) -> None:
        if code in AGAIN:
            link.cut()  # and ask again behind the next Hello
        else:
            del self._befriender.unanswered[request_id]
            self._record(ContactRefused(self.name, request_id))
            self.counts["changes of contacts refused"] += 1

    def _fetch(self, link: Link, batch: Batch) -> None:
        ref, kinds = self._next_ref(), self._codec.messages.FetchKind
        kind = self._random.choice([kinds.UNACKNOWLEDGED, kinds.LOG, kinds.HISTORY, kinds.HEADS, kinds.SYNCED])
        fetch = self._codec.messages.Fetch(kind=kind, limit=self._random.randint(1, 40), backwards=False)
        if kind == kinds.HISTORY:
            fetch.conversation = link.conversations[ref] = batch.deliveries[0].conversation
            fetch.backwards = self._random.random() < 0.5
        else:
            fetch.partition = batch.partition
        if self._random.random() < 0.5:
            fetch.offset = self._random.randint(1, max(1, batch.deliveries[0].offset))
        self._post(link, ref, fetch=fetch)
        self.counts["fetches"] += 1

    def _ask_state(self, link: Link) -> None:
        """All of it, or behind what it has; while all of it is being sent by itself, there is no such version."""
        ref, after = self._next_ref(), 0 if self._random.random() < 0.5 or self._whole_state else self.version
        link.states.add(ref)
        self.counts["states asked for"] += 1
        self._post(link, ref, state_delta=self._codec.messages.StateDelta(after=after))

    def subscribe(self) -> None:
        """Asks to be reached by push while it is not connected: its token is its name."""
        if self.link is None:
            return
        ref = self._next_ref()
        self.link.wishes.add(ref)
        self.counts["subscriptions"] += 1
        asked = self._codec.messages.PushNotification(id="p", platform="fcm", token=str(self.name))
        self._post(self.link, ref, push_notification=asked)

    # What it writes.

    def _write_to_all(self, link: Link, error: Message) -> None:
        """The list of devices was another one: the message is written anew, to those that there are."""
        self._record(Refused(self.name, error.id, "CONFLICT"))
        self.outbox.pop(error.id, None)
        known = self._whole.pop(error.id)
        missing, extra = (
            [Name(one.eid, one.connection_resource_id) for one in told] for told in (error.missing, error.extra)
        )
        if not missing and not extra:
            self._complain("I5", "client", f"is told that the list of {error.id} is not right, and not how")
            return
        self.counts["lists of devices refused"] += 1
        if self.mood.writes:
            message = self._note_written(*self._writer.write_again(known, missing, extra))
            self._post(link, self._next_ref(), message=message)

    def pause_seconds(self) -> float:
        """Until the next `write`. One that does not write has calls to hang up, for which there is time."""
        return self._random.expovariate(1 / self.mood.pause_seconds) if self.mood.writes else IDLE_SECONDS

    def write(self) -> None:
        link = self.link
        if link is None or link.is_cut or len(self.outbox) >= MAX_OUTBOX:
            return
        if not self.mood.writes:
            for one in [*self._caller.hang_up()]:
                self._say_of_call(link, *one)
            return
        ref, chance = self._next_ref(), self._random.random()
        if self._answered and chance < 0.03:
            self.counts["resent"] += 1
            self._post(link, ref, message=self._random.choice(self._answered))
        elif self._answered and chance < 0.05:
            known = self._random.choice(self._answered)
            link.contradictions[ref] = known.id
            self._post(link, ref, message=self._writer.contradict(known))
        elif chance < 0.08 and not self._requests:
            self._change_group(link, ref)
        elif chance < 0.1 and (said := self._caller.offer(self._users)) is not None:
            self.counts["calls"] += 1
            self._say_of_call(link, *said)
        elif chance < 0.13:
            self._change_contact(link, ref)
        else:
            if not self._refs % GREETS_EVERY:
                self._greet_siblings(link)
            composed = self._compose_some(self._random.randint(2, 8) if chance < 0.3 else 1)
            self._note_resends(composed)
            if len(composed) == 1:
                self._post(link, ref, message=composed[0])
            elif composed:
                self._post(link, ref, body=self._codec.messages.Body(messages=composed))

    def write_to(self, eid: str) -> None:
        """Writes one message to this user."""
        assert self.link is not None
        self._post(self.link, self._next_ref(), message=self._note_written(*self._writer.write_to(eid)))

    def _compose_some(self, count: int) -> list[Message]:
        return [self._compose() for _ in range(count) if self._may_write()]

    def _compose(self) -> Message:
        return self._note_written(*self._writer.write(sorted(self._groups)))

    def _note_written(self, message: Message, wrote: Wrote) -> Message:
        self._record(wrote)
        self.outbox[message.id] = message
        if wrote.is_complete:
            self._whole[message.id] = wrote
        self.counts["written"] += 1
        self.counts["written for friends"] += not wrote.to
        return message

    def _next_ref(self) -> int:
        self._refs += 1
        return self._refs

    def _post(self, link: Link, ref: int = 0, **payload: Message) -> None:
        link.send(self._codec.encode(ref, **payload))

    def _complain(self, invariant: str, kind: str, line: str) -> None:
        self._record(Complaint(self.name, invariant, kind, line))
