"""Back ends are told what happens, each event once or more under one id, whatever dies in between."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from bimip.config import Settings
from bimip.domain.core.records import Table
from bimip.domain.webhooks.feed import events_behind, positions_of
from bimip.operations import Operations
from bimip.push.posting import PostError, Request, Response
from bimip.storage.errors import StorageError, StoreDamagedError
from bimip.storage.interface import Store
from bimip.storage.memory import MemoryStore
from bimip.testing.virtual import BEGIN, settings_for_tests
from bimip.webhooks import process, telling
from tests.kit.faults import Boom, FaultyStore, StoreFault, raising
from tests.kit.memory_server import open_world, settle
from tests.kit.webhooks import SECRET, URL, MemoryBackEnd, webhook
from tests.scenarios.conftest import OpenStore

SOON = 5
"""Seconds in which what is to be told was told."""


def with_webhook(endpoint: str | None = None, **settings: str) -> Settings:
    given = {f"BIMIP_WEBHOOKS_{key}": text for key, text in settings.items()}
    return settings_for_tests(BIMIP_WEBHOOKS_ENDPOINTS=endpoint or webhook(), **given)


def failing(*answers: int) -> Callable[[Request], Response]:
    """A back end that answers so, and then takes all; 0: it cannot be reached."""
    left = list(answers)

    def answer(_request: Request) -> Response:
        status = left.pop(0) if left else 200
        if not status:
            raise PostError("nobody is there")
        return Response(status)

    return answer


def waiting(store: Store) -> int:
    """How many events nobody cut off yet."""
    with store.snapshot() as view:
        return len(events_behind(view, 0, 100_000))


async def test_a_back_end_is_told_what_becomes_of_a_message(autojump_clock: MockClock) -> None:
    back_end, store = MemoryBackEnd(), MemoryStore()
    async with open_world(settings=with_webhook(), gateway=back_end, store=store) as world:
        ann, bob = await world.join("ann", "phone"), await world.join("bob", "phone")
        sent = await ann.post("bob", b"hello", "m1")
        await bob.heard()
        bob.acknowledge(1)
        await settle()
        bob.read("c1", 1)
        await trio.sleep(SOON)

        assert back_end.told == [
            ("user.first_seen", {"user": "ann"}),
            ("user.first_seen", {"user": "bob"}),
            (
                "message.accepted",
                {
                    "user": "ann",
                    "device": "phone",
                    "conversation": "c1",
                    "conversation_offset": "1",
                    "signal_id": sent.signal_id,
                    "signal_offset": str(sent.signal_offset),
                    "id": "m1",
                    "to": "bob",
                    "partition": "chat",
                },
            ),
            ("message.delivered", {"user": "bob", "conversation": "c1", "from": "1", "to": "1"}),
            ("message.read", {"user": "bob", "conversation": "c1", "from": "1", "to": "1"}),
        ]
        assert waiting(store) == 0
        first = next(iter(back_end.events.values()))
        assert first["timestamp"].startswith("2023-11-14T22:13:2")
        times = [int(request.headers["webhook-timestamp"]) for request in back_end.requests]
        assert [BEGIN // 1000 <= time <= BEGIN // 1000 + 10 for time in times] == [True] * 5


@pytest.mark.parametrize("payload", [None, "aGVsbG8="])
async def test_it_is_told_the_content_where_that_is_configured(autojump_clock: MockClock, payload: str | None) -> None:
    back_end = MemoryBackEnd()
    content = payload is not None
    settings = with_webhook(webhook(content=content, events=["message.accepted"]))
    async with open_world(settings=settings, gateway=back_end) as world:
        ann = await world.join("ann", "phone")
        await world.register("bob")
        await ann.post("bob", b"hello", "m1")
        await trio.sleep(SOON)
        [(kind, data)] = back_end.told

        assert kind == "message.accepted"
        assert data.get("message", {}).get("payload") == payload
        assert (b"aGVsbG8" in back_end.requests[0].body) == content


async def test_each_is_told_of_its_own_events(autojump_clock: MockClock) -> None:
    back_end = MemoryBackEnd()
    async with open_world(settings=with_webhook(webhook(events=["message.read"])), gateway=back_end) as world:
        ann, bob = await world.join("ann", "phone"), await world.join("bob", "phone")
        await ann.post("bob", b"hello", "m1")
        await bob.heard()
        bob.acknowledge(1)
        bob.read("c1", 1)
        await trio.sleep(SOON)

        assert [kind for kind, _ in back_end.told] == ["message.read"]


@pytest.mark.parametrize("status", [0, 400, 401, 410, 301, 500, 503])
async def test_what_is_not_taken_is_sent_again_under_its_id(autojump_clock: MockClock, status: int) -> None:
    back_end = MemoryBackEnd()
    back_end.answer = failing(*[status] * 6)
    async with open_world(settings=with_webhook(), gateway=back_end) as world:
        ann, _ = await world.join("ann", "phone"), await world.join("bob", "phone")
        await ann.post("bob", b"hello", "m1")
        await trio.sleep(600)
        ids = Counter(request.headers["webhook-id"] for request in back_end.requests)
        bodies = {(request.headers["webhook-id"], request.body) for request in back_end.requests}

        assert len(back_end.events) == len(ids) == len(bodies) == 3
        assert sum(ids.values()) == 9
        told = world.server.webhook_statistics
        assert (told.taken, told.retried, told.given_up, told.waiting) == (3, 6, 0, {"crm": 0})


async def test_who_asks_to_be_left_alone_is(autojump_clock: MockClock) -> None:
    back_end = MemoryBackEnd()
    back_end.answer = lambda _request: Response(429, "120") if trio.current_time() < 60 else Response(200)
    async with open_world(settings=with_webhook(), gateway=back_end) as world:
        await world.join("ann", "phone")
        await trio.sleep(100)
        before = len(back_end.requests)
        await trio.sleep(200)

        assert (before, len(back_end.requests), len(back_end.events)) == (1, 2, 1)


async def test_a_back_end_that_is_away_is_left_alone_and_told_all_when_it_is_back(autojump_clock: MockClock) -> None:
    back_end, store = MemoryBackEnd(), MemoryStore()
    is_there = False

    def answer(_request: Request) -> Response:
        if not is_there:
            raise PostError("nobody is there")
        return Response(200)

    back_end.answer = answer
    settings = with_webhook(webhook(events=["message.accepted"]), RETRY_SECONDS="60")
    async with open_world(settings=settings, gateway=back_end, store=store) as world:
        ann, _ = await world.join("ann", "phone"), await world.join("bob", "phone")
        for number in range(200):
            await ann.post("bob", b"x", f"m{number}")
        await trio.sleep(900)
        tried, held = len(back_end.requests), waiting(store)
        is_there = True
        await trio.sleep(600)

        assert tried < 100, "a breaker leaves it alone"
        assert held == 200
        assert {data["id"] for _, data in back_end.told} == {f"m{number}" for number in range(200)}
        assert waiting(store) == 0


async def test_no_more_is_under_way_at_once_than_may_be(autojump_clock: MockClock) -> None:
    back_end = MemoryBackEnd()
    back_end.seconds = 10
    async with open_world(settings=with_webhook(MAX_SENDS="3"), gateway=back_end) as world:
        for number in range(9):
            await world.register(f"user{number}")
        await trio.sleep(SOON)

        assert len(back_end.requests) == 3
        await trio.sleep(10)
        assert len(back_end.requests) == 6


async def test_what_is_too_old_or_too_much_is_given_up_and_counted(autojump_clock: MockClock) -> None:
    back_end = MemoryBackEnd()
    back_end.answer = lambda _request: Response(500)
    settings = with_webhook(webhook(events=["message.accepted"]), MAX_WAITING="10", MAX_AGE_SECONDS="120")
    async with open_world(settings=settings, gateway=back_end) as world:
        ann, _ = await world.join("ann", "phone"), await world.join("bob", "phone")
        for number in range(100):
            await ann.post("bob", b"x", f"m{number}")
        await trio.sleep(SOON)
        told = world.server.webhook_statistics
        assert (told.given_up, told.waiting) == (90, {"crm": 10})
        await trio.sleep(400)

        assert (told.given_up, told.waiting) == (100, {"crm": 0})
        back_end.answer = lambda _request: Response(200)
        await ann.post("bob", b"x", "m100")
        await trio.sleep(400)
        assert [data["id"] for _, data in back_end.told] == ["m100"]


async def test_a_new_back_end_is_told_of_what_happens_from_then_on(autojump_clock: MockClock) -> None:
    back_end, store = MemoryBackEnd(), MemoryStore()
    for settings in (settings_for_tests(), with_webhook(), settings_for_tests(), with_webhook()):
        store.reopen()
        async with open_world(settings=settings, gateway=back_end, store=store) as world:
            ann, _ = await world.join("ann", "phone"), await world.join("bob", "phone")
            await ann.post("bob", b"x", f"m{len(back_end.events)}-{trio.current_time()}")
            await trio.sleep(SOON)
            with store.snapshot() as view:
                assert set(positions_of(view)) == set(settings.webhooks.endpoints)
                assert view.scan(Table.EVENTS, (), Table.EVENTS.schema.end, limit=9) == []

    assert [kind for kind, _ in back_end.told] == ["message.accepted"] * 2


async def test_who_was_erased_meanwhile_is_not_named(autojump_clock: MockClock) -> None:
    back_end = MemoryBackEnd()
    back_end.answer = failing(*[500] * 4)
    async with open_world(settings=with_webhook(RETRY_SECONDS="60"), gateway=back_end) as world:
        await world.join("ann", "phone")
        await trio.sleep(0.5)
        await Operations(world.server).erase_user("ann")
        await trio.sleep(600)

        assert back_end.told == []
        assert world.server.webhook_statistics.left_out == 1


async def test_a_message_that_all_have_and_that_is_gone_is_told_of_all_the_same(autojump_clock: MockClock) -> None:
    back_end = MemoryBackEnd()
    back_end.answer = failing(*[500] * 4)
    settings = settings_for_tests(
        BIMIP_WEBHOOKS_ENDPOINTS=webhook(events=["message.accepted"]),
        BIMIP_RETENTION_POLICIES="chat=until-acked",
        BIMIP_RETENTION_EVERY_SECONDS="1",
    )
    store = MemoryStore()
    async with open_world(settings=settings, gateway=back_end, store=store) as world:
        ann, bob = await world.join("ann", "phone"), await world.join("bob", "phone")
        sent = await ann.post("bob", b"x", "m1")
        await bob.heard()
        bob.acknowledge(1)
        ann.acknowledge(1)
        await trio.sleep(2)
        with store.snapshot() as view:
            gone = view.get(Table.BODIES, (sent.signal_offset,)) is None
        await trio.sleep(600)

        [(_, data)] = back_end.told
        assert (data["signal_id"], "id" in data) == (sent.signal_id, not gone)


@pytest.mark.parametrize("error", [Boom("it has a defect"), StoreDamagedError("eids (1,)")], ids=["defect", "damage"])
async def test_an_event_that_cannot_be_told_holds_no_other_up(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    back_end, describe = MemoryBackEnd(), telling.describe

    def described(view: Any, event: Any, *, content: bool) -> Any:
        if event.kind == 1:
            raise error
        return describe(view, event, content=content)

    monkeypatch.setattr(process, "describe", described)
    async with open_world(settings=with_webhook(), gateway=back_end) as world:
        ann, bob = await world.join("ann", "phone"), await world.join("bob", "phone")
        await ann.post("bob", b"x", "m1")
        await bob.heard()
        bob.acknowledge(1)
        await trio.sleep(SOON)

        assert [kind for kind, _ in back_end.told] == ["user.first_seen", "user.first_seen", "message.delivered"]
        assert world.server.webhook_statistics.given_up == 1


async def test_an_event_that_is_never_taken_holds_others_up_for_minutes_and_not_for_days(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "WINDOW", 4)
    monkeypatch.setattr(process, "SPAN", 12)
    back_end = MemoryBackEnd()
    refused = {f"m{number}" for number in range(6)}  # more than the window has places

    def answer(request: Request) -> Response:
        return Response(400 if json.loads(request.body)["data"]["id"] in refused else 200)

    back_end.answer = answer
    settings = with_webhook(webhook(events=["message.accepted"]))
    async with open_world(settings=settings, gateway=back_end) as world:
        ann, _ = await world.join("ann", "phone"), await world.join("bob", "phone")
        for number in range(60):
            await ann.post("bob", b"x", f"m{number}")
        await trio.sleep(3600)
        told = world.server.webhook_statistics

        assert {data["id"] for _, data in back_end.told} == {f"m{number}" for number in range(6, 60)}
        assert (told.taken, told.given_up, told.waiting) == (54, 6, {"crm": 0})
        assert told.last_failure.startswith("crm: an event was refused ")
        assert told.last_failure.endswith(" times while others were taken: 400")


async def test_while_no_event_is_taken_none_is_given_up(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A back end that is away refuses none."""
    monkeypatch.setattr(process, "WINDOW", 4)
    monkeypatch.setattr(process, "SPAN", 12)
    back_end = MemoryBackEnd()
    back_end.seconds = 0.1
    settings = with_webhook(webhook(events=["message.accepted"]), RETRY_SECONDS="5")
    async with open_world(settings=settings, gateway=back_end) as world:
        ann, _ = await world.join("ann", "phone"), await world.join("bob", "phone")
        for number in range(60):
            await ann.post("bob", b"x", f"m{number}")

        def answer(_request: Request) -> Response:
            is_away = len(back_end.events) > 5 and trio.current_time() < 7200
            return Response(500 if is_away else 200)

        back_end.answer = answer
        await trio.sleep(7000)
        told = world.server.webhook_statistics
        assert (told.taken, told.given_up) == (6, 0)
        await trio.sleep(3600)

        assert (told.taken, told.given_up, told.waiting) == (60, 0, {"crm": 0})


