"""What a client remembers, in one SQLite file: the only copy of what nobody else can give back.

    meta            who it belongs to, the epoch, how far the state is known
    positions       for each partition what the application has taken (bimip.session.position)
    outbox          messages in the order written, until the application knows the answer
    commands        what is to be done to messages and conversations, the same way
    messages        what was taken and sent, where the program wants messages kept (core/kept.py)
    remembered      signal_ids of what was taken, the newest ones: how a message is known again in another epoch
    state           the copy of the user's state, of each kind by its keys (core/state.py)
    pending_reads   what this device has read and the server may not know yet
    olm_*           keys and sessions, where the program wants its messages encrypted; sealed, opened: messages as they
                    were written, while they wait; direct: with whom a conversation of two is (encryption/)
    notes           what the program keeps for itself, by kind and name
    links, chains   what tells whether the copies of the logs are whole; stretches: what is to be read again
                    (core/copies.py)

Calls are synchronous: each is a few row operations in memory or in the page cache. What the user wrote is synced to
disk before `put` returns; everything else survives a killed process, and after a power cut the server sends the last
of it again (the position then is the older one).

The file and those that SQLite keeps beside it are for their owner alone, whatever the umask.
"""

import json
import logging
import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from bimip.client.errors import InvalidArgument, StoreError
from bimip.client.events import Identity
from bimip.client.message_table import MessageTable
from bimip.client.outbox_tables import CommandTable, OutboxTable
from bimip.client.schema import SCHEMA, SCHEMA_VERSION, UPGRADES
from bimip.domain.core.ids import Offset
from bimip.session.position import Position

_log = logging.getLogger("bimip.client")

StateKey = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Meta:
    """The owner of the file, and how far it is."""

    identity: Identity | None = None  # whose it is
    epoch: int = 0
    state_version: int = 0
    state_generation: int = 0  # of the last whole state that began (core/state.py)
    state_kinds: str = ""  # what was kept of the state up to its version: names, with spaces between

    def rows(self) -> dict[str, str]:
        owner = {"eid": self.identity.eid, "device": self.identity.device} if self.identity else {}
        numbers = {name: str(getattr(self, name)) for name in ("epoch", "state_version", "state_generation")}
        return owner | numbers | {"state_kinds": self.state_kinds}

    @classmethod
    def of(cls, rows: dict[str, str]) -> "Meta":
        return cls(
            identity=Identity(rows["eid"], rows["device"]) if rows.get("eid") else None,
            epoch=int(rows.get("epoch", "0")),
            state_version=int(rows.get("state_version", "0")),
            state_generation=int(rows.get("state_generation", "0")),
            state_kinds=rows.get("state_kinds", ""),
        )


class PendingRead(NamedTuple):
    target: str
    is_peer: bool
    upto: int


