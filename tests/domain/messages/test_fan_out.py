from bimip.domain.core.ids import ConversationId, ConversationOffset, DeviceId, Offset, Stamp, UserId
from bimip.domain.core.records import Entry, Log, LogTable
from bimip.domain.messages.chaining import STEP, extend
from bimip.domain.messages.fan_out import fan_out

ANN, BOB = UserId(1), UserId(2)
BODIES = [b"one", b"two"]


def entry(number: int) -> Entry:
    place = (Stamp(number), ConversationId(3), ConversationOffset(number))
    return Entry(*place, ANN, DeviceId(9), addressed=False, digest=bytes(8))


ENTRIES = [entry(1), entry(2)]


def test_each_log_grows_by_the_same_entries_at_its_own_head() -> None:
    logs = [(ANN, Log(Offset(1), Offset(0))), (BOB, Log(Offset(4), Offset(7)))]
    heads, appends, news = fan_out("chat", logs, ENTRIES, BODIES)

    assert {key[0]: (log.first, log.head) for key, log in heads.items()} == {ANN: (1, 2), BOB: (4, 9)}
    assert [(table, key[0], records) for table, key, records in appends] == [
        (LogTable.ENTRIES, ANN, [(1, ENTRIES[0]), (2, ENTRIES[1])]),
        (LogTable.ENTRIES, BOB, [(8, ENTRIES[0]), (9, ENTRIES[1])]),
    ]
    assert [(one.user, one.partition, one.first, one.bodies) for one in news] == [
        (ANN, "chat", 1, BODIES),
        (BOB, "chat", 8, BODIES),
    ]


def test_each_log_has_a_hash_chain_of_its_own() -> None:
    before = b"sixteen bytes ok"
    logs = [(ANN, Log(Offset(1), Offset(0))), (BOB, Log(Offset(1), Offset(STEP - 1), before))]
    heads, appends, _ = fan_out("chat", logs, ENTRIES, BODIES)
    chain, links = extend(before, STEP - 1, ENTRIES)

    assert heads[BOB, "chat"].chain == chain != heads[ANN, "chat"].chain
    assert [(key[0], kept) for table, key, kept in appends if table is LogTable.CHAINS] == [(BOB, links)]
