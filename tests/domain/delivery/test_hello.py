"""Every start and position, in every state of the log and of the cursor."""

from typing import Any

import pytest

from bimip.domain.core.ids import ConversationId, ConversationOffset, DeviceId, Offset, Stamp, UserId
from bimip.domain.core.operations import OpenPosition, PositionOpened
from bimip.domain.core.ranges import Ranges
from bimip.domain.core.records import Changes, Cursor, Entry, Log, LogTable, ReceiptKind, Table
from bimip.domain.delivery.hello import FIRST, HEAD, LAST
from tests.domain.support import CHAT, Ledger, fault_of

USER, OTHER = UserId(1), UserId(2)
PHONE, THEIRS = DeviceId(1), DeviceId(2)
CONVERSATION = ConversationId(1)

AT_5 = Cursor(Offset(5), ((8, 9),))
AT_1 = Cursor(Offset(1), ((3, 3),))


def ledger_with(cursor: Cursor | None, first: int = 4, head: int = 12, **rules: Any) -> Ledger:
    """A log of another user's messages, of which those below `first` expired."""
    ledger = Ledger(**rules)
    entries: list[tuple[int, Entry]] = [
        (
            number,
            Entry(
                Stamp(number), CONVERSATION, ConversationOffset(number), OTHER, THEIRS, addressed=False, digest=bytes(8)
            ),
        )
        for number in range(1, head + 1)
    ]
    changes = Changes(
        puts={Table.LOGS: {(USER, CHAT): Log(Offset(first), Offset(head))}},
        appends={(LogTable.ENTRIES, (USER, CHAT)): entries},
        cuts={(LogTable.ENTRIES, (USER, CHAT)): first},
    )
    if cursor is not None:
        changes.puts[Table.CURSORS] = {(PHONE, CHAT): cursor}
    ledger.commit(changes)
    return ledger


def opening(position: int | None = None, held: Ranges = (), **fields: Any) -> OpenPosition:
    return OpenPosition(USER, PHONE, CHAT, None if position is None else Offset(position), held, **fields)


def cursor_of(ledger: Ledger) -> Cursor | None:
    cursor: Cursor | None = ledger.get(Table.CURSORS, PHONE, CHAT)
    return cursor


def marked(ledger: Ledger) -> set[int]:
    return ledger.marked(CONVERSATION, USER, ReceiptKind.DELIVERED)


@pytest.mark.parametrize(
    ("cursor", "fields", "position", "kept", "skipped"),
    [
        # no cursor: the device is new here
        (None, {"start": FIRST}, 3, Cursor(Offset(3), ()), None),
        (None, {"start": HEAD}, 12, Cursor(Offset(12), ()), None),
        (None, {"start": LAST, "last": 2}, 10, Cursor(Offset(10), ()), None),
        (None, {"start": LAST, "last": 99}, 3, Cursor(Offset(3), ()), None),
        (None, {}, 12, Cursor(Offset(12), ()), None),
        # its cursor lies within the log
        (AT_5, {"start": FIRST}, 3, AT_5, None),
        (AT_5, {"start": HEAD}, 12, Cursor(Offset(12), ()), (6, 12)),
        (AT_5, {"start": LAST, "last": 6}, 6, Cursor(Offset(6), ((8, 9),)), (6, 6)),
        (AT_5, {"start": LAST, "last": 7}, 5, AT_5, None),
        (AT_5, {"start": LAST, "last": 9}, 3, AT_5, None),
        (AT_5, {}, 5, AT_5, None),
        # its cursor lies below what the log still has
        (AT_1, {"start": FIRST}, 3, Cursor(Offset(3), ()), None),
        (AT_1, {"start": HEAD}, 12, Cursor(Offset(12), ()), (2, 12)),
        (AT_1, {"start": LAST, "last": 3}, 9, Cursor(Offset(9), ()), (2, 9)),
        (AT_1, {"start": LAST, "last": 9}, 3, Cursor(Offset(3), ()), None),
    ],
)
def test_a_start(
    cursor: Cursor | None, fields: dict[str, Any], position: int, kept: Cursor, skipped: tuple[int, int] | None
) -> None:
    ledger = ledger_with(cursor)
    result = ledger.do(opening(**fields))

    assert result == PositionOpened(CHAT, 4, 12, kept.floor, position, (), skipped)  # type: ignore[arg-type]  # plain numbers
    assert cursor_of(ledger) == kept
    assert marked(ledger) == set()  # a start gives no receipts


