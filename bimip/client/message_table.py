"""What a client's file has of messages, where the program wants them kept."""

from collections.abc import Iterator
from typing import NamedTuple

from bimip.client.outbox_tables import Execute

NEVER = 2**63 - 1


class MessageRow(NamedTuple):
    """A message, encoded, and what it is found by."""

    signal_id: str
    partition: str
    offset: int  # 0: it is in no log of this device
    conversation: str
    conversation_offset: int
    text: str | None  # to be searched in
    expires: int  # milliseconds since 1970
    message: bytes


class MessageTable:
    """Messages by `signal_id`, which stays whatever happens to the server's store."""

    def __init__(self, execute: Execute) -> None:
        self._execute = execute

    def put(self, row: MessageRow) -> None:
        """Add one, in the place of the same one."""
        self._execute("INSERT OR REPLACE INTO messages VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)

    def get(self, signal_id: str) -> MessageRow | None:
        row = self._execute("SELECT * FROM messages WHERE signal_id = ?", (signal_id,)).fetchone()
        return MessageRow(*row) if row else None

    def drop(self, signal_id: str) -> None:
        self._execute("DELETE FROM messages WHERE signal_id = ?", (signal_id,))

    def drop_expired(self, now: int) -> None:
        self._execute("DELETE FROM messages WHERE expires <= ?", (now,))

    def drop_oldest(self, conversation: str, before: str, limit: int) -> int:
        """Drop the oldest in front of a `signal_id`, of one conversation or (with "") of all. Returns how many."""
        if conversation:  # by its index
            where = "conversation = ? AND signal_id < ? ORDER BY conversation_offset"
            values: tuple[object, ...] = (conversation, before, limit)
        else:
            where, values = "signal_id < ? ORDER BY signal_id", (before, limit)
        oldest = f"SELECT signal_id FROM messages WHERE {where} LIMIT ?"  # noqa: S608 both are written here
        return self._execute(f"DELETE FROM messages WHERE signal_id IN ({oldest})", values).rowcount  # noqa: S608

    def lowest_offset(self, partition: str) -> int:
        """Returns the offset of the first message that is kept of a log; beyond any where none is."""
        query = "SELECT coalesce(min(offset), ?) FROM messages WHERE partition = ? AND offset > 0"
        return int(self._execute(query, (NEVER, partition)).fetchone()[0])

    def next_expiry(self) -> int:
        """Returns when the next one expires, in milliseconds since 1970."""
        return int(self._execute("SELECT coalesce(min(expires), ?) FROM messages", (NEVER,)).fetchone()[0])

    def of_conversation(self, conversation: str, before: int, limit: int) -> list[MessageRow]:
        """Reads the newest in front of a conversation offset, the newest first."""
        rows = self._execute(
            "SELECT * FROM messages WHERE conversation = ? AND conversation_offset < ? "
            "ORDER BY conversation_offset DESC, signal_id DESC LIMIT ?",
            (conversation, before, limit),
        )
        return [MessageRow(*row) for row in rows]

    def heads(self, limit: int) -> list[MessageRow]:
        """Reads the newest of each conversation, the newest first."""
        rows = self._execute(
            "SELECT messages.* FROM messages JOIN (SELECT conversation AS name, max(conversation_offset) AS head "
            "FROM messages GROUP BY conversation) ON conversation = name AND conversation_offset = head "
            "ORDER BY signal_id DESC LIMIT ?",
            (limit,),
        )
        return [MessageRow(*row) for row in rows]

    def of_log(self, partition: str, after: int, upto: int) -> list[MessageRow]:
        """Reads what is kept of a log in (after, upto], in its order."""
        rows = self._execute(
            "SELECT * FROM messages WHERE partition = ? AND offset > ? AND offset <= ? ORDER BY offset",
            (partition, after, upto),
        )
        return [MessageRow(*row) for row in rows]

    def with_text(self, text: str, before: str) -> Iterator[MessageRow]:
        """Reads those in which a text stands, in front of a `signal_id`, the newest first, whatever its case."""
        words = text.casefold()
        rows = self._execute(
            "SELECT * FROM messages WHERE signal_id < ? AND text IS NOT NULL ORDER BY signal_id DESC", (before,)
        )
        for row in rows:
            found = MessageRow(*row)
            if found.text is not None and words in found.text:
                yield found