async def test_events_that_a_back_end_does_not_want_do_not_hold_up_those_that_it_does(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "SPAN", 5)
    back_end = MemoryBackEnd()
    back_end.answer = lambda request: Response(400 if b'"ann"' in request.body else 200)
    settings = with_webhook(
        json.dumps(
            {
                "crm": {"url": URL, "secret": SECRET, "events": ["user.first_seen"]},
                "other": {"url": URL + "/other", "secret": SECRET, "events": ["message.accepted"]},
            }
        )
    )
    async with open_world(settings=settings, gateway=back_end) as world:
        ann, _ = await world.join("ann", "phone"), await world.join("bob", "phone")
        for number in range(20):
            await ann.post("bob", b"x", f"m{number}")
        await world.register("cid")
        await trio.sleep(60)

        assert [data["user"] for _, data in back_end.told] == ["bob", "cid"]


async def test_it_is_killed_again_and_again_and_nothing_is_lost(autojump_clock: MockClock) -> None:
    back_end = MemoryBackEnd()
    back_end.seconds = 0.1
    async with open_world(settings=with_webhook(), gateway=back_end) as world:
        ann, bob = await world.join("ann", "phone"), await world.join("bob", "phone")
        for number in range(30):
            await ann.post("bob", b"x", f"m{number}")
            if number % 3 == 0:
                await world.kill("webhooks")
                await trio.sleep(8)  # not more often than its supervisor forgives
        await bob.heard()
        bob.acknowledge(30)
        await trio.sleep(SOON)
        kinds = Counter(kind for kind, _ in back_end.told)

        assert kinds == {"user.first_seen": 2, "message.accepted": 30, "message.delivered": kinds["message.delivered"]}
        assert {data["id"] for kind, data in back_end.told if kind == "message.accepted"} == {
            f"m{number}" for number in range(30)
        }


