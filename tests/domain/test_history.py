"""Random histories of operations, decided in random batches, against a naive model in dictionaries."""

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from bimip.domain.core import ranges
from bimip.domain.core.clock import earliest_stamp
from bimip.domain.core.ids import ConversationOffset, Millis, Offset
from bimip.domain.core.operations import (
    Acknowledge,
    Acknowledged,
    Address,
    Append,
    Appended,
    Done,
    Expired,
    ExpireLog,
    Fault,
    OpenPosition,
    Operation,
    PositionOpened,
    Receipt,
    Received,
    Refused,
)
from bimip.domain.core.records import ReceiptKind, Table
from bimip.domain.delivery.hello import FIRST, HEAD
from tests.domain.support import CHAT, Ledger, Peer

WINDOW = 3
EIDS = ("ann", "bob", "cid")
NAMES = ("phone", "laptop")

peers = st.tuples(st.sampled_from(EIDS), st.sampled_from(NAMES))
offsets = st.integers(0, 14)
pieces = st.lists(st.tuples(st.integers(1, 14), st.integers(0, 3)), max_size=3)


class Message:
    def __init__(self, author: Peer, to: str, place: int, addressed: frozenset[tuple[str, str]], now: Millis) -> None:
        self.author = author
        self.to = to
        self.place = place
        self.addressed = addressed
        self.now = now

    def reaches(self, eid: str) -> bool:
        return not self.addressed or any(one == eid for one, _ in self.addressed)

    def is_owed(self, peer: Peer) -> bool:
        if self.author == peer:
            return False
        return not self.addressed or (peer.eid, peer.name) in self.addressed


class Model:
    """What should be, written as plainly as it can be."""

    def __init__(self) -> None:
        self.logs: dict[str, list[Message]] = {eid: [] for eid in EIDS}
        self.firsts: dict[str, int] = dict.fromkeys(EIDS, 1)
        self.talks: dict[frozenset[str], list[Message]] = {}
        self.seen: dict[tuple[Peer, str], tuple[bytes, int, int]] = {}
        self.cursors: dict[Peer, tuple[int, set[int]]] = {}
        self.receipts: dict[tuple[frozenset[str], str, ReceiptKind], dict[int, Millis]] = {}

    def send(
        self, sender: Peer, to: str, name: str, digest: bytes, addressed: frozenset[tuple[str, str]], now: Millis
    ) -> tuple[int, int, bool] | Fault:
        """Offset, place and whether it is a duplicate."""
        if (sender, name) in self.seen:
            known, offset, place = self.seen[sender, name]
            return (offset, place, True) if known == digest else Fault.CONFLICT
        if any(eid not in {sender.eid, to} for eid, _ in addressed):
            return Fault.INVALID
        talk = self.talks.setdefault(frozenset({sender.eid, to}), [])
        message = Message(sender, to, len(talk) + 1, addressed, now)
        talk.append(message)
        self.logs[sender.eid].append(message)
        if to != sender.eid and message.reaches(to):
            self.logs[to].append(message)
        self.seen[sender, name] = digest, len(self.logs[sender.eid]), message.place
        return len(self.logs[sender.eid]), message.place, False

    def acknowledge(self, peer: Peer, upto: int, more: set[int], now: Millis) -> int | Fault:
        log = self.logs[peer.eid]
        if max([upto, *more]) > len(log):
            return Fault.OFFSET_BEYOND_HEAD
        floor, above = self.cursors.get(peer, (0, set()))
        for offset in set(range(floor + 1, upto + 1)) | {one for one in more if one > floor}:
            if offset >= self.firsts[peer.eid] and offset not in above and log[offset - 1].is_owed(peer):
                self._receive(peer.eid, log[offset - 1], ReceiptKind.DELIVERED, now)
        self._move(peer, max(floor, upto), above | more)
        return self.cursors[peer][0]

    def return_to(self, peer: Peer, upto: int, held: set[int], now: Millis) -> int | Fault:
        """What was never given is of another epoch, and acknowledges nothing."""
        if max([upto, *held]) > len(self.logs[peer.eid]):
            return self.cursors.setdefault(peer, (0, set()))[0]
        return self.acknowledge(peer, upto, held, now)

    def _move(self, peer: Peer, floor: int, above: set[int]) -> None:
        log = self.logs[peer.eid]
        floor = max(floor, self.firsts[peer.eid] - 1)
        while floor < len(log) and (floor + 1 in above or not log[floor].is_owed(peer)):
            floor += 1
        self.cursors[peer] = floor, set(sorted(one for one in above if one > floor)[:WINDOW])

    def _receive(self, reader: str, message: Message, kind: ReceiptKind, now: Millis) -> None:
        if message.author.eid != reader and message.reaches(reader):
            key = frozenset({message.author.eid, message.to}), reader, kind
            self.receipts.setdefault(key, {}).setdefault(message.place, now)

    def read(self, reader: str, other: str, upto: int, more: set[int], received: int, now: Millis) -> Fault | None:
        """Of it counts what a device of the reader acknowledged, or what the one that says so `received`: the first."""
        talk = self.talks.get(frozenset({reader, other}))
        if talk is None:
            return Fault.NOT_FOUND
        if max([upto, *more]) > len(talk):
            return Fault.OFFSET_BEYOND_HEAD
        delivered = self.receipts.get((frozenset({reader, other}), reader, ReceiptKind.DELIVERED), {})
        arrived = set(delivered) | set(range(1, received + 1))
        for place in (set(range(1, upto + 1)) | more) & arrived:
            for kind in (ReceiptKind.READ, ReceiptKind.DELIVERED):
                self._receive(reader, talk[place - 1], kind, now)
        return None

    def start(self, peer: Peer, start: int) -> int:
        """Returns the floor."""
        head, oldest = len(self.logs[peer.eid]), self.firsts[peer.eid] - 1
        wanted = head if start == HEAD else oldest
        floor, above = self.cursors.get(peer, (wanted, set[int]()))
        floor = max(floor, wanted)
        self.cursors[peer] = floor, {one for one in above if one > floor}
        return floor

    def expire(self, eid: str, before: Millis) -> int:
        first = self.firsts[eid]
        while self.firsts[eid] <= len(self.logs[eid]) and self.logs[eid][self.firsts[eid] - 1].now < before:
            self.firsts[eid] += 1
        return self.firsts[eid] - first


