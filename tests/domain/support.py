"""Operations decided and committed one after another, as the journal does it, over the memory store."""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from bimip.domain.awareness.missed_calls import MissCall
from bimip.domain.conversations.groups import GroupEvent
from bimip.domain.core.clock import next_stamp
from bimip.domain.core.decision import Decision
from bimip.domain.core.ids import ConversationId, ConversationOffset, DeviceId, Millis, Offset, Stamp, UserId
from bimip.domain.core.operations import (
    Acknowledge,
    Acknowledged,
    Address,
    Append,
    Appended,
    Links,
    NewMessage,
    Operation,
    Receipt,
    Received,
    Refused,
    Register,
    Registered,
    Result,
)
from bimip.domain.core.ranges import Ranges
from bimip.domain.core.records import (
    DIGEST_BYTES,
    Addressed,
    Changes,
    Cursor,
    Entry,
    Log,
    LogTable,
    ReceiptKey,
    ReceiptKind,
    Runs,
    Table,
)
from bimip.domain.core.rules import Bodies, Context, Rules
from bimip.domain.decisions import decide
from bimip.domain.state.receipts import TAG as RECEIPTS
from bimip.domain.state.receipts import covers, unpack_key
from bimip.journal.overlay import Overlay
from bimip.storage.memory import MemoryStore

CHAT = "chat"
BEGIN = Millis(1_700_000_000_000)


def encode(
    sent: Sequence[bytes],
    stamps: Sequence[Stamp],
    _time: Millis,
    conversation: ConversationId,
    first: ConversationOffset,
) -> list[bytes]:
    rows = enumerate(zip(sent, stamps, strict=True), first)
    return [b"%d/%d/%d/%s" % (stamp, conversation, place, one) for place, (one, stamp) in rows]


def encode_event(
    message_id: str, author: str, conversation: ConversationId, event: GroupEvent, _digest: bytes
) -> bytes:
    return f"{message_id}/{author}/{conversation}/{event}".encode()


def encode_call(call: MissCall, author: str, _digest: bytes) -> bytes:
    return f"{call.id}/{author}/{call.to}/{call.end.name}".encode()


def locate(body: bytes) -> tuple[ConversationId, ConversationOffset] | None:
    parts = body.split(b"/", 3)
    return None if len(parts) < 4 else (ConversationId(int(parts[1])), ConversationOffset(int(parts[2])))


def edit(body: bytes, payload: bytes, _stamp: Stamp) -> bytes:
    return b"/".join((*body.split(b"/", 3)[:3], payload))


def expire(body: bytes, at: Millis) -> bytes:
    return body + b"@%d" % at


def unname(body: bytes, eid: str, without_title: bool) -> bytes:  # noqa: FBT001 - as the rules call it
    unnamed = body.replace(eid.encode(), b"")
    return re.sub(rb"title='[^']*'", b"title=''", unnamed) if without_title else unnamed


def erase(body: bytes) -> bytes:
    return edit(body, b"", Stamp(0))


BODIES = Bodies(encode, encode_event, encode_call, locate, b"0/0/0/", edit, erase, expire, erase, unname)


class Peer(NamedTuple):
    """A device that is registered."""

    eid: str
    name: str
    user: UserId
    device: DeviceId


