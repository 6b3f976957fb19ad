"""The store on LMDB: one folder with one environment, used by one process. store.py is read first.

LmdbStore turns keys into bytes that sort as their tuples do (keys.py) and records into few bytes (packing.py). A
sequence lies in *blocks* of many records (blocks.py), each under a key that follows from the number, so an append finds
its block without a search, a reader starts in the middle without one, and a batch's references cost one put per user: a
block grows instead of a row (and a row's 30 bytes of key and header) for each message. The newest block of a log is
small; when it is full it joins one that fills a page of its own (trees.py). An index lies in blocks of sorted rows;
what is new waits in the newest block until that is full, so a row that belongs to the middle costs what one at the end
does. A commit pays for pages and not for rows, so what every message writes of a user lies side by side in one tree,
the hot one: newest blocks, log, counters, state; and so does what it writes of a conversation (keys.py).

A store is only ever as new as the file that lies there. A mark beside it tells what was last served (mark.py), and a
copy that `bimip store backup` made says within that it is one (care/backup.py). The journal begins another epoch where
what it finds is older.

Damage. Each value carries a seal (seals.py), and what does not fit is said once. LMDB believes its pages, so the file
is looked at before it is mapped, by a reader of our own (file.py), and a tree with a damaged page is read by that one
from then on (guard.py). `bimip store check` (care/check.py; care/check_apart.py, in other processes) tells what is
wrong, and care/repair.py makes again what other records tell.

Why LMDB: a reader costs a microsecond, never waits, and sees one consistent state; a commit is two synced writes and
no log to replay, so a start after a crash takes no time; it is one file and no process to look after. What it asks for
in return is here too: one writer, a map that is reserved ahead, no checksums, and a file that shrinks only by copying.

Rejected:
- `writemap` (a full disk would kill the process), `metasync=False` and `sync=False` (an acknowledgement could be lost).
- A tree for each table and for each kind of newest block: 19 pages in the commit of one message, instead of 11.
- A row per log entry: twice the bytes for each reference, because a row's key and header are as long as what it holds.
- Blocks of one size. Small ones, of 24 records, fill pages to two thirds: each user's blocks come in the middle of the
  tree, where a page is split. Blocks of a page are too much to write for each message.
- An index's rows where they belong at once: a device whose clock is ahead would make the row of every other one, until
  its time comes, a late one, which costs a page of its own.
- Blocks of whatever one batch brought: small batches made rows again, and finding the last one was a search.
- Text as it is in keys, with a length before it (does not sort) or a NUL behind it (may be part of the text).
- SQLite: the same promise at ten times the processor time for each message; a log of our own before LMDB: no gain
  that could be measured over its noise.
"""
