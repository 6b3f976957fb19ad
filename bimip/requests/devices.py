"""Devices: a user looks at their devices, gives them labels, and removes those that are gone."""

from collections.abc import Callable

from bimip.domain.accounts.registering import LabelDevice, no_device
from bimip.domain.core.operations import Forget, Operation, Refused, Result
from bimip.reading.devices import KnownDevice, device_number, read_devices_behind, read_names_of
from bimip.requests.asker import Asker
from bimip.requests.refusals import error_of, refuse
from bimip.wire import bimip_pb2 as pb
from bimip.wire import codec
from bimip.wire.checks import check_eid, check_id
from bimip.wire.errors import WireError

A_PAGE = 64
"""Devices in one answer."""
DEVICES_FOR_A_REQUEST = 4
"""What a list costs: of each device all its places are looked up."""


def ask(asker: Asker, payload: pb.Devices, ref: int) -> None:
    take = ACTIONS.get(payload.action)
    if take is None:
        raise WireError(pb.INVALID, "name an action: LIST, REMOVE or RENAME", field="action")
    if payload.name or take is not _list:
        check_id(payload.name, "name", asker.services.limits)
    if payload.eid:
        payload.eid = check_eid(payload.eid, "eid", asker.services.limits)
        if take is not _list and payload.eid != asker.eid:
            raise WireError(pb.INVALID, "eid goes with LIST: others' devices are theirs to change", field="eid")
    take(asker, payload, ref)


def _list(asker: Asker, payload: pb.Devices, ref: int) -> None:
    services = asker.services
    if payload.eid and payload.eid != asker.eid:
        _list_others(asker, payload, ref)
        return
    found = read_devices_behind(services.store, asker.user, payload.name, A_PAGE + 1, services.partitions)
    asker.weigh(len(found) // DEVICES_FOR_A_REQUEST)
    online = asker.list_online()
    unseen_since = services.wall_clock() - services.offline_ms
    listed = [
        _described(device, asker, is_online=device.name in online, unseen_since=unseen_since)
        for device in found[:A_PAGE]
    ]
    answer = pb.Devices(action=payload.action, devices=listed, complete=len(found) <= A_PAGE)
    asker.answer_alone(codec.encode(answer, ref))


def _list_others(asker: Asker, payload: pb.Devices, ref: int) -> None:
    """Lists the names of somebody's devices, for who may know them. Others are answered alike, whoever there is."""
    services = asker.services
    found = read_names_of(services.store, asker.user, payload.eid, payload.name, A_PAGE + 1, services.device_names)
    asker.weigh(A_PAGE // DEVICES_FOR_A_REQUEST)
    if found is None:
        sentence = "you may know of no such user's devices; who writes with you tells them by that"
        raise WireError(pb.NOT_FOUND, sentence, field="eid")
    listed = [pb.DeviceState(name=name) for name in found[:A_PAGE]]
    answer = pb.Devices(action=payload.action, eid=payload.eid, devices=listed, complete=len(found) <= A_PAGE)
    asker.answer_alone(codec.encode(answer, ref))


def _described(device: KnownDevice, asker: Asker, *, is_online: bool, unseen_since: int) -> pb.DeviceState:
    return pb.DeviceState(
        name=device.name,
        created=device.created,
        last_seen=device.last_seen,
        online=is_online,
        label=device.label,
        asking=device.number == asker.number,
        stale=not is_online and device.last_seen < unseen_since,
        logs=[
            pb.DeviceLog(partition=partition, head=one.head, floor=one.floor, lag=one.lag)
            for partition, one in device.committed.items()
        ],
    )


def _remove(asker: Asker, payload: pb.Devices, ref: int) -> None:
    number = device_number(asker.services.store, asker.user, payload.name)
    if number is None:
        asker.answer_error(error_of(no_device(payload.name), ref))
        return
    if number == asker.number:
        sentence = "this is the device that asks: it leaves with Logout, and forget"
        raise WireError(pb.INVALID, sentence, field="name")

    def removed() -> None:
        asker.audit("device removed", payload.name)
        asker.close_removed(number)

    _change(asker, Forget(number), payload, ref, removed)


def _rename(asker: Asker, payload: pb.Devices, ref: int) -> None:
    if payload.label:
        check_id(payload.label, "label", asker.services.limits)
    _change(asker, LabelDevice(asker.user, payload.name, payload.label), payload, ref)


def _change(
    asker: Asker, operation: Operation, payload: pb.Devices, ref: int, then: Callable[[], None] = lambda: None
) -> None:
    def done(result: Result) -> None:
        if isinstance(result, Refused):
            refuse(asker, result, ref)
            return
        answer = pb.Devices(action=payload.action, name=payload.name, label=payload.label)
        asker.answer_alone(codec.encode(answer, ref))
        then()

    asker.services.queue.submit(operation, done, owner=asker.user)


ACTIONS: dict[int, Callable[[Asker, pb.Devices, int], None]] = {
    pb.Devices.LIST: _list,
    pb.Devices.REMOVE: _remove,
    pb.Devices.RENAME: _rename,
}
