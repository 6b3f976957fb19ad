"""Users ask to see one another, answer, end it, block: what each side's devices are told, now or later."""

from itertools import count
from typing import Any

from trio.testing import MockClock

from bimip.client.wire import bimip as pb
from bimip.storage.care.check import check
from bimip.testing.virtual import settings_for_tests
from tests.kit.memory_server import Client, World, go_on, open_world
from tests.kit.received import Received
from tests.scenarios.conftest import OpenStore

Action = pb.ContactAction
REFS = count(100)
"""Each request has its own: a server that crashed may answer twice."""


async def ask(client: Client, action: pb.ContactAction, eid: str = "", **fields: Any) -> pb.Contact:
    """Asks for something about a contact, and awaits the answer; what came before it is taken too."""
    ref = next(REFS)
    client.send(contact=pb.Contact(action=action, eid=eid, **fields), ref=ref)
    while True:
        scheme = await client.receive()
        if scheme.ref == ref:
            assert scheme.contact is not None, scheme
            return scheme.contact
        assert scheme.body is None or not scheme.body.errors, scheme.body.errors


def contacts(heard: Received) -> list[tuple[str, str]]:
    """What the state says of contacts: whom, and how it stands."""
    items = [item for state in heard.states for item in state.items if item.contact is not None]
    return [(contact.eid, "gone" if item.removed else contact.state) for item in items if (contact := item.contact)]


def relation(contact: pb.Contact) -> tuple[str, bool, bool]:
    return contact.state, contact.sees_you, contact.seen


async def phones(world: World, *eids: str) -> list[Client]:
    found = [await world.join(eid, "phone") for eid in eids]
    for phone in found:
        await phone.heard()
    return found


async def test_a_request_is_answered_by_who_comes_back_and_told_to_who_was_away(
    autojump_clock: MockClock, open_store: OpenStore
) -> None:
    async with open_world(open_store=open_store) as world:
        await world.register("bob")
        [ann] = await phones(world, "ann")
        asked = await ask(ann, Action.REQUEST, "bob", id="r1", mutual=True)

        assert relation(asked) == ("requested", False, False)
        assert (asked.id, asked.eid, asked.mutual, asked.duplicate) == ("r1", "bob", True, False)
        await ann.heard()
        ann.cut()
        bob = await world.join("bob", "phone", go_on())
        [told] = [item.contact for state in (await bob.heard()).states for item in state.items if item.contact]
        assert (told.eid, told.state, told.id, told.mutual) == ("ann", "asked", "r1", True)
        accepted = await ask(bob, Action.ACCEPT, "ann", id="a1")
        assert relation(accepted) == ("accepted", True, True)
        ann = await world.join("ann", "phone", go_on(), state_version=asked.version)
        [told] = [item.contact for state in (await ann.heard()).states for item in state.items if item.contact]
        assert (told.eid, *relation(told), told.id) == ("bob", "accepted", True, True, "r1")
        assert list(check(world.server.store)) == []


async def test_all_devices_of_both_are_told_and_of_what_ended_that_it_is_gone(
    autojump_clock: MockClock, open_store: OpenStore
) -> None:
    async with open_world(open_store=open_store) as world:
        ann, bob = await phones(world, "ann", "bob")
        laptop = await world.join("ann", "laptop")
        await laptop.heard()
        await ask(ann, Action.REQUEST, "bob", id="r1")

        assert contacts(await laptop.heard()) == [("bob", "requested")]
        assert contacts(await bob.heard()) == [("ann", "asked")]
        await ask(bob, Action.ACCEPT, "ann", id="a1")
        assert contacts(await laptop.heard()) == [("bob", "accepted")]
        await ask(laptop, Action.REMOVE, "bob", id="x1")
        assert contacts(await ann.heard())[-1] == ("bob", "gone")
        assert contacts(await bob.heard())[-1] == ("ann", "gone")
        later = await world.join("bob", "tablet")
        assert contacts(await later.heard()) == []


async def test_what_is_said_again_is_done_once(autojump_clock: MockClock, open_store: OpenStore) -> None:
    async with open_world(open_store=open_store) as world:
        ann, bob = await phones(world, "ann", "bob")
        await ask(ann, Action.REQUEST, "bob", id="r1")
        await ask(bob, Action.DENY, "ann", id="d1")
        again = await ask(ann, Action.REQUEST, "bob", id="r1")

        assert (again.duplicate, again.state) == (True, "denied")
        assert contacts(await bob.heard())[-1] == ("ann", "gone")


