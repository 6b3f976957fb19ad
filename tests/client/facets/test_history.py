from bimip.client.events import Connected, Received
from bimip.client.wire.bimip import OffsetRange, Signal
from tests.client.support import FakeServer, a_client, batch, both_backends, next_of, take


@both_backends
async def test_fetched_messages_may_be_acknowledged_and_then_are_no_events() -> None:
    server = FakeServer()
    async with a_client(server) as client:
        peer = await server.accept()
        await peer.greet(position=0)
        await next_of(client, Connected)
        client.acknowledge("chat", [2, 3])
        ack, _ = await peer.expect(Signal)
        peer.send(batch(0, 4, 1, 2, 3, 4))

        assert [OffsetRange(from_=2, to=3)] == ack.offsets
        assert [event.offset for event in await take(client, Received, 2)] == [1, 4]
