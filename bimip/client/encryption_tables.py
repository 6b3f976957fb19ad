"""What a client's file has for encryption. Each method is a statement; `encryption/encryption.py` says what belongs
together, and `core/sealed_messages.py` what every client asks of it.
"""

from typing import NamedTuple

from bimip.client.store import Store

MOST_SESSIONS = 8
"""With one device; the ones that were used last."""


class AccountRow(NamedTuple):
    """This device's own keys."""

    pickle: str
    fallback: bytes  # the PreKey that is published
    fallback_made: int  # milliseconds since 1970
    prepared: bytes  # the Keys that are to be published, until they are; empty: none
    withdraws: bool = False  # the keys in the directory are to go before others are published


class Peer(NamedTuple):
    """A device whose key is known."""

    identity: bytes
    signing: bytes
    verified: bool
    changed: bytes  # another identity key that was seen since; empty: none
    changed_signing: bytes
    renew: bool  # its sessions are broken: another one is to be begun


class OpenedRow(NamedTuple):
    """An encrypted message that arrived here, or left."""

    signal_id: str
    eid: str
    device: str
    id: str
    conversation: str
    letter: (
        bytes | None
    )  # as it was decrypted, until the program has taken it, or for as long as its key is not accepted
    message: bytes | None  # as it came, with a letter whose key is not accepted


class EncryptionTables:
    """The rows about keys, sessions and encrypted messages."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._execute = store.execute

    # The account.

    def account(self) -> AccountRow | None:
        row = self._execute("SELECT pickle, fallback, fallback_made, prepared, withdraws FROM olm_account").fetchone()
        return AccountRow(row[0], row[1], row[2], row[3], withdraws=bool(row[4])) if row else None

    def has_account(self) -> bool:
        return self._execute("SELECT 1 FROM olm_account").fetchone() is not None

    def set_account(self, row: AccountRow) -> None:
        self._execute("INSERT OR REPLACE INTO olm_account VALUES (1, ?, ?, ?, ?, ?)", row)

    # Other devices.

    def peer(self, eid: str, device: str) -> Peer | None:
        row = self._execute(
            "SELECT identity, signing, verified, changed, changed_signing, renew FROM olm_peers "
            "WHERE eid = ? AND device = ?",
            (eid, device),
        ).fetchone()
        return Peer(row[0], row[1], bool(row[2]), row[3], row[4], bool(row[5])) if row else None

    def peers(self, eid: str) -> dict[str, Peer]:
        rows = self._execute("SELECT device FROM olm_peers WHERE eid = ? ORDER BY device", (eid,)).fetchall()
        found = ((device, self.peer(eid, device)) for (device,) in rows)
        return {device: peer for device, peer in found if peer is not None}

    def set_peer(self, eid: str, device: str, peer: Peer) -> None:
        self._execute("INSERT OR REPLACE INTO olm_peers VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (eid, device, *peer))

    # Sessions.

    def sessions(self, identity: bytes) -> dict[str, str]:
        """Returns the pickles of the sessions with a device by their names, the one used last first."""
        rows = self._execute("SELECT name, pickle FROM olm_sessions WHERE identity = ? ORDER BY used DESC", (identity,))
        return dict(rows.fetchall())

    def set_session(self, identity: bytes, name: str, pickle: str, *, is_used: bool) -> None:
        """Keeps a session; one that is used is the first one from now on."""
        newest = "(SELECT coalesce(max(used), 0) + 1 FROM olm_sessions)"
        kept = "(SELECT coalesce((SELECT used FROM olm_sessions WHERE identity = ?1 AND name = ?2), 0))"
        self._execute(
            f"INSERT OR REPLACE INTO olm_sessions VALUES (?1, ?2, ?3, {newest if is_used else kept})",  # noqa: S608
            (identity, name, pickle),
        )
        self._execute(
            "DELETE FROM olm_sessions WHERE identity = ?1 AND name NOT IN "
            "(SELECT name FROM olm_sessions WHERE identity = ?1 ORDER BY used DESC LIMIT ?2)",
            (identity, MOST_SESSIONS),
        )

    def drop_sessions(self, identity: bytes) -> None:
        self._execute("DELETE FROM olm_sessions WHERE identity = ?", (identity,))

    # Messages.

    def plain(self, message_id: str) -> bytes | None:
        """Reads a message of the outbox as it was written."""
        row = self._execute("SELECT message FROM sealed WHERE id = ?", (message_id,)).fetchone()
        return row[0] if row else None

    def put_plain(self, message_id: str, message: bytes) -> None:
        self._execute("INSERT INTO sealed VALUES (?, ?)", (message_id, message))

    def next_unsealed(self) -> tuple[str, bytes] | None:
        """Finds the first message of the outbox that is encrypted, where that is still to be done.

        None while one that is encrypted waits for its answer: it may have to be encrypted anew, and what was encrypted
        behind it would have come out of the order of its session, further than keys are kept.
        """
        row = self._execute(
            "SELECT outbox.id, sealed.message, outbox.message FROM outbox JOIN sealed ON sealed.id = outbox.id "
            "WHERE outbox.answer IS NULL ORDER BY outbox.number LIMIT 1"
        ).fetchone()
        return None if row is None or row[2] else (row[0], row[1])

    def set_sealed(self, message_id: str, message: bytes) -> None:
        """Puts a message into the outbox as it is sent; empty: it is to be encrypted anew."""
        self._execute("UPDATE outbox SET message = ? WHERE id = ? AND answer IS NULL", (message, message_id))

    def opened(self, signal_id: str) -> OpenedRow | None:
        row = self._execute("SELECT * FROM opened WHERE signal_id = ?", (signal_id,)).fetchone()
        return OpenedRow(*row) if row else None

    def opened_as(self, eid: str, device: str, message_id: str) -> OpenedRow | None:
        row = self._execute(
            "SELECT * FROM opened WHERE eid = ? AND device = ? AND id = ?", (eid, device, message_id)
        ).fetchone()
        return OpenedRow(*row) if row else None

    def put_opened(self, row: OpenedRow) -> None:
        self._execute("INSERT OR REPLACE INTO opened VALUES (?, ?, ?, ?, ?, ?, ?)", row)

    def forget_letter(self, signal_id: str) -> None:
        """Drops what was decrypted, once it is taken; what is held back for its key stays."""
        self._execute("UPDATE opened SET letter = NULL WHERE signal_id = ? AND message IS NULL", (signal_id,))

    def held(self) -> list[OpenedRow]:
        """Reads what is held back, since its key was not accepted."""
        rows = self._execute("SELECT * FROM opened WHERE message IS NOT NULL ORDER BY signal_id")
        return [OpenedRow(*row) for row in rows]

    def is_encrypted(self, conversation: str) -> bool:
        """Whether anything encrypted arrived or left here in a conversation."""
        return (
            self._execute("SELECT 1 FROM opened WHERE conversation = ? LIMIT 1", (conversation,)).fetchone() is not None
        )

    # Conversations of two.

    def conversation_with(self, eid: str) -> str:
        row = self._execute("SELECT conversation FROM direct WHERE eid = ?", (eid,)).fetchone()
        return row[0] if row else ""

    def peer_in(self, conversation: str) -> str:
        row = self._execute("SELECT eid FROM direct WHERE conversation = ?", (conversation,)).fetchone()
        return row[0] if row else ""

    def set_conversation_with(self, eid: str, conversation: str) -> None:
        self._execute("INSERT OR REPLACE INTO direct VALUES (?, ?)", (eid, conversation))

    def forget_conversations(self) -> None:
        self._execute("DELETE FROM direct")