class History(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.ledger = Ledger(window_entries=WINDOW)
        self.model = Model()
        self.peers = {(eid, name): self.ledger.device(eid, name) for eid in EIDS for name in NAMES}
        self.pending: list[Operation] = []
        self.expected: list[Any] = []

    def expect(self, operation: Operation, expected: object) -> None:
        self.pending.append(operation)
        self.expected.append(expected)

    @rule(
        who=peers,
        to=st.sampled_from(EIDS),
        name=st.sampled_from("abcdefgh"),
        digest=st.sampled_from([b"x", b"x", b"x", b"y"]),
        addressed=st.just(frozenset[Any]()) | st.frozensets(peers, max_size=2),
    )
    def send(
        self, who: tuple[str, str], to: str, name: str, digest: bytes, addressed: frozenset[tuple[str, str]]
    ) -> None:
        sender = self.peers[who]
        addresses = tuple(Address(eid, device, None) for eid, device in sorted(addressed))
        expected = self.model.send(sender, to, name, digest, addressed, self.ledger.now)
        self.expect(self.ledger.append(sender, to, name, digest=digest, addresses=addresses), expected)

    @rule(
        who=peers,
        to=st.sampled_from(EIDS),
        names=st.lists(st.sampled_from("abcdefgh"), min_size=2, max_size=5, unique=True),
        digest=st.sampled_from([b"x", b"x", b"y"]),
    )
    def send_many(self, who: tuple[str, str], to: str, names: list[str], digest: bytes) -> None:
        """What is known of them is answered again, the others are appended, in their order."""
        sender = self.peers[who]
        expected = [self.model.send(sender, to, name, digest, frozenset(), self.ledger.now) for name in names]
        messages = [self.ledger.append(sender, to, name, digest=digest).messages[0] for name in names]
        self.expect(Append(sender.user, sender.device, to, CHAT, messages), expected)

    @rule(who=peers, upto=offsets, pieces=pieces)
    def acknowledge(self, who: tuple[str, str], upto: int, pieces: list[tuple[int, int]]) -> None:
        peer = self.peers[who]
        more = ranges.normal((first, first + length) for first, length in pieces)
        expected = self.model.acknowledge(peer, upto, set(ranges.offsets(more)), self.ledger.now)
        self.expect(Acknowledge(peer.user, peer.device, CHAT, Offset(upto), more), expected)

    @rule(who=peers, upto=offsets, pieces=pieces)
    def return_with_a_position(self, who: tuple[str, str], upto: int, pieces: list[tuple[int, int]]) -> None:
        peer = self.peers[who]
        held = ranges.above(ranges.normal((first, first + length) for first, length in pieces), upto)
        expected = self.model.return_to(peer, upto, set(ranges.offsets(held)), self.ledger.now)
        self.expect(OpenPosition(peer.user, peer.device, CHAT, Offset(upto), held), expected)

    @rule(who=peers, start=st.sampled_from([FIRST, HEAD]))
    def return_without_a_position(self, who: tuple[str, str], start: int) -> None:
        peer = self.peers[who]
        self.expect(OpenPosition(peer.user, peer.device, CHAT, start=start), self.model.start(peer, start))

    @rule(who=st.sampled_from(EIDS), other=st.sampled_from(EIDS), upto=offsets, pieces=pieces, received=offsets)
    def read(self, who: str, other: str, upto: int, pieces: list[tuple[int, int]], received: int) -> None:
        """A device can only have received what is on disk."""
        more = ranges.normal((first, first + length) for first, length in pieces)
        reader = self.peers[who, "phone"]
        conversation = self.ledger.direct(reader, other)
        received = 0 if conversation is None else received
        places = (Received(conversation, ConversationOffset(1), ConversationOffset(received)),) if received else ()
        expected = self.model.read(who, other, upto, set(ranges.offsets(more)), received, self.ledger.now)
        operation = Receipt(reader.user, ReceiptKind.READ, None, other, ConversationOffset(upto), more, places)
        self.expect(operation, expected)

    @rule(who=st.sampled_from(EIDS), ago=st.integers(0, 12))
    def expire(self, who: str, ago: int) -> None:
        before = Millis(self.ledger.now - ago)
        removed = self.model.expire(who, before)
        operation = ExpireLog(self.peers[who, "phone"].user, CHAT, earliest_stamp(before))
        self.expect(operation, Expired(removed, more=False))

    @precondition(lambda self: self.pending)
    @rule()
    def commit(self) -> None:
        """All that is pending, as one batch. Time goes on afterwards."""
        pending, self.pending = self.pending, []
        expected, self.expected = self.expected, []
        for operation, result, should_be in zip(pending, self.ledger.do_all(*pending), expected, strict=True):
            assert plainly(result) == should_be, (operation, result)
        self.ledger.now = Millis(self.ledger.now + 1)

    @invariant()
    def what_is_stored_is_what_should_be(self) -> None:
        if self.pending:
            return
        for peer in self.peers.values():
            floor, above = self.model.cursors.get(peer, (0, set()))
            cursor = self.ledger.cursor(peer)
            assert (cursor.floor if cursor else 0, set(ranges.offsets(cursor.above)) if cursor else set()) == (
                floor,
                above,
            )
        for eid, messages in self.model.logs.items():
            user = self.peers[eid, "phone"].user
            first = self.model.firsts[eid]
            found = [(number, entry.origin, entry.conversation_offset) for number, entry in self.ledger.entries(user)]
            log = self.ledger.log(user)
            assert found == [
                (number, message.author.device, message.place)
                for number, message in enumerate(messages, 1)
                if number >= first
            ]
            assert ((log.first, log.head) if log else (1, 0)) == (first, len(messages))
        for (pair, reader, kind), times in self.model.receipts.items():
            one, other = sorted(self.peers[eid, "phone"].user for eid in (pair if len(pair) == 2 else [*pair] * 2))
            conversation = self.direct(one, other)
            runs = self.ledger.runs(conversation, self.peers[reader, "phone"].user, kind)
            assert {place: run.time for run in runs for place in range(run.first, run.last + 1)} == times
        self.no_receipt_is_too_many()

    def no_receipt_is_too_many(self) -> None:
        stored = sum(
            run.last - run.first + 1
            for (table, _), runs in self.ledger.everything().items()
            if table is Table.RECEIPTS
            for run in runs
        )
        assert stored == sum(map(len, self.model.receipts.values()))

    def direct(self, one: int, other: int) -> Any:
        with self.ledger.store.snapshot() as view:
            return next(number for key, number in view.records[Table.DIRECT].items() if key == (one, other))

    def teardown(self) -> None:
        if hasattr(self, "pending") and self.pending:
            self.commit()
            self.what_is_stored_is_what_should_be()


def plainly(result: Any) -> object:
    """A result as the model tells it."""
    if type(result) is tuple:
        return [plainly(outcome) for outcome in result]
    if isinstance(result, Refused):
        return result.fault
    if isinstance(result, Appended):
        return result.offset, result.conversation_offset, result.duplicate
    if isinstance(result, Acknowledged | PositionOpened):
        return result.floor
    return None if result == Done() else result


TestHistory = History.TestCase
TestHistory.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
