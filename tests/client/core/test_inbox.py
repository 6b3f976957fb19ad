from pathlib import Path
from typing import Any

import anyio
import pytest

from bimip.client.core.inbox import MAX_NEWS
from bimip.client.errors import StoreError
from bimip.client.events import Connected, Disconnected, EpochChanged, GapFound, Received, Sent, ServerError
from bimip.client.wire.bimip import (
    Body,
    ErrorCode,
    ErrorMessage,
    Gap,
    GapReason,
    Hello,
    Message,
    MessageStatus,
    OffsetRange,
    Signal,
    Turn,
)
from bimip.client.wire.bimip import Identity as WireIdentity
from bimip.session.close import Close
from tests.client.support import (
    FakeServer,
    a_client,
    a_message,
    batch,
    both_backends,
    next_of,
    nothing_more,
    sent,
    take,
    until,
    welcome,
)


@both_backends
async def test_messages_are_acknowledged_when_they_have_been_taken() -> None:
    server = FakeServer()
    async with a_client(server) as client:
        peer = await server.accept()
        await peer.greet(position=10)
        peer.send(batch(10, 14, 11, 13))
        first, second = await take(client, Received, 2)

        assert (first.offset, first.message.payload, first.own, first.redelivered) == (11, b"text 11", False, False)
        assert second.offset == 13
        with anyio.move_on_after(0.5):
            ack, _ = await peer.expect(Signal)
        assert (ack.status, ack.partition, ack.upto) == (MessageStatus.DELIVERED, "chat", 11)
        assert await nothing_more(client) == []  # asking for the next one says that 13 is done
        ack, _ = await peer.expect(Signal)
        assert ack.upto == 14


@both_backends
async def test_an_application_that_takes_nothing_acknowledges_nothing(tmp_path: Path) -> None:
    server = FakeServer()
    async with a_client(server, path=tmp_path / "db") as client:
        peer = await server.accept()
        await peer.greet(position=0)
        peer.send(batch(0, 5, 1, 2, 3, 4, 5))
        with anyio.move_on_after(0.3) as silence:
            await peer.receive()
        peer.cut()
        peer = await server.accept()
        hello = await peer.greet()
        peer.send(batch(0, 5, 1, 2, 3, 4, 5))
        events = await take(client, Received, 5)

        assert silence.cancelled_caught
        assert hello.partitions[0].offset == 0
        assert [event.offset for event in events] == [1, 2, 3, 4, 5]
        assert not any(isinstance(event, Received) for event in await nothing_more(client))


@both_backends
async def test_acks_of_a_busy_application_are_gathered() -> None:
    server = FakeServer()
    async with a_client(server) as client:
        peer = await server.accept()
        await peer.greet(position=0)
        peer.send(batch(0, 200, *range(1, 201)))
        await take(client, Received, 200)
        await nothing_more(client)
        acks: list[int] = []
        while not acks or acks[-1] < 200:
            ack, _ = await peer.expect(Signal)
            acks.append(ack.upto)

        assert len(acks) <= 5
        assert acks[-1] == 200


@both_backends
async def test_what_was_taken_survives_the_process_and_what_was_in_hand_comes_again(tmp_path: Path) -> None:
    server = FakeServer()
    path = tmp_path / "phone.db"
    with pytest.raises(RuntimeError, match="the application fails"):  # noqa: PT012 - the block is what fails
        async with a_client(server, path=path) as client:
            peer = await server.accept()
            await peer.greet(position=0)
            peer.send(batch(0, 3, 1, 2, 3))
            await take(client, Received, 2)
            raise RuntimeError("the application fails")
    async with a_client(server, path=path) as client:
        peer = await server.accept()
        hello = await peer.greet()
        peer.send(batch(1, 3, 2, 3))

        assert hello.partitions[0].offset == 1
        assert [event.offset for event in await take(client, Received, 2)] == [2, 3]


@both_backends
async def test_a_device_without_a_position_begins_behind_the_seq_that_its_program_has(tmp_path: Path) -> None:
    server = FakeServer()
    options: dict[str, Any] = {"path": tmp_path / "phone.db", "after_seq": {"chat": "100:1:phone"}}
    async with a_client(server, **options) as client:
        peer = await server.accept()
        first = await peer.greet(position=7)
        peer.send(batch(7, 8, 8))
        await take(client, Received, 1)
    async with a_client(server, **options):
        again = await (await server.accept()).greet(position=8)

        assert [(one.seq, one.offset) for one in first.partitions] == [("100:1:phone", None)]
        assert [(one.seq, one.offset) for one in again.partitions] == [("", 8)]


