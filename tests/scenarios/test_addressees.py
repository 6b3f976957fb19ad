"""Whom a message reaches: a person by any spelling of their name, a conversation by its id, and nobody else."""

import pytest
from trio.testing import MockClock

from bimip.client.wire import bimip as pb
from bimip.testing.virtual import settings_for_tests
from tests.kit.memory_server import go_on, open_world
from tests.scenarios.conftest import OpenStore

COMPOSED, DECOMPOSED = "zoë", "zoe\u0308"


async def test_a_conversation_is_an_addressee(autojump_clock: MockClock, open_store: OpenStore) -> None:
    async with open_world(open_store=open_store) as world:
        bob = await world.join("bob", "phone")
        alice = await world.join("alice", "phone")
        first = await alice.post("bob", b"to bob", "m1")
        second = await alice.post(first.conversation, b"to the conversation", "m2")
        arrived = await bob.heard()
        back = await bob.post(first.conversation, b"back", "m1")

        assert (second.conversation, second.conversation_offset) == (first.conversation, 2)
        assert (back.conversation, back.conversation_offset) == (first.conversation, 3)
        assert arrived.payloads == [b"to bob", b"to the conversation"]
        assert (await alice.heard()).payloads == [b"back"]


async def test_the_conversation_with_oneself_is_one_too(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        laptop = await world.join("alice", "laptop")
        alice = await world.join("alice", "phone")
        first = await alice.post("alice", b"note", "m1")
        second = await alice.post(first.conversation, b"another", "m2")

        assert (second.user_offset, second.conversation_offset) == (2, 2)
        assert (await laptop.heard()).payloads == [b"note", b"another"]


@pytest.mark.parametrize("accepts", ["true", "false"])
@pytest.mark.parametrize("name", ["{}", "c999", "c0", "c007", "c99999999999"])
async def test_somebody_elses_conversation_is_none(autojump_clock: MockClock, name: str, accepts: str) -> None:
    """Nor is a user made of its id, where unknown recipients are accepted."""
    async with open_world(settings=settings_for_tests(BIMIP_USERS_ACCEPT_UNKNOWN_RECIPIENTS=accepts)) as world:
        bob = await world.join("bob", "phone")
        alice = await world.join("alice", "phone")
        theirs = await alice.post("bob", b"hi", "m1")
        await bob.heard()
        mallory = await world.join("mallory", "phone")
        mallory.write(name.format(theirs.conversation), b"let me in", "m1")
        heard = await mallory.heard()

        assert [(error.code, error.field, error.id) for error in heard.errors] == [
            (pb.ErrorCode.NOT_FOUND, "to.eid", "m1")
        ]
        assert heard.errors[0].message.startswith("you are in no such conversation")
        assert (await bob.heard()).payloads == []


async def test_who_reads_may_name_the_conversation_as_an_addressee(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        bob = await world.join("bob", "phone")
        alice = await world.join("alice", "phone")
        sent = await alice.post("bob", b"hi", "m1")
        await bob.heard()
        bob.acknowledge(1)
        bob.send(signal=pb.Signal(status=pb.MessageStatus.READ, to=pb.Identity(eid=sent.conversation), upto=1), ref=9)

        assert (await bob.heard()).errors == []
        assert ("bob", pb.MessageStatus.READ, 1, 1) in (await alice.heard()).receipts


async def test_one_person_however_their_name_is_composed(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        zoe = await world.join(COMPOSED, "phone")
        alice = await world.join("alice", "phone")
        await alice.post(DECOMPOSED, b"hi", "m1")
        again = await alice.post(COMPOSED, b"hi", "m1")
        heard = await zoe.heard()

        assert again.duplicate
        assert heard.payloads == [b"hi"]
        assert heard.messages[0].to is not None
        assert heard.messages[0].to.eid == COMPOSED


async def test_an_author_may_spell_their_own_name_either_way(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await world.register("bob")
        zoe = await world.join(COMPOSED, "phone")

        assert await zoe.post("bob", b"hi", "m1", from_=pb.Identity(eid=DECOMPOSED))


@pytest.mark.parametrize("name", ["bob ", " bob", "b\u202eob", "b\u200dob", "b\u00a0ob", ""])
async def test_a_text_that_is_no_name_reaches_nobody(autojump_clock: MockClock, name: str) -> None:
    async with open_world(settings=settings_for_tests(BIMIP_USERS_ACCEPT_UNKNOWN_RECIPIENTS="true")) as world:
        bob = await world.join("bob", "phone")
        alice = await world.join("alice", "phone")
        alice.write(name, b"hi", "m1")
        heard = await alice.heard()

        assert [(error.code, error.field) for error in heard.errors] == [(pb.ErrorCode.INVALID, "to.eid")]
        assert (await bob.heard()).payloads == []


async def test_the_first_device_gets_what_was_written_before_anybody_signed_in(
    autojump_clock: MockClock, open_store: OpenStore
) -> None:
    settings = settings_for_tests(BIMIP_USERS_ACCEPT_UNKNOWN_RECIPIENTS="true")
    async with open_world(open_store=open_store, settings=settings) as world:
        alice = await world.join("alice", "phone")
        await alice.post("newcomer", b"welcome", "m1")
        await alice.post("newcomer", b"a notice", "m2", partition="notification")
    async with open_world(open_store=open_store, settings=settings) as world:
        phone = await world.join("newcomer", "phone", go_on(), go_on("notification"))
        laptop = await world.join("newcomer", "laptop", go_on())

        assert sorted((await phone.heard()).payloads) == [b"a notice", b"welcome"]
        assert (await laptop.heard()).payloads == []


async def test_a_first_device_that_was_forgotten_is_not_first_again(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.join("bob", "phone", go_on())
        alice = await world.join("alice", "phone")
        await alice.post("bob", b"hi", "m1")
        await phone.heard()
        phone.send(logout=pb.Logout(forget=True), ref=3)
        await phone.closed()
        returned = await world.join("bob", "phone", go_on())

        assert (await returned.heard()).payloads == []
