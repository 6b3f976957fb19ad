"""Devices in the state: each is a key by its name, and what was removed is told as removed."""

from typing import Any

from bimip.domain.accounts.registering import LabelDevice
from bimip.domain.core.decision import StateNews
from bimip.domain.core.ids import Millis, Stamp
from bimip.domain.core.operations import Forget, Register
from bimip.domain.core.records import Changes, Device, Table
from bimip.domain.state.devices import KIND, DeviceValue, pack_key, unpack_key
from bimip.domain.state.kinds import has_removals
from bimip.domain.state.read_markers import pack_key as pack_marker
from tests.domain.support import BEGIN, Ledger, Peer


def value(ledger: Ledger, peer: Peer) -> Any:
    with ledger.store.snapshot() as view:
        return KIND.read(view, peer.user, pack_key(peer.name))


def news(ledger: Ledger) -> list[Any]:
    return [one.change for one in ledger.decisions[0].news if isinstance(one, StateNews)]


def test_a_key_is_unpacked_as_it_was_packed() -> None:
    assert unpack_key(pack_key("phöne")) == "phöne"


def test_a_device_comes_is_labelled_and_goes() -> None:
    ledger = Ledger()
    phone, laptop = ledger.device("ann"), ledger.device("ann", "laptop")

    assert value(ledger, laptop) == news(ledger)[0] == DeviceValue(BEGIN, Stamp(0), "")
    ledger.do(LabelDevice(ann_of(laptop), "laptop", "at work"))
    assert value(ledger, laptop) == news(ledger)[0] == DeviceValue(BEGIN, ledger.last, "at work")
    ledger.do(Forget(laptop.device))
    assert value(ledger, laptop) is news(ledger)[0] is None
    assert ledger.get(Table.LABELS, laptop.device) is None
    assert value(ledger, phone) is not None


def ann_of(peer: Peer) -> Any:
    return peer.user


def test_who_comes_again_is_newer_than_who_went() -> None:
    ledger = Ledger()
    first = ledger.device("ann")
    ledger.do(LabelDevice(first.user, "phone", "old"))
    before = value(ledger, first)
    ledger.do(Forget(first.device))
    ledger.now = Millis(ledger.now + 1)
    ledger.device("ann")

    assert value(ledger, first) > before
    with ledger.store.snapshot() as view:
        found = view.scan(Table.CHANGES, (first.user,), (first.user + 1,), limit=9)
    assert [key for _, key in found] == [pack_key("phone")]  # one key, whoever had the name


def test_a_device_of_an_older_store_is_told_when_it_comes_again() -> None:
    ledger = Ledger()
    ann = ledger.device("ann")
    place = (ann.user, pack_key("phone"))
    gone: Any = {Table.CHANGES: {(ann.user, 1): None}, Table.VERSIONS: {place: None}}
    ledger.commit(Changes(puts=gone))
    ledger.do(Register("ann", "phone"))
    told = news(ledger)
    ledger.do(Register("ann", "phone"))

    assert told == [DeviceValue(BEGIN, Stamp(0), "")]
    assert news(ledger) == []


def test_only_kinds_that_say_so_tell_what_was_removed() -> None:
    assert has_removals(pack_key("x"))
    assert not has_removals(pack_marker(3))  # type: ignore[arg-type]
    assert not has_removals(b"\xff")


def test_a_record_of_another_device_number_is_not_forgotten() -> None:
    ledger = Ledger()
    ann = ledger.device("ann")
    ledger.commit(Changes(puts={Table.DEVICES: {(ann.user, "phone"): Device(ann.device, Millis(5), Millis(5))}}))
    ledger.do(Forget(ann.device))
    again = ledger.device("ann")
    ledger.do(Forget(ann.device))

    assert ledger.get(Table.DEVICES, again.user, "phone").number == again.device