async def test_two_requests_that_cross_are_an_acceptance(autojump_clock: MockClock, open_store: OpenStore) -> None:
    async with open_world(open_store=open_store) as world:
        ann, bob = await phones(world, "ann", "bob")
        for one, other in ((ann, "bob"), (bob, "ann")):
            one.send(contact=pb.Contact(action=Action.REQUEST, eid=other, id="r"), ref=5)
        await ann.heard()
        await bob.heard()

        for one, other in ((ann, "bob"), (bob, "ann")):
            [listed] = (await ask(one, Action.LIST)).contacts
            assert (listed.eid, *relation(listed)) == (other, "accepted", True, True)


async def test_a_name_is_for_ones_own_devices_and_the_later_one_counts(
    autojump_clock: MockClock, open_store: OpenStore
) -> None:
    async with open_world(open_store=open_store) as world:
        ann, bob = await phones(world, "ann", "bob")
        laptop = await world.join("ann", "laptop")
        named = await ask(ann, Action.NAME, "bob", name="Bobby", id="n1")
        await ask(laptop, Action.NAME, "bob", name="Robert", stamp=5, id="n2")

        [listed] = (await ask(ann, Action.LIST)).contacts
        assert (listed.name, listed.stamp, listed.version) == ("Bobby", named.stamp, named.version)
        assert contacts(await bob.heard()) == []


async def test_a_block_is_told_ones_own_devices_alone(autojump_clock: MockClock, open_store: OpenStore) -> None:
    async with open_world(open_store=open_store) as world:
        ann, bob = await phones(world, "ann", "bob")
        await ask(ann, Action.REQUEST, "bob", id="r1", mutual=True)
        await ask(bob, Action.ACCEPT, "ann", id="a1")
        await ann.heard()
        laptop = await world.join("bob", "laptop")
        await laptop.heard()
        blocked = await ask(bob, Action.BLOCK, "ann", id="b1")

        assert blocked.blocked
        assert contacts(await laptop.heard()) == [("ann", "accepted")]
        assert contacts(await ann.heard()) == []
        [listed] = (await ask(ann, Action.LIST)).contacts
        assert (*relation(listed), listed.blocked) == ("accepted", True, True, False)
        assert relation(await ask(ann, Action.REMOVE, "bob", id="x1")) == ("", False, False)
        assert relation(await ask(ann, Action.REQUEST, "bob", id="r2")) == ("requested", False, False)
        assert contacts(await laptop.heard())[-1] == ("ann", "")
        assert not (await ask(bob, Action.UNBLOCK, "ann", id="u1")).blocked
        assert contacts(await laptop.heard())[-1] == ("ann", "gone")


async def test_contacts_are_listed_page_by_page(autojump_clock: MockClock, open_store: OpenStore) -> None:
    async with open_world(open_store=open_store) as world:
        eids = [f"user{number}" for number in range(7)]
        for eid in eids:
            await world.register(eid)
        [ann] = await phones(world, "ann")
        for eid in eids:
            await ask(ann, Action.NAME, eid, name=f"called {eid}", id=f"n{eid}")
        found: list[str] = []
        page = await ask(ann, Action.LIST, limit=3)
        found += [one.eid for one in page.contacts]
        while not page.complete:
            page = await ask(ann, Action.LIST, limit=3, after=found[-1])
            found += [one.eid for one in page.contacts]

        assert found == eids


FEW = settings_for_tests(BIMIP_USERS_MAX_CONTACT_REQUESTS="1")


async def test_nobody_learns_that_others_ask_the_same_user(autojump_clock: MockClock) -> None:
    async with open_world(settings=FEW) as world:
        ann, bob, cat = await phones(world, "ann", "bob", "cat")
        first = await ask(ann, Action.REQUEST, "bob", id="r1")
        second = await ask(cat, Action.REQUEST, "bob", id="r1")

        assert [(relation(one), one.version) for one in (first, second)] == [(("requested", False, False), 2)] * 2
        assert contacts(await bob.heard()) == [("ann", "asked")]
        cat.send(contact=pb.Contact(action=Action.REQUEST, eid="ann", id="r2"), ref=5)
        [error] = (await cat.heard()).errors
        assert (error.code, error.field) == (pb.ErrorCode.CONFLICT, "eid")
