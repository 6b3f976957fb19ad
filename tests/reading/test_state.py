"""Pages of changes join: each says up to where it reaches, and the last that it is the last."""

import pytest

from bimip.domain.core.ids import ConversationId, UserId, Version
from bimip.domain.core.records import ReceiptKey, ReceiptKind, State, StateKey, Table
from bimip.domain.state.receipts import pack_key
from bimip.reading.state import read_changes, read_standing
from bimip.storage.memory import MemoryStore
from tests.reading.support import ANN, BOB, store_with


def key(block: int) -> StateKey:
    return pack_key(ReceiptKey(ConversationId(1), BOB, ReceiptKind.READ, block))


def changed(*versions: int) -> MemoryStore:
    return store_with(
        {
            Table.CHANGES: {(ANN, version): key(version) for version in versions} | {(BOB, 3): key(3)},
            Table.STATES: {(ANN,): State(Version(9), Version(4))},
        }
    )


@pytest.mark.parametrize(
    ("after", "limit", "expected", "upto", "complete"),
    [
        (0, 9, [2, 5, 8], 9, True),
        (0, 2, [2, 5], 5, False),
        (5, 2, [8], 9, True),
        (0, 3, [2, 5, 8], 8, False),
        (8, 3, [], 9, True),
    ],
)
def test_a_page_holds_what_changed_behind_a_version(
    after: int, limit: int, expected: list[int], upto: int, *, complete: bool
) -> None:
    page = read_changes(changed(2, 5, 8), ANN, after, limit)

    assert [(version, place) for version, place, _ in page.changes] == [(version, key(version)) for version in expected]
    assert (page.upto, page.complete, page.floor) == (upto, complete, 4)
    assert read_standing(changed(2), ANN) == (9, 4)


def test_nobody_elses_changes_are_read() -> None:
    assert read_changes(changed(2), UserId(3), 0, 9) == ([], 0, True, 0)


def test_a_kind_that_a_later_version_wrote_is_passed_over() -> None:
    store = store_with({Table.CHANGES: {(ANN, 1): b"\xffnew", (ANN, 2): key(1)}})

    assert [(version, value) for version, _, value in read_changes(store, ANN, 0, 9).changes] == [(1, None), (2, ())]
