"""The tables of a client's file, and how older files become ones of today. `store.py` says what is in them."""

_COMMANDS_AND_MESSAGES = """
CREATE TABLE commands (
  number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, message BLOB NOT NULL, answer BLOB,
  behind INTEGER NOT NULL
);
CREATE INDEX unanswered_commands ON commands (number) WHERE answer IS NULL;
CREATE TABLE messages (
  signal_id TEXT PRIMARY KEY, partition TEXT NOT NULL, offset INTEGER NOT NULL, conversation TEXT NOT NULL,
  conversation_offset INTEGER NOT NULL, text TEXT, expires INTEGER NOT NULL, message BLOB NOT NULL
) WITHOUT ROWID;
CREATE INDEX by_conversation ON messages (conversation, conversation_offset);
CREATE INDEX by_expiry ON messages (expires);
CREATE INDEX by_offset ON messages (partition, offset);
"""

_COPIES = """
CREATE TABLE links (partition TEXT, offset INTEGER, link BLOB NOT NULL, PRIMARY KEY (partition, offset)) WITHOUT ROWID;
CREATE TABLE chains (
  partition TEXT, offset INTEGER, chain BLOB NOT NULL, PRIMARY KEY (partition, offset)
) WITHOUT ROWID;
CREATE TABLE stretches (
  partition TEXT, first INTEGER, last INTEGER NOT NULL, PRIMARY KEY (partition, first)
) WITHOUT ROWID;
"""

_ENCRYPTION = """
CREATE TABLE olm_account (
  one INTEGER PRIMARY KEY CHECK (one = 1), pickle TEXT NOT NULL, fallback BLOB NOT NULL, fallback_made INTEGER NOT NULL,
  prepared BLOB NOT NULL, withdraws INTEGER NOT NULL
);
CREATE TABLE olm_peers (
  eid TEXT, device TEXT, identity BLOB NOT NULL, signing BLOB NOT NULL, verified INTEGER NOT NULL,
  changed BLOB NOT NULL, changed_signing BLOB NOT NULL, renew INTEGER NOT NULL, PRIMARY KEY (eid, device)
) WITHOUT ROWID;
CREATE TABLE olm_sessions (
  identity BLOB, name TEXT, pickle TEXT NOT NULL, used INTEGER NOT NULL, PRIMARY KEY (identity, name)
) WITHOUT ROWID;
CREATE TABLE sealed (id TEXT PRIMARY KEY, message BLOB NOT NULL) WITHOUT ROWID;
CREATE TRIGGER sealed_goes AFTER DELETE ON outbox BEGIN DELETE FROM sealed WHERE id = OLD.id; END;
CREATE TABLE opened (
  signal_id TEXT PRIMARY KEY, eid TEXT NOT NULL, device TEXT NOT NULL, id TEXT NOT NULL, conversation TEXT NOT NULL,
  letter BLOB, message BLOB
) WITHOUT ROWID;
CREATE INDEX opened_by_id ON opened (eid, device, id);
CREATE INDEX opened_in ON opened (conversation);
CREATE TABLE direct (eid TEXT PRIMARY KEY, conversation TEXT NOT NULL) WITHOUT ROWID;
"""

_NOTES = """
CREATE TABLE notes (kind TEXT, name TEXT, value BLOB NOT NULL, PRIMARY KEY (kind, name)) WITHOUT ROWID;
"""

SCHEMA = f"""
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE positions (partition TEXT PRIMARY KEY, offset INTEGER NOT NULL, held TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE outbox (
  number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, message BLOB NOT NULL, answer BLOB
);
CREATE INDEX unanswered ON outbox (number) WHERE answer IS NULL;
CREATE TABLE remembered (signal_id TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE state (
  kind TEXT, key TEXT, value TEXT NOT NULL, generation INTEGER NOT NULL, PRIMARY KEY (kind, key)
) WITHOUT ROWID;
CREATE TABLE pending_reads (
  target TEXT, is_peer INTEGER, upto INTEGER NOT NULL, PRIMARY KEY (target, is_peer)
) WITHOUT ROWID;
{_COMMANDS_AND_MESSAGES}
{_COPIES}
{_ENCRYPTION}
{_NOTES}"""

UPGRADES = (
    """
ALTER TABLE known RENAME TO remembered;
ALTER TABLE reads RENAME TO pending_reads;
UPDATE meta SET name = 'state_generation' WHERE name = 'state_fresh';
CREATE TABLE state (
  kind TEXT, key TEXT, value TEXT NOT NULL, generation INTEGER NOT NULL, PRIMARY KEY (kind, key)
) WITHOUT ROWID;
INSERT INTO state SELECT 'receipts', key_of(conversation, block, member, kind), runs, fresh FROM receipts;
DROP TABLE receipts;
""",
    _COPIES,
    _COMMANDS_AND_MESSAGES,
    _ENCRYPTION,
    _NOTES,
)
"""Each makes a file one of the next version, the first one of version 1. A new kind of state needs none."""

SCHEMA_VERSION = 1 + len(UPGRADES)