class Ledger:
    def __init__(self, **rules: Any) -> None:
        self.store = MemoryStore()
        self.rules = Rules(bodies=BODIES, **{"window_entries": 256} | rules)
        self.now = BEGIN
        self.last = Stamp(0)
        self.decisions: list[Decision] = []
        self.batches = 0

    @property
    def context(self) -> Context:
        return Context(self.rules, self.now, self._stamp)

    def _stamp(self) -> Stamp:
        self.last = next_stamp(self.last, self.now, 0)
        return self.last

    def decide(self, *operations: Operation) -> tuple[Overlay, list[Decision]]:
        """Decide as one batch, and commit nothing."""
        with self.store.snapshot() as base:
            batch = Overlay(base)
            decisions = []
            for operation in operations:
                decision = decide(batch, operation, self.context)
                batch.absorb(decision)
                decisions.append(decision)
        return batch, decisions

    def commit(self, changes: Changes) -> None:
        self.store.begin()
        self.store.apply(changes)
        self.store.commit()

    def do(self, operation: Operation) -> Any:
        """Decide, commit, and go on as long as the operation does: the first result."""
        return self.do_all(operation)[0]

    def do_all(self, *operations: Operation) -> list[Result]:
        batch, decisions = self.decide(*operations)
        self.commit(batch.changes)
        self.decisions = decisions
        self.batches += 1
        for decision in decisions:
            if decision.then is not None:
                kept = self.decisions
                self.do(decision.then)
                self.decisions = kept + self.decisions
        return [alone(decision.result) for decision in decisions]

    def device(self, eid: str, name: str = "phone") -> Peer:
        result = self.do(Register(eid, name))
        assert isinstance(result, Registered)
        return Peer(eid, name, result.user, result.device)

    def append(
        self,
        sender: Peer,
        to: str,
        message_id: str,
        *,
        digest: bytes = b"",
        partition: str = CHAT,
        addresses: tuple[Address, ...] = (),
        ttl: int = 0,
        sent: bytes = b"",
        seq: tuple[int, int] | None = None,
        links: Links | None = None,
    ) -> Append:
        post = NewMessage(message_id, digest.ljust(DIGEST_BYTES, b"\0"), sent, seq, links)
        return Append(sender.user, sender.device, to, partition, (post,), addresses, ttl=ttl)

    def send(self, sender: Peer, to: str, message_id: str, **fields: Any) -> Appended:
        result = self.do(self.append(sender, to, message_id, **fields))
        assert isinstance(result, Appended), result
        return result

    def ack(self, peer: Peer, upto: int, ranges: Ranges = (), partition: str = CHAT) -> Offset:
        result = self.do(Acknowledge(peer.user, peer.device, partition, Offset(upto), ranges))
        assert isinstance(result, Acknowledged), result
        return result.floor

    def read(
        self,
        peer: Peer,
        other: str,
        upto: int,
        ranges: Ranges = (),
        kind: ReceiptKind = ReceiptKind.READ,
        received: tuple[int, int] = (1, 1 << 32),
    ) -> Any:
        conversation = self.direct(peer, other)
        first, last = map(ConversationOffset, received)
        places = () if conversation is None else (Received(conversation, first, last),)
        return self.do(Receipt(peer.user, kind, None, other, ConversationOffset(upto), ranges, places))

    def direct(self, peer: Peer, other: str) -> Any:
        """A ConversationId, or None."""
        user = self.get(Table.USERS, other)
        return user and self.get(Table.DIRECT, *sorted((peer.user, user.number)))

    def get(self, table: Table, *key: Any) -> Any:
        with self.store.snapshot() as view:
            return view.get(table, key)

    def log(self, user: UserId, partition: str = CHAT) -> Any:
        """A Log, or None."""
        log: Log | None = self.get(Table.LOGS, user, partition)
        return log

    def entries(self, user: UserId, partition: str = CHAT) -> list[tuple[int, Entry]]:
        with self.store.snapshot() as view:
            return view.read(LogTable.ENTRIES, (user, partition), 0, limit=1_000_000)

    def cursor(self, peer: Peer, partition: str = CHAT) -> Cursor | None:
        cursor: Cursor | None = self.get(Table.CURSORS, peer.device, partition)
        return cursor

    def addressed(self, stamp: Stamp, user: UserId) -> tuple[Addressed, ...] | None:
        found: tuple[Addressed, ...] | None = self.get(Table.ADDRESSED, stamp, user)
        return found

    def runs(self, conversation: ConversationId, member: UserId, kind: ReceiptKind) -> Runs:
        """Of all blocks."""
        low, high = (conversation, member, kind, 0), (conversation, member, kind, 1 << 32)
        with self.store.snapshot() as view:
            found = view.scan(Table.RECEIPTS, low, high, limit=1000)
        return tuple(run for _, runs in found for run in runs)

    def marked(self, conversation: ConversationId, member: UserId, kind: ReceiptKind) -> set[int]:
        """Conversation offsets that have such a receipt."""
        runs = self.runs(conversation, member, kind)
        return {offset for run in runs for offset in range(run.first, run.last + 1) if covers(runs, offset)}

    def state_keys(self, user: UserId) -> list[tuple[int, ReceiptKey]]:
        """Lists the receipts in a user's state, with their versions."""
        with self.store.snapshot() as view:
            return [
                (key[1], unpack_key(found))
                for key, found in view.scan(Table.CHANGES, (user,), (user + 1,), limit=10_000)
                if found[0] == RECEIPTS
            ]

    def everything(self) -> dict[Any, Any]:
        """All that is stored, to compare."""
        found: dict[Any, Any] = {}
        with self.store.snapshot() as view:
            for table in Table:
                found.update(((table, key), record) for key, record in view.records[table].items())
            found.update((place, (first, tuple(run))) for place, (first, run) in view.runs.items())
        return found


def alone(result: Result) -> Any:
    """The outcome of an Append of one message; any other result as it is."""
    return result[0] if type(result) is tuple and len(result) == 1 else result


def fault_of(result: Result) -> str:
    assert isinstance(result, Refused), result
    assert result.sentence
    return result.fault.name
