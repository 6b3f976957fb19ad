"""The store on PostgreSQL: one database, used by one server. store.py is read first.

    store.py         PostgresStore: one writer, transactions, what errors mean, what was served, room
    snapshot.py      what a snapshot answers
    writing.py       Changes as statements
    statements.py    what is said to PostgreSQL, and how what goes with it is packed
    rows.py          how a log's records and an index's rows are packed
    schema.py        what is made in the database, and its migrations
    connection.py    pipelines over libpq, each wait with an end

Keys, records and seals are those of every store (storage/keys.py, packing.py, seals.py): what is copied from one engine
to another is the same bytes, and a record that a disk changed is noticed where the database has no checksums.

It bears what comes later, several servers: offsets come from records that are decided under a lock, never from a
SEQUENCE (whose numbers are not in the order of commits); heads are rows, which can be locked; a key's first bytes say
whose it is; many keys are one question.

Rejected:
- psycopg's own connections: an interrupted program cancels its query, and a commit that is cancelled while it waits for
  its standby counts as made (connection.py).
- COPY: it cannot be in a pipeline, and arrays take as long for as many rows as a batch has.
- A column for each field, and text as text: a text may hold a NUL, a number of 64 bits has no sign, and what is known
  of a record would be known twice. SQL is not how it is looked at: `bimip store check`, and the console.
- A single relation for all kinds: what is written anew for each message and what is only added would share pages, and
  VACUUM would read both.
- Partitions by user: nothing that one server does gets quicker by them.
- Blocks of records, as on LMDB: each that comes would write its block anew, and the old one would be garbage.
"""
