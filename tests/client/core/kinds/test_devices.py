from bimip.client.core.kinds import CLIENT_KINDS
from bimip.client.core.kinds.devices import devices_of
from bimip.client.core.state import State
from bimip.client.events import DeviceChanged
from bimip.client.store import Store
from bimip.client.wire.bimip import DeviceState, StateItem
from tests.client.support import page


def device(name: str, label: str = "", *, created: int = 7, stamp: int = 0, removed: bool = False) -> StateItem:
    return StateItem(removed=removed, device=DeviceState(name=name, created=created, label=label, stamp=stamp))


def test_devices_come_are_labelled_and_go(store: Store) -> None:
    state = State(store, CLIENT_KINDS)

    assert state.page(page(0, 2, device("phone"), device("laptop"))) == [
        DeviceChanged("phone", 7, ""),
        DeviceChanged("laptop", 7, ""),
    ]
    assert state.page(page(2, 3, device("laptop", "at work", stamp=5))) == [DeviceChanged("laptop", 7, "at work")]
    assert state.page(page(3, 4, device("laptop", "before", stamp=4))) == []
    assert devices_of(store) == {"laptop": (7, "at work"), "phone": (7, "")}
    assert state.page(page(4, 5, device("laptop", removed=True, created=0))) == [
        DeviceChanged("laptop", 7, "at work", is_gone=True)
    ]
    assert state.page(page(5, 6, device("laptop", created=9))) == [DeviceChanged("laptop", 9, "")]


def test_what_is_in_no_page_of_a_whole_state_is_gone(store: Store) -> None:
    state = State(store, CLIENT_KINDS)
    state.page(page(0, 2, device("phone"), device("laptop")))

    assert state.page(page(0, 9, device("phone"), reset=True, complete=True)) == [
        DeviceChanged("laptop", 7, "", is_gone=True)
    ]