@both_backends
async def test_leaving_well_acknowledges_the_last_event(tmp_path: Path) -> None:
    server = FakeServer()
    path = tmp_path / "phone.db"
    async with a_client(server, path=path) as client:
        peer = await server.accept()
        await peer.greet(position=0)
        peer.send(batch(0, 1, 1))
        await next_of(client, Received)
    ack, _ = await peer.expect(Signal)
    closed = await peer.wait_closed()

    assert ack.upto == 1
    assert closed.code == Close.NORMAL


@both_backends
async def test_redelivered_messages_are_dropped_and_acknowledged_again() -> None:
    server = FakeServer()
    async with a_client(server) as client:
        peer = await server.accept()
        await peer.greet(position=0)
        peer.send(batch(0, 2, 1, 2))
        await take(client, Received, 2)
        await nothing_more(client)
        assert (await peer.expect(Signal))[0].upto <= 2
        while True:
            with anyio.move_on_after(0.2) as scope:
                await peer.receive()
            if scope.cancelled_caught:
                break
        peer.send(Body(partition="chat", turn=Turn.REDELIVERED, messages=[a_message(1), a_message(2)]))

        assert await nothing_more(client) == []
        assert (await peer.expect(Signal))[0].upto == 2


@both_backends
async def test_a_batch_with_a_turn_of_a_later_version_is_left_aside() -> None:
    server = FakeServer()
    async with a_client(server) as client:
        peer = await server.accept()
        await peer.greet(position=0)
        peer.send(Body(partition="chat", turn=Turn(99), messages=[a_message(2)]))
        peer.send(batch(0, 1, 1))
        received = await take(client, Received, 1)

        assert [event.offset for event in received] == [1]
        assert not any(isinstance(event, Received) for event in await nothing_more(client))
        ack, _ = await peer.expect(Signal)
        assert (ack.upto, ack.offsets) == (1, [])


@both_backends
async def test_what_came_out_of_turn_is_not_shown_again_and_is_told_as_held() -> None:
    server = FakeServer()
    async with a_client(server) as client:
        peer = await server.accept()
        await peer.greet(position=0)
        peer.send(Body(partition="chat", turn=Turn.TURN_RESUME, messages=[a_message(5), a_message(7)]))
        early = await take(client, Received, 2)
        await nothing_more(client)
        ack, _ = await peer.expect(Signal)
        peer.cut()
        peer = await server.accept()
        hello = await peer.greet()
        peer.send(batch(0, 8, 1, 5, 7, 8))
        late = await take(client, Received, 2)

        assert [(event.offset, event.redelivered) for event in early] == [(5, False), (7, False)]
        assert OffsetRange(from_=5, to=5) in ack.offsets
        assert [OffsetRange(from_=5, to=5), OffsetRange(from_=7, to=7)] == hello.partitions[0].held
        assert [(event.offset, event.redelivered) for event in late] == [(1, False), (8, False)]


@both_backends
async def test_a_sent_counts_as_received() -> None:
    server = FakeServer()
    async with a_client(server) as client:
        peer = await server.accept()
        await peer.greet(position=4)
        client.messages.send_nowait("bob@example.org", b"near", id="near")
        _, ref = await peer.expect(Message)
        peer.send(sent("near", 5), ref)
        client.messages.send_nowait("bob@example.org", b"far", id="far")
        _, ref = await peer.expect(Message)
        peer.send(sent("far", 8), ref)
        await take(client, Sent, 2)
        peer.cut()
        peer = await server.accept()
        hello = await peer.greet()

        assert (hello.partitions[0].offset, hello.partitions[0].held) == (5, [OffsetRange(from_=8, to=8)])


@both_backends
async def test_own_messages_of_siblings_and_of_a_lost_store_are_marked() -> None:
    server = FakeServer()
    async with a_client(server) as client:
        peer = await server.accept()
        await peer.greet(position=0)
        laptop = a_message(1, sender="alice@example.org", device="laptop")
        before = a_message(2, sender="alice@example.org", device="phone")
        peer.send(Body(partition="chat", after=0, upto=2, messages=[laptop, before]))

        assert [(e.offset, e.own) for e in await take(client, Received, 2)] == [(1, True), (2, True)]


@both_backends
async def test_gaps_are_told_once_and_passed() -> None:
    server = FakeServer()
    async with a_client(server) as client:
        peer = await server.accept()
        await peer.greet(position=0)
        gap = Gap(partition="chat", from_=2, to=3, reason=GapReason.DAMAGED)
        peer.send(batch(0, 4, 1, 4, gaps=[gap]))
        peer.cut()
        peer = await server.accept()
        await peer.greet()
        peer.send(batch(0, 4, 1, 4, gaps=[gap]))
        events = [event for event in await nothing_more(client) if not isinstance(event, Connected | Disconnected)]

        assert [type(event) for event in events] == [Received, GapFound, Received]
        assert events[1] == GapFound("chat", 2, 3, GapReason.DAMAGED)


