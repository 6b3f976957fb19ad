"""The bytes on the disk are those of FORMAT: a fixed history leaves, in each tree, exactly what it left when that was
given its number. A change of them needs another number, and other digests here.
"""

from hashlib import sha256
from pathlib import Path
from typing import Any, cast

from bimip.domain.core.clock import earliest_stamp
from bimip.domain.core.ids import ConversationId, ConversationOffset, DeviceId, Millis, Offset, Stamp, UserId
from bimip.domain.core.operations import (
    Address,
    ExpireBodies,
    ExpireHistory,
    ExpireLog,
    Forget,
    NoteTime,
    OpenPosition,
    Revoke,
)
from bimip.domain.core.records import Changes, Entry, Index, LogTable, ReceiptKind, Seq, Table
from bimip.domain.keeping.timekeeping import Known
from bimip.storage.format import FORMAT
from bimip.storage.lmdb.store import LmdbStore
from bimip.storage.memory import MemoryStore
from tests.domain.support import BEGIN, Ledger
from tests.storage.test_contract import EXAMPLES
from tests.storage.test_damage_campaign import content

WIDE = 1 << 40


def write_history(store: LmdbStore) -> None:
    """Each operation, logs and indexes with full blocks, names of all kinds, receipts of several blocks, expiry."""
    ledger = Ledger(partitions=frozenset({"chat", "my own"}))
    ledger.store = cast("MemoryStore", store)
    ann, anns_laptop, bob = ledger.device("ann"), ledger.device("ann", "läptop"), ledger.device("bob\0\1")
    for number in range(700):
        sender, to = ((ann, bob), (anns_laptop, bob), (bob, ann))[number % 3]
        partition = "my own" if number % 50 == 0 else "chat"
        seq = None if number % 7 == 0 else (1000 + number * 37 % 500, number)
        ledger.send(sender, to.eid, f"m{number}", partition=partition, sent=b"x" * (number % 90), seq=seq)
        ledger.now = Millis(ledger.now + 1000)
    ledger.send(ann, "ann", "to myself", addresses=(Address("ann", "läptop", b"only you"),))
    ledger.ack(bob, 300, ((310, 320), (330, 330)))
    ledger.ack(ann, 200)
    ledger.read(bob, "ann", 250)
    ledger.read(ann, bob.eid, 10, ((20, 30),), kind=ReceiptKind.PLAYED)
    ledger.do(OpenPosition(ann.user, ann.device, "chat", Offset(5)))
    ledger.do(Revoke(ann.user, "jti", Millis(BEGIN + 5)))
    ledger.do(Forget(anns_laptop.device))
    ledger.do(NoteTime(Known(Millis(BEGIN + 7))))
    old = earliest_stamp(Millis(BEGIN + 150_000))
    ledger.do(ExpireLog(ann.user, "chat", old))
    ledger.do(ExpireLog(bob.user, "chat", old))
    ledger.do(ExpireHistory(ConversationId(1), old))
    ledger.do(ExpireBodies(earliest_stamp(Millis(BEGIN + 100_000))))


def write_examples(store: LmdbStore) -> None:
    """A record of every form that a table has, and numbers beyond 32 bits in logs and an index."""
    place = (LogTable.ENTRIES, (77, "wide"))
    device = DeviceId(9)
    entries = [
        Entry(Stamp(n), ConversationId(3), ConversationOffset(n), UserId(5), device, addressed=False, digest=bytes(8))
        for n in (1, 2, WIDE, WIDE + 1)
    ]
    puts: dict[Table, dict[Any, Any]] = {}
    for table, key, record in EXAMPLES:
        puts.setdefault(table, {})[key] = record
    rows: dict[Any, Any] = {(Index.SEQS, (77, "wide")): [Seq(5, 1, device, Offset(WIDE)), Seq(2, 9, device, Offset(1))]}
    store.begin()
    store.apply(Changes(puts=puts, appends={place: list(enumerate(entries, WIDE))}, inserts=rows))
    store.commit()


