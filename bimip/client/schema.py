"""The tables of a client's file, and how older files become ones of today. `store.py` says what is in them."""

SCHEMA = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE positions (partition TEXT PRIMARY KEY, offset INTEGER NOT NULL, held TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE outbox (
  number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, message BLOB NOT NULL, answer BLOB
);
CREATE INDEX unanswered ON outbox (number) WHERE answer IS NULL;
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
CREATE TABLE remembered (signal_id TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE state (
  kind TEXT, key TEXT, value TEXT NOT NULL, generation INTEGER NOT NULL, PRIMARY KEY (kind, key)
) WITHOUT ROWID;
CREATE TABLE pending_reads (
  target TEXT, is_peer INTEGER, upto INTEGER NOT NULL, PRIMARY KEY (target, is_peer)
) WITHOUT ROWID;
CREATE TABLE links (partition TEXT, offset INTEGER, link BLOB NOT NULL, PRIMARY KEY (partition, offset)) WITHOUT ROWID;
CREATE TABLE chains (
  partition TEXT, offset INTEGER, chain BLOB NOT NULL, PRIMARY KEY (partition, offset)
) WITHOUT ROWID;
CREATE TABLE stretches (
  partition TEXT, first INTEGER, last INTEGER NOT NULL, PRIMARY KEY (partition, first)
) WITHOUT ROWID;
"""

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
    """
CREATE TABLE links (partition TEXT, offset INTEGER, link BLOB NOT NULL, PRIMARY KEY (partition, offset)) WITHOUT ROWID;
CREATE TABLE chains (
  partition TEXT, offset INTEGER, chain BLOB NOT NULL, PRIMARY KEY (partition, offset)
) WITHOUT ROWID;
CREATE TABLE stretches (
  partition TEXT, first INTEGER, last INTEGER NOT NULL, PRIMARY KEY (partition, first)
) WITHOUT ROWID;
""",
    """
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
""",
)
"""Each makes a file one of the next version, the first one of version 1. A new kind of state needs none."""

SCHEMA_VERSION = 1 + len(UPGRADES)
