"""The drill: something keeps messages from a device, and the operator who asks is told what."""

from typing import Any

import pytest
import trio
from trio.testing import MockClock

from bimip.domain.accounts.barring import DisableUser, RevokeIssued
from bimip.operations import Operations
from bimip.push.posting import Response
from bimip.testing.push import MemoryGateway
from bimip.testing.virtual import token
from bimip.wire import bimip_pb2 as server_pb
from bimip.wire import codec
from tests.kit.gateway_server import open_gateway_server
from tests.kit.memory_server import World, at, open_world
from tests.scenarios.conftest import OpenStore
from tests.scenarios.test_contacts import Action, ask
from tests.scenarios.test_push import subscribe, with_push


def findings(world: World, eid: str = "", device: str = "") -> dict[str, str]:
    told: Any = Operations(world.server).diagnose(eid, device)
    return {one["about"]: one["finding"] for one in told["findings"]}


async def test_each_device_is_told_apart(autojump_clock: MockClock, open_store: OpenStore) -> None:
    async with open_world(open_store=open_store) as world:
        alice = await world.join("alice", "phone")
        whole, silent = await world.join("bob", "whole"), await world.join("bob", "silent")
        away = await world.join("bob", "away")
        other = world.connect("bob", "other")
        await other.hello(at(0, partition="notification"))
        world.connect("bob", "mute")
        await trio.sleep(2)
        away.cut()
        await alice.post("bob", b"x", "m1")
        await whole.heard()
        whole.acknowledge(1)
        await whole.heard()
        await silent.heard()

        assert findings(world) == {}
        assert findings(world, "bob") == {
            "device whole": "nothing",
            "device silent": "does_not_acknowledge",
            "device away": "not_connected",
            "device mute": "no_hello",
            "device other": "nothing",  # it never asked for chat: nothing is kept for it there
        }
        assert findings(world, "bob", "silent") == {"device silent": "does_not_acknowledge"}
        assert Operations(world.server).diagnose("nobody", "") is None
        assert Operations(world.server).diagnose("bob", "watch") is None


async def test_an_expired_token_is_told_of_whom_it_was(autojump_clock: MockClock) -> None:
    async with open_gateway_server() as gate:
        first = await gate.connect("bob", "phone")
        await first.heard()
        short = {device: token("bob", device, seconds=5) for device in ("phone", "new")}
        forged = token("bob", "forged", seconds=5)[:-4] + "AAAA"
        await trio.sleep(15)
        by_header, by_hello, by_nobody = gate.knock(), gate.knock(), gate.knock()
        await by_header.open(shown=short["new"])
        await by_nobody.open(shown=forged)
        await by_hello.open(Authorization=None)
        await by_hello.say(codec.encode(server_pb.Hello(token=short["phone"]), ref=1))
        answers = [await one.heard() for one in (by_header, by_nobody, by_hello)]
        new, phone, unknown = (Operations(gate.server).diagnose("bob", name) for name in ("new", "phone", "forged"))

    assert [answers[0].status, answers[1].status] == [401, 401]
    assert answers[2].close is not None
    assert unknown is None  # whoever made that up may be anybody
    told: Any = new
    [found] = told["findings"]
    assert (found["finding"], found["because"]) == (
        "token_refused",
        "it never connected, and its token was refused: The token has expired; get a new one.",
    )
    connected: Any = phone  # by the first token: that another one of its is too old is no matter
    assert connected["findings"][0]["finding"] in {"nothing", "no_hello"}


async def test_who_is_kept_out_and_whose_tokens_were_revoked(autojump_clock: MockClock, open_store: OpenStore) -> None:
    async with open_world(open_store=open_store) as world:
        for eid in ("ann", "bob"):
            await world.join(eid, "phone")
        await trio.sleep(10)
        await Operations(world.server).bar_tokens(DisableUser("ann"))
        await Operations(world.server).bar_tokens(RevokeIssued("bob", "phone"))
        await trio.sleep(5)

        assert findings(world, "ann") == {"user": "disabled", "device phone": "disabled"}
        assert findings(world, "bob") == {"device phone": "token_revoked"}


async def test_a_sender_who_was_blocked_is_named(autojump_clock: MockClock, open_store: OpenStore) -> None:
    async with open_world(open_store=open_store) as world:
        ann, bob = await world.join("ann", "phone"), await world.join("bob", "phone")
        await world.join("carol", "phone")
        await ann.post("bob", b"x", "m1")
        await ann.post("carol", b"x", "m2")
        await bob.heard()
        bob.acknowledge(1)
        await ask(bob, Action.BLOCK, "ann", id="b1")
        told: Any = Operations(world.server).diagnose("ann", "phone")
        await ask(bob, Action.UNBLOCK, "ann", id="u1")

        assert [one["finding"] for one in told["findings"]] == ["blocked_by", "nothing"]
        assert told["findings"][0]["because"].startswith("bob blocked this user")
        assert findings(world, "ann") == {"device phone": "nothing"}
        assert findings(world, "bob") == {"device phone": "nothing"}


async def test_a_full_disk_is_named(autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_world() as world:
        monkeypatch.setattr(world.server.journal_statistics, "fault", "no space left on device")

        assert findings(world) == {"server": "not_ready"}


async def test_a_push_gateway_that_fails_is_named(autojump_clock: MockClock) -> None:
    gateway = MemoryGateway()
    async with open_world(settings=with_push(), gateway=gateway) as world:
        alice, bob = await world.join("alice", "phone"), await world.join("bob", "phone")
        await subscribe(bob)
        bob.cut()
        gateway.answer = lambda _request: Response(503)
        for number in range(3):
            await alice.post("bob", b"x", f"m{number}")
            await trio.sleep(60)

        assert findings(world) == {"server": "push_gateway"}
