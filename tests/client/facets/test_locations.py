from typing import Any

import anyio
import pytest

from bimip.client import InvalidArgument, Refused
from bimip.client.events import LocationTold
from bimip.client.wire.bimip import Body, ErrorCode, ErrorMessage, Identity, LocationStream
from tests.client.support import FakeServer, a_client, both_backends

HOUR_MS = 3_600_000


@both_backends
async def test_a_user_shares_where_they_are_says_where_that_is_and_shares_it_no_more() -> None:
    server = FakeServer()
    async with a_client(server) as client, anyio.create_task_group() as tasks:
        peer = await server.accept()
        await peer.greet()
        asked: list[LocationStream] = []

        async def serve() -> None:
            for answer in (
                LocationStream(enabled=True, expires_at=99),
                LocationStream(enabled=True, expires_at=99),
                LocationStream(enabled=False, has_position=True),
                LocationStream(),
            ):
                said, ref = await peer.expect(LocationStream)
                asked.append(said)
                peer.send(answer, ref)

        tasks.start_soon(serve)

        assert await client.locations.share("bob@example.org") == 99
        assert await client.locations.share("c1", seconds=60) == 99
        assert await client.locations.send(52, 13.4, altitude=34.0, accuracy=5, time=7) is False
        await client.locations.stop_sharing("c1")
        assert [(one.to, one.conversation, one.enabled) for one in asked] == [
            (Identity(eid="bob@example.org"), "", True),
            (None, "c1", True),
            (None, "", False),
            (None, "c1", False),
        ]
        assert asked[0].expires_at - asked[1].expires_at >= HOUR_MS - 61_000
        assert asked[3].expires_at == 0
        place: dict[str, Any] = {"latitude": 52.0, "longitude": 13.4, "altitude": 34.0, "accuracy": 5.0, "timestamp": 7}
        assert asked[2] == LocationStream(has_position=True, **place)


@both_backends
async def test_where_others_are_is_told_as_an_event() -> None:
    server = FakeServer()
    async with a_client(server) as client:
        peer = await server.accept()
        await peer.greet()
        ann = Identity(eid="ann")
        here: dict[str, Any] = {"latitude": 1.5, "longitude": -2.5, "altitude": 3.0, "accuracy": 4.0, "timestamp": 5}
        told = [
            LocationStream(from_=ann, enabled=True, expires_at=9, has_position=True, **here),
            LocationStream(from_=ann, enabled=True, expires_at=9, conversation="c1"),
            LocationStream(from_=ann),
        ]
        peer.send(Body(locations=told))
        events = [event async for event in _located(client, len(told))]

        assert events == [
            LocationTold(
                "ann", "", is_shared=True, expires_at=9, position=(1.5, -2.5), altitude=3.0, accuracy=4.0, time=5
            ),
            LocationTold("ann", "c1", is_shared=True, expires_at=9),
            LocationTold("ann", "", is_shared=False, expires_at=0),
        ]


@both_backends
async def test_what_the_server_refuses_is_raised_and_what_cannot_be_said_is_not_sent() -> None:
    server = FakeServer()
    async with a_client(server) as client, anyio.create_task_group() as tasks:
        peer = await server.accept()
        await peer.greet()

        async def serve() -> None:
            _, ref = await peer.expect(LocationStream)
            error = ErrorMessage(code=ErrorCode.INVALID, message="no place", field="latitude", ref=ref)
            peer.send(Body(errors=[error]))

        tasks.start_soon(serve)

        with pytest.raises(Refused, match="no place"):
            await client.locations.send(91, 0)
        with pytest.raises(InvalidArgument, match="longitude is a number"):
            await client.locations.send(1, "east")  # type: ignore[arg-type]
        with pytest.raises(InvalidArgument, match="seconds is a number"):
            await client.locations.share("c1", seconds=0)
        with pytest.raises(InvalidArgument, match="with_whom is text"):
            await client.locations.stop_sharing(7)  # type: ignore[arg-type]


async def _located(client: Any, count: int) -> Any:
    async for event in client:
        if isinstance(event, LocationTold):
            yield event
            count -= 1
            if not count:
                return
