"""Floor 1: where what was decided is kept.

Theory of operation. The domain speaks of tables, sequences and indexes (domain/core/records.py). A `Store`
(interface.py) keeps them: it answers for the last committed state, and takes `Changes` whole, in one transaction that
is on disk when `commit` returns. It decides nothing and knows no message; what decides is above it (bimip/journal).

    interface.py, errors.py   what every store can do, and how it fails
    damage.py                 what was found damaged, told once
    memory.py                 MemoryStore, which defines the behaviour
    keys.py, packing.py       keys and records as bytes, seals.py their checksums, format.py the number of all that:
                              for every store that keeps them
    mark.py                   what of a store was last served on this machine
    lmdb/                     LmdbStore, which is held to it by one suite, and by random histories that must give the
                              same answers in both
    postgres/                 PostgresStore, held to it likewise
    care/                     what an operator does with a store: check, repair, copy, put back
"""
