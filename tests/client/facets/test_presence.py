"""A program says how its user is and what they are doing, and is told so of others."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from bimip.client import Client, Doing, InvalidArgument, NotConnected, Refused, Status
from bimip.client.core.presence import SETTLE_SECONDS
from bimip.client.events import (
    ActivityChanged,
    IntentChanged,
    KnownIntent,
    KnownPresence,
    MessageChanged,
    PresenceChanged,
    Received,
    Resumed,
    ServerError,
)
from bimip.client.wire.bimip import (
    Awareness,
    AwarenessStatus,
    Body,
    ErrorCode,
    ErrorMessage,
    Identity,
    MessageState,
    OffsetRange,
    Signal,
    StateDelta,
    StateItem,
    Turn,
)
from bimip.domain.core.clock import millis_of
from bimip.domain.core.ids import Stamp
from tests.client.support import (
    TIME,
    FakeServer,
    Peer,
    a_client,
    a_message,
    batch,
    both_backends,
    next_of,
    nothing_more,
    page,
    run,
    take,
    until,
)

S = AwarenessStatus


@asynccontextmanager
async def connected(server: FakeServer) -> AsyncIterator[tuple[Client, Peer]]:
    async with a_client(server) as client:
        peer = await server.accept()
        await peer.greet(position=0)
        await until(lambda: client.connected)
        yield client, peer


async def said(peer: Peer, say: Callable[[], Awaitable[Any]], **answer: Any) -> tuple[Awareness, Any]:
    """What a program's call says to the server, and what it returns for this answer."""
    results: list[Any] = []
    async with anyio.create_task_group() as tasks:

        async def call() -> None:
            results.append(await say())

        tasks.start_soon(call)
        asked, ref = await peer.expect(Awareness)
        peer.send(Awareness(**answer), ref)
    return asked, results[0]


async def again(server: FakeServer, peer: Peer) -> Peer:
    """The server's end of the next connection, after a cut of this one."""
    peer.cut()
    peer = await server.accept()
    await peer.greet()
    return peer


def told(status: AwarenessStatus, eid: str = "bob", **fields: Any) -> Awareness:
    return Awareness(status=status, from_=Identity(eid=eid), **fields)


@both_backends
async def test_contacts_are_known_as_they_come_and_go_also_behind_a_cut() -> None:
    server = FakeServer()
    async with connected(server) as (client, first):
        first.send(Body(awareness=[told(S.ONLINE, timestamp=5), told(S.DND, "carol")], awareness_reset=True))
        assert await take(client, PresenceChanged, 2) == [
            PresenceChanged("bob", Status.ONLINE, 5),
            PresenceChanged("carol", Status.DND),
        ]
        assert client.presence.known() == {"bob": KnownPresence(Status.ONLINE, 5), "carol": KnownPresence(Status.DND)}
        peer = await again(server, first)
        assert set(client.presence.known()) == {"bob", "carol"}
        peer.send(Body(awareness=[told(S.ONLINE, timestamp=5)], awareness_reset=True))
        begun = anyio.current_time()

        assert await next_of(client, PresenceChanged) == PresenceChanged("carol", Status.OFFLINE)
        assert anyio.current_time() - begun >= SETTLE_SECONDS - 0.1
        assert set(client.presence.known()) == {"bob"}


@both_backends
async def test_who_was_there_before_a_cut_and_is_named_no_more_is_gone() -> None:
    server = FakeServer()
    async with connected(server) as (client, first):
        first.send(Body(awareness=[told(S.ONLINE)], awareness_reset=True))
        await next_of(client, PresenceChanged)
        await again(server, first)

        assert await next_of(client, PresenceChanged) == PresenceChanged("bob", Status.OFFLINE)
        assert client.presence.known() == {}


def test_nobody_is_seen_to_go_before_there_is_a_connection_again() -> None:
    async def scenario() -> None:
        server = FakeServer()
        async with connected(server) as (client, peer):
            peer.send(Body(awareness=[told(S.ONLINE)], awareness_reset=True))
            await next_of(client, PresenceChanged)
            peer.send(Body(awareness_reset=True))
            await anyio.sleep(SETTLE_SECONDS / 2)
            peer.cut()
            await anyio.sleep(2 * SETTLE_SECONDS)

            assert set(client.presence.known()) == {"bob"}

    run(scenario)


