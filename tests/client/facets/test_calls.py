"""A program calls, is called, and is told how it ends."""

from typing import Any

import pytest

from bimip.client.errors import InvalidArgument, NotConnected
from bimip.client.events import CallEnded, CallSignalled
from bimip.client.wire.bimip import Body, CallEnd, CallStep, Identity, MessageStatus, Signal
from tests.client.support import FakeServer, a_client, both_backends, next_of, until


def told(call: str, step: CallStep, sequence: int, **fields: Any) -> Body:
    signal = Signal(
        status=MessageStatus.CALLING, to=Identity(eid="bob"), call=call, step=step, sequence=sequence, **fields
    )
    return Body(signals=[signal])


@both_backends
async def test_a_program_calls_and_hears_the_answer_and_the_end() -> None:
    server = FakeServer()
    async with a_client(server) as client:
        peer = await server.accept()
        await peer.greet()
        await until(lambda: client.connected)
        call = await client.calls.call("bob", b"offer", ring_seconds=5)
        said, _ = await peer.expect(Signal)

        assert (said.status, said.to, said.call) == (MessageStatus.CALLING, Identity(eid="bob"), call)
        assert (said.step, said.payload, said.ttl_ms) == (CallStep.CALL_OFFER, b"offer", 5000)
        peer.send(told(call, CallStep.CALL_ANSWER, 1, payload=b"answer"))
        assert await next_of(client, CallSignalled) == CallSignalled("bob", call, CallStep.CALL_ANSWER, b"answer")
        peer.send(told(call, CallStep.CALL_ENDED, 2, end=CallEnd.CALL_HUNG_UP))
        assert await next_of(client, CallEnded) == CallEnded("bob", call, CallEnd.CALL_HUNG_UP)


@both_backends
async def test_each_step_is_said_as_it_is_called() -> None:
    server = FakeServer()
    async with a_client(server) as client:
        peer = await server.accept()
        await peer.greet()
        await until(lambda: client.connected)
        await client.calls.say_ringing("bob", "x")
        await client.calls.answer("bob", "x", b"answer")
        await client.calls.send_candidate("bob", "x", b"candidate")
        await client.calls.offer_again("bob", "x", b"video")
        await client.calls.hang_up("bob", "x")
        said = [(await peer.expect(Signal))[0] for _ in range(5)]

        assert [(one.step, one.payload) for one in said] == [
            (CallStep.CALL_RINGING, b""),
            (CallStep.CALL_ANSWER, b"answer"),
            (CallStep.CALL_CANDIDATE, b"candidate"),
            (CallStep.CALL_OFFER, b"video"),
            (CallStep.CALL_HANG_UP, b""),
        ]


@both_backends
async def test_after_a_cut_the_server_is_asked_whether_it_knows_the_calls_that_are_not_over() -> None:
    server = FakeServer()
    async with a_client(server) as client:
        peer = await server.accept()
        await peer.greet()
        await until(lambda: client.connected)
        call = await client.calls.call("bob")
        await peer.expect(Signal)
        peer.cut()
        peer = await server.accept()
        await peer.greet()
        said, _ = await peer.expect(Signal)

        assert (said.call, said.step) == (call, CallStep.CALL_RINGING)
        peer.send(told(call, CallStep.CALL_ENDED, 0, end=CallEnd.CALL_LOST))
        assert await next_of(client, CallEnded) == CallEnded("bob", call, CallEnd.CALL_LOST)


@both_backends
async def test_nobody_is_called_without_a_connection_or_with_too_much() -> None:
    server = FakeServer()
    async with a_client(server) as client:
        with pytest.raises(NotConnected):
            await client.calls.call("bob")
        for wrong in ({"offer": "text"}, {"offer": bytes(32 * 1024 + 1)}, {"ring_seconds": 0}):
            with pytest.raises(InvalidArgument):
                await client.calls.call("bob", **wrong)