@both_backends
async def test_a_gap_in_hello_moves_the_position() -> None:
    server = FakeServer()
    async with a_client(server) as client:
        peer = await server.accept()
        await peer.greet(position=5)
        peer.cut()
        peer = await server.accept()
        await peer.greet(gaps=[Gap(partition="chat", from_=6, to=40, reason=GapReason.EXPIRED)])
        peer.send(batch(40, 41, 41))

        assert await next_of(client, GapFound) == GapFound("chat", 6, 40, GapReason.EXPIRED)
        assert (await next_of(client, Received)).offset == 41


@both_backends
async def test_a_range_that_does_not_join_ends_the_connection_and_the_next_one_heals_it() -> None:
    server = FakeServer()
    async with a_client(server) as client:
        peer = await server.accept()
        await peer.greet(position=0)
        peer.send(batch(3, 4, 4))
        closed = await peer.wait_closed()
        peer = await server.accept()
        await peer.greet()
        peer.send(batch(0, 4, 2, 4))
        lost = await next_of(client, Disconnected)

        assert closed.code == Close.PROTOCOL_ERROR
        assert (lost.code, lost.will_retry) == (Close.PROTOCOL_ERROR, True)
        assert "begins after 3" in lost.reason
        assert [event.offset for event in await take(client, Received, 2)] == [2, 4]


@both_backends
async def test_in_another_epoch_positions_are_dropped_and_messages_known_by_signal_id() -> None:
    server = FakeServer()
    async with a_client(server) as client:
        peer = await server.accept()
        await peer.greet(epoch=7, position=0)
        peer.send(batch(0, 4, 1, 2, 3, 4))
        await take(client, Received, 4)
        await nothing_more(client)
        peer.send(batch(4, 5, 5))  # waits untaken
        await anyio.sleep(0.05)
        peer.cut()
        peer = await server.accept()
        hello, _ = await peer.expect(Hello)
        answer = welcome(hello, epoch=8)
        answer.logs[0].position = 1
        peer.send(answer)
        other = a_message(6)
        other.user_offset = 3
        again = a_message(5)
        again.user_offset = 4
        peer.send(Body(partition="chat", after=1, upto=4, messages=[a_message(2), other, again]))
        events = [event for event in await nothing_more(client) if not isinstance(event, Connected | Disconnected)]

        assert [type(event) for event in events] == [Received, EpochChanged, Received]
        assert events[1] == EpochChanged(7, 8)
        assert [e.message.signal_id for e in events if isinstance(e, Received)] == ["s00005", "s00006"]
        peer.cut()
        peer = await server.accept()
        assert (await peer.greet(epoch=8)).partitions[0].offset == 4


@both_backends
async def test_a_file_belongs_to_one_device(tmp_path: Path) -> None:
    server = FakeServer()
    path = tmp_path / "phone.db"
    async with a_client(server, path=path) as client:
        await (await server.accept()).greet()
        await next_of(client, Connected)
        with pytest.raises(StoreError, match="another process"):
            async with a_client(server, path=path):
                pass
    async with a_client(server, path=path) as client:
        await (await server.accept()).greet(identity=WireIdentity(eid="carol@example.org"))
        with pytest.raises(StoreError, match="belongs to"):
            await next_of(client, Connected)


@both_backends
async def test_messages_of_a_partition_that_was_not_asked_for_break_the_protocol() -> None:
    server = FakeServer()
    async with a_client(server) as client:
        peer = await server.accept()
        await peer.greet()
        peer.send(Body(partition="feed", upto=1, messages=[a_message(1)]))
        await (await server.accept()).greet()

        assert "'feed'" in (await next_of(client, Disconnected)).reason


@both_backends
async def test_news_that_nobody_takes_are_bounded_and_messages_are_not_lost() -> None:
    server = FakeServer()
    async with a_client(server) as client:
        peer = await server.accept()
        await peer.greet(position=0)
        for number in range(MAX_NEWS + 50):
            peer.send(ErrorMessage(code=ErrorCode.INTERNAL, message=str(number)))
        peer.send(batch(0, 1, 1))
        inbox = client._device.inbox
        await until(lambda: len(inbox) > MAX_NEWS)

        assert inbox.dropped_news == 51  # Connected was one
        assert (await next_of(client, Received)).offset == 1
        peer.send(ErrorMessage(code=ErrorCode.INTERNAL, message="room again"))
        assert (await next_of(client, ServerError)).message == "room again"
