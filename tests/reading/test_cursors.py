"""How far a device has acknowledged is read by partition; where nothing was, there is nothing."""

from bimip.domain.core.ids import Offset
from bimip.domain.core.records import Cursor, Table
from bimip.reading.cursors import read_cursor, read_cursors
from tests.reading.support import LAPTOP, PHONE, store_with

PLACE = Cursor(Offset(3), ((5, 6),))


def test_the_cursors_of_a_device_are_read_and_no_siblings() -> None:
    store = store_with({Table.CURSORS: {(PHONE, "chat"): PLACE, (LAPTOP, "feed"): Cursor(Offset(9), ())}})

    assert read_cursors(store, PHONE, ["chat", "feed"]) == {"chat": PLACE}


def test_where_nothing_was_acknowledged_there_is_no_cursor() -> None:
    with store_with().snapshot() as view:
        assert read_cursor(view, PHONE, "chat") is None
