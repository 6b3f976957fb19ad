"""What a client's file has of what is on its way to the server: messages, and commands about what is there."""
# ruff: noqa: S608 - the name of a table is one of these classes'

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, Protocol


class Rows(Protocol):
    """Holds what a statement found, or how many rows it changed."""

    @property
    def rowcount(self) -> int: ...

    def fetchone(self) -> Any: ...  # noqa: ANN401 - a row

    def __iter__(self) -> Iterator[Any]: ...


class Execute(Protocol):
    """Runs a statement in the file. Raises StoreError."""

    def __call__(self, sql: str, values: tuple[object, ...] = (), /) -> Rows: ...


class OutboxItem(NamedTuple):
    """A message or a command that is on its way to the server, encoded."""

    number: int
    id: str
    message: bytes
    answer: bytes | None


class OutboxTable:
    """Holds what waits for an answer, in the order written, or has one that the application does not know yet."""

    _name = "outbox"

    def __init__(self, execute: Execute, synced: Callable[[], AbstractContextManager[None]]) -> None:
        self._execute = execute
        self.synced = synced

    def put(self, item_id: str, message: bytes) -> None:
        """Add one; it is on disk when this returns."""
        self.put_all([(item_id, message)])

    def put_all(self, items: Iterable[tuple[str, bytes]]) -> None:
        """Add some, by id, all or none; they are on disk when this returns."""
        with self.synced():
            for item_id, message in items:
                self._insert(item_id, message)

    def _insert(self, item_id: str, message: bytes) -> None:
        self._execute(f"INSERT INTO {self._name} (id, message) VALUES (?, ?)", (item_id, message))

    def get(self, item_id: str) -> OutboxItem | None:
        row = self._execute(f"SELECT number, id, message, answer FROM {self._name} WHERE id = ?", (item_id,)).fetchone()
        return OutboxItem(*row) if row else None

    def unanswered(self, after: int, limit: int) -> list[OutboxItem]:
        """Reads in the order written: those with a number greater than `after`."""
        rows = self._execute(
            f"SELECT number, id, message, answer FROM {self._name} "
            "WHERE answer IS NULL AND number > ? ORDER BY number LIMIT ?",
            (after, limit),
        )
        return [OutboxItem(*row) for row in rows]

    def newest(self) -> OutboxItem | None:
        row = self._execute(f"SELECT number, id, message, answer FROM {self._name} ORDER BY number DESC LIMIT 1")
        found = row.fetchone()
        return OutboxItem(*found) if found else None

    def answered(self, limit: int = -1) -> list[OutboxItem]:
        rows = self._execute(
            f"SELECT number, id, message, answer FROM {self._name} WHERE answer IS NOT NULL ORDER BY number LIMIT ?",
            (limit,),
        )
        return [OutboxItem(*row) for row in rows]

    def answer(self, item_id: str, answer: bytes) -> None:
        self._execute(f"UPDATE {self._name} SET answer = ? WHERE id = ?", (answer, item_id))

    def drop(self, item_id: str) -> None:
        self._execute(f"DELETE FROM {self._name} WHERE id = ?", (item_id,))

    def size(self) -> int:
        return int(self._execute(f"SELECT count(*) FROM {self._name} WHERE answer IS NULL").fetchone()[0])


class CommandTable(OutboxTable):
    """Commands: each waits for the messages that were written before it, which it may be about."""

    _name = "commands"

    def _insert(self, item_id: str, message: bytes) -> None:
        self._execute(
            "INSERT INTO commands (id, message, behind) "
            "SELECT ?, ?, coalesce(max(number), 0) FROM outbox WHERE answer IS NULL",
            (item_id, message),
        )

    def unanswered(self, after: int, limit: int) -> list[OutboxItem]:
        """Reads in the order written: those whose turn has come, with a number greater than `after`."""
        rows = self._execute(
            "SELECT number, id, message, answer FROM commands WHERE answer IS NULL AND number > ? AND behind < "
            "(SELECT coalesce(min(number), 1 << 62) FROM outbox WHERE answer IS NULL) ORDER BY number LIMIT ?",
            (after, limit),
        )
        return [OutboxItem(*row) for row in rows]
