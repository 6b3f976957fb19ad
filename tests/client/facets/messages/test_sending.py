from pathlib import Path
from typing import Any

import anyio
import pytest

from bimip.client.errors import InvalidArgument, StaleDevices
from bimip.client.events import Connected, SendRefused, Sent
from bimip.client.wire.bimip import Body, ErrorCode, ErrorMessage, Identity, Message
from tests.client.support import FakeServer, a_client, both_backends, next_of, nothing_more, run, sent, take

BAD_SENDS: dict[str, dict[str, object]] = {
    "text as payload": {"payload": "hi"},
    "a number as payload": {"payload": 5},
    "nothing as payload": {"payload": None},
    "a number as name": {"to": 5},
    "half a character": {"to": "\ud800"},
    "a number as id": {"id": 5},
    "a type in words": {"type": "text"},
    "a type that is too large": {"type": 2**40},
    "a fraction": {"type": 1.5},
    "no field": {"foo": 1},
    "a field of the client's own": {"to_": 1},
    "one text for a list of them": {"devices": "phone"},
    "numbers for texts": {"devices": [5]},
    "numbers for people": {"mentions": [5]},
    "bytes for text": {"reply_to": b"x"},
    "a number beyond 64 bits": {"signal_offset": 2**70},
}


@pytest.mark.parametrize("bad", BAD_SENDS.values(), ids=BAD_SENDS)
def test_a_message_that_cannot_be_is_refused_at_once_and_leaves_nothing(bad: dict[str, object]) -> None:
    async def scenario() -> None:
        server = FakeServer()
        async with a_client(server) as client:
            arguments: dict[str, Any] = {"to": "bob@example.org", "payload": b"hi"} | bad
            with pytest.raises(InvalidArgument):
                client.messages.send_nowait(**arguments)
            with pytest.raises(InvalidArgument):
                await client.messages.send(**arguments)
            assert client.messages.unsent == 0

    run(scenario)


@both_backends
async def test_a_payload_for_each_device_says_that_these_are_all_and_the_difference_is_raised() -> None:
    server = FakeServer()
    async with a_client(server) as client, anyio.create_task_group() as tasks:
        peer = await server.accept()
        await peer.greet()
        seen: list[Message] = []

        async def serve() -> None:
            message, ref = await peer.expect(Message)
            seen.append(message)
            missing = [Identity(eid="bob", connection_resource_id="tablet")]
            extra = [Identity(eid="bob", connection_resource_id="watch")]
            error = ErrorMessage(
                code=ErrorCode.CONFLICT, message="stale", field="devices", missing=missing, extra=extra, ref=ref
            )
            peer.send(Body(errors=[error]))

        tasks.start_soon(serve)
        with pytest.raises(StaleDevices) as stale:
            await client.messages.send("bob", b"", payloads={("bob", "phone"): b"1", ("bob", "watch"): b"2"})

        assert (stale.value.missing, stale.value.extra) == ((("bob", "tablet"),), (("bob", "watch"),))
        assert seen[0].devices_complete
        assert [(one.identity and one.identity.connection_resource_id, one.payload) for one in seen[0].devices] == [
            ("phone", b"1"),
            ("watch", b"2"),
        ]
        with pytest.raises(InvalidArgument):
            await client.messages.send("bob", b"", payloads={"phone": b"1"})  # type: ignore[dict-item]


@both_backends
async def test_many_messages_share_frames_and_each_is_answered_for_itself_in_order() -> None:
    server = FakeServer()
    async with a_client(server) as client, anyio.create_task_group() as tasks:
        peer = await server.accept()
        await peer.greet()
        await next_of(client, Connected)
        frames: list[int] = []

        async def serve() -> None:
            body, _ = await peer.expect(Body)
            frames.append(len(body.messages))
            refused = ErrorMessage(code=ErrorCode.NOT_FOUND, message="nobody", id=body.messages[1].id)
            signals = [sent(body.messages[2].id, 8), sent(body.messages[0].id, 7)]
            peer.send(Body(partition="chat", signals=signals, errors=[refused]))

        tasks.start_soon(serve)
        answers = await client.messages.send_many([("bob", b"1"), ("nobody", b"2"), ("bob", b"3")], type=2)

        assert frames == [3]
        assert [type(answer) for answer in answers] == [Sent, SendRefused, Sent]
        assert [answer.user_offset for answer in answers if isinstance(answer, Sent)] == [7, 8]
        assert client.messages.unsent == 0
        assert await nothing_more(client) == []


@both_backends
async def test_one_that_cannot_be_keeps_all_of_many_from_being_sent_and_cancelled_ones_are_events() -> None:
    server = FakeServer()
    async with a_client(server) as client:
        peer = await server.accept()
        await peer.greet()
        await next_of(client, Connected)
        with pytest.raises(InvalidArgument):
            await client.messages.send_many([("bob", b"1"), ("bob", "2")])  # type: ignore[list-item]
        with pytest.raises(InvalidArgument):
            await client.messages.send_many([("bob", b"1")], id="one")
        assert client.messages.unsent == 0
        with anyio.move_on_after(0.1):
            await client.messages.send_many([("bob", b"1"), ("bob", b"2")])
        body, _ = await peer.expect(Body)
        peer.send(
            Body(partition="chat", signals=[sent(message.id, 7 + at) for at, message in enumerate(body.messages)])
        )

        assert [event.user_offset for event in await take(client, Sent, 2)] == [7, 8]


@both_backends
async def test_what_waits_can_be_shown_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "phone.db"
    async with a_client(FakeServer(), path=path) as client:
        client.messages.send_nowait("bob@example.org", b"one", id="m1", reply_to="S1")
        client.messages.send_nowait("c7", b"two", id="m2")
    async with a_client(FakeServer(), path=path) as client:
        waiting = client.messages.waiting()

        assert [(one.id, one.to and one.to.eid, one.payload) for one in waiting] == [
            ("m1", "bob@example.org", b"one"),
            ("m2", "c7", b"two"),
        ]
        assert waiting[0].reply_to == "S1"
        assert len(client.messages.waiting(limit=1)) == 1
        with pytest.raises(InvalidArgument):
            client.messages.waiting(0)
