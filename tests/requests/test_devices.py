"""A user's devices are listed as the store has them; changes are asked of the store, and answered when it did them."""

from bimip.domain.accounts.registering import LabelDevice
from bimip.domain.core.ids import DeviceId, UserId
from bimip.domain.core.operations import Done, Fault, Forget, Refused
from bimip.wire import bimip_pb2 as pb
from tests.requests.support import Peer


def test_the_list_says_which_one_asks_and_which_are_there() -> None:
    peer = Peer()
    peer.take("devices", pb.Devices())
    [(name, answer)] = peer.alone()

    assert name == "devices"
    assert [(one.name, one.asking, one.online, one.last_seen) for one in answer.devices] == [
        ("laptop", False, True, 800),
        ("phone", True, True, 900),
    ]
    assert answer.complete
    assert peer.operations() == []


def test_what_is_removed_is_closed_once_that_is_on_disk() -> None:
    peer = Peer()
    peer.take("devices", pb.Devices(action=pb.Devices.REMOVE, name="laptop"))

    assert peer.operations() == [Forget(DeviceId(12))]
    assert peer.removed == []
    peer.decide(Done())
    assert peer.removed == [12]
    assert peer.alone() == [("devices", pb.Devices(action=pb.Devices.REMOVE, name="laptop"))]


def test_what_could_not_be_removed_stays_connected() -> None:
    peer = Peer()
    peer.take("devices", pb.Devices(action=pb.Devices.REMOVE, name="laptop"))
    peer.decide(Refused(Fault.UNAVAILABLE, "not now"))

    assert (peer.removed, peer.frames) == ([], [])
    assert len(peer.together().errors) == 1


def test_a_label_is_asked_for_by_name() -> None:
    peer = Peer()
    peer.take("devices", pb.Devices(action=pb.Devices.RENAME, name="phone", label="mine"))

    assert peer.operations() == [LabelDevice(UserId(1), "phone", "mine")]
