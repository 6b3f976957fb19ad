"""Messages that are followed through the log of the server, by their signal id."""

from collections.abc import Iterator, MutableMapping
from typing import Any

import pytest
import structlog
import trio
from trio.testing import MockClock

from bimip.config import Settings
from bimip.domain.core.clock import NODE_BITS
from bimip.domain.core.ids import Stamp
from bimip.reading.people import Eids
from bimip.storage.memory import MemoryStore
from bimip.testing.push import MemoryGateway
from bimip.testing.virtual import settings_for_tests
from bimip.users.tracing import MessageTraces
from tests.kit.memory_server import open_world
from tests.kit.push import GATEWAY
from tests.scenarios.test_push import SOON, bob_away

Logs = list[MutableMapping[str, Any]]


@pytest.fixture
def logs() -> Iterator[Logs]:
    with structlog.testing.capture_logs() as said:
        yield said


def following(**more: str) -> Settings:
    return settings_for_tests(BIMIP_LOGGING_SAMPLE_MESSAGES="1", **more)


def told(logs: Logs) -> list[tuple[str, str]]:
    return [(one["event"], one["user"]) for one in logs if "signal_id" in one]


async def test_a_message_is_followed_from_its_acceptance_to_the_last_receipt(
    autojump_clock: MockClock, logs: Logs
) -> None:
    async with open_world(settings=following()) as world:
        bob, alice = await world.join("bob", "phone"), await world.join("alice", "phone")
        sent = await alice.post("bob", b"Hi", "m1")
        bob.acknowledge(1)
        await bob.heard()
        bob.read(sent.conversation, 1)
        await bob.heard()

    assert sorted(told(logs)[:2]) == [("message accepted", "alice"), ("message in log", "bob")]
    assert told(logs)[2:] == [("message delivered", "bob"), ("message read", "bob")]
    assert {one["signal_id"] for one in logs if "signal_id" in one} == {sent.signal_id}
    assert {one["log_level"] for one in logs if "signal_id" in one} == {"debug"}
    assert {one["id"] for one in logs if one["event"] == "message accepted"} == {"m1"}
    assert "Hi" not in repr(logs)


async def test_a_push_that_a_gateway_took_is_told(autojump_clock: MockClock, logs: Logs) -> None:
    async with open_world(settings=following(BIMIP_PUSH_GATEWAYS=GATEWAY), gateway=MemoryGateway()) as world:
        ann = await bob_away(world)
        sent = await ann.post("bob", b"Hi", "m1")
        await trio.sleep(SOON)

    (pushed,) = (one for one in logs if one["event"] == "message pushed")
    assert (pushed["signal_id"], pushed["user"], pushed["platform"]) == (sent.signal_id, "bob", "fcm")


async def test_by_default_none_is_followed_and_nothing_is_looked_at(
    autojump_clock: MockClock, logs: Logs, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_world() as world:
        monkeypatch.delattr(MessageTraces, "committed")
        bob, alice = await world.join("bob", "phone"), await world.join("alice", "phone")
        await alice.post("bob", b"Hi", "m1")
        bob.acknowledge(1)
        await bob.heard()

    assert told(logs) == []
    assert "following messages failed" not in {one["event"] for one in logs}


async def test_what_cannot_be_told_keeps_nobody_from_their_messages(
    autojump_clock: MockClock, logs: Logs, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_world(settings=following()) as world:
        bob, alice = await world.join("bob", "phone"), await world.join("alice", "phone")
        monkeypatch.setattr(world.server.traces, "_store", None)
        monkeypatch.setattr(world.server.traces, "_eids", None)
        await alice.post("bob", b"Hi", "m1")
        heard = await bob.heard()

    assert [message.payload for message in heard.messages] == [b"Hi"]
    assert "following messages failed" in {one["event"] for one in logs}


@pytest.mark.parametrize("every", [2, 8, 100, 128])
def test_one_in_so_many_is_followed_whenever_they_come(every: int) -> None:
    store = MemoryStore()
    traces = MessageTraces(store, Eids(store), [print], every)
    milliseconds = [Stamp((1_700_000_000_000 + ms) << 22) for ms in range(20_000)]  # one each: the counter is 0
    together = [Stamp((1_700_000_000_000 << 22) + (count << NODE_BITS)) for count in range(20_000)]
    for stamps in (milliseconds, together):
        followed = sum(traces.follows(stamp) for stamp in stamps)

        assert 0.7 * len(stamps) / every < followed < 1.3 * len(stamps) / every