@both_backends
async def test_who_types_is_told_to_have_ended_when_it_is_not_said_again_or_a_message_comes() -> None:
    server = FakeServer()
    async with connected(server) as (client, peer):
        typing, ended = (ActivityChanged("bob", "c1", doing) for doing in (Doing.TYPING, Doing.CANCELLED))
        peer.send(Body(awareness=[told(S.TYPING, conversation="c1", ttl_ms=1000)]))
        begun = anyio.current_time()
        assert await take(client, ActivityChanged, 2) == [typing, ended]
        assert anyio.current_time() - begun >= 0.9
        peer.send(Body(awareness=[told(S.TYPING, conversation="c1", ttl_ms=60_000)]))
        for offset in (1, 2):
            message = a_message(offset, sender="bob")
            peer.send(Body(partition="chat", after=offset - 1, upto=offset, messages=[message]))
        assert await next_of(client, ActivityChanged) == typing
        events = [await anext(client) for _ in range(3)]

        assert [type(event) for event in events] == [Received, ActivityChanged, Received]
        assert events[1] == ended


@both_backends
async def test_an_intent_is_said_with_a_later_stamp_than_any_known_and_what_stands_is_kept() -> None:
    server = FakeServer()
    async with connected(server) as (client, peer):
        ahead = Stamp((TIME + 5000) << 22)
        other = StateItem(version=2, intent=Awareness(status=S.BUSY, stamp=ahead, version=2))
        peer.send(page(0, 2, other, reset=True, complete=True))
        assert await next_of(client, IntentChanged) == IntentChanged(Status.BUSY, 0)
        asked, stands = await said(
            peer,
            lambda: client.presence.set_intent(Status.DND, until=TIME + 9),
            status=S.DND,
            until=TIME + 9,
            version=3,
        )

        assert (asked.status, asked.until, asked.inactive) == (S.DND, TIME + 9, False)
        assert asked.stamp > ahead
        assert millis_of(Stamp(asked.stamp)) == TIME + 5000
        assert stands == client.presence.intent == KnownIntent(Status.DND, TIME + 9)
        assert await next_of(client, IntentChanged) == IntentChanged(Status.DND, TIME + 9)
        later, stands = await said(peer, lambda: client.presence.set_intent(Status.ONLINE), status=S.AWAY, version=4)
        assert later.stamp > asked.stamp
        assert stands == client.presence.intent == KnownIntent(Status.AWAY)


@both_backends
async def test_how_far_a_device_is_there_is_said_again_on_each_connection() -> None:
    server = FakeServer()
    async with connected(server) as (client, first):
        inactive, _ = await said(first, lambda: client.presence.go_online(inactive=True))
        assert (inactive.status, inactive.inactive, inactive.keep_intent) == (S.ONLINE, True, True)
        peer = await again(server, first)
        assert (await peer.expect(Awareness))[0] == inactive
        offline, _ = await said(peer, client.presence.go_offline)
        peer = await again(server, peer)
        assert (await peer.expect(Awareness))[0] == offline == Awareness(status=S.OFFLINE)
        active, _ = await said(peer, client.presence.go_online)
        assert active == Awareness(status=S.ONLINE, keep_intent=True)
        peer = await again(server, peer)
        await until(lambda: client.connected)
        await client.presence.say_typing("bob")
        assert (await peer.expect(Awareness))[0].status is S.TYPING


@both_backends
async def test_somebody_is_asked_for() -> None:
    server = FakeServer()
    async with connected(server) as (client, peer):
        asked, found = await said(peer, lambda: client.presence.ask("bob"), status=S.OFFLINE, last_seen=7)

        assert asked == Awareness(to=Identity(eid="bob"))
        assert found == KnownPresence(Status.OFFLINE, last_seen=7)


