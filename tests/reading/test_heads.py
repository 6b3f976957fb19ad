"""Where logs and state end is read at one moment; what is empty ends at 0."""

from bimip.domain.core.ids import Offset, UserId, Version
from bimip.domain.core.operations import OpenPosition
from bimip.domain.core.records import Log, State, Table
from bimip.reading.heads import read_epoch, read_heads
from tests.reading.support import ANN, BOB, PHONE, store_with


def test_heads_are_the_users_own_in_each_partition_that_is_asked_for() -> None:
    store = store_with(
        {
            Table.LOGS: {(ANN, "chat"): Log(Offset(3), Offset(9)), (BOB, "chat"): Log(Offset(1), Offset(4))},
            Table.STATES: {(ANN,): State(Version(7), Version(2))},
        }
    )

    assert read_heads(store, ANN, ["chat", "feed"]) == ({"chat": 9, "feed": 0}, 7, 2)
    assert read_heads(store, UserId(3), ["chat"]) == ({"chat": 0}, 0, 0)


def test_who_has_what_this_store_never_gave_is_told_another_epoch() -> None:
    store = store_with({Table.META: {("epoch",): 1 << 20}, Table.LOGS: {(ANN, "chat"): Log(Offset(1), Offset(4))}})
    behind, beyond = (OpenPosition(ANN, PHONE, "chat", Offset(at)) for at in (4, 5))

    assert read_epoch(store, ANN, 1 << 20, [behind], 0) == (1 << 20, True)
    assert read_epoch(store, ANN, 1 << 20, [beyond], 0)[1] is False