@pytest.mark.parametrize(
    ("cursor", "position", "held", "kept", "receipts"),
    [
        # the position is an acknowledgement of everything up to it
        (None, 0, (), Cursor(Offset(3), ()), set()),
        (None, 6, (), Cursor(Offset(6), ()), {4, 5, 6}),
        (AT_5, 7, (), Cursor(Offset(9), ()), {6, 7}),
        (AT_5, 12, (), Cursor(Offset(12), ()), {6, 7, 10, 11, 12}),
        # below the floor it says where delivery begins, and the floor stays
        (AT_5, 5, (), AT_5, set()),
        (AT_5, 4, (), AT_5, set()),
        (AT_5, 0, (), AT_5, set()),
        (AT_1, 1, (), Cursor(Offset(3), ()), set()),
        # so is what it holds
        (AT_5, 5, ((7, 7), (11, 11)), Cursor(Offset(5), ((7, 9), (11, 11))), {7, 11}),
        (AT_5, 5, ((6, 7),), Cursor(Offset(9), ()), {6, 7}),
        (AT_5, 2, ((4, 6),), Cursor(Offset(6), ((8, 9),)), {6}),
    ],
)
def test_a_position(cursor: Cursor | None, position: int, held: Ranges, kept: Cursor, receipts: set[int]) -> None:
    ledger = ledger_with(cursor)
    result = ledger.do(opening(position, held))

    assert result == PositionOpened(CHAT, Offset(4), Offset(12), kept.floor, Offset(position), held, None)
    assert cursor_of(ledger) == kept
    assert marked(ledger) == receipts


def test_held_offsets_without_a_position_lie_beyond_the_floor() -> None:
    ledger = ledger_with(AT_5)
    result = ledger.do(opening(None, ((2, 2), (7, 7))))

    assert result == PositionOpened(CHAT, Offset(4), Offset(12), Offset(5), Offset(5), ((7, 7),), None)
    assert marked(ledger) == {7}


@pytest.mark.parametrize(
    ("cursor", "asked", "floor", "position"),
    [(AT_5, 12, 5, 5), (AT_5, 3, 5, 3), (AT_5, None, 5, 5), (None, 7, 0, 0), (None, None, 0, 0), (AT_5, 999, 5, 5)],
)
def test_in_another_epoch_the_lower_of_position_and_floor_counts(
    cursor: Cursor | None, asked: int | None, floor: int, position: int
) -> None:
    ledger = ledger_with(cursor)
    result = ledger.do(opening(asked, ((10, 11),), same_epoch=False))

    assert result == PositionOpened(CHAT, Offset(4), Offset(12), Offset(floor), Offset(position), (), None)
    assert cursor_of(ledger) == (cursor or Cursor(Offset(0), ()))
    assert marked(ledger) == set()


@pytest.mark.parametrize(("position", "held"), [(13, ()), (5, ((12, 13),)), (None, ((13, 14),))])
def test_what_was_never_given_is_of_another_epoch(position: int | None, held: Ranges) -> None:
    """It would keep the entries back that get these offsets later."""
    ledger = ledger_with(AT_5)
    result = ledger.do(opening(position, held))

    assert result == PositionOpened(CHAT, Offset(4), Offset(12), Offset(5), Offset(5), (), None)
    assert cursor_of(ledger) == AT_5
    assert marked(ledger) == set()


def test_an_unknown_partition_is_refused() -> None:
    assert fault_of(Ledger().do(OpenPosition(USER, PHONE, "attic"))) == "NOT_FOUND"


@pytest.mark.parametrize("fields", [{}, {"start": FIRST}, {"start": HEAD}, {"start": LAST, "last": 3}])
def test_a_log_that_has_never_held_anything(fields: dict[str, Any]) -> None:
    ledger = Ledger()

    assert ledger.do(opening(**fields)) == PositionOpened(CHAT, Offset(1), Offset(0), Offset(0), Offset(0), (), None)


def test_an_empty_log_that_has_held_something() -> None:
    ledger = ledger_with(None, first=13)

    assert ledger.do(opening(start=FIRST)) == PositionOpened(
        CHAT, Offset(13), Offset(12), Offset(12), Offset(12), (), None
    )


def test_a_position_far_ahead_is_acknowledged_in_slices_and_told_at_once() -> None:
    ledger = ledger_with(AT_5, slice_entries=2)
    _, decisions = ledger.decide(opening(12))
    result = ledger.do(opening(12))

    assert decisions[0].then is not None
    assert result.floor == result.position == 12
    assert marked(ledger) == {6, 7, 10, 11, 12}
    assert cursor_of(ledger) == Cursor(Offset(12), ())


def test_the_trace_of_a_device_that_acknowledged_12_but_not_11_and_returns_with_10() -> None:
    ledger = ledger_with(Cursor(Offset(10), ((12, 12),)))
    result = ledger.do(opening(10))

    assert (result.floor, result.position, result.held) == (10, 10, ())  # 12 comes again: the device lost it
    assert cursor_of(ledger) == Cursor(Offset(10), ((12, 12),))