async def test_the_server_dies_before_it_is_noted_what_was_taken(
    autojump_clock: MockClock, open_store: OpenStore
) -> None:
    back_end = MemoryBackEnd()
    for start in range(4):
        async with open_world(settings=with_webhook(), gateway=back_end, open_store=open_store) as world:
            ann, _ = await world.join("ann", "phone"), await world.join("bob", "phone")
            for number in range(5):
                await ann.post("bob", b"x", f"m{start}-{number}")
            await settle()
    async with open_world(settings=with_webhook(), gateway=back_end, open_store=open_store):
        await trio.sleep(SOON)

    accepted = [data["id"] for kind, data in back_end.told if kind == "message.accepted"]
    assert sorted(accepted) == [f"m{start}-{number}" for start in range(4) for number in range(5)]


async def test_a_store_that_cannot_be_read_or_written_is_asked_again(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    back_end, store = MemoryBackEnd(), FaultyStore()
    for name in ("positions_of", "events_behind", "describe"):
        failing_read = raising(StorageError("the disk failed"), getattr(process, name), times=2)
        monkeypatch.setattr(process, name, failing_read)
    async with open_world(settings=with_webhook(), gateway=back_end, store=store) as world:
        await world.join("ann", "phone")
        store.arm(StoreFault.COMMIT, StoreFault.LOST, StoreFault.STORED)
        await trio.sleep(120)
        await world.join("bob", "phone")
        await trio.sleep(120)

        assert [data["user"] for _, data in back_end.told] == ["ann", "bob"]
        assert waiting(store) == 0


async def test_a_secret_is_read_once(autojump_clock: MockClock, tmp_path: Path) -> None:
    """A file that is taken away while the server runs ends nothing, however often the process starts."""
    (file := tmp_path / "crm.secret").write_text(SECRET)
    back_end = MemoryBackEnd()
    settings = with_webhook(json.dumps({"crm": {"url": URL, "secret_file": str(file)}}))
    async with open_world(settings=settings, gateway=back_end) as world:
        file.unlink()
        await world.kill("webhooks")
        await trio.sleep(8)
        await world.join("ann", "phone")
        await trio.sleep(SOON)

        assert [data["user"] for _, data in back_end.told] == ["ann"]


async def test_a_commit_without_an_event_wakes_nobody(autojump_clock: MockClock) -> None:
    back_end = MemoryBackEnd()
    settings = with_webhook(webhook(events=["user.first_seen"]))
    async with open_world(settings=settings, gateway=back_end) as world:
        ann, bob = await world.join("ann", "phone"), await world.join("bob", "phone")
        await trio.sleep(SOON)
        before, commits = world.server.events.version, world.server.journal_statistics.batches
        await ann.post("bob", b"hello", "m1")
        await bob.heard()
        bob.acknowledge(1)
        await trio.sleep(SOON)

        assert world.server.journal_statistics.batches > commits
        assert world.server.events.version == before


async def test_where_nobody_is_to_be_told_nothing_is_written(autojump_clock: MockClock) -> None:
    back_end, store = MemoryBackEnd(), MemoryStore()
    async with open_world(gateway=back_end, store=store) as world:
        ann, _ = await world.join("ann", "phone"), await world.join("bob", "phone")
        await ann.post("bob", b"x", "m1")
        await trio.sleep(SOON)

        assert (back_end.requests, waiting(store)) == ([], 0)