@both_backends
async def test_what_a_user_does_is_said_without_waiting() -> None:
    server = FakeServer()
    async with connected(server) as (client, peer):
        await client.presence.say_typing("bob@example.org")
        await client.presence.say_recording("c1", seconds=20)
        await client.presence.say_paused("c1", seconds=1000)
        await client.presence.say_cancelled("c1")
        found = [(await peer.expect(Awareness))[0] for _ in range(4)]

        assert [(one.status, one.to and one.to.eid, one.ttl_ms) for one in found] == [
            (S.TYPING, "bob@example.org", 0),
            (S.RECORDING, "c1", 20_000),
            (S.PAUSED, "c1", 60_000),
            (S.CANCELLED, "c1", 0),
        ]


@both_backends
async def test_a_conversation_that_is_opened_comes_first_once_and_is_acknowledged_by_offsets() -> None:
    server = FakeServer()
    async with connected(server) as (client, peer):
        await client.presence.resume("c1")
        asked, ref = await peer.expect(Awareness)
        assert (asked.status, asked.to) == (S.RESUME, Identity(eid="c1"))
        forwarded = MessageState(conversation="c1", conversation_offset=5, forwards=3)
        peer.send(page(0, 2, StateItem(message=forwarded), reset=True))
        beside = StateDelta(
            items=[StateItem(message=MessageState(conversation="c1", conversation_offset=5, pinned=True))]
        )
        peer.send(Body(partition="chat", turn=Turn.TURN_RESUME, messages=[a_message(5)], states=[beside]))
        first = await next_of(client, Received)
        assert (await nothing_more(client))[-1] == MessageChanged("c1", 5, 0, None, False, False, True, 3, {})  # noqa: FBT003
        ack, _ = await peer.expect(Signal)
        assert (ack.upto, ack.offsets) == (0, [OffsetRange(from_=5, to=5)])
        peer.send(Body(partition="chat", turn=Turn.TURN_RESUME, messages=[a_message(7)], complete=True, ref=ref))
        peer.send(batch(0, 8, 1, 5, 8))
        second = await next_of(client, Received)
        resumed = await next_of(client, Resumed)

        assert [(one.offset, one.redelivered) for one in (first, second)] == [(5, False), (7, False)]
        assert resumed == Resumed("c1")
        assert [one.offset for one in await take(client, Received, 2)] == [1, 8]
        assert await nothing_more(client) == []


@both_backends
async def test_one_of_which_nothing_is_pending_is_told_so_too_and_one_that_is_refused_by_its_name() -> None:
    server = FakeServer()
    async with connected(server) as (client, peer):
        await client.presence.resume("bob")
        _, ref = await peer.expect(Awareness)
        peer.send(Body(turn=Turn.TURN_RESUME, complete=True, ref=ref))
        assert await next_of(client, Resumed) == Resumed("bob")
        await client.presence.resume("c99")
        _, ref = await peer.expect(Awareness)
        peer.send(Body(errors=[ErrorMessage(code=ErrorCode.NOT_FOUND, message="no such conversation", ref=ref)]))

        assert await next_of(client, ServerError) == ServerError(ErrorCode.NOT_FOUND, "no such conversation", "c99")


@both_backends
async def test_wrong_arguments_are_refused_and_so_is_what_the_server_refuses() -> None:
    server = FakeServer()
    async with a_client(server) as client:
        with pytest.raises(NotConnected):
            await client.presence.say_typing("bob")
        with pytest.raises(NotConnected):
            await client.presence.resume("c1")
        wrong: list[Callable[[], Awaitable[Any]]] = [
            lambda: client.presence.set_intent(Status.OFFLINE),
            lambda: client.presence.set_intent("away"),  # type: ignore[arg-type]
            lambda: client.presence.set_intent(Status.ONLINE, until=7),
            lambda: client.presence.set_intent(Status.AWAY, until=-1),
            lambda: client.presence.ask(7),  # type: ignore[arg-type]
            lambda: client.presence.say_typing("bob", seconds=0),
        ]
        for call in wrong:
            with pytest.raises(InvalidArgument):
                await call()
        peer = await server.accept()
        await peer.greet()
        async with anyio.create_task_group() as tasks:

            async def refused() -> None:
                with pytest.raises(Refused):
                    await client.presence.set_intent(Status.AWAY)

            tasks.start_soon(refused)
            _, ref = await peer.expect(Awareness)
            peer.send(Body(errors=[ErrorMessage(code=ErrorCode.STORAGE_FULL, message="full", ref=ref)]))
