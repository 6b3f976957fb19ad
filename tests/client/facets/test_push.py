import anyio
import pytest

from bimip.client import InvalidArgument, PushOffer, PushSubscription, Refused
from bimip.client.wire.bimip import Body, ErrorCode, ErrorMessage, PushNotification
from tests.client.support import FakeServer, a_client, both_backends

TOLD = PushNotification(id="push", platform="fcm", token="t", device="phone", created=7)
SUBSCRIPTION = PushSubscription("push", "phone", "fcm", "t", 7)


@both_backends
async def test_a_device_subscribes_and_leaves_again_and_asks_what_there_is() -> None:
    server = FakeServer()
    async with a_client(server) as client, anyio.create_task_group() as tasks:
        peer = await server.accept()
        await peer.greet()
        asked: list[PushNotification] = []

        async def serve() -> None:
            offer = PushNotification(query=True, platforms=["fcm"], public_key="k", subscriptions=[TOLD])
            for answer in (TOLD, offer, PushNotification(id="push", remove=True)):
                said, ref = await peer.expect(PushNotification)
                asked.append(said)
                peer.send(answer, ref)

        tasks.start_soon(serve)

        assert await client.push.subscribe("fcm", "t", p256dh=b"key", auth=b"secret") == SUBSCRIPTION
        assert await client.push.offer() == PushOffer(("fcm",), "k", (SUBSCRIPTION,))
        await client.push.unsubscribe("old", device="laptop")
        assert asked == [
            PushNotification(id="push", platform="fcm", token="t", p256dh=b"key", auth=b"secret"),
            PushNotification(query=True),
            PushNotification(id="old", remove=True, device="laptop"),
        ]


@both_backends
async def test_what_the_server_refuses_is_raised_and_what_cannot_be_said_is_not_sent() -> None:
    server = FakeServer()
    async with a_client(server) as client, anyio.create_task_group() as tasks:
        peer = await server.accept()
        await peer.greet()

        async def serve() -> None:
            _, ref = await peer.expect(PushNotification)
            error = ErrorMessage(code=ErrorCode.INVALID, message="no such platform", field="platform", ref=ref)
            peer.send(Body(errors=[error]))

        tasks.start_soon(serve)

        with pytest.raises(Refused, match="no such platform"):
            await client.push.subscribe("nowhere", "t")
        with pytest.raises(InvalidArgument, match="p256dh is bytes"):
            await client.push.subscribe("webpush", "t", p256dh="text")  # type: ignore[arg-type]
        with pytest.raises(InvalidArgument, match="token is text"):
            await client.push.subscribe("fcm", 7)  # type: ignore[arg-type]