class Store:
    """One client's file. A second process that opens it is told so: two would drop each other's messages."""

    def __init__(self, path: str | Path = ":memory:", *, remembered_limit: int = 20_000) -> None:
        """Open the file, or make it. Raises StoreError, and InvalidArgument for what is no path."""
        self._remembered_limit = remembered_limit
        self._depth = 0
        try:
            if str(path) != ":memory:":
                _make_private(Path(path))
            self._db = sqlite3.connect(path, isolation_level=None, timeout=0.5, check_same_thread=False)
        except sqlite3.Error as problem:
            raise StoreError(f"{path}: {problem}") from problem
        except (TypeError, ValueError) as problem:
            raise InvalidArgument(f"{path!r} is no path: {problem}") from problem
        try:
            self._prepare()
        except sqlite3.Error as problem:
            self._db.close()
            raise StoreError(f"{path} cannot be used (is it open in another process?): {problem}") from problem
        self.outbox = OutboxTable(self.execute, self.synced)
        self.commands = CommandTable(self.execute, self.synced)
        self.messages = MessageTable(self.execute)
        self._remembered_count: int = self.execute("SELECT count(*) FROM remembered").fetchone()[0]
        self.meta = self._read_meta()

    def _prepare(self) -> None:
        self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        version: int = self._db.execute("PRAGMA user_version").fetchone()[0]
        if version > SCHEMA_VERSION:
            raise sqlite3.DatabaseError(f"it is of version {version}, this program knows {SCHEMA_VERSION}")
        if version < SCHEMA_VERSION:
            self._db.create_function("key_of", -1, lambda *parts: _dumps(parts), deterministic=True)
            made = "".join(UPGRADES[version - 1 :]) if version else SCHEMA
            self._db.executescript(f"BEGIN EXCLUSIVE; {made} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT")

    def execute(self, sql: str, values: tuple[object, ...] = ()) -> sqlite3.Cursor:
        try:
            return self._db.execute(sql, values)
        except sqlite3.Error as problem:
            raise StoreError(f"the client's file failed: {problem}") from problem

    def close(self) -> None:
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Write all or nothing. One inside another is part of it."""
        if self._depth == 0:
            self.execute("BEGIN IMMEDIATE")
        self._depth += 1
        try:
            yield
        except BaseException:
            self._depth -= 1
            if self._depth == 0:
                self.execute("ROLLBACK")
                self.meta = self._read_meta()
            raise
        self._depth -= 1
        if self._depth == 0:
            self.execute("COMMIT")

    @contextmanager
    def synced(self) -> Iterator[None]:
        """Write all or nothing, and have it on disk behind the block, or behind the one around it."""
        if self._depth:
            with self.transaction():
                yield
            return
        self.execute("PRAGMA synchronous = FULL")
        try:
            with self.transaction():
                yield
        finally:
            self.execute("PRAGMA synchronous = NORMAL")

    def _read_meta(self) -> Meta:
        return Meta.of(dict(self.execute("SELECT name, value FROM meta")))

    def set_meta(self, meta: Meta) -> None:
        """Write what differs in `meta`. That is always what the file holds: reading it costs nothing."""
        for name, value in meta.rows().items() - self.meta.rows().items():
            self.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, value))
        self.meta = meta

    def position(self, partition: str) -> Position | None:
        row = self.execute("SELECT offset, held FROM positions WHERE partition = ?", (partition,)).fetchone()
        if row is None:
            return None
        return Position(Offset(row[0]), tuple((first, last) for first, last in json.loads(row[1])))

    def set_position(self, partition: str, position: Position) -> None:
        self.execute(
            "INSERT OR REPLACE INTO positions VALUES (?, ?, ?)",
            (partition, position.offset, json.dumps(position.held)),
        )

    def drop_positions(self) -> None:
        self.execute("DELETE FROM positions")

    def remembers(self, signal_id: str) -> bool:
        return self.execute("SELECT 1 FROM remembered WHERE signal_id = ?", (signal_id,)).fetchone() is not None

    def remember(self, signal_id: str) -> None:
        """Remember a message by its signal_id. They sort by age, so the oldest ones make room."""
        self._remembered_count += self.execute("INSERT OR IGNORE INTO remembered VALUES (?)", (signal_id,)).rowcount
        if self._remembered_count > self._remembered_limit + self._remembered_limit // 8:
            self._remembered_count -= self.execute(
                "DELETE FROM remembered "
                "WHERE signal_id IN (SELECT signal_id FROM remembered ORDER BY signal_id LIMIT ?)",
                (self._remembered_count - self._remembered_limit,),
            ).rowcount

    def state_value(self, kind: str, key: StateKey) -> object | None:
        row = self.execute("SELECT value FROM state WHERE kind = ? AND key = ?", (kind, _dumps(key))).fetchone()
        return json.loads(row[0]) if row else None

    def state_values(self, kind: str, prefix: StateKey) -> list[tuple[StateKey, object]]:
        """Lists the rows of a kind whose keys begin with `prefix` and have more parts than it."""
        begin = _dumps(prefix)[:-1] + ("," if prefix else "")
        rows = self.execute(
            "SELECT key, value FROM state WHERE kind = ? AND key > ? AND key < ?", (kind, begin, begin + _BEYOND)
        )
        return [(tuple(json.loads(key)), json.loads(value)) for key, value in rows]

    def set_state_value(self, kind: str, key: StateKey, value: object) -> None:
        """Write a row; it belongs to the generation that is written now."""
        self.execute(
            "INSERT OR REPLACE INTO state VALUES (?, ?, ?, ?)",
            (kind, _dumps(key), _dumps(value), self.meta.state_generation),
        )

    def drop_state_value(self, kind: str, key: StateKey) -> None:
        self.execute("DELETE FROM state WHERE kind = ? AND key = ?", (kind, _dumps(key)))

    def note(self, kind: str, name: str) -> bytes | None:
        row = self.execute("SELECT value FROM notes WHERE kind = ? AND name = ?", (kind, name)).fetchone()
        return bytes(row[0]) if row else None

    def notes(self, kind: str) -> dict[str, bytes]:
        rows = self.execute("SELECT name, value FROM notes WHERE kind = ? ORDER BY name", (kind,))
        return {str(name): bytes(value) for name, value in rows}

    def set_note(self, kind: str, name: str, value: bytes) -> None:
        self.execute("INSERT OR REPLACE INTO notes VALUES (?, ?, ?)", (kind, name, value))

    def drop_note(self, kind: str, name: str) -> None:
        self.execute("DELETE FROM notes WHERE kind = ? AND name = ?", (kind, name))

    def drop_state_before(self, generation: int) -> list[tuple[str, StateKey, object]]:
        """Drop the rows of older generations, of all kinds. Returns (kind, key, value) of each."""
        rows = self.execute("SELECT kind, key, value FROM state WHERE generation < ?", (generation,)).fetchall()
        self.execute("DELETE FROM state WHERE generation < ?", (generation,))
        return [(kind, tuple(json.loads(key)), json.loads(value)) for kind, key, value in rows]

    def set_links(self, partition: str, links: list[tuple[int, bytes]]) -> None:
        rows = [(partition, offset, link) for offset, link in links]
        try:
            self._db.executemany("INSERT OR REPLACE INTO links VALUES (?, ?, ?)", rows)
        except sqlite3.Error as problem:
            raise StoreError(f"the client's file failed: {problem}") from problem

    def links(self, partition: str, after: int, upto: int) -> list[tuple[int, bytes]]:
        """Reads the links of (after, upto], ascending."""
        return self.execute(
            "SELECT offset, link FROM links WHERE partition = ? AND offset > ? AND offset <= ? ORDER BY offset",
            (partition, after, upto),
        ).fetchall()

    def set_chain(self, partition: str, offset: int, chain: bytes) -> None:
        self.execute("INSERT OR REPLACE INTO chains VALUES (?, ?, ?)", (partition, offset, chain))

    def chains(self, partition: str) -> list[tuple[int, bytes]]:
        return self.execute(
            "SELECT offset, chain FROM chains WHERE partition = ? ORDER BY offset", (partition,)
        ).fetchall()

    def oldest_chains(self) -> list[tuple[str, int]]:
        """Reads the offset of the oldest chain of each log: no link up to it is needed to extend a chain."""
        return self.execute("SELECT partition, min(offset) FROM chains GROUP BY partition").fetchall()

    def drop_links(self, partition: str, upto: int, limit: int) -> int:
        """Drop the oldest links of a log, up to and with an offset. Returns how many."""
        dropped = self.execute(
            "DELETE FROM links WHERE partition = ? AND offset IN "
            "(SELECT offset FROM links WHERE partition = ? AND offset <= ? ORDER BY offset LIMIT ?)",
            (partition, partition, upto, limit),
        )
        return dropped.rowcount

    def drop_copy(
        self, partition: str, upto: int | None, *, keep_chain: bool = False, keep_links: bool = False
    ) -> None:
        """Drop the links and chains of a log, up to and with an offset; with `keep_chain` the chain there stays."""
        most = _BEYOND_ANY_OFFSET if upto is None else upto
        if not keep_links:
            self.execute("DELETE FROM links WHERE partition = ? AND offset <= ?", (partition, most))
        self.execute("DELETE FROM chains WHERE partition = ? AND offset <= ?", (partition, most - keep_chain))

    def add_stretch(self, partition: str, first: int, last: int) -> None:
        self.execute("INSERT OR REPLACE INTO stretches VALUES (?, ?, ?)", (partition, first, last))

    def stretches(self) -> list[tuple[str, int, int]]:
        return self.execute("SELECT partition, first, last FROM stretches ORDER BY partition, first").fetchall()

    def drop_stretch(self, partition: str, first: int) -> None:
        self.execute("DELETE FROM stretches WHERE partition = ? AND first = ?", (partition, first))

    def drop_stretches(self, partition: str) -> None:
        self.execute("DELETE FROM stretches WHERE partition = ?", (partition,))

    def add_pending_read(self, mark: PendingRead) -> bool:
        """Note what was read. Returns whether it is news."""
        changed = self.execute(
            "INSERT INTO pending_reads VALUES (?, ?, ?) "
            "ON CONFLICT (target, is_peer) DO UPDATE SET upto = excluded.upto WHERE excluded.upto > upto",
            mark,
        )
        return changed.rowcount > 0

    def pending_reads(self) -> list[PendingRead]:
        rows = self.execute("SELECT target, is_peer, upto FROM pending_reads")
        return [PendingRead(target, bool(is_peer), upto) for target, is_peer, upto in rows]

    def drop_pending_reads(self) -> None:
        self.execute("DELETE FROM pending_reads")

    def drop_pending_read(self, mark: PendingRead) -> None:
        self.execute("DELETE FROM pending_reads WHERE target = ? AND is_peer = ? AND upto <= ?", mark)


_BEYOND_ANY_OFFSET = 2**63 - 1
_BEYOND = "\U0010ffff"  # after any character with which a part of a key begins


def _dumps(value: object) -> str:
    """Writes JSON in one form alone, as keys are compared by it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _make_private(path: Path) -> None:
    """Makes the file what it is to be before SQLite opens it. What lies beside it gets its mode from SQLite."""
    try:
        with suppress(FileExistsError):  # which must not be opened here: closing it would end its locks in this process
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        for file in (path, *(path.with_name(path.name + end) for end in ("-wal", "-shm", "-journal"))):
            with suppress(FileNotFoundError):
                _narrow(file)
    except OSError as problem:
        raise StoreError(f"{path} cannot be opened for its owner alone: {problem.strerror}") from problem


def _narrow(file: Path) -> None:
    mode = stat.S_IMODE(file.stat().st_mode)
    if mode != 0o600:
        file.chmod(0o600)
    if mode & 0o077:
        _log.warning("%s could be read by other accounts until now", file)
