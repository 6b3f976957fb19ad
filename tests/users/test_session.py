"""Who shows others what a user does is told at once when that may be seen in another way, and by whom."""

from typing import Any

from trio.testing import MockClock

from bimip.client.wire import bimip as pb
from bimip.domain.core.decision import PrivacyNews
from tests.kit.memory_server import World, open_world
from tests.scenarios.test_contacts import Action, ask
from tests.scenarios.test_privacy import set_to

DENIED = pb.PrivacyExceptionException.DENIED


def heed(world: World) -> list[PrivacyNews]:
    told: list[PrivacyNews] = []
    world.server.services.privacy_listeners.append(told.append)
    return told


async def test_a_setting_the_switch_and_an_exception_are_news(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        ann, _ = await world.join("ann", "phone"), await world.join("bob", "phone")
        told = heed(world)
        await set_to(ann, last_seen_to=pb.Audience.NOBODY)
        ann.send(awareness_visibility=pb.AwarenessVisibility(visible=False), ref=3)
        await ann.heard()
        await set_to(ann, exceptions=[pb.PrivacyException(eid="bob", show_online_status=DENIED)])
        await set_to(ann, send_read_receipts=False)

        assert [(news.user, news.viewer) for news in told] == [(1, None), (1, None), (1, 2)]


async def test_a_contact_and_a_block_are_news_of_the_two(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        ann, bob = await world.join("ann", "phone"), await world.join("bob", "phone")
        told = heed(world)
        steps: list[tuple[Any, pb.ContactAction, str]] = [
            (ann, Action.REQUEST, "bob"),
            (bob, Action.ACCEPT, "ann"),
            (ann, Action.BLOCK, "bob"),
            (ann, Action.UNBLOCK, "bob"),
            (bob, Action.REMOVE, "ann"),
        ]
        for number, (who, action, other) in enumerate(steps):
            await ask(who, action, other, id=f"step{number}")

        assert [(news.user, news.viewer) for news in told] == [(2, 1), (1, 2), (1, 2), (2, 1)]
