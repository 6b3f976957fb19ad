"""Messages that are kept in the file, where the program wants that: what it can show without a connection.

One is kept in the transaction in which it counts as taken, or as sent: so whatever dies when, none is missing and none
there twice. What was deleted, for everyone or for this user, leaves the file, and so does what has disappeared.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from bimip.client.core.kinds.messages import message_known
from bimip.client.core.sealing import SEALED
from bimip.client.events import Event, MessageChanged, ReadAgain, Received
from bimip.client.message_table import NEVER, MessageRow
from bimip.client.store import Store
from bimip.client.wire.bimip import Message
from bimip.domain.core.clock import signal_id
from bimip.domain.core.ids import Stamp

_BEHIND_ALL = "~"  # after any character of a signal_id


@dataclass(frozen=True, slots=True)
class KeptMessage:
    """A message that this device keeps, and what became of it since."""

    message: Message
    partition: str
    offset: int  # in this user's log
    changes: MessageChanged | None = None

    @property
    def payload(self) -> bytes:
        """The content as it is now: as it was edited last."""
        if self.changes is None or self.changes.payload is None or self.message.encryption_type == SEALED:
            return self.message.payload  # of what was encrypted there are no edits
        return self.changes.payload


class KeptMessages:
    def __init__(self, store: Store, now: Callable[[], int], *, wanted: bool) -> None:
        self.wanted = wanted
        self._store = store
        self._now = now
        self._next_expiry = store.messages.next_expiry()
        self.expire()

    def took(self, event: Event | None) -> None:
        """Keep what the program has taken."""
        if self.wanted and isinstance(event, Received | ReadAgain):
            self.keep(event.message, event.partition, event.offset, is_opened=event.sealed_by is not None)

    def keep(self, message: Message, partition: str, offset: int, *, is_opened: bool = False) -> None:
        """Keep a message. `is_opened`: it was encrypted, and this is its text."""
        if not self.wanted or not message.signal_id:
            return
        known = message_known(self._store, message.conversation, message.conversation_offset)
        if known is not None and (known.deleted or known.hidden):
            return
        expires = message.server_time + message.ttl_ms if message.ttl_ms else NEVER
        self._next_expiry = min(self._next_expiry, expires)
        edited = None if known is None or is_opened else known.payload
        payload = message.payload if edited is None else edited
        self._store.messages.put(
            MessageRow(
                message.signal_id,
                partition,
                offset,
                message.conversation,
                message.conversation_offset,
                _text(message, payload, is_opened=is_opened),
                expires,
                bytes(message),
            )
        )

    def changed(self, events: Iterable[Event]) -> None:
        """Drop what was deleted, and search in what was edited as it is now."""
        for event in events:
            if not isinstance(event, MessageChanged):
                continue
            stamp = signal_id(Stamp(event.signal_offset))
            if event.deleted or event.hidden:
                self._store.messages.drop(stamp)
            elif event.payload is not None and (row := self._store.messages.get(stamp)) is not None:
                self._store.messages.put(row._replace(text=_text(Message.parse(row.message), event.payload)))

    def expire(self) -> None:
        """Drop what has disappeared."""
        now = self._now()
        if now >= self._next_expiry:
            self._store.messages.drop_expired(now)
            self._next_expiry = self._store.messages.next_expiry()

    def forget(self, conversation: str, before: str, limit: int) -> tuple[int, bool]:
        """Drop the oldest, and of the logs what siblings alone ask for. Returns how many, and whether more is left."""
        with self._store.transaction():
            count = self._store.messages.drop_oldest(conversation, before or _BEHIND_ALL, limit)
            most = count
            for partition, oldest_chain in self._store.oldest_chains():
                below = self._store.messages.lowest_offset(partition) - 1
                most = max(most, self._store.drop_links(partition, min(below, oldest_chain), limit))
        return count, most == limit

    def of_conversation(self, conversation: str, before: int, limit: int) -> list[KeptMessage]:
        """Returns the newest in front of a conversation offset, oldest first."""
        self.expire()
        rows = self._store.messages.of_conversation(conversation, before, limit)
        return [*self._made(reversed(rows))]

    def heads(self, limit: int) -> list[KeptMessage]:
        """Returns the newest of each conversation, the newest first."""
        self.expire()
        return [*self._made(self._store.messages.heads(limit))]

    def search(self, text: str, before: str, limit: int) -> list[KeptMessage]:
        """Returns the newest in which a text stands, the newest first."""
        self.expire()
        return [*self._made(islice(self._store.messages.with_text(text, before or _BEHIND_ALL), limit))]

    def _made(self, rows: Iterable[MessageRow]) -> Iterator[KeptMessage]:
        for row in rows:
            changes = message_known(self._store, row.conversation, row.conversation_offset)
            yield KeptMessage(Message.parse(row.message), row.partition, row.offset, changes)


def _text(message: Message, payload: bytes, *, is_opened: bool = False) -> str | None:
    """Returns what one can search in: text that is not encrypted."""
    if message.encryption_type not in {"", "none"} and not is_opened:
        return None
    try:
        return payload.decode().casefold()
    except UnicodeDecodeError:
        return None
