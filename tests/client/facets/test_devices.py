import anyio
import pytest

from bimip.client import InvalidArgument, Refused
from bimip.client.events import DeviceChanged
from bimip.client.facets.devices import DeviceInfo, DeviceLog, KnownDevice, Synced
from bimip.client.wire.bimip import (
    Body,
    Devices,
    DevicesAction,
    DeviceState,
    ErrorCode,
    ErrorMessage,
    Fetch,
    StateItem,
    Turn,
)
from bimip.client.wire.bimip import DeviceLog as WireLog
from bimip.client.wire.bimip import Synced as WireSynced
from tests.client.support import FakeServer, a_client, both_backends, next_of, page


@both_backends
async def test_a_list_is_asked_for_until_it_is_whole() -> None:
    server = FakeServer()
    async with a_client(server) as client, anyio.create_task_group() as tasks:
        peer = await server.accept()
        await peer.greet()

        async def serve() -> None:
            asked, ref = await peer.expect(Devices)
            log = WireLog(partition="chat", head=9, floor=4, lag=5)
            peer.send(Devices(devices=[DeviceState(name="a", label="old", stale=True, logs=[log])]), ref)
            again, ref = await peer.expect(Devices)
            peer.send(Devices(devices=[DeviceState(name="b", online=True, asking=True)], complete=True), ref)
            assert (asked.name, again.name) == ("", "a")

        tasks.start_soon(serve)

        assert await client.devices.list() == [
            DeviceInfo("a", "old", 0, 0, False, False, True, {"chat": DeviceLog(9, 4, 5)}),  # noqa: FBT003
            DeviceInfo("b", "", 0, 0, True, True, False, {}),  # noqa: FBT003
        ]


@both_backends
async def test_labels_and_removals_are_asked_for_and_refused() -> None:
    server = FakeServer()
    async with a_client(server) as client, anyio.create_task_group() as tasks:
        peer = await server.accept()
        await peer.greet()

        async def serve() -> None:
            label, ref = await peer.expect(Devices)
            peer.send(label, ref)
            remove, ref = await peer.expect(Devices)
            peer.send(Body(errors=[ErrorMessage(code=ErrorCode.NOT_FOUND, message="none", ref=ref)]))
            assert label == Devices(action=DevicesAction.RENAME, name="laptop", label="mine")
            assert remove == Devices(action=DevicesAction.REMOVE, name="laptop")

        tasks.start_soon(serve)
        await client.devices.label("laptop", "mine")
        with pytest.raises(Refused, match="none"):
            await client.devices.remove("laptop")
        with pytest.raises(InvalidArgument):
            await client.devices.remove(4)  # type: ignore[arg-type]


@both_backends
async def test_devices_are_events_and_known_without_a_connection() -> None:
    server = FakeServer()
    async with a_client(server) as client:
        peer = await server.accept()
        await peer.greet()
        item = StateItem(device=DeviceState(name="laptop", created=7, label="mine", stamp=1))
        peer.send(Body(states=[page(0, 6, item, reset=True, complete=True)]))

        assert await next_of(client, DeviceChanged) == DeviceChanged("laptop", 7, "mine")
        assert client.devices.known() == {"laptop": KnownDevice(7, "mine")}


def synced(*told: WireSynced, complete: bool = False) -> Body:
    return Body(turn=Turn.TURN_FETCH, partition="chat", synced=list(told), next_cursor=b"on", complete=complete)


@both_backends
async def test_how_far_a_device_is_with_others_is_one_answer_or_all_that_there_are() -> None:
    server = FakeServer()
    async with a_client(server) as client, anyio.create_task_group() as tasks:
        peer = await server.accept()
        await peer.greet()

        async def serve() -> None:
            asked = []
            for _ in range(2):
                fetch, ref = await peer.expect(Fetch)
                asked.append((fetch.to and fetch.to.connection_resource_id, fetch.cursor))
                peer.send(synced(WireSynced(origin="laptop", head=9, missing=2)), ref)
            fetch, ref = await peer.expect(Fetch)
            asked.append((fetch.to and fetch.to.connection_resource_id, fetch.cursor))
            further = WireSynced(origin="laptop", upto=3, head=7, missing=4, seq="1:1:laptop")
            peer.send(synced(further, WireSynced(origin="old", upto=1, head=1), complete=True), ref)
            assert asked == [(None, b""), ("tablet", b""), ("tablet", b"on")]

        tasks.start_soon(serve)

        assert await client.devices.synced() == {"laptop": Synced(0, 9, 2, "")}
        assert await client.devices.synced("tablet", whole=True) == {
            "laptop": Synced(3, 9, 6, "1:1:laptop"),
            "old": Synced(1, 1, 0, ""),
        }