def digests(folder: Path) -> dict[str, str]:
    """For each tree how many rows it has, and a digest of them."""
    trees: dict[str, list[bytes]] = {}
    for name, key, value in content(folder):
        trees.setdefault(name.decode(), []).append(b"%d %d " % (len(key), len(value)) + key + value)
    return {name: f"{len(rows)} {sha256(b''.join(rows)).hexdigest()[:16]}" for name, rows in trees.items()}


def test_a_fixed_history_leaves_the_bytes_of_this_format(tmp_path: Path) -> None:
    store = LmdbStore(tmp_path, map_bytes=64 << 20)
    write_history(store)
    write_examples(store)
    store.close()

    assert digests(tmp_path) == GOLDEN, f"other bytes than format {FORMAT} has: raise it, with the digests below"


GOLDEN = {
    "about": "1 72e138439efbfc4c",
    "addressed": "3 36ed1ef4ce31f5d3",
    "bodies": "603 f7e5da81eefbb5a6",
    "checkpoints": "1 2b3bdb5a729a9abc",
    "commands": "1 15312d0a153ef30f",
    "conflicts": "1 11f5bf45c023de61",
    "contacts": "3 7efd3a871c6d26b3",
    "conversationsettings": "2 fff742f3f1cd9824",
    "cursors": "4 41fde308edf6e81a",
    "devicekeys": "1 831006fca8430dc3",
    "devices": "3 8d8e15f4a99374ec",
    "direct": "3 078d85d62945e00b",
    "eids": "3 469e2f64541722dc",
    "entries": "10 705978a9485ae552",
    "erasing": "1 610c85d5268b3500",
    "eventpositions": "1 df1b7d23c072629c",
    "events": "1 c87ffee73650037c",
    "expiring": "1 0e0dce3732ac818a",
    "groups": "4 00e0de258dfcad3f",
    "heads": "59 1fd17deb03bf54fc",
    "history": "3 e699b7ef4b8fd3a0",
    "inboxes": "3 3ca40b733b2e3c0b",
    "intents": "1 1fda674e0c29a0a3",
    "labels": "1 0beb2cdc4e3bdd8a",
    "locationends": "1 d3aeb0c0679033db",
    "locationshares": "1 0f1939e0bb8a51af",
    "members": "1 80a93b35ba0d4008",
    "mentions": "1 899d1dd3e92570fb",
    "messagestates": "1 011778698be86d67",
    "meta": "12 ea47eac1f779048c",
    "names": "4 80a0c19c426f8998",
    "onetimekeys": "1 360270605eb992b3",
    "ownmessages": "1 8f2ef8cb2efaf9c4",
    "privacyexceptions": "1 c09a3dccfb00b656",
    "privatereads": "1 6a31e12f26882545",
    "pushcursors": "1 8cccd0f73e10b648",
    "pushshown": "1 e2d01b2dcc4fe2f3",
    "pushsubscriptions": "2 e0ec6c62d6c3d81b",
    "reactions": "3 6838b0395b2655b5",
    "readmarkers": "1 99df6772d0d943a1",
    "receipts": "25 5a6832a0ac0fabf3",
    "references": "1 5896b5df016faf59",
    "removals": "2 401915b9a9e89961",
    "revoked": "2 95d41794a67c9f41",
    "risen": "4 cf4d0359cb76fd2a",
    "rosters": "1 09a68baba351ac64",
    "seen": "704 15e58e156a61133c",
    "seqs": "6 a03ba52341b718e8",
    "settings": "1 27e8ceeaea6257c1",
    "threads": "1 07803feb639b0623",
    "unheard": "1 a14582d42ace9d60",
    "users": "4 2f907ab572685a8f",
}
"""For format 8. Earlier ones had fewer trees and fewer forms of records: tests/scenarios/test_formats.py has a store of
each.
"""
