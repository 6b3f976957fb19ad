"""Where a message stands is read by its stamp or by its device's id of it, for who may see it and for nobody else."""

from bimip.domain.core.ids import DeviceId, Stamp, UserId
from bimip.reading.places import NOWHERE, locate, read_place
from bimip.storage.memory import MemoryStore
from bimip.wire import stored


def test_the_body_that_stands_nowhere_is_a_message_all_the_same() -> None:
    assert stored.parse(NOWHERE).id == "nobody's"
    assert locate(NOWHERE) is None


def test_what_is_no_body_stands_nowhere() -> None:
    assert locate(b"\xff\xff") is None


def test_in_an_empty_store_nothing_is_found() -> None:
    store = MemoryStore()

    assert read_place(store, UserId(1), DeviceId(1), Stamp(5), "") is None
    assert read_place(store, UserId(1), DeviceId(1), Stamp(0), "m1") is None
