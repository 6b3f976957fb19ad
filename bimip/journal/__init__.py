"""Floor 2: where operations are decided and become durable. journal.py is read first.

    queue.py     operations that wait: who overtakes whom, what joins, whose turn it is
    journal.py   the one process that decides a batch, writes it, and tells what came of it
    overlay.py   what it decides against: the last snapshot, what was decided since, and what is read again and again
    transaction.py  the store's one write transaction: in which thread it is, and what it does to the next one
    worker.py    where the disk is waited for: a thread, or the loop itself

The store below it keeps what it is given and decides nothing; the rules (bimip/domain) are pure.
"""
