import anyio
import pytest

from bimip.client import InvalidArgument, KeysLeft, PreKey, PublicKeys
from bimip.client.wire.bimip import DeviceKeys, Identity, Keys, KeysAction
from bimip.client.wire.bimip import PreKey as WirePreKey
from tests.client.support import FakeServer, a_client, both_backends

KEY = PreKey(7, b"k" * 32, b"s" * 64)
WIRE = WirePreKey(id=7, key=b"k" * 32, signature=b"s" * 64)
BOBS = DeviceKeys(device=Identity(eid="bob", connection_resource_id="phone"), identity=b"i", signing=b"g")


def of(*names: str) -> list[Identity]:
    return [Identity(eid=name) for name in names]


@both_backends
async def test_what_is_asked_of_the_directory_and_what_it_tells() -> None:
    server = FakeServer()
    async with a_client(server) as client, anyio.create_task_group() as tasks:
        peer = await server.accept()
        await peer.greet()
        asked: list[Keys] = []

        async def serve() -> None:
            for answer in (
                Keys(one_time_left=3, last_id=9),
                Keys(one_time_left=4, last_id=10),
                Keys(devices=[BOBS], of=of("cleo"), after="d", complete=False),
                Keys(complete=True),
                Keys(devices=[DeviceKeys(device=BOBS.device, claimed=WIRE, is_fallback=True)], complete=True),
                Keys(),
            ):
                said, ref = await peer.expect(Keys)
                asked.append(said)
                peer.send(answer, ref)

        tasks.start_soon(serve)

        assert await client.keys.count() == KeysLeft(3, 9)
        assert await client.keys.publish(b"i", b"g", b"n", KEY, [KEY]) == KeysLeft(4, 10)
        assert await client.keys.query([("bob", ""), ("cleo", "")]) == [PublicKeys("bob", "phone", b"i", b"g", b"")]
        (claimed,) = await client.keys.claim([("bob", "phone")])
        assert (claimed.claimed, claimed.is_fallback) == (KEY, True)
        await client.keys.withdraw()
        assert asked == [
            Keys(),
            Keys(
                action=KeysAction.PUBLISH,
                keys=DeviceKeys(identity=b"i", signing=b"g", signature=b"n", fallback=WIRE),
                one_time=[WIRE],
            ),
            Keys(action=KeysAction.QUERY, of=of("bob", "cleo")),
            Keys(action=KeysAction.QUERY, of=of("cleo"), after="d"),
            Keys(action=KeysAction.CLAIM, of=[Identity(eid="bob", connection_resource_id="phone")]),
            Keys(action=KeysAction.WITHDRAW),
        ]


@both_backends
async def test_more_than_are_asked_for_at_once_are_asked_for_one_after_the_other_and_each_once() -> None:
    server = FakeServer()
    async with a_client(server) as client, anyio.create_task_group() as tasks:
        peer = await server.accept()
        await peer.greet()
        asked: list[str] = []

        async def serve() -> None:
            for _ in range(2):
                said, ref = await peer.expect(Keys)
                asked.extend(one.eid for one in said.of)
                peer.send(Keys(complete=True), ref)

        tasks.start_soon(serve)
        names = [f"u{number:03}" for number in range(90)]

        assert await client.keys.query([(name, "") for name in [*names, *names]]) == []
        assert asked == names
        with pytest.raises(InvalidArgument, match="a PreKey"):
            await client.keys.publish(b"", b"", b"", 7)  # type: ignore[arg-type]
        with pytest.raises(InvalidArgument, match="eid is text"):
            await client.keys.query([(7, "")])  # type: ignore[list-item]
